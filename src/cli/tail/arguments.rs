//! What `tail` can be asked for: options on the command line, secrets in the environment.

use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use secrecy::SecretString;

use super::relay::read_server;

/// Where a bot's token is read from. A command line could be read by every user of the machine.
const BOT_TOKEN: &str = "CHAOS_BOT_TOKEN";
/// Where the signing secret of a Slack app is read from.
const SIGNING_SECRET: &str = "CHAOS_SIGNING_SECRET";
/// Where the key of a session that exists is read from.
const API_KEY: &str = "CHAOS_API_KEY";

/// Options of `tail`.
#[derive(clap::Args)]
pub struct TailArguments {
    /// The relay's address
    #[arg(long, value_name = "URL", default_value = "http://localhost:8787", value_parser = read_server)]
    pub server: String,
    /// Register a bot instead of making a webhook. Its token is read from the environment variable CHAOS_BOT_TOKEN,
    /// and for Slack the app's signing secret from CHAOS_SIGNING_SECRET
    #[arg(long, value_name = "PLATFORM", conflicts_with_all = ["mailbox", "follow"])]
    pub bot: Option<Platform>,
    /// Register a mailbox for the person with this address instead of making a webhook
    #[arg(long, value_name = "ADDRESS", conflicts_with = "follow", value_parser = NonEmptyStringValueParser::new())]
    pub mailbox: Option<String>,
    /// Print what all channels of an existing session get, beginning with the last five minutes. Its API key is read
    /// from the environment variable CHAOS_API_KEY. Nothing is registered, made or deleted
    #[arg(long)]
    pub follow: bool,
    /// Print each message as one line of JSON, as is done when the output is no terminal
    #[arg(long)]
    pub json: bool,
    /// Answer each message that comes from now on with this text
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub reply: Option<String>,
}

/// A platform that has bots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Platform {
    /// A bot that @BotFather made
    Telegram,
    /// The bot of an application of Discord's Developer Portal
    Discord,
    /// The bot of a Slack app
    Slack,
}

impl Platform {
    /// Its name in paths and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::Slack => "slack",
        }
    }
}

/// Whose messages are to be printed.
pub enum Wanted {
    /// Those of a channel that is made for it.
    Own(Ours),
    /// Those of a session that exists.
    Session {
        /// Its key.
        api_key: SecretString,
    },
}

/// A channel that is made, and taken away at the end.
pub enum Ours {
    /// A webhook.
    Webhook {
        /// Whether it has answers as well.
        is_answered: bool,
    },
    /// A bot.
    Bot {
        /// Whose.
        platform: Platform,
        /// What shows that it is one's own.
        token: SecretString,
        /// What Slack signs its events with; other platforms need none.
        signing_secret: Option<SecretString>,
    },
    /// A mailbox.
    Mailbox {
        /// The address of the person who may write to it.
        address: String,
    },
}

impl Wanted {
    /// Reads what is wanted, and through `lookup` the environment. An empty variable counts as unset.
    pub fn read(arguments: &TailArguments, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let secret = |name: &str, what: &str| -> Result<SecretString, String> {
            let value = lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
            let missing = || format!("{what} belongs in the environment variable {name}, which is not set");
            value.map(SecretString::from).ok_or_else(missing)
        };
        if arguments.follow {
            return Ok(Self::Session { api_key: secret(API_KEY, "the API key of the session to follow")? });
        }
        Ok(Self::Own(match (arguments.bot, &arguments.mailbox) {
            (Some(platform), _) => Ours::Bot {
                platform,
                token: secret(BOT_TOKEN, "the bot's token")?,
                signing_secret: match platform {
                    Platform::Slack => Some(secret(SIGNING_SECRET, "the signing secret of the Slack app")?),
                    Platform::Telegram | Platform::Discord => None,
                },
            },
            (None, Some(address)) => Ours::Mailbox { address: address.clone() },
            (None, None) => Ours::Webhook { is_answered: arguments.reply.is_some() },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use secrecy::ExposeSecret as _;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: TailArguments,
    }

    fn parse(line: &str) -> Result<TailArguments, clap::Error> {
        let words = std::iter::once("tail").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.arguments)
    }

    fn read(line: &str, variables: &[(&str, &str)]) -> Result<Wanted, String> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Wanted::read(&parse(line).unwrap(), |name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_webhook_is_made_when_nothing_else_is_wanted() {
        for (line, answered) in [("", false), ("--json", false), ("--reply yes", true)] {
            // A variable alone changes nothing.
            let wanted = read(line, &[(API_KEY, "key"), (BOT_TOKEN, "token")]).unwrap();
            assert!(matches!(wanted, Wanted::Own(Ours::Webhook { is_answered }) if is_answered == answered), "{line}");
        }
    }

    #[test]
    fn a_bot_has_its_secrets_from_the_environment() {
        let both = [(BOT_TOKEN, " token\n"), (SIGNING_SECRET, "signing")];
        for (line, expected, signing) in [
            ("--bot telegram", Platform::Telegram, None),
            ("--bot discord", Platform::Discord, None),
            ("--bot slack", Platform::Slack, Some("signing")),
        ] {
            let Wanted::Own(Ours::Bot { platform, token, signing_secret }) = read(line, &both).unwrap() else {
                panic!("a bot: {line}")
            };
            assert_eq!((platform, platform.name()), (expected, line.rsplit(' ').next().unwrap()));
            assert_eq!(token.expose_secret(), "token");
            assert_eq!(signing_secret.as_ref().map(|secret| secret.expose_secret()), signing);
        }
    }

    #[test]
    fn a_secret_that_is_missing_is_named() {
        for (line, variables, named) in [
            ("--bot telegram", &[][..], BOT_TOKEN),
            ("--bot discord", &[(BOT_TOKEN, "  ")][..], BOT_TOKEN),
            ("--bot slack", &[(BOT_TOKEN, "token")][..], SIGNING_SECRET),
            ("--follow", &[][..], API_KEY),
        ] {
            let sentence = read(line, variables).err().unwrap();
            assert!(sentence.contains(named), "{line}: {sentence}");
        }
    }

    #[test]
    fn a_mailbox_and_a_session_are_as_they_were_named() {
        let mailbox = read("--mailbox ana@example.com", &[]).unwrap();
        assert!(matches!(mailbox, Wanted::Own(Ours::Mailbox { address }) if address == "ana@example.com"));
        let session = read("--follow --reply yes", &[(API_KEY, "key")]).unwrap();
        assert!(matches!(session, Wanted::Session { api_key } if api_key.expose_secret() == "key"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--bot telegram --mailbox ana@example.com",
            "--bot telegram --follow",
            "--mailbox ana@example.com --follow",
            "--bot irc",
            "--bot",
            "--mailbox",
            "--bot telegram --token 1:secret",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
