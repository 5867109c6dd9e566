//! A bot as its owner sees it, and the delivery of its updates.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{BotState, Telegram, Webhook};
use crate::support::DEADLINE;
use crate::support::platforms::delivery::{self, Attempt, Delivery};
use crate::support::platforms::server::Request;

/// Pause before the second retry; the first comes at once, and the pauses double. The real one begins with 2 s.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A registered bot.
#[derive(Clone)]
pub struct Bot {
    pub(super) telegram: Telegram,
    pub(super) http: reqwest::Client,
    pub token: String,
    pub id: i64,
    pub username: String,
}

/// Kinds of updates that hold a message.
const MESSAGES: [&str; 2] = ["message", "edited_message"];

impl Bot {
    fn state<T>(&self, use_it: impl FnOnce(&mut BotState) -> T) -> T {
        use_it(self.telegram.state().bots.get_mut(&self.token).expect("the bot's token is good"))
    }

    /// Where its updates go at the moment.
    pub fn webhook(&self) -> Option<Webhook> {
        self.state(|bot| bot.webhook.clone())
    }

    /// Sets a webhook by hand, without a secret, as somebody else who has the token might.
    pub async fn sets_webhook(&self, url: &str) {
        let call = format!("{}/bot{}/setWebhook", self.telegram.base_url(), self.token);
        let answer = self.http.post(call).json(&json!({"url": url})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Turns privacy mode off: the bot is shown everything that is said in its groups.
    pub fn sees_all(&self) {
        self.state(|bot| bot.privacy = false);
    }

    /// Revokes the token, as BotFather does.
    pub fn revoke(&self) {
        self.telegram.state().bots.remove(&self.token);
    }

    /// Delivers an update to the bot's webhook until it is taken.
    ///
    /// What concerns one chat is delivered one after the other. A refusal is answered by a retry: at once, then
    /// after pauses, or when the receiver's `Retry-After` says. Gives up when that is too long for a test. An
    /// update without a number gets the next one, so one that has been delivered can be delivered again.
    pub async fn deliver(&self, update: &Value) -> Delivery {
        let (update, withheld) = self.prepare(update);
        let id = update["update_id"].to_string();
        let Some(webhook) = self.webhook().filter(|_| withheld.is_none()) else {
            let withheld = Some(withheld.unwrap_or("there is no webhook"));
            return Delivery { id, event: update, url: String::new(), attempts: Vec::new(), withheld };
        };
        let queue = (self.token.clone(), queue_of(&update));
        let queue = Arc::clone(self.telegram.state().queues.entry(queue).or_default());
        let _turn = queue.lock().await;

        let end = Instant::now() + DEADLINE;
        let mut attempts = Vec::new();
        let mut pause = Duration::ZERO;
        loop {
            let attempt = self.deliver_to(&webhook.url, webhook.secret.as_deref(), &update).await;
            let asked = attempt.retry_after().map(|seconds| Duration::from_secs(seconds.min(3600)));
            let is_accepted = attempt.is_accepted();
            attempts.push(attempt);
            let wait = asked.unwrap_or(pause);
            if is_accepted || Instant::now() + wait > end {
                break;
            }
            sleep(wait).await;
            pause = (pause * 2).max(FIRST_PAUSE);
        }
        if let Some(last) = attempts.last().filter(|attempt| attempt.is_accepted()) {
            self.obey(&last.json()).await;
        }
        Delivery { id, event: update, url: webhook.url, attempts, withheld: None }
    }

    /// Posts an update once, to wherever and with whatever secret, as a forger would or Telegram by a late retry.
    pub async fn deliver_to(&self, url: &str, secret: Option<&str>, update: &Value) -> Attempt {
        let header = secret.map(|secret| ("X-Telegram-Bot-Api-Secret-Token", secret));
        delivery::post(&self.http, url, header.as_slice(), &update.to_string(), Duration::from_secs(60)).await
    }

    /// Notes that the bot may answer an update which is posted by [`Self::deliver_to`] and is Telegram's own.
    pub fn may_answer(&self, update: &Value) {
        let (_, withheld) = self.prepare(update);
        assert_eq!(withheld, None, "the bot is not shown {update}");
    }

    /// Numbers an update and notes what a bot may do once it has it. Says why it must not be delivered.
    fn prepare(&self, update: &Value) -> (Value, Option<&'static str>) {
        let mut update = update.clone();
        self.state(|bot| {
            if update["update_id"].is_null() {
                bot.next_update += 1;
                update["update_id"] = bot.next_update.into();
            }
            let message = message_in(&update);
            let allowed = bot.allowed_updates.as_ref().filter(|allowed| !allowed.is_empty());
            let kinds = allowed.map(|allowed| allowed.iter().any(|kind| update.get(kind).is_some()));
            let withheld = match () {
                () if kinds == Some(false) => Some("the bot did not ask for updates of this kind"),
                () if message.is_some_and(|message| !is_shown(bot, message)) => Some("privacy mode is on"),
                () => None,
            };
            if withheld.is_none() {
                let chat = message.map_or(&update["callback_query"]["message"]["chat"], |message| &message["chat"]);
                bot.reaches.extend(chat["id"].as_i64());
                bot.callbacks.extend(update["callback_query"]["id"].as_str().map(str::to_owned));
            }
            (update.clone(), withheld)
        })
    }

    /// Makes the call that the answer to a delivery may hold.
    async fn obey(&self, answer: &Value) {
        let Some(method) = answer["method"].as_str() else { return };
        let call = Request {
            method: "POST".to_owned(),
            path: format!("/bot{}/{method}", self.token),
            query: Vec::new(),
            headers: [("content-type".parse().unwrap(), "application/json".parse().unwrap())].into_iter().collect(),
            bytes: answer.to_string().into(),
        };
        self.telegram.clone().take(call).await;
    }

    /// A text of somebody in a private chat, delivered and taken.
    pub async fn hears(&self, person: &super::Person, text: &str) -> Delivery {
        self.deliver(&person.says(&person.chat(), text)).await.accepted()
    }
}

fn message_in(update: &Value) -> Option<&Value> {
    MESSAGES.iter().find_map(|kind| update.get(kind))
}

/// The queue that an update stands in: that of its chat, or of the person who pressed a button.
fn queue_of(update: &Value) -> i64 {
    let chat = message_in(update).and_then(|message| message["chat"]["id"].as_i64());
    chat.or(update["callback_query"]["from"]["id"].as_i64()).unwrap_or_default()
}

/// What happens in a group without anybody writing. Bots are always shown it.
const SERVICE: [&str; 4] = ["new_chat_members", "left_chat_member", "migrate_to_chat_id", "migrate_from_chat_id"];

/// Whether a bot is shown a message. In groups, with privacy mode, only commands that may be its own and
/// answers to what it wrote are. Source: core.telegram.org/bots/features#privacy-mode.
fn is_shown(bot: &BotState, message: &Value) -> bool {
    let is_service = SERVICE.iter().any(|kind| message.get(kind).is_some());
    if message["chat"]["type"] == "private" || !bot.privacy || is_service {
        return true;
    }
    let is_reply = message["reply_to_message"]["from"]["id"] == json!(bot.id);
    let text = message["text"].as_str().or(message["caption"].as_str());
    let Some(text) = text else { return is_reply };
    let command = text.strip_prefix('/').and_then(|rest| rest.split_whitespace().next());
    let is_its_own = command.is_some_and(|command| {
        command.split_once('@').is_none_or(|(_, name)| name.eq_ignore_ascii_case(&bot.username))
    });
    is_its_own || is_reply
}
