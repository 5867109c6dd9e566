//! Settings from the environment, validated once.
//!
//! Whatever cannot be right stops the start with one line that names the variable, what it holds
//! (secrets masked) and what is expected. An empty variable counts as unset.

mod redis;
mod traces;

use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use crate::domain::event_signature::check_svix_secret;
use crate::domain::limit::Limit;
use crate::domain::sealing::KeyRing;
use crate::store::redis::RedisTarget;
pub use traces::{Sampling, TracesConfig};

/// Everything an operator can set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on: an IP address or a name of this machine.
    pub host: String,
    /// Name of this machine, as the operator is shown it; may be empty.
    pub host_name: String,
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
    /// Where the platforms' APIs are.
    pub api_bases: ApiBases,
    /// The operator's password; `None` keeps the admin pages closed.
    pub admin_key: Option<SecretString>,
    /// What mail needs.
    pub email: EmailConfig,
    /// How replies are delivered.
    pub delivery: DeliveryConfig,
    /// How long a replica that was told to stop keeps working off what it holds.
    pub drain: Duration,
    /// Who may read the metrics, and where.
    pub metrics: MetricsConfig,
    /// Where traces go; `None` makes none.
    pub traces: Option<TracesConfig>,
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
    /// Tries to log in as operator per client address.
    pub admin_login: Limit,
}

/// Base URLs of the platforms' APIs, without a slash at the end.
#[derive(Clone, Debug)]
pub struct ApiBases {
    /// Telegram's Bot API.
    pub telegram: String,
    /// Discord's REST API, with its version.
    pub discord: String,
    /// Slack's Web API.
    pub slack: String,
    /// Resend's API.
    pub resend: String,
}

/// What mail needs. Without the domain and the key there is none.
#[derive(Clone, Debug)]
pub struct EmailConfig {
    /// The domain of the relay's addresses, in lower case.
    pub domain: Option<String>,
    /// Resend's API key.
    pub api_key: Option<SecretString>,
    /// What inbound events are signed with; several while one replaces another.
    pub webhook_secrets: Vec<SecretString>,
    /// Whether inbound events are taken without a signature.
    pub allow_unsigned: bool,
}

/// How replies are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryConfig {
    /// How long a call of a platform may take in all.
    pub call_timeout: Duration,
    /// How long a reply belongs to the replica that took it. If that dies, another takes it afterwards.
    pub lease: Duration,
}

/// Who may read the metrics, and where. Without either there are none.
#[derive(Clone, Debug, Default)]
pub struct MetricsConfig {
    /// A port of their own, where anybody may who gets there.
    pub port: Option<u16>,
    /// The token that opens them on the relay's own port.
    pub token: Option<SecretString>,
}

impl MetricsConfig {
    /// Whether anybody may read them.
    pub fn is_on(&self) -> bool {
        self.port.is_some() || self.token.is_some()
    }
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

/// How much longer a reply's lease must be than a call may take, in seconds: for what is done before and after.
const LEASE_MARGIN_SECONDS: u64 = 5;

/// The longest lease, in seconds: a dead replica's reply is taken over within a minute.
const MAX_LEASE_SECONDS: u64 = 55;

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
        let host_name = vars.raw("HOSTNAME").or_else(system_host_name).unwrap_or_default();
        let store = redis::read_store(&mut vars)?;
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
            admin_login: limit("CHAOS_RATE_ADMIN_LOGIN", 10, 15 * MINUTE)?,
        };
        let responses_require_token = vars.parsed("CHAOS_RESPONSES_REQUIRE_TOKEN", "false", "true or false")?;
        let api_bases = ApiBases {
            telegram: read_base(&mut vars, "CHAOS_TELEGRAM_API_BASE", "https://api.telegram.org")?,
            discord: read_base(&mut vars, "CHAOS_DISCORD_API_BASE", "https://discord.com/api/v10")?,
            slack: read_base(&mut vars, "CHAOS_SLACK_API_BASE", "https://slack.com/api")?,
            resend: read_base(&mut vars, "CHAOS_RESEND_API_BASE", "https://api.resend.com")?,
        };
        let admin_key = vars.secret("CHAOS_ADMIN_KEY");
        let metrics = read_metrics(&mut vars)?;
        let traces = traces::read_traces(&mut vars)?;
        let email = read_email(&mut vars)?;
        let delivery = read_delivery(&mut vars)?;
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
            host_name,
            port,
            store,
            encryption,
            public_url,
            trusted_proxies,
            sockets_per_session,
            limits,
            responses_require_token,
            api_bases,
            admin_key,
            email,
            delivery,
            drain,
            metrics,
            traces,
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

    /// A secret, which is listed masked.
    fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        let value = self.raw(name);
        self.note(name, if value.is_some() { "(masked)" } else { "" }, value.is_some());
        value.map(SecretString::from)
    }

    /// A comma-separated list of secrets.
    fn secret_list(&mut self, name: &'static str) -> Option<Vec<SecretString>> {
        let value = self.raw(name);
        self.note(name, if value.is_some() { "(masked)" } else { "" }, value.is_some());
        Some(value?.split(',').map(|secret| secret.trim().to_owned().into()).collect())
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

/// The system's own name, which is that of the pod or container in one.
fn system_host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
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

/// A URL without query and credentials, and without a slash at the end.
fn plain_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    })?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn read_public_url(vars: &mut Variables<'_>) -> Result<Option<String>, ConfigError> {
    const NAME: &str = "CHAOS_PUBLIC_URL";
    const EXPECTED: &str = "an http or https URL without query or credentials, such as https://relay.example.org";
    let Some(text) = vars.optional(NAME) else { return Ok(None) };
    plain_url(&text).map(Some).ok_or_else(|| wrong(NAME, &text, &EXPECTED))
}

fn read_base(vars: &mut Variables<'_>, name: &'static str, default: &str) -> Result<String, ConfigError> {
    let text = vars.text(name, default);
    plain_url(&text).ok_or_else(|| {
        wrong(name, &text, &format!("an http or https URL without query or credentials, such as {default}"))
    })
}

fn read_metrics(vars: &mut Variables<'_>) -> Result<MetricsConfig, ConfigError> {
    const PORT: &str = "CHAOS_METRICS_PORT";
    const TOKEN: &str = "CHAOS_METRICS_TOKEN";
    let port = vars.optional(PORT);
    let number =
        port.as_ref().map(|text| text.parse().map_err(|_| wrong(PORT, text, &"a port number from 0 to 65535")));
    let token = vars.secret(TOKEN);
    /// Short enough to be typed, too long to be guessed.
    const MIN_TOKEN: usize = 16;
    if token.as_ref().is_some_and(|token| secrecy::ExposeSecret::expose_secret(token).len() < MIN_TOKEN) {
        return Err(wrong_secret(TOKEN, &format!("at least {MIN_TOKEN} characters")));
    }
    Ok(MetricsConfig { port: number.transpose()?, token })
}

fn read_email(vars: &mut Variables<'_>) -> Result<EmailConfig, ConfigError> {
    const DOMAIN: &str = "CHAOS_EMAIL_DOMAIN";
    const SECRET: &str = "RESEND_WEBHOOK_SECRET";
    let domain = vars.optional(DOMAIN).map(|text| text.to_ascii_lowercase());
    let is_domain = |name: &str| {
        name.len() <= 200 && name.contains('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    if let Some(name) = domain.as_ref().filter(|name| !is_domain(name)) {
        return Err(wrong(DOMAIN, name, &"the domain of the relay's mail addresses, such as in.example.org"));
    }
    let api_key = vars.secret("RESEND_API_KEY");
    let is_key = |key: &SecretString| {
        use secrecy::ExposeSecret as _;
        key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())
    };
    if api_key.as_ref().is_some_and(|key| !is_key(key)) {
        return Err(wrong_secret("RESEND_API_KEY", &"an API key of Resend, without blanks"));
    }
    let webhook_secrets = match vars.secret_list(SECRET) {
        Some(secrets) if secrets.iter().all(|secret| check_svix_secret(secret).is_ok()) => secrets,
        Some(_) => {
            return Err(wrong_secret(
                SECRET,
                &"the webhook's signing secret, whsec_ and base64; a comma-separated list takes several",
            ));
        }
        None => Vec::new(),
    };
    let allow_unsigned = vars.parsed("CHAOS_EMAIL_ALLOW_UNSIGNED", "false", "true or false")?;
    Ok(EmailConfig { domain, api_key, webhook_secrets, allow_unsigned })
}

/// The lease must outlast a call: a reply whose call is still under way would be sent a second time.
fn read_delivery(vars: &mut Variables<'_>) -> Result<DeliveryConfig, ConfigError> {
    const LEASE: &str = "CHAOS_DELIVERY_LEASE_SECONDS";
    let call = vars.within("CHAOS_DELIVERY_CALL_SECONDS", "30", 1, MAX_LEASE_SECONDS - LEASE_MARGIN_SECONDS)?;
    let shortest = call + LEASE_MARGIN_SECONDS;
    let default = shortest.max(45).to_string();
    let text = vars.text(LEASE, &default);
    let lease = text.parse().ok().filter(|lease| (shortest..=MAX_LEASE_SECONDS).contains(lease)).ok_or_else(|| {
        wrong(
            LEASE,
            &text,
            &format!("{shortest} to {MAX_LEASE_SECONDS}: at least {LEASE_MARGIN_SECONDS} s longer than CHAOS_DELIVERY_CALL_SECONDS"),
        )
    })?;
    Ok(DeliveryConfig { call_timeout: Duration::from_secs(call), lease: Duration::from_secs(lease) })
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
mod tests;
