//! What a row of the table is, and what its requests may refer to.

use serde_json::{Value, json};

use super::raw::Request;
use crate::support::client::{Client, Webhook};
use crate::support::relay::Replica;

/// A request and the answer it deserves.
pub struct Row {
    pub name: String,
    pub request: Request,
    pub status: u16,
    /// The code of the refusal; empty where the request must be taken.
    pub code: &'static str,
    /// What the sentence must have in it.
    pub says: &'static str,
}

impl Row {
    pub fn refused(name: &str, request: Request, status: u16, code: &'static str, says: &'static str) -> Self {
        assert!((400..500).contains(&status) && !code.is_empty(), "{name}");
        Self { name: name.to_owned(), request, status, code, says }
    }

    /// A field, named by the sentence, that is not what it should be.
    pub fn bad_field(name: &str, request: Request, field: &'static str) -> Self {
        Self::refused(name, request, 400, "invalid_field", field)
    }

    /// A request that is odd and nevertheless right.
    pub fn taken(name: &str, request: Request, status: u16) -> Self {
        Self { name: name.to_owned(), request, status, code: "", says: "" }
    }
}

/// What the requests are about.
pub struct World {
    /// A session without a key.
    pub plain: Client,
    /// A session with one.
    pub signed: Client,
    /// A channel of `plain`.
    pub webhook: Webhook,
    /// A channel of `plain` that is disabled.
    pub disabled: Webhook,
    /// A channel of `signed`.
    pub foreign: Webhook,
}

impl World {
    pub async fn make(replica: &Replica) -> Self {
        let plain = Client::register(replica).await;
        let signed = Client::register_signed(replica).await;
        let webhook = plain.make_webhook(replica, json!({})).await;
        let disabled = plain.make_webhook(replica, json!({"enabled": false})).await;
        let foreign = signed.make_webhook(replica, json!({})).await;
        Self { plain, signed, webhook, disabled, foreign }
    }

    /// A request of the session without a key.
    pub fn ask(&self, method: &str, path: impl AsRef<str>) -> Request {
        Request::new(method, path).bearer(&self.plain.api_key)
    }

    pub fn post(&self, path: &str, body: &Value) -> Request {
        self.ask("POST", path).json(body)
    }

    /// A reply that is right but for these members.
    pub fn reply(&self, changes: Value) -> Request {
        self.post("/reply", &merged(json!({"channelId": self.webhook.id, "content": "hello"}), changes))
    }

    /// A typing indicator that is right but for these members.
    pub fn typing(&self, changes: Value) -> Request {
        self.post("/typing", &merged(json!({"channelId": self.webhook.id}), changes))
    }

    pub fn patch(&self, body: &Value) -> Request {
        self.ask("PATCH", format!("/channels/{}", self.webhook.id)).json(body)
    }

    /// A post to the webhook with its token.
    pub fn hook(&self) -> Request {
        Request::new("POST", self.webhook.path())
    }
}

fn merged(mut base: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("members to change") };
    for (name, value) in changes {
        base[name] = value;
    }
    base
}
