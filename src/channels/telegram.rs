//! Telegram: the updates of a bot, and the calls of the Bot API.
//!
//! The bot's token is part of every URL, so URLs exist as secrets only and no text made here holds one.

mod answer;
mod content;
mod event;
mod part;
mod register;
mod rich;
mod send;

use secrecy::{ExposeSecret as _, SecretString};

use part::Part;

use super::api::{ApiCall, Method};
use super::parts::RecentParts;
use crate::domain::channel::ChannelKind;

/// Fewest characters of a token behind its colon. Telegram's own have 35; what stands in for Telegram may
/// give out shorter ones.
const MIN_SECRET_LEN: usize = 10;
/// Most characters of a token behind its colon. The Bot API server takes 80 bytes in all.
const MAX_SECRET_LEN: usize = 64;
/// Most digits of a bot's id, which is at most 2^54.
const MAX_ID_DIGITS: usize = 17;

/// Telegram's side of a channel.
#[derive(Clone, Debug)]
pub struct Telegram {
    base: String,
    parts: RecentParts<Part>,
}

impl Telegram {
    /// `base` is the URL of the Bot API without a slash at its end, such as `https://api.telegram.org`.
    pub fn new(base: impl Into<String>) -> Self {
        Self { base: base.into(), parts: RecentParts::new() }
    }

    /// Whether `text` has the form of a bot token: the bot's id, a colon, and 10 to 64 characters that
    /// leave a URL as it is. Telegram alone knows whether it is one.
    ///
    /// There is no official pattern. Source: tdlib/telegram-bot-api `ClientManager.cpp` for the bounds.
    pub fn is_token(text: &str) -> bool {
        let Some((id, secret)) = text.split_once(':') else { return false };
        (1..=MAX_ID_DIGITS).contains(&id.len())
            && !id.starts_with('0')
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && (MIN_SECRET_LEN..=MAX_SECRET_LEN).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    }

    /// A call of `method`. Anything but a token is left out of the URL, since it could change where the URL
    /// leads; Telegram then refuses the call like one with a wrong token.
    fn call(&self, http: Method, method: &'static str, token: Option<&SecretString>) -> ApiCall {
        let token = token.map(|token| token.expose_secret()).filter(|token| Self::is_token(token)).unwrap_or_default();
        ApiCall::new(ChannelKind::Telegram, method, http, format!("{}/bot{token}/{method}", self.base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_an_id_a_colon_and_a_secret() {
        let long = "A".repeat(64);
        for token in ["7000000001:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc", "1:short_one1", &format!("1:{long}")] {
            assert!(Telegram::is_token(token), "{token}");
        }
        assert!(Telegram::is_token(&format!("{}:0123456789", "9".repeat(17))));
        for other in [
            "",
            ":",
            "1",
            "1:123456789",
            "01:0123456789",
            ":0123456789",
            "1:01234:56789",
            "1a:0123456789",
            "-1:0123456789",
            " 1:0123456789",
            "1:0123456789 ",
            "1:0123456789\n",
            "1:012345678/",
            "1:0123456789?x",
            "1:0123456789#",
            "1:0123456789%2F",
            "1:..0123456789",
            "1:éééééééééé",
            &format!("1:{long}A"),
            &format!("{}:0123456789", "9".repeat(18)),
        ] {
            assert!(!Telegram::is_token(other), "{other:?}");
        }
    }

    #[test]
    fn the_token_is_in_the_url_and_nowhere_else() {
        let token = SecretString::from("7000000001:secret_secret");
        let call = Telegram::new("https://api.example").call(Method::Get, "getMe", Some(&token));
        assert_eq!(call.url.expose_secret(), "https://api.example/bot7000000001:secret_secret/getMe");
        assert!(!format!("{call:?}").contains("secret_secret"));
    }

    proptest! {
        #[test]
        fn no_token_changes_where_a_url_leads(token in ".{0,40}|[0-9]{1,3}:[A-Za-z0-9_/?#.%@-]{10,20}") {
            let call = Telegram::new("https://api.example:8443").call(Method::Post, "sendMessage", Some(&token.into()));
            let url = url::Url::parse(call.url.expose_secret()).unwrap();
            prop_assert_eq!((url.host_str(), url.port(), url.username()), (Some("api.example"), Some(8443), ""));
            prop_assert!(url.path().starts_with("/bot") && url.path().ends_with("/sendMessage"));
            prop_assert_eq!((url.path().matches('/').count(), url.query(), url.fragment()), (2, None, None));
        }
    }
}
