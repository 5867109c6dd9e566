//! Answers of platforms. Four parts: the digits of the status, `Retry-After`, the progress so far as JSON, the body.

use std::time::Duration;

use chaos_relay::channels::adapter::{Outgoing, Progress, RegistrationError, Verdict};
use chaos_relay::channels::api::ApiAnswer;
use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::conversation::ConversationKey;
use chaos_relay::domain::ids::MessageId;
use chaos_relay::domain::retry::LONGEST_ASKED;
use chaos_relay::domain::timestamp::Timestamp;
use serde_json::Value;

use super::calls::{PLATFORMS, TOKEN, check_call, connection, secrets};

/// What is sent; two parts of it on Discord.
const CONTENT: &str = "one two three ";

/// Longest text for people, in characters: a platform's words with what the relay says around them.
const MAX_REASON: usize = 600;

pub fn check(input: &[u8]) {
    let [status, retry_after, progress, body] = super::parts(input);
    let status = super::text(status).parse().unwrap_or(400);
    let headers = vec![("retry-after".to_owned(), super::text(retry_after).into_owned())];
    let answer = ApiAnswer { status, headers, body: body.to_vec().into() };
    let before: Progress = serde_json::from_slice(progress).unwrap_or_default();
    for kind in ChannelKind::PLATFORMS {
        check_verdict(kind, &before, &answer);
    }
    check_registration(&answer);
}

fn check_verdict(kind: ChannelKind, before: &Progress, answer: &ApiAnswer) {
    let content = CONTENT.repeat(200);
    let conversation = ConversationKey::new("-100", None);
    let secrets = secrets();
    let outgoing = Outgoing {
        response: MessageId::random(),
        connection: connection(kind),
        secrets: Some(&secrets),
        label: "relay",
        conversation: &conversation,
        details: &Value::Null,
        answer_secret: None,
        is_reply_to: false,
        completes_question: false,
        asked_at: Timestamp::EPOCH,
        content: &content,
        now: Timestamp::from_millis(1_768_473_000_000),
    };
    // The answer is one to a call that was made.
    let before = Progress { parts: before.parts % 2, ..before.clone() };
    let sender = PLATFORMS.sender(kind).expect("every platform can be sent to");
    let mut after = before.clone();
    match sender.interpret(&outgoing, &mut after, answer) {
        Verdict::Arrived { pause } => {
            assert!((200..300).contains(&answer.status), "{} is no success", answer.status);
            assert_eq!((after.parts, after.plain), (before.parts + 1, false));
            check_wait(pause);
        }
        Verdict::Reformed => {
            assert_eq!(after.parts, before.parts);
            assert_ne!(after, before, "the same call would be made again at once");
        }
        Verdict::Later { after: wait, reason, .. } | Verdict::QuotaSpent { after: wait, reason } => {
            assert_eq!(after.parts, before.parts);
            check_wait(wait);
            check_reason(&reason);
        }
        Verdict::Refused { reason } | Verdict::Revoked { reason } => check_reason(&reason),
    }
    if let Some(call) = sender.next_call(&outgoing, &after) {
        check_call(kind, &call);
    }
    if let Some(reason) = sender.revoked(answer) {
        check_reason(&reason);
    }
}

fn check_wait(wait: Option<Duration>) {
    assert!(wait.is_none_or(|wait| wait <= LONGEST_ASKED), "{wait:?}");
}

fn check_reason(reason: &str) {
    assert!(!reason.trim().is_empty() && reason.chars().count() <= MAX_REASON, "{reason:?}");
    assert!(!reason.contains(['\n', '\r', '\0', '\u{202E}']), "{reason:?}");
    assert!(!shows_token(reason), "the token is shown");
}

/// Whether the token stands there as a word, as it would in a URL or a header that is repeated.
fn shows_token(reason: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
    reason.split(|c| !is_part(c)).any(|word| word.strip_prefix("bot").unwrap_or(word) == TOKEN)
}

fn check_registration(answer: &ApiAnswer) {
    let (telegram, discord) = (&PLATFORMS.telegram, &PLATFORMS.discord);
    let token = TOKEN.into();
    let refusals = [
        telegram.read_me(answer).map(drop),
        telegram.read_webhook_url(answer).map(drop),
        telegram.check(answer),
        discord.read_application(answer).map(drop),
        discord.read_me(answer).map(drop),
        discord.check(answer),
        PLATFORMS.slack.read_identity(answer).map(drop),
    ];
    for refusal in refusals.into_iter().filter_map(Result::err) {
        let (RegistrationError::Refused(reason) | RegistrationError::Unavailable(reason)) = refusal;
        check_reason(&reason);
    }
    if let (Ok(application), Ok(bot)) = (discord.read_application(answer), discord.read_me(answer)) {
        let app = application.with_bot(bot);
        for call in discord.commands(&token, &app) {
            check_call(ChannelKind::Discord, &call);
        }
        for command in discord.read_own_commands(answer).unwrap_or_default() {
            check_call(ChannelKind::Discord, &discord.delete_command(&token, &app, &command));
        }
    }
}
