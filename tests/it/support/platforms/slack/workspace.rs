//! A workspace with an app in it, its people, and what they do.

use serde_json::{Value, json};

use super::events;
use super::{ChannelState, Sent, Slack, WorkspaceState, fresh_ts};
use crate::support::platforms::delivery::Delivery;
use crate::support::platforms::{fresh_number, random_hex, unix_seconds};

/// A workspace as the owner of an app in it sees it.
#[derive(Clone)]
pub struct Workspace {
    pub(super) slack: Slack,
    pub(super) http: reqwest::Client,
    /// The bot's token.
    pub token: String,
    pub signing_secret: String,
    pub team: String,
    pub bot_user: String,
}

impl Workspace {
    fn state<T>(&self, use_it: impl FnOnce(&mut WorkspaceState) -> T) -> T {
        use_it(self.slack.state().workspaces.get_mut(&self.token).expect("the token is good"))
    }

    fn add_channel(&self, letter: char, kind: &'static str, user: Option<&str>) -> String {
        let id = format!("{letter}{:08}", fresh_number());
        let channel = ChannelState {
            kind,
            user: user.map(str::to_owned),
            is_member: true,
            is_archived: false,
            messages: std::collections::HashMap::new(),
        };
        self.state(|workspace| workspace.channels.insert(id.clone(), channel));
        id
    }

    /// A public channel that the bot is in.
    pub fn channel(&self) -> String {
        self.add_channel('C', "channel", None)
    }

    /// The direct messages of a person and the bot.
    pub fn direct_messages(&self, user: &str) -> String {
        self.add_channel('D', "im", Some(user))
    }

    /// Throws the bot out of a channel.
    pub fn leave(&self, channel: &str) {
        self.state(|workspace| workspace.channels.get_mut(channel).unwrap().is_member = false);
    }

    /// Archives a channel.
    pub fn archive(&self, channel: &str) {
        self.state(|workspace| workspace.channels.get_mut(channel).unwrap().is_archived = true);
    }

    /// Uninstalls the app: its token is good for nothing.
    pub fn revoke(&self) {
        self.slack.state().workspaces.remove(&self.token);
    }

    /// Sets the request URL of the app's events, if it answers the challenge as it must.
    pub async fn subscribe(&self, url: &str) -> Result<(), String> {
        let challenge = random_hex();
        let body = json!({"token": "x", "challenge": challenge, "type": "url_verification"});
        let mut delivery = self.prepare(url, body);
        events::attempt(self, &mut delivery).await;
        let attempt = &delivery.attempts[0];
        let answered = attempt.body == challenge
            || attempt.body == format!("challenge={challenge}")
            || attempt.json()["challenge"] == challenge.as_str();
        if attempt.status != Some(200) || !answered {
            return Err(format!("your URL didn't respond with the value of the challenge parameter: {attempt:?}"));
        }
        self.state(|workspace| workspace.events_url = Some(url.to_owned()));
        Ok(())
    }

    /// A message of somebody as an event; with the root of a thread, in that.
    pub fn says(&self, user: &str, channel: &str, thread: Option<&str>, text: &str) -> Value {
        let ts = fresh_ts();
        let kind = self.state(|workspace| {
            let channel = workspace.channels.get_mut(channel).unwrap();
            channel.messages.insert(ts.clone(), thread.map(str::to_owned));
            channel.kind
        });
        let mut event = json!({
            "type": "message", "channel": channel, "channel_type": kind, "user": user, "text": text, "ts": ts,
            "event_ts": ts, "client_msg_id": uuid::Uuid::new_v4().to_string(), "team": self.team, "blocks": [],
        });
        if let Some(thread) = thread {
            event["thread_ts"] = thread.into();
        }
        event
    }

    /// A change of a message, given as the event that it was.
    pub fn edits(&self, event: &Value, text: &str) -> Value {
        let mut message = event.clone();
        message["text"] = text.into();
        message["edited"] = json!({"user": event["user"], "ts": fresh_ts()});
        json!({
            "type": "message", "subtype": "message_changed", "hidden": true, "channel": event["channel"],
            "channel_type": event["channel_type"], "ts": fresh_ts(), "event_ts": fresh_ts(), "message": message,
            "previous_message": event,
        })
    }

    /// The second event of a message that mentions the bot. In direct messages there is none.
    pub fn mention(&self, event: &Value) -> Option<Value> {
        let text = event["text"].as_str()?;
        let is_mention = text.contains(&format!("<@{}>", self.bot_user)) && event["channel_type"] != "im";
        let mut mention = event.clone();
        mention["type"] = "app_mention".into();
        let fields = mention.as_object_mut().unwrap();
        fields.remove("channel_type");
        is_mention.then_some(mention)
    }

    /// Delivers an event to the app: once, and at once again if it is not taken.
    pub async fn deliver(&self, event: &Value) -> Delivery {
        let url = self.state(|workspace| workspace.events_url.clone()).expect("there is a request URL");
        let mut delivery = self.prepare(&url, self.envelope(event));
        events::attempt(self, &mut delivery).await;
        if events::is_pending(&delivery) {
            events::attempt(self, &mut delivery).await;
        }
        delivery
    }

    /// The attempt that is due after one minute or five. Does nothing when there is none.
    pub async fn retry(&self, delivery: &mut Delivery) {
        if events::is_pending(delivery) {
            events::attempt(self, delivery).await;
        }
    }

    /// Delivers a message as all events that it makes: a mention of the bot makes two.
    pub async fn deliver_all(&self, event: &Value) -> Vec<Delivery> {
        let mut deliveries = vec![self.deliver(event).await];
        if let Some(mention) = self.mention(event) {
            deliveries.push(self.deliver(&mention).await);
        }
        deliveries
    }

    /// Delivers a message of the bot itself, which apps are sent as well.
    pub async fn echo(&self, sent: &Sent) -> Delivery {
        let (kind, bot_id) = self.state(|workspace| (workspace.channels[&sent.channel].kind, workspace.bot_id.clone()));
        let mut event = json!({
            "type": "message", "channel": sent.channel, "channel_type": kind, "user": self.bot_user, "bot_id": bot_id,
            "bot_profile": {"id": bot_id, "name": "helper"}, "text": sent.text, "ts": sent.ts, "event_ts": sent.ts,
            "team": self.team,
        });
        if let Some(thread) = &sent.thread {
            event["thread_ts"] = thread.as_str().into();
        }
        self.deliver(&event).await
    }

    /// Posts any body, signed, once.
    pub async fn post(&self, url: &str, body: Value) -> Delivery {
        let mut delivery = self.prepare(url, body);
        events::attempt(self, &mut delivery).await;
        delivery
    }

    fn prepare(&self, url: &str, body: Value) -> Delivery {
        let id = body["event_id"].as_str().unwrap_or_default().to_owned();
        Delivery { id, event: body, url: url.to_owned(), attempts: Vec::new(), withheld: None }
    }

    fn envelope(&self, event: &Value) -> Value {
        json!({
            "type": "event_callback", "token": "x", "team_id": self.team, "api_app_id": "A1",
            "event_id": format!("Ev{:08}", fresh_number()), "event_time": unix_seconds(), "event_context": "4-ey",
            "is_ext_shared_channel": false, "context_team_id": self.team, "context_enterprise_id": null,
            "authorizations": [{
                "enterprise_id": null, "team_id": self.team, "user_id": self.bot_user, "is_bot": true,
                "is_enterprise_install": false,
            }],
            "event": event,
        })
    }
}
