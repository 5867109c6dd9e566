//! Calls of platforms: that they lead where they must and carry what fits.

use std::sync::LazyLock;

use chaos_relay::channels::Platforms;
use chaos_relay::channels::adapter::{Inbound, Outgoing, Progress};
use chaos_relay::channels::api::ApiCall;
use chaos_relay::channels::discord::Discord;
use chaos_relay::channels::email::Email;
use chaos_relay::channels::slack::Slack;
use chaos_relay::channels::telegram::Telegram;
use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::connection::{Connection, ConnectionSecrets, DiscordApp, Mailbox, SlackApp, TelegramBot};
use chaos_relay::domain::conversation::ConversationKey;
use chaos_relay::domain::ids::MessageId;
use chaos_relay::domain::text::Limit;
use chaos_relay::domain::timestamp::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

/// What starts every URL.
const BASE: &str = "https://api.example:8443/v1";
/// The bot token of every platform; it has the form that each of them asks for.
pub const TOKEN: &str = "7000000001:t0ken_t0ken_t0ken";
/// What proves an event.
pub const EVENTS_SECRET: &str = "s1gning_s1gning";
/// The domain of the relay's mail.
pub const MAIL_DOMAIN: &str = "in.example.net";

/// The platforms of a deployment.
pub static PLATFORMS: LazyLock<Platforms> = LazyLock::new(|| Platforms {
    telegram: Telegram::new(BASE),
    discord: Discord::new(BASE),
    slack: Slack::new(BASE),
    email: Some(Email::new(BASE, TOKEN.into(), MAIL_DOMAIN)),
});

/// The secrets of a connection.
pub fn secrets() -> ConnectionSecrets {
    ConnectionSecrets { token: TOKEN.into(), events: EVENTS_SECRET.into() }
}

static CONNECTIONS: LazyLock<[Connection; 4]> = LazyLock::new(|| {
    [
        Connection::Telegram(TelegramBot {
            bot_id: "7000000001".to_owned(),
            bot_username: "relay_bot".to_owned(),
            reads_all_group_messages: false,
        }),
        Connection::Discord(DiscordApp {
            application_id: "1000".to_owned(),
            verify_key: "ab".repeat(32),
            bot_id: "1001".to_owned(),
            bot_username: "relay".to_owned(),
        }),
        Connection::Slack(SlackApp {
            bot_user_id: "UBOT".to_owned(),
            bot_id: Some("BBOT".to_owned()),
            bot_username: "relay".to_owned(),
            team_id: "T1".to_owned(),
            team_name: "team".to_owned(),
        }),
        Connection::Email(Mailbox {
            inbound_address: "ana-0123456789@in.example.net".to_owned(),
            user_email: "ana@example.com".to_owned(),
            verified: true,
        }),
    ]
});

/// A connection of this kind; there is none of webhooks, which have no platform.
pub fn connection(kind: ChannelKind) -> &'static Connection {
    let place = ChannelKind::PLATFORMS.iter().position(|known| *known == kind).expect("webhooks have no connection");
    &CONNECTIONS[place]
}

/// A call leads to its platform, shows no secret where it is printed, and has a body that is JSON.
pub fn check_call(kind: ChannelKind, call: &ApiCall) -> Value {
    assert_eq!(call.platform, kind);
    let url = Url::parse(call.url.expose_secret()).expect("a call has a URL");
    assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some("api.example"), Some(8443)));
    assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None));
    assert!(url.path().starts_with("/v1/"), "{}", url.path());
    assert!(!url.path().contains("//") && !url.path().to_ascii_lowercase().contains("%2e"));
    assert!(!format!("{call:?}").contains("t0ken"));
    for (_, value) in &call.headers {
        assert!(value.expose_secret().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "not a header's value");
    }
    call.body.as_deref().map_or(Value::Null, |body| serde_json::from_slice(body).expect("a body is JSON"))
}

/// Every part of an answer fits its platform, and there is an end of them.
pub fn check_parts(kind: ChannelKind, platforms: &Platforms, content: &str) {
    let conversation = match kind {
        ChannelKind::Telegram => ConversationKey::new("-100", Some("7")),
        ChannelKind::Discord => ConversationKey::new("2000", None),
        ChannelKind::Slack => ConversationKey::new("C1", Some("1.2")),
        _ => ConversationKey::new("ana@example.com", None),
    };
    check_outgoing(kind, platforms, &conversation, &Value::Null, None, content);
}

/// The same for an answer to this message.
pub fn check_answer(kind: ChannelKind, platforms: &Platforms, inbound: &Inbound, content: &str) {
    let secret = inbound.answer_secret.as_ref();
    check_outgoing(kind, platforms, &inbound.conversation, &inbound.details, secret, content);
}

fn check_outgoing(
    kind: ChannelKind,
    platforms: &Platforms,
    conversation: &ConversationKey,
    details: &Value,
    answer_secret: Option<&SecretString>,
    content: &str,
) {
    let sender = platforms.sender(kind).expect("every platform of these can be sent to");
    let secrets = secrets();
    let outgoing = Outgoing {
        response: MessageId::random(),
        connection: connection(kind),
        secrets: Some(&secrets),
        label: "relay",
        conversation,
        details,
        answer_secret,
        is_reply_to: true,
        completes_question: answer_secret.is_some(),
        asked_at: Timestamp::EPOCH,
        content,
        now: Timestamp::EPOCH,
    };
    let mut progress = Progress::default();
    while let Some(call) = sender.next_call(&outgoing, &progress) {
        check_body(kind, conversation, &check_call(kind, &call), &progress);
        // The form that is taken when a platform finds fault with the first.
        let plain = Progress { plain: true, ..progress.clone() };
        let again = sender.next_call(&outgoing, &plain).expect("a part that is there is there in both forms");
        check_body(kind, conversation, &check_call(kind, &again), &plain);
        progress.parts += 1;
        assert!(progress.parts as usize <= 4 + content.len() / 100, "{} parts of {}", progress.parts, content.len());
    }
    if kind != ChannelKind::Email && !content.trim().is_empty() {
        assert!(progress.parts > 0, "nothing of {content:?} is sent");
    }
}

fn check_body(kind: ChannelKind, conversation: &ConversationKey, body: &Value, progress: &Progress) {
    match kind {
        ChannelKind::Telegram => {
            let text = body["text"].as_str().expect("a message has text");
            assert!(!text.trim().is_empty());
            if body["parse_mode"] == "HTML" {
                assert!(!progress.plain);
                let shown = super::markdown::check_telegram_html(text);
                assert!(Limit::TELEGRAM.measure(&shown) <= Limit::TELEGRAM.max && !shown.trim().is_empty());
            } else {
                assert!(Limit::TELEGRAM.measure(text) <= Limit::TELEGRAM.max);
            }
        }
        ChannelKind::Discord => {
            let text = body["content"].as_str().expect("a message has content");
            assert!(Limit::DISCORD.measure(text) <= Limit::DISCORD.max && !text.trim().is_empty());
            assert_eq!(body["allowed_mentions"]["parse"], Value::Array(Vec::new()));
        }
        ChannelKind::Slack => {
            let text = body["text"].as_str().expect("a message has text");
            assert!(Limit::SLACK.measure(text) <= Limit::SLACK.max && !text.trim().is_empty());
            assert_eq!(body["channel"], conversation.chat);
        }
        ChannelKind::Email => {
            let to = body["to"][0].as_str().expect("a mail has a recipient");
            assert!(to.eq_ignore_ascii_case(&conversation.chat), "{to} for {}", conversation.chat);
            for (name, value) in body["headers"].as_object().expect("headers are an object") {
                let value = value.as_str().expect("a header is text");
                assert!(value.len() <= 900 && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}");
            }
            let subject = body["subject"].as_str().expect("a mail has a subject");
            assert!(!subject.is_empty() && !subject.contains(['\r', '\n', '\0']));
        }
        ChannelKind::Webhook => unreachable!("webhooks are not called"),
    }
}
