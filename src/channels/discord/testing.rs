//! What the tests of this platform share.

use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Number, Value, json};

use super::Discord;
use super::send::{command_details, message_details};
use crate::channels::adapter::{
    Event, EventAdapter as _, Inbound, Outgoing, Progress, RawEvent, SendAdapter as _, Verdict,
};
use crate::channels::api::{ApiAnswer, ApiCall, Method};
use crate::domain::connection::{Connection, ConnectionSecrets, DiscordApp};
use crate::domain::conversation::ConversationKey;
use crate::domain::event_signature::SignatureError;
use crate::domain::ids::MessageId;
use crate::domain::timestamp::Timestamp;

/// Key of the seed `00 01 … 1f`.
pub(super) const KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
/// The secret in the URL for forwarded events.
pub(super) const EVENTS_SECRET: &str = "ev3nts-s3cret";
/// The bot's token.
pub(super) const TOKEN: &str = "MTEx.b0t-t0ken";

/// The token of an interaction.
pub(super) const INTERACTION: &str = "aW50ZXJhY3Rpb24tdG9rZW4";
/// Where messages go.
pub(super) const MESSAGES: &str = "https://discord.test/api/v10/channels/333/messages";

/// When tests take place.
pub(super) fn now() -> Timestamp {
    Timestamp::from_millis(1_768_473_000_000)
}

pub(super) fn discord() -> Discord {
    Discord::new("https://discord.test/api/v10")
}

pub(super) fn app() -> DiscordApp {
    DiscordApp {
        application_id: "111".into(),
        verify_key: KEY.into(),
        bot_id: "112".into(),
        bot_username: "helper".into(),
    }
}

pub(super) fn connection() -> Connection {
    Connection::Discord(app())
}

pub(super) fn secrets() -> ConnectionSecrets {
    ConnectionSecrets { token: TOKEN.into(), events: EVENTS_SECRET.into() }
}

/// Verifies an event with these headers, and reads it if it is authentic.
pub(super) fn take(headers: &[(&str, &str)], secret: Option<&str>, body: &[u8]) -> Result<Event, SignatureError> {
    let header =
        |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let event = RawEvent { header: &header, secret, body };
    discord().verify(&connection(), &secrets(), &event, now())?;
    Ok(discord().parse(&connection(), &secrets(), &event))
}

/// What comes of a body that Discord itself signed.
pub(super) fn signed(body: impl AsRef<[u8]>) -> Event {
    let seed: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let message = [b"1700000000", body.as_ref()].concat();
    let signature = hex::encode(SigningKey::from_bytes(&seed).sign(&message).to_bytes());
    let headers = [("X-Signature-Ed25519", signature.as_str()), ("X-Signature-Timestamp", "1700000000")];
    take(&headers, None, body.as_ref()).unwrap()
}

/// What comes of a body that a gateway relay forwarded.
pub(super) fn forwarded(body: impl AsRef<[u8]>) -> Event {
    take(&[], Some(EVENTS_SECRET), body.as_ref()).unwrap()
}

pub(super) fn said(event: Event) -> Inbound {
    match event {
        Event::Said(inbound) => *inbound,
        other => panic!("nothing was said: {other:?}"),
    }
}

pub(super) fn is_ignored(event: &Event) -> bool {
    matches!(event, Event::Ignored(_))
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> ApiAnswer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ApiAnswer { status, headers, body: body.into().into() }
}

/// What comes of a body of either kind, authentic or not.
pub(super) fn parsed(is_signed: bool, body: &[u8]) -> Event {
    let header = |name: &str| (is_signed && name == "x-signature-ed25519").then_some("");
    discord().parse(&connection(), &secrets(), &RawEvent { header: &header, secret: None, body })
}

/// A reply, with everything that it borrows.
pub(super) struct Reply {
    pub(super) response: MessageId,
    pub(super) connection: Connection,
    pub(super) secrets: ConnectionSecrets,
    pub(super) conversation: ConversationKey,
    pub(super) details: Value,
    pub(super) answer_secret: Option<SecretString>,
    pub(super) is_reply_to: bool,
    pub(super) completes_question: bool,
    pub(super) age_ms: u64,
    pub(super) content: String,
}

impl Reply {
    pub(super) fn to_message(content: &str) -> Self {
        Self {
            response: "6f2f5a52-9d0c-4d2c-9a6c-0f6e4b6f6a01".parse().unwrap(),
            connection: connection(),
            secrets: secrets(),
            conversation: ConversationKey::new("333", None),
            details: message_details("1300000000000000002"),
            answer_secret: None,
            is_reply_to: false,
            completes_question: false,
            age_ms: 60_000,
            content: content.to_owned(),
        }
    }

    pub(super) fn to_command(content: &str) -> Self {
        Self {
            details: command_details("1300000000000000001", "111", false),
            answer_secret: Some(INTERACTION.into()),
            completes_question: true,
            ..Self::to_message(content)
        }
    }

    pub(super) fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            response: self.response,
            connection: &self.connection,
            secrets: Some(&self.secrets),
            label: "Helper",
            conversation: &self.conversation,
            details: &self.details,
            answer_secret: self.answer_secret.as_ref(),
            is_reply_to: self.is_reply_to,
            completes_question: self.completes_question,
            asked_at: Timestamp::from_millis(now().millis() - self.age_ms),
            content: &self.content,
            now: now(),
        }
    }

    pub(super) fn call(&self, progress: &Progress) -> Option<ApiCall> {
        discord().next_call(&self.outgoing(), progress)
    }

    pub(super) fn first(&self) -> ApiCall {
        self.call(&Progress::default()).unwrap()
    }

    pub(super) fn interpret(&self, progress: &mut Progress, answer: &ApiAnswer) -> Verdict {
        discord().interpret(&self.outgoing(), progress, answer)
    }

    pub(super) fn verdict(&self, status: u16, headers: &[(&str, &str)], body: &Value) -> Verdict {
        self.interpret(&mut Progress::default(), &answer(status, headers, body.to_string()))
    }

    /// Method and URL of every part, and the bodies, when all goes well.
    pub(super) fn all(&self) -> (Vec<(Method, String)>, Vec<Value>) {
        let (mut targets, mut bodies, mut progress) = (Vec::new(), Vec::new(), Progress::default());
        while let Some(call) = self.call(&progress) {
            targets.push((call.method, url(&call).to_owned()));
            bodies.push(sent(&call));
            let verdict = self.interpret(&mut progress, &answer(200, &[], "{}"));
            assert_eq!(verdict, Verdict::Arrived { pause: None });
        }
        (targets, bodies)
    }
}

pub(super) fn url(call: &ApiCall) -> &str {
    call.url.expose_secret()
}

pub(super) fn sent(call: &ApiCall) -> Value {
    call.body.as_ref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap())
}

/// Any JSON, in which members like those of Discord are frequent.
pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        (0_u64..22).prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        any::<i64>().prop_map(Number::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).unwrap_or_else(|| 0.into())),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(Value::Number),
        "[0-9]{1,22}".prop_map(Value::from),
        "(chat|pair|message|code|MESSAGE_CREATE|MESSAGE_UPDATE|hello|<@112>|2026-01-15T10:30:00Z)"
            .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        3 => "(id|type|t|d|data|name|options|value|token|channel_id|channel|member|user|author|bot|message|content)",
        2 => "(edited_timestamp|attachments|sticker_items|poll|message_reference|message_snapshots|event|context|flags)",
        2 => "(code|errors|_errors|retry_after|global|verify_key|username|authorizing_integration_owners)",
        1 => ".{0,6}",
    ];
    leaf.prop_recursive(5, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// `whole` with one of its members, however deep, replaced by `odd`.
pub(super) fn with_odd_member(mut whole: Value, which: usize, odd: Value) -> Value {
    let mut pointers = Vec::new();
    list_pointers(&whole, String::new(), &mut pointers);
    let pointer = &pointers[which % pointers.len()];
    *whole.pointer_mut(pointer).unwrap() = odd;
    whole
}

fn list_pointers(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, inner)| list_pointers(inner, format!("{at}/{name}"), pointers));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| list_pointers(inner, format!("{at}/{index}"), pointers));
        }
        _ => {}
    }
    pointers.push(at);
}

/// `/chat hello` in a server, as the documentation has it.
pub(super) fn chat_command() -> Value {
    json!({
        "type": 2, "id": "1300000000000000001", "application_id": "111", "token": INTERACTION, "version": 1,
        "context": 0, "guild_id": "222", "channel_id": "333", "channel": {"id": "333", "type": 0}, "locale": "en-US",
        "app_permissions": "442368", "entitlements": [], "authorizing_integration_owners": {"0": "222"},
        "attachment_size_limit": 10_485_760,
        "member": {
            "user": {"id": "444", "username": "ana", "global_name": "Ana", "bot": false}, "roles": [], "permissions": "0",
        },
        "data": {
            "id": "555", "name": "chat", "type": 1,
            "options": [{"name": "message", "type": 3, "value": "hello"}],
        },
    })
}

/// A message in a server that mentions the bot, as the documentation has it.
pub(super) fn message() -> Value {
    json!({
        "id": "1300000000000000002", "channel_id": "333", "guild_id": "222", "type": 0, "content": "hi <@112>",
        "timestamp": "2026-01-15T10:30:00.123000+00:00", "edited_timestamp": null,
        "author": {"id": "444", "username": "ana", "global_name": "Ana", "bot": false},
        "mentions": [{"id": "112", "username": "helper"}], "mention_roles": [], "attachments": [], "embeds": [],
        "message_reference": {"type": 0, "message_id": "129", "channel_id": "333", "guild_id": "222"},
        "referenced_message": null, "nonce": "r-01J",
    })
}
