//! Connecting a bot: who it is, and where its updates go.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::Telegram;
use super::answer::{self, Failure};
use crate::channels::adapter::RegistrationError;
use crate::channels::api::{ApiAnswer, ApiCall, Method};
use crate::domain::connection::TelegramBot;
use crate::domain::timestamp::Timestamp;

/// The kinds of updates that the relay reads. Nothing else is worth a delivery.
pub(super) const UPDATES: [&str; 3] = ["message", "edited_message", "callback_query"];

/// Longest user name of a bot, in characters. Telegram's have at most 32.
const MAX_USERNAME_LEN: usize = 64;

impl Telegram {
    /// Asks who the bot is. Source: core.telegram.org/bots/api#getme.
    pub fn get_me(&self, token: &SecretString) -> ApiCall {
        self.call(Method::Get, "getMe", Some(token))
    }

    /// Reads the answer to [`Self::get_me`].
    pub fn read_me(&self, answer: &ApiAnswer) -> Result<TelegramBot, RegistrationError> {
        let me = outcome(answer)?;
        let bot_id = me["id"].as_i64().filter(|id| *id > 0);
        let bot_username = me["username"].as_str().filter(|name| is_username(name));
        let (Some(bot_id), Some(bot_username)) = (bot_id, bot_username) else {
            return Err(RegistrationError::Unavailable("Telegram did not say which bot this is".into()));
        };
        Ok(TelegramBot {
            bot_id: bot_id.to_string(),
            bot_username: bot_username.to_owned(),
            reads_all_group_messages: me["can_read_all_group_messages"].as_bool().unwrap_or(false),
        })
    }

    /// Has the bot's updates sent to `url`, instead of wherever they went before. `secret` is 1 to 256 characters
    /// of `A-Z a-z 0-9 _ -` and comes back with each. Source: core.telegram.org/bots/api#setwebhook.
    pub fn set_webhook(&self, token: &SecretString, url: &str, secret: &SecretString) -> ApiCall {
        self.call(Method::Post, "setWebhook", Some(token)).json(&json!({
            "url": url,
            "secret_token": secret.expose_secret(),
            "allowed_updates": UPDATES,
        }))
    }

    /// Has the bot's updates sent nowhere. Source: core.telegram.org/bots/api#deletewebhook.
    pub fn delete_webhook(&self, token: &SecretString) -> ApiCall {
        self.call(Method::Post, "deleteWebhook", Some(token)).json(&json!({}))
    }

    /// Asks where the bot's updates are sent. Source: core.telegram.org/bots/api#getwebhookinfo.
    pub fn get_webhook_info(&self, token: &SecretString) -> ApiCall {
        self.call(Method::Get, "getWebhookInfo", Some(token))
    }

    /// Reads the answer to [`Self::get_webhook_info`]: the URL, which is empty when there is none.
    pub fn read_webhook_url(&self, answer: &ApiAnswer) -> Result<String, RegistrationError> {
        Ok(outcome(answer)?["url"].as_str().unwrap_or_default().to_owned())
    }

    /// Reads the answer to [`Self::set_webhook`] or [`Self::delete_webhook`].
    pub fn check(&self, answer: &ApiAnswer) -> Result<(), RegistrationError> {
        outcome(answer).map(drop)
    }

    /// The link that opens a chat with the bot and has `code` sent to it at a touch.
    /// Source: core.telegram.org/bots/features#deep-linking.
    pub fn pairing_link(bot: &TelegramBot, code: &str) -> String {
        format!("https://t.me/{}?start={code}", bot.bot_username)
    }
}

/// A refusal lasts, except for one that only asks to wait.
fn outcome(answer: &ApiAnswer) -> Result<Value, RegistrationError> {
    // How long to wait does not matter here, so neither does the time.
    answer::read(answer, Timestamp::EPOCH).map_err(|failure| match failure {
        Failure::Told(told) if told.code < 500 && told.code != 429 => RegistrationError::Refused(told.reason),
        Failure::Told(told) => RegistrationError::Unavailable(told.reason),
        Failure::Unreadable { reason, .. } => RegistrationError::Unavailable(reason),
    })
}

/// Whether `name` can stand in a link as it is.
fn is_username(name: &str) -> bool {
    (1..=MAX_USERNAME_LEN).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telegram() -> Telegram {
        Telegram::new("https://api.example")
    }

    fn token() -> SecretString {
        "7000000001:secret_secret".into()
    }

    fn answer(status: u16, body: &Value) -> ApiAnswer {
        ApiAnswer { status, headers: Vec::new(), body: body.to_string().into() }
    }

    fn body(call: &ApiCall) -> Value {
        serde_json::from_slice(call.body.as_ref().unwrap()).unwrap()
    }

    #[test]
    fn get_me_tells_who_the_bot_is() {
        let call = telegram().get_me(&token());
        assert_eq!(call.url.expose_secret(), "https://api.example/bot7000000001:secret_secret/getMe");
        assert!(call.body.is_none() && call.headers.is_empty());
        let me = json!({"ok": true, "result": {"id": 7_000_000_001_i64, "is_bot": true, "first_name": "Helper",
            "username": "helper_bot", "can_join_groups": true, "can_read_all_group_messages": true, "new": [1]}});
        let bot = telegram().read_me(&answer(200, &me)).unwrap();
        let expected = TelegramBot {
            bot_id: "7000000001".into(),
            bot_username: "helper_bot".into(),
            reads_all_group_messages: true,
        };
        assert_eq!(bot, expected);
        let plain = json!({"ok": true, "result": {"id": 1, "username": "b"}});
        assert!(!telegram().read_me(&answer(200, &plain)).unwrap().reads_all_group_messages);
        assert_eq!(Telegram::pairing_link(&bot, "CDFH2345"), "https://t.me/helper_bot?start=CDFH2345");
    }

    #[test]
    fn a_bot_without_an_id_or_a_usable_name_is_not_taken() {
        for result in [
            json!(null),
            json!(true),
            json!([]),
            json!({"id": 1}),
            json!({"username": "helper_bot"}),
            json!({"id": "1", "username": "helper_bot"}),
            json!({"id": -1, "username": "helper_bot"}),
            json!({"id": 1.5, "username": "helper_bot"}),
            json!({"id": 1, "username": ""}),
            json!({"id": 1, "username": "x?start=a&b"}),
            json!({"id": 1, "username": "x".repeat(65)}),
        ] {
            let read = telegram().read_me(&answer(200, &json!({"ok": true, "result": result})));
            assert!(matches!(read, Err(RegistrationError::Unavailable(_))), "{result}");
        }
    }

    #[test]
    fn the_webhook_is_set_for_what_the_relay_reads() {
        let call = telegram().set_webhook(&token(), "https://relay.example/telegram/c1", &"s3cret_token".into());
        assert_eq!(call.url.expose_secret(), "https://api.example/bot7000000001:secret_secret/setWebhook");
        assert_eq!((call.method, call.name), (Method::Post, "setWebhook"));
        let expected = json!({"url": "https://relay.example/telegram/c1", "secret_token": "s3cret_token",
            "allowed_updates": ["message", "edited_message", "callback_query"]});
        assert_eq!(body(&call), expected);
        assert!(!format!("{call:?}").contains("s3cret"));
        let call = telegram().delete_webhook(&token());
        assert_eq!(call.url.expose_secret(), "https://api.example/bot7000000001:secret_secret/deleteWebhook");
        assert_eq!((call.method, body(&call)), (Method::Post, json!({})));
    }

    #[test]
    fn telegram_tells_where_updates_are_sent() {
        let call = telegram().get_webhook_info(&token());
        assert_eq!(call.url.expose_secret(), "https://api.example/bot7000000001:secret_secret/getWebhookInfo");
        for (result, url) in [(json!({"url": "https://a.example/x"}), "https://a.example/x"), (json!({"url": ""}), "")]
        {
            let info = answer(200, &json!({"ok": true, "result": result}));
            assert_eq!(telegram().read_webhook_url(&info), Ok(url.to_owned()));
        }
        assert!(telegram().read_webhook_url(&answer(502, &json!(null))).is_err());
    }

    #[test]
    fn a_refusal_is_told_from_an_outage() {
        let check = |status, body: Value| telegram().check(&answer(status, &body));
        let refused = |words: &str| Err(RegistrationError::Refused(words.into()));
        let unavailable = |words: &str| Err(RegistrationError::Unavailable(words.into()));
        let failed = |code: u16, words: &str| json!({"ok": false, "error_code": code, "description": words});
        assert_eq!(check(200, json!({"ok": true, "result": true, "description": "Webhook was set"})), Ok(()));
        for (status, words) in [
            (400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"),
            (401, "Unauthorized"),
            (404, "Not Found"),
            (409, "Conflict: terminated by other setWebhook"),
        ] {
            assert_eq!(check(status, failed(status, words)), refused(words));
        }
        assert_eq!(check(200, failed(401, "Unauthorized")), refused("Unauthorized"));
        for (status, words) in [(429, "Too Many Requests: retry after 1"), (500, "Internal Server Error: restart")] {
            assert_eq!(check(status, failed(status, words)), unavailable(words));
        }
        let unreadable = unavailable("Telegram's answer could not be read (HTTP status 404)");
        assert_eq!(check(404, json!({"error": "no such page"})), unreadable);
        assert!(
            matches!(telegram().read_me(&answer(401, &failed(401, "Unauthorized"))), Err(e) if e == RegistrationError::Refused("Unauthorized".into()))
        );
    }
}
