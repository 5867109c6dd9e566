//! What Discord's answer to a part of a reply means.
//!
//! Sources: discord-api-docs `developers/topics/opcodes-and-status-codes.mdx`, `developers/topics/rate-limits.mdx`,
//! `developers/interactions/receiving-and-responding.mdx`.

use std::time::Duration;

use super::answer::{Failure, is_ban, is_success};
use super::send::{Way, age_ms, quoted, way};
use crate::channels::adapter::{Outgoing, Progress, Verdict};
use crate::channels::api::ApiAnswer;
use crate::domain::retry;

/// How long after a command Discord may still say that it does not know it, in milliseconds: an answer can
/// overtake the relay's own first response. Source: discord/discord-api-docs#7220.
const SETTLING_MS: u64 = 5_000;
/// What to wait then.
const SETTLING_WAIT: Duration = Duration::from_secs(1);
/// Longest pause that is kept when a limit is used up. Those of messages last a few seconds; a header that says
/// much more shall not stop a conversation.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Least wait when Discord's edge has shut this machine out: its window is ten minutes, and whoever goes on
/// calling is not let in again.
const BAN_WAIT: Duration = Duration::from_secs(10 * 60);

/// Discord's numbers for: unknown webhook, unknown interaction, no more further answers, invalid webhook token.
const ANSWER_CLOSED: [u64; 4] = [UNKNOWN_WEBHOOK, 10062, 40094, 50027];
const UNKNOWN_WEBHOOK: u64 = 10015;
/// Slow mode, announcements too fast, writing too fast (channel, server), DMs too fast, sending switched off for
/// now, a feature switched off for now, a resource overloaded, the API overloaded.
const NOT_NOW: [u64; 9] = [20016, 20022, 20028, 20029, 40003, 40004, 40006, 40062, 130_000];
/// The bot may not read the message that it quotes.
const CANNOT_QUOTE: u64 = 160_002;

/// Notes in `progress` what the answer to its next call changes, and says what it means.
pub(super) fn of(outgoing: &Outgoing<'_>, progress: &mut Progress, answer: &ApiAnswer) -> Verdict {
    if is_success(answer) {
        progress.parts = progress.parts.saturating_add(1);
        progress.plain = false;
        return Verdict::Arrived { pause: pause(outgoing, answer) };
    }
    let failure = Failure::read(answer, outgoing.now);
    let Failure { code, reason, after, .. } = failure;
    let is_one_of = |codes: &[u64]| code.is_some_and(|code| codes.contains(&code));
    if is_ban(answer) {
        let after = Some(after.unwrap_or_default().max(BAN_WAIT));
        return Verdict::Later { after, reason: "Discord refuses all calls for now".to_owned(), whole_bot: true };
    }
    if answer.status == 429 {
        return Verdict::Later { after, reason, whole_bot: failure.is_global };
    }
    // Neither a redirect nor a time-out of Discord's servers is a word on the message.
    if !(400..500).contains(&answer.status) || answer.status == 408 || is_one_of(&NOT_NOW) {
        return Verdict::Later { after, reason, whole_bot: false };
    }
    let by_answer = !matches!(way(outgoing, progress), Way::Message);
    if by_answer && code == Some(UNKNOWN_WEBHOOK) && age_ms(outgoing) < SETTLING_MS {
        return Verdict::Later { after: Some(SETTLING_WAIT), reason, whole_bot: false };
    }
    // By the numbers also when the time ran out between call and answer: this 401 is not about the bot.
    let could_answer = outgoing.answer_secret.is_some() && !progress.by_message;
    if (by_answer && matches!(answer.status, 401 | 404)) || (could_answer && is_one_of(&ANSWER_CLOSED)) {
        progress.by_message = true;
        return Verdict::Reformed;
    }
    if answer.status == 401 {
        return Verdict::Revoked { reason };
    }
    let quotes = !by_answer && quoted(outgoing, progress).is_some();
    if quotes && (failure.is_about_quote || code == Some(CANNOT_QUOTE)) {
        progress.plain = true;
        return Verdict::Reformed;
    }
    Verdict::Refused { reason }
}

/// How long Discord wants no further call of this kind.
fn pause(outgoing: &Outgoing<'_>, answer: &ApiAnswer) -> Option<Duration> {
    let is_spent = answer.header("x-ratelimit-remaining").is_some_and(|rest| rest.trim() == "0");
    let reset = answer.header("x-ratelimit-reset-after").filter(|_| is_spent)?;
    Some(retry::parse_retry_after(reset, outgoing.now)?.min(MAX_PAUSE))
}

#[cfg(test)]
mod tests;
