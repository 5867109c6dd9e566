//! Where Redis is, in each of the forms it can take.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use secrecy::{ExposeSecret as _, SecretString};

use super::tls::RedisCertificates;

/// The port of a Sentinel whose port is not given.
const SENTINEL_PORT: u16 = 26379;

/// Where Redis is, and what it takes to speak to it. Its `Debug` names no user: `redis://password@host` is a URL, too.
#[derive(Clone)]
pub struct RedisTarget {
    pub(super) form: Form,
    /// What TLS trusts and shows; `None` is the public roots, and no certificate of our own.
    pub(super) certificates: Option<RedisCertificates>,
    /// How many replicas must have a write before it is acknowledged.
    pub(super) copies: u8,
}

/// The form that a Redis takes.
#[derive(Clone)]
pub(super) enum Form {
    /// One server.
    Single(Box<ConnectionInfo>),
    /// Some nodes of a Cluster.
    Cluster(Vec<ConnectionInfo>),
    /// Sentinels, which know the address of the server.
    Sentinel(Box<SentinelForm>),
}

/// What is known of a server whose address only the Sentinels know.
#[derive(Clone)]
pub(super) struct SentinelForm {
    /// The Sentinels, with the credentials for them.
    pub(super) sentinels: Vec<ConnectionInfo>,
    /// The name under which they know the master.
    pub(super) master: String,
    /// Credentials and database of the servers.
    pub(super) settings: RedisConnectionInfo,
    /// Whether all of them speak TLS.
    pub(super) is_tls: bool,
}

impl fmt::Debug for RedisTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTarget")
            .field("at", &self.describe())
            .field("certificates", &self.certificates)
            .field("copies", &self.copies)
            .finish_non_exhaustive()
    }
}

/// Why a `REDIS_URL` cannot be used. Never repeats the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisUrl {
    /// The scheme is none of those known.
    #[error(
        "redis://, rediss://, unix://, redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/master"
    )]
    Form,
    /// Not a URL that the client understands.
    #[error("a Redis URL such as redis://user:password@host:6379/0 ({0})")]
    Url(String),
    /// The name of the master is missing, or something odd follows it.
    #[error("redis+sentinel://host:port,host:port/<master>, or /<master>/<database>")]
    Sentinel,
    /// A request not to verify certificates.
    #[error(
        "without #insecure: certificates are always verified, and CHAOS_REDIS_CA names those of a private authority"
    )]
    Insecure,
}

impl RedisTarget {
    /// Reads a `REDIS_URL`.
    pub fn parse(url: &str) -> Result<Self, InvalidRedisUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidRedisUrl::Form)?;
        let form = match scheme {
            "redis" | "rediss" | "unix" | "redis+unix" => Form::Single(Box::new(read_server(url)?)),
            "redis+cluster" | "rediss+cluster" => {
                let scheme = scheme.trim_end_matches("+cluster");
                let (credentials, hosts) = split_credentials(rest);
                let hosts = hosts.trim_end_matches('/').split(',');
                let nodes = hosts.map(|host| read_server(&format!("{scheme}://{credentials}{host}")));
                Form::Cluster(nodes.collect::<Result<_, _>>()?)
            }
            "redis+sentinel" | "rediss+sentinel" => {
                let scheme = scheme.trim_end_matches("+sentinel");
                Form::Sentinel(Box::new(read_sentinels(scheme, rest)?))
            }
            _ => return Err(InvalidRedisUrl::Form),
        };
        Ok(Self { form, certificates: None, copies: 0 })
    }

    /// With certificates besides or in place of the public ones. Only connections with TLS use them.
    pub fn with_certificates(mut self, certificates: RedisCertificates) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// With credentials for the Sentinels; those of the URL are for the servers.
    pub fn with_sentinel_credentials(mut self, user: Option<&str>, password: &SecretString) -> Self {
        if let Form::Sentinel(form) = &mut self.form {
            for sentinel in &mut form.sentinels {
                let mut settings = sentinel.redis_settings().clone().set_password(password.expose_secret());
                if let Some(user) = user {
                    settings = settings.set_username(user);
                }
                *sentinel = sentinel.clone().set_redis_settings(settings);
            }
        }
        self
    }

    /// Acknowledging a write only after so many replicas have it.
    pub fn with_copies(mut self, copies: u8) -> Self {
        self.copies = copies;
        self
    }

    /// Whether connections speak TLS.
    pub fn is_tls(&self) -> bool {
        let speaks_tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        match &self.form {
            Form::Single(info) => speaks_tls(info),
            Form::Cluster(nodes) => nodes.iter().any(speaks_tls),
            Form::Sentinel(form) => form.is_tls,
        }
    }

    /// Whether Sentinels are asked where the server is.
    pub fn is_sentinel(&self) -> bool {
        matches!(self.form, Form::Sentinel(_))
    }

    /// Host and port for people, without credentials.
    pub fn describe(&self) -> String {
        let list =
            |nodes: &[ConnectionInfo]| nodes.iter().map(|node| node.addr().to_string()).collect::<Vec<_>>().join(",");
        match &self.form {
            Form::Single(info) => info.addr().to_string(),
            Form::Cluster(nodes) => format!("cluster {}", list(nodes)),
            Form::Sentinel(form) => format!("master {} by sentinels {}", form.master, list(&form.sentinels)),
        }
    }
}

/// Reads the URL of one server.
fn read_server(url: &str) -> Result<ConnectionInfo, InvalidRedisUrl> {
    if url.ends_with("#insecure") {
        return Err(InvalidRedisUrl::Insecure);
    }
    url.into_connection_info().map_err(|error| InvalidRedisUrl::Url(error.category().to_owned()))
}

/// Credentials stand once, before the first host, and hold for every server. They keep their `@`.
fn split_credentials(rest: &str) -> (&str, &str) {
    rest.rfind('@').map_or(("", rest), |at| rest.split_at(at + 1))
}

fn read_sentinels(scheme: &str, rest: &str) -> Result<SentinelForm, InvalidRedisUrl> {
    let (credentials, rest) = split_credentials(rest);
    let (hosts, path) = rest.split_once('/').ok_or(InvalidRedisUrl::Sentinel)?;
    let (master, database) = path.trim_end_matches('/').split_once('/').unwrap_or((path.trim_end_matches('/'), ""));
    // The characters that a Sentinel allows in a name.
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    if path.ends_with("#insecure") {
        return Err(InvalidRedisUrl::Insecure);
    }
    if !is_name(master) {
        return Err(InvalidRedisUrl::Sentinel);
    }
    let with_port = |host: &str| {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if has_port { host.to_owned() } else { format!("{host}:{SENTINEL_PORT}") }
    };
    let sentinels = hosts.split(',').map(|host| read_server(&format!("{scheme}://{}", with_port(host))));
    let sentinels = sentinels.collect::<Result<Vec<_>, _>>()?;
    // Only what the URL says about the servers; the host stands for one that is not known yet.
    let server = read_server(&format!("{scheme}://{credentials}{}/{database}", with_port("sentinel")))?;
    Ok(SentinelForm {
        sentinels,
        master: master.to_owned(),
        settings: server.redis_settings().clone(),
        is_tls: scheme == "rediss",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_url_is_read() {
        for (url, description, is_tls) in [
            ("redis://127.0.0.1:6380/3", "127.0.0.1:6380", false),
            ("rediss://redis.example.org", "redis.example.org:6379", true),
            ("redis+cluster://a:1,b:2", "cluster a:1,b:2", false),
            ("rediss+cluster://user:pass@a:1,b:2/", "cluster a:1,b:2", true),
            ("unix:///run/redis.sock", "/run/redis.sock", false),
            (
                "redis+sentinel://a,b:2,[::1],[::1]:4/main",
                "master main by sentinels a:26379,b:2,::1:26379,::1:4",
                false,
            ),
            ("rediss+sentinel://u:p@a:1/main/2", "master main by sentinels a:1", true),
        ] {
            let target = RedisTarget::parse(url).unwrap();
            assert_eq!((target.describe().as_str(), target.is_tls()), (description, is_tls));
        }
    }

    #[test]
    fn credentials_of_the_url_are_for_the_servers() {
        let parse = |url| RedisTarget::parse(url).unwrap().form;
        let Form::Single(server) = parse("redis://ann:p%40ss%2Fword%25@h/1") else { panic!("a server") };
        assert_eq!((server.redis_settings().username(), server.redis_settings().db()), (Some("ann"), 1));
        assert_eq!(server.redis_settings().password(), Some("p@ss/word%"));
        let Form::Cluster(nodes) = parse("redis+cluster://u:p@a:1,b:2") else { panic!("a cluster") };
        assert!(nodes.iter().all(|node| node.redis_settings().password() == Some("p")));
        let Form::Single(socket) = parse("unix:///run/redis.sock?db=2&user=ann&pass=p%40ss") else {
            panic!("a socket")
        };
        let settings = socket.redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (Some("ann"), Some("p@ss"), 2));

        let target = RedisTarget::parse("redis+sentinel://u:s%3Acret@a:1,b:2/main/3").unwrap();
        let target = target.with_sentinel_credentials(Some("watcher"), &"other".to_owned().into());
        let shown = format!("{target:?}{:?}", RedisTarget::parse("redis://hidden@a:1").unwrap());
        assert!(!["s:cret", "other", "watcher", "hidden"].iter().any(|word| shown.contains(word)), "{shown}");
        let Form::Sentinel(form) = target.form else { panic!("sentinels") };
        assert_eq!((form.settings.username(), form.settings.password()), (Some("u"), Some("s:cret")));
        assert_eq!(form.settings.db(), 3);
        for sentinel in &form.sentinels {
            let settings = sentinel.redis_settings();
            assert_eq!((settings.username(), settings.password()), (Some("watcher"), Some("other")));
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_repeated() {
        for url in [
            "localhost:6379",
            "http://secret@host",
            "redis://:secret@host:port",
            "",
            "redis+sentinel://:secret@host:1",
            "redis+sentinel://:secret@host:1/",
            "redis+sentinel://:secret@host:1/main/one",
            "redis+sentinel://:secret@host:1/main/1/2",
            "redis+sentinel://:secret@/main",
            "redis+sentinel://:secret@host:1/ma in",
            "redis+cluster://:secret@",
        ] {
            let refusal = RedisTarget::parse(url).unwrap_err().to_string();
            assert!(!refusal.contains("secret"), "{refusal}");
        }
        for url in ["rediss://h/#insecure", "rediss+cluster://h,i/#insecure", "rediss+sentinel://h/main#insecure"] {
            assert_eq!(RedisTarget::parse(url).unwrap_err(), InvalidRedisUrl::Insecure, "{url}");
        }
    }
}
