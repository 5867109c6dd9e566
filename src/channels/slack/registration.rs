//! Reading who a token belongs to.

use crate::channels::adapter::RegistrationError;
use crate::channels::api::ApiAnswer;
use crate::domain::connection::SlackApp;
use crate::domain::text::{single_line, truncate_plain};

use super::answer::Answer;
use super::id;

/// Longest name of a bot or workspace that is kept, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Who the token of an `auth.test` belongs to. It need not be a bot.
pub(super) fn read_identity(answer: &ApiAnswer) -> Result<SlackApp, RegistrationError> {
    let body = match Answer::read(answer) {
        Answer::Done(body) => body,
        Answer::Later { reason, .. } => return Err(RegistrationError::Unavailable(reason)),
        Answer::Failed { reason, .. } => {
            return Err(RegistrationError::Refused(format!("Slack refused the token: {reason}")));
        }
    };
    let name = |member: &str, id: &str| {
        let line = single_line(body[member].as_str().unwrap_or_default());
        let name = truncate_plain(line.trim(), MAX_NAME_CHARS);
        if name.is_empty() { id.to_owned() } else { name.to_owned() }
    };
    // An app that was installed for a whole organisation has no workspace of its own.
    let team = id(&body["team_id"]).or_else(|| id(&body["enterprise_id"]));
    let (Some(user), Some(team)) = (id(&body["user_id"]), team) else {
        let unreadable = "Slack does not say who the token belongs to".to_owned();
        return Err(RegistrationError::Unavailable(unreadable));
    };
    Ok(SlackApp {
        bot_user_id: user.to_owned(),
        bot_id: id(&body["bot_id"]).map(str::to_owned),
        bot_username: name("user", user),
        team_id: team.to_owned(),
        team_name: name("team", team),
    })
}
