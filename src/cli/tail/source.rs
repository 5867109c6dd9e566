//! Where the messages come from: what is made or registered for `tail`, and taken away at the end.

use std::fmt::Write as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::timeout;
use url::Url;

use chaos_relay::domain::text::single_line;

use super::arguments::{Ours, Platform};
use super::relay::{Failure, Relay, TIMEOUT};
use super::screen::curl_command;

/// How long a registration may take: the relay asks the platform several times meanwhile.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(60);
/// How long deleting a webhook or mailbox may hold up the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// The same for a bot, of whose end the relay tells the platform. It gives the platform 8 s.
const BOT_FAREWELL: Duration = Duration::from_secs(10);

/// Where the messages come from.
pub enum Source {
    /// A channel of one's own, in a session of one's own.
    Own(OwnChannel),
    /// All channels of a session that others made.
    Session,
}

impl Source {
    /// What Ctrl-C does.
    pub fn end(&self) -> &'static str {
        match self {
            Self::Own(own) => match own.wanted {
                Ours::Webhook { .. } => "Ctrl-C ends this and deletes the webhook.",
                Ours::Bot { .. } => "Ctrl-C ends this and unregisters the bot.",
                Ours::Mailbox { .. } => "Ctrl-C ends this and unregisters the mailbox.",
            },
            Self::Session => "Ctrl-C ends this.",
        }
    }

    /// Takes away what was made, if that can be done quickly, and says whether it was.
    pub async fn remove(&self, relay: &Relay) -> &'static str {
        let Self::Own(own) = self else { return "The session stays as it is." };
        let is_done = own.delete(relay).await;
        match (&own.wanted, is_done) {
            (Ours::Webhook { .. }, true) => "The webhook is deleted.",
            (Ours::Webhook { .. }, false) => {
                "The webhook could not be deleted; it stays until the relay forgets this session."
            }
            (Ours::Bot { .. }, true) => "The bot is unregistered.",
            (Ours::Bot { .. }, false) => {
                "The bot could not be unregistered; it stays until it is registered again or the relay forgets this \
                 session."
            }
            (Ours::Mailbox { .. }, true) => "The mailbox is unregistered.",
            (Ours::Mailbox { .. }, false) => {
                "The mailbox could not be unregistered; it stays until the relay forgets this session."
            }
        }
    }
}

/// A channel that was made, with what it takes to make it again.
pub struct OwnChannel {
    wanted: Ours,
    made: Made,
}

/// What the relay made of it.
struct Made {
    id: String,
    /// With this and the id, a webhook is made again under the same URL.
    webhook_secret: Option<SecretString>,
    next_steps: String,
}

impl OwnChannel {
    /// Makes the channel.
    pub async fn make(relay: &Relay, wanted: Ours) -> Result<Self, Failure> {
        let made = make(relay, &wanted, None).await?;
        Ok(Self { wanted, made })
    }

    /// What a person does now, ready to be shown.
    pub fn next_steps(&self) -> &str {
        &self.made.next_steps
    }

    /// Makes the channel again if the relay does not have it any more; says whether there is something new to do.
    pub async fn restore(&mut self, relay: &Relay) -> Result<bool, Failure> {
        // A bot or mailbox that is still there keeps the people that it knows.
        if !matches!(self.wanted, Ours::Webhook { .. }) && self.is_listed(relay).await? {
            return Ok(false);
        }
        let made = make(relay, &self.wanted, Some(&self.made)).await?;
        let earlier = std::mem::replace(&mut self.made, made);
        Ok(earlier.next_steps != self.made.next_steps)
    }

    async fn is_listed(&self, relay: &Relay) -> Result<bool, Failure> {
        let answer = relay.get("/channels").await?;
        let channels = answer["channels"].as_array().ok_or_else(|| relay.not_a_relay("/channels is missing"))?;
        Ok(channels.iter().any(|channel| channel["id"] == *self.made.id))
    }

    async fn delete(&self, relay: &Relay) -> bool {
        let time = match self.wanted {
            Ours::Bot { .. } => BOT_FAREWELL,
            Ours::Webhook { .. } | Ours::Mailbox { .. } => FAREWELL,
        };
        let path = format!("/channels/{}", self.made.id);
        matches!(timeout(time, relay.delete(&path, time)).await, Ok(Ok(())))
    }
}

/// Makes what is wanted; a webhook that was made before, under the same URL.
async fn make(relay: &Relay, wanted: &Ours, earlier: Option<&Made>) -> Result<Made, Failure> {
    match wanted {
        Ours::Webhook { is_answered } => make_webhook(relay, *is_answered, earlier).await,
        Ours::Bot { platform, token, signing_secret } => {
            let mut body = json!({ "botToken": token.expose_secret() });
            if let Some(secret) = signing_secret {
                body["signingSecret"] = secret.expose_secret().into();
            }
            register(relay, platform.name(), &body, |said| bot_steps(*platform, said)).await
        }
        Ours::Mailbox { address } => {
            register(relay, "email", &json!({ "userEmail": address }), |said| mailbox_steps(address, said)).await
        }
    }
}

async fn make_webhook(relay: &Relay, is_answered: bool, earlier: Option<&Made>) -> Result<Made, Failure> {
    let direction = if is_answered { "bidirectional" } else { "inbound" };
    let mut body = json!({ "name": "tail", "direction": direction });
    if let Some(Made { id, webhook_secret: Some(secret), .. }) = earlier {
        body["id"] = id.as_str().into();
        body["metadata"] = json!({ "webhookSecret": secret.expose_secret() });
    }
    let answer = relay.post("/channels", &body, TIMEOUT).await?;
    let url =
        Url::parse(&relay.text(&answer, "/webhookUrl")?).map_err(|_| relay.not_a_relay("an unusable webhookUrl"))?;
    Ok(Made {
        id: relay.text(&answer, "/channel/id")?,
        webhook_secret: Some(relay.text(&answer, "/channel/metadata/webhookSecret")?.into()),
        next_steps: format!(
            "A webhook is ready. Send it something from another terminal:\n\n  {}\n",
            curl_command(url.as_str())
        ),
    })
}

async fn register(
    relay: &Relay,
    platform: &str,
    body: &Value,
    next_steps: impl FnOnce(&Said<'_>) -> Option<String>,
) -> Result<Made, Failure> {
    let answer = relay.post(&format!("/channels/{platform}/register"), body, REGISTRATION_TIMEOUT).await?;
    let next_steps = next_steps(&Said(&answer)).ok_or_else(|| relay.not_a_relay("an incomplete registration"))?;
    Ok(Made { id: relay.text(&answer, "/channelId")?, webhook_secret: None, next_steps })
}

/// What the relay said of a registration. It goes to a terminal, which must not depend on its being clean.
struct Said<'a>(&'a Value);

impl Said<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(|text| single_line(text).into_owned())
    }
}

/// What the owner of a new bot does. A pairing code holds for 24 hours: part of the wire contract.
fn bot_steps(platform: Platform, said: &Said<'_>) -> Option<String> {
    let (bot, code) = (said.text("botUsername")?, said.text("pairingCode")?);
    let mut steps = match platform {
        Platform::Telegram => format!(
            "@{bot} is registered. To pair with it, open this link within 24 hours and press Start:\n\n  {}\n\n\
             Or send it this code:\n\n  {code}\n",
            said.text("pairingLink")?,
        ),
        Platform::Discord => format!(
            "The Discord bot {bot} is registered. To pair with it, give it this command within 24 hours, in a direct \
             message or on a server that it is on:\n\n  /pair {code}\n",
        ),
        Platform::Slack => format!(
            "The Slack app {bot} of {} is registered. Enter this as the Request URL on the app's page Event \
             Subscriptions:\n\n  {}\n\nThen, within 24 hours, send the bot this as a direct message:\n\n  pair {code}\n",
            said.text("teamName")?,
            said.text("eventsUrl")?,
        ),
    };
    if let Some(warning) = said.text("warning") {
        // Writing to a string cannot fail.
        let _ = writeln!(steps, "\nBut first: {warning}");
    }
    Some(steps)
}

/// What the owner of a new mailbox does.
fn mailbox_steps(address: &str, said: &Said<'_>) -> Option<String> {
    let inbound = said.text("inboundAddress")?;
    let address = single_line(address);
    Some(format!(
        "A mailbox is registered:\n\n  {inbound}\n\nA verification mail is under way to {address}: press the button \
         behind its link within 24 hours, then write to the mailbox from there.\n",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(platform: Platform, answer: &Value) -> Vec<String> {
        bot_steps(platform, &Said(answer)).unwrap().lines().map(str::to_owned).collect()
    }

    fn has(steps: &[String], line: &str) -> bool {
        steps.iter().any(|step| step == line)
    }

    #[test]
    fn telegram_is_paired_with_by_a_link_or_a_code() {
        let steps = steps(
            Platform::Telegram,
            &json!({"botUsername": "helper_bot", "pairingCode": "CDFH2345",
                "pairingLink": "https://t.me/helper_bot?start=CDFH2345"}),
        );
        assert!(steps[0].starts_with("@helper_bot is registered."), "{steps:?}");
        assert!(has(&steps, "  https://t.me/helper_bot?start=CDFH2345") && has(&steps, "  CDFH2345"), "{steps:?}");
    }

    #[test]
    fn discord_is_paired_with_by_a_command_and_its_warning_is_passed_on() {
        let mut answer = json!({"botUsername": "helper", "pairingCode": "CDFH2345"});
        let plain = steps(Platform::Discord, &answer);
        assert!(has(&plain, "  /pair CDFH2345"), "{plain:?}");
        answer["warning"] = "Set it by hand: https://relay.example/discord/1".into();
        let warned = steps(Platform::Discord, &answer);
        assert_eq!(warned[..plain.len()], plain);
        assert!(warned.last().unwrap().ends_with("Set it by hand: https://relay.example/discord/1"), "{warned:?}");
    }

    #[test]
    fn slack_is_given_its_url_and_then_paired_with() {
        let steps = steps(
            Platform::Slack,
            &json!({"botUsername": "helper", "teamName": "Team", "pairingCode": "CDFH2345",
                "eventsUrl": "https://relay.example/slack/1"}),
        );
        let at = |line: &str| steps.iter().position(|step| step == line).unwrap_or_else(|| panic!("{line}: {steps:?}"));
        assert!(at("  https://relay.example/slack/1") < at("  pair CDFH2345"));
        assert!(steps[0].contains("helper of Team"), "{steps:?}");
    }

    #[test]
    fn a_mailbox_is_told_with_the_mail_that_verifies_it() {
        let answer = json!({"inboundAddress": "ana-0123456789@mail.example"});
        let steps = mailbox_steps("ana@example.com", &Said(&answer)).unwrap();
        assert!(steps.contains("\n  ana-0123456789@mail.example\n"), "{steps}");
        assert!(steps.contains("A verification mail is under way to ana@example.com"), "{steps}");
    }

    #[test]
    fn an_answer_that_lacks_something_is_none_of_a_relay() {
        for (platform, answer) in [
            (Platform::Telegram, json!({"botUsername": "b", "pairingCode": "c"})),
            (Platform::Discord, json!({"botUsername": "b"})),
            (Platform::Slack, json!({"botUsername": "b", "pairingCode": "c", "teamName": "t"})),
        ] {
            assert_eq!(bot_steps(platform, &Said(&answer)), None);
        }
        assert_eq!(mailbox_steps("ana@example.com", &Said(&json!({"inboundAddress": 7}))), None);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        let answer = json!({"botUsername": "b\u{1b}[2J", "pairingCode": "c\r\nd", "warning": "\u{202e}w"});
        let steps = bot_steps(Platform::Discord, &Said(&answer)).unwrap();
        assert!(!steps.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{steps:?}");
        assert!(steps.contains("\n  /pair c d\n"), "{steps:?}");
    }
}
