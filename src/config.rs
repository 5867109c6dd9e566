//! Settings from the environment, validated once.
//!
//! Whatever cannot be right stops the start with one line that names the variable, what it holds
//! (secrets masked) and what is expected. An empty variable counts as unset.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::domain::limit::Limit;
use crate::domain::sealing::KeyRing;
use crate::store::redis::RedisTarget;

/// Everything an operator can set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on: an IP address or a name of this machine.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Which store.
    pub store: StoreConfig,
    /// The keys that seal secrets at rest; `None` lets the embedded store keep one beside its file.
    pub encryption: Option<KeyRing>,
    /// Base URL for links, without a slash at the end; `None` takes it from each request.
    pub public_url: Option<String>,
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// WebSockets per session, over all replicas.
    pub sockets_per_session: usize,
    /// Rate limits.
    pub limits: Limits,
    /// Whether `GET /responses` needs the channel's token.
    pub responses_require_token: bool,
    /// How long a replica that was told to stop keeps working off what it holds.
    pub drain: Duration,
    /// What is logged and how.
    pub log: LogConfig,
    /// Every variable with the value in force, secrets masked, for `check`.
    pub effective: Vec<Effective>,
}

/// Which store, and where.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// Redis, shared by all replicas.
    Redis {
        /// Where it is.
        target: RedisTarget,
        /// What every key starts with.
        prefix: String,
    },
    /// A file that one replica has for itself.
    Embedded {
        /// The directory it is in.
        dir: PathBuf,
    },
}

/// Rate limits, each counted over all replicas.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Registrations per client address.
    pub register: Limit,
    /// Ingest per channel.
    pub webhook: Limit,
    /// Polls per session.
    pub messages: Limit,
    /// Polls of responses per channel.
    pub responses: Limit,
    /// Replies per session.
    pub reply: Limit,
    /// Channels created per session.
    pub channels: Limit,
}

/// What is logged and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least severe level that is logged.
    pub level: tracing::Level,
    /// For people or for machines.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line to read.
    Pretty,
    /// A JSON object a line.
    Json,
}

/// One variable with the value in force.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Name of the variable.
    pub name: &'static str,
    /// Its value, masked where it is a secret.
    pub value: String,
    /// Whether it was set.
    pub is_set: bool,
}

/// A variable that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}, but must be {expected}")]
pub struct ConfigError {
    /// Name of the variable.
    pub name: &'static str,
    /// What it holds, quoted, or masked where it is a secret.
    pub value: String,
    /// What is expected.
    pub expected: String,
}

/// Most sockets that a session may be given: each place is a member of one small sorted set.
const MAX_SOCKETS_PER_SESSION: usize = 1000;
/// The longest drain, in seconds. Orchestrators kill long before.
const MAX_DRAIN_SECONDS: u64 = 3600;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads variables through `lookup`.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut vars = Variables { lookup: &lookup, effective: Vec::new() };
        let port = vars.parsed("PORT", "8787", "a port number from 0 to 65535")?;
        let host = vars.text("HOST", "0.0.0.0");
        let store = read_store(&mut vars)?;
        let encryption = read_encryption(&mut vars, &store)?;
        let public_url = read_public_url(&mut vars)?;
        let trusted_proxies = read_proxies(&mut vars)?;
        let sockets_per_session = vars.within("WS_MAX_CONN_PER_USER", "5", 1, MAX_SOCKETS_PER_SESSION as u64)? as usize;
        let mut limit = |name, count, window| -> Result<Limit, ConfigError> {
            let default = Limit::new(count, window).to_string();
            let text = vars.text(name, &default);
            text.parse().map_err(|error| wrong(name, &text, &error))
        };
        let limits = Limits {
            register: limit("CHAOS_RATE_REGISTER", 5, HOUR)?,
            webhook: limit("CHAOS_RATE_WEBHOOK", 60, MINUTE)?,
            messages: limit("CHAOS_RATE_MESSAGES", 120, MINUTE)?,
            responses: limit("CHAOS_RATE_RESPONSES", 120, MINUTE)?,
            reply: limit("CHAOS_RATE_REPLY", 30, MINUTE)?,
            channels: limit("CHAOS_RATE_CHANNELS", 10, HOUR)?,
        };
        let responses_require_token = vars.parsed("CHAOS_RESPONSES_REQUIRE_TOKEN", "false", "true or false")?;
        let drain = Duration::from_secs(vars.within("CHAOS_DRAIN_SECONDS", "20", 0, MAX_DRAIN_SECONDS)?);
        let log = LogConfig {
            level: read_level(&mut vars)?,
            format: match vars.text("LOG_FORMAT", "pretty").as_str() {
                "pretty" => LogFormat::Pretty,
                "json" => LogFormat::Json,
                other => return Err(wrong("LOG_FORMAT", other, &"pretty or json")),
            },
        };
        Ok(Self {
            host,
            port,
            store,
            encryption,
            public_url,
            trusted_proxies,
            sockets_per_session,
            limits,
            responses_require_token,
            drain,
            log,
            effective: vars.effective,
        })
    }
}

/// Reads variables one by one and notes what is in force.
struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    effective: Vec<Effective>,
}

impl Variables<'_> {
    fn raw(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn note(&mut self, name: &'static str, value: impl Into<String>, is_set: bool) {
        self.effective.push(Effective { name, value: value.into(), is_set });
    }

    fn optional(&mut self, name: &'static str) -> Option<String> {
        let value = self.raw(name);
        self.note(name, value.clone().unwrap_or_default(), value.is_some());
        value
    }

    fn text(&mut self, name: &'static str, default: &str) -> String {
        let value = self.raw(name);
        let in_force = value.clone().unwrap_or_else(|| default.to_owned());
        self.note(name, in_force.clone(), value.is_some());
        in_force
    }

    fn parsed<T: FromStr>(&mut self, name: &'static str, default: &str, expected: &str) -> Result<T, ConfigError> {
        let text = self.text(name, default);
        text.parse().map_err(|_| wrong(name, &text, &expected))
    }

    fn within(&mut self, name: &'static str, default: &str, min: u64, max: u64) -> Result<u64, ConfigError> {
        let text = self.text(name, default);
        text.parse()
            .ok()
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| wrong(name, &text, &format!("a whole number from {min} to {max}")))
    }
}

fn wrong(name: &'static str, value: &str, expected: &dyn Display) -> ConfigError {
    ConfigError { name, value: format!("{value:?}"), expected: expected.to_string() }
}

fn wrong_secret(name: &'static str, expected: &dyn Display) -> ConfigError {
    ConfigError { name, value: "set to something else (masked)".to_owned(), expected: expected.to_string() }
}

fn read_store(vars: &mut Variables<'_>) -> Result<StoreConfig, ConfigError> {
    let url = vars.raw("REDIS_URL");
    let Some(url) = url else {
        vars.note("REDIS_URL", "", false);
        let dir = vars.text("CHAOS_DATA_DIR", "data");
        return Ok(StoreConfig::Embedded { dir: dir.into() });
    };
    let target = RedisTarget::parse(&url).map_err(|error| wrong_secret("REDIS_URL", &error))?;
    vars.note("REDIS_URL", format!("{} (credentials masked)", target.describe()), true);
    let prefix = vars.text("CHAOS_REDIS_PREFIX", "chaos:");
    if prefix.contains(['{', '}']) || prefix.len() > 64 {
        return Err(wrong("CHAOS_REDIS_PREFIX", &prefix, &"at most 64 characters without braces"));
    }
    Ok(StoreConfig::Redis { target, prefix })
}

fn read_encryption(vars: &mut Variables<'_>, store: &StoreConfig) -> Result<Option<KeyRing>, ConfigError> {
    const NAME: &str = "CHAOS_ENCRYPTION_KEY";
    match (vars.raw(NAME), store) {
        (Some(keys), _) => {
            vars.note(NAME, "(masked)", true);
            keys.parse().map(Some).map_err(|error| wrong_secret(NAME, &error))
        }
        (None, StoreConfig::Embedded { .. }) => {
            vars.note(NAME, "(kept in CHAOS_DATA_DIR)", false);
            Ok(None)
        }
        (None, StoreConfig::Redis { .. }) => Err(ConfigError {
            name: NAME,
            value: "not set".to_owned(),
            expected:
                "set when REDIS_URL is, to the same value on every replica: 32 bytes as 64 hex digits or base64, \
                       such as `openssl rand -hex 32` prints"
                    .to_owned(),
        }),
    }
}

fn read_public_url(vars: &mut Variables<'_>) -> Result<Option<String>, ConfigError> {
    const NAME: &str = "CHAOS_PUBLIC_URL";
    let Some(text) = vars.optional(NAME) else { return Ok(None) };
    let url = Url::parse(&text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    match url {
        Some(url) => Ok(Some(url.as_str().trim_end_matches('/').to_owned())),
        None => Err(wrong(
            NAME,
            &text,
            &"an http or https URL without query or credentials, such as https://relay.example.org",
        )),
    }
}

fn read_proxies(vars: &mut Variables<'_>) -> Result<Vec<IpNet>, ConfigError> {
    const NAME: &str = "CHAOS_TRUSTED_PROXIES";
    let text = vars.optional(NAME).unwrap_or_default();
    text.split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)))
        .collect::<Result<_, _>>()
        .map_err(|_| wrong(NAME, &text, &"a comma-separated list of addresses and CIDRs, such as 10.0.0.0/8,192.0.2.7"))
}

fn read_level(vars: &mut Variables<'_>) -> Result<tracing::Level, ConfigError> {
    match vars.text("LOG_LEVEL", "info").as_str() {
        "debug" => Ok(tracing::Level::DEBUG),
        "info" => Ok(tracing::Level::INFO),
        "warn" => Ok(tracing::Level::WARN),
        "error" => Ok(tracing::Level::ERROR),
        other => Err(wrong("LOG_LEVEL", other, &"debug, info, warn or error")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn nothing_needs_to_be_set() {
        let config = read(&[("PORT", ""), ("REDIS_URL", "  ")]).unwrap();
        assert_eq!((config.host.as_str(), config.port), ("0.0.0.0", 8787));
        assert!(matches!(config.store, StoreConfig::Embedded { .. }));
        assert_eq!(config.limits.webhook.to_string(), "60/1m");
        assert_eq!(config.sockets_per_session, 5);
    }

    #[test]
    fn redis_needs_an_encryption_key() {
        let error = read(&[("REDIS_URL", "redis://localhost")]).unwrap_err();
        assert_eq!(error.name, "CHAOS_ENCRYPTION_KEY");
        let key = "00".repeat(32);
        assert!(read(&[("REDIS_URL", "redis://localhost"), ("CHAOS_ENCRYPTION_KEY", &key)]).is_ok());
    }

    #[test]
    fn a_wrong_value_is_named_and_a_secret_is_not_repeated() {
        for (name, value) in [
            ("PORT", "70000"),
            ("CHAOS_RATE_REPLY", "often"),
            ("CHAOS_PUBLIC_URL", "relay.example.org"),
            ("CHAOS_PUBLIC_URL", "https://relay.example.org/?a=1"),
            ("CHAOS_TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
            ("WS_MAX_CONN_PER_USER", "0"),
            ("CHAOS_RESPONSES_REQUIRE_TOKEN", "maybe"),
            ("CHAOS_DRAIN_SECONDS", "-1"),
            ("LOG_LEVEL", "loud"),
            ("LOG_FORMAT", "xml"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.name, name);
            assert!(error.to_string().contains(value), "{error}");
        }
        for (name, value) in [("CHAOS_ENCRYPTION_KEY", "s3cret"), ("REDIS_URL", "postgres://u:s3cret@host")] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.name, name);
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_is_in_force_is_listed_without_secrets() {
        let key = "ab".repeat(32);
        let config = read(&[
            ("REDIS_URL", "redis://user:s3cret@localhost:7000"),
            ("CHAOS_ENCRYPTION_KEY", &key),
            ("CHAOS_PUBLIC_URL", "https://relay.example.org/base/"),
            ("CHAOS_TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::1"),
        ])
        .unwrap();
        let listed = format!("{:?}", config.effective);
        assert!(!listed.contains("s3cret") && !listed.contains(&key));
        assert!(!format!("{config:?}").contains(&key));
        assert_eq!(config.public_url.as_deref(), Some("https://relay.example.org/base"));
        assert_eq!(config.trusted_proxies.len(), 2);
    }
}
