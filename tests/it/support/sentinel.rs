//! A real master with replicas, and the Sentinels that watch over them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::certificates::Authority;
use super::redis::{RedisServer, cli};
use super::{eventually_within, free_port};

/// The name under which the Sentinels know the master.
pub const NAME: &str = "main";
/// How long a master may be silent before a Sentinel counts it as gone, in milliseconds.
const DOWN_AFTER: &str = "1000";
/// How long servers may take to agree on anything, on a busy machine.
const AGREED_WITHIN: Duration = Duration::from_secs(60);
/// What servers and Sentinels want to hear, where they want to hear anything.
pub const SERVER_PASSWORD: &str = "of-the-servers-7f3a";
pub const SENTINEL_PASSWORD: &str = "of-the-sentinels-9c1e";

/// One master and two replicas at first, and three Sentinels. Killed when it is dropped.
pub struct SentinelGroup {
    servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    access: Vec<String>,
    process: Child,
    _dir: TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl SentinelGroup {
    /// Without passwords and TLS.
    pub async fn start() -> Self {
        Self::make(None, false).await
    }

    /// Everything speaks TLS only, and wants a certificate of clients and a password: servers one, Sentinels another.
    pub async fn locked(authority: &Authority) -> Self {
        Self::make(Some(authority), true).await
    }

    async fn make(authority: Option<&Authority>, has_passwords: bool) -> Self {
        let access = |password: &str| {
            let mut access = authority.map(Authority::cli_arguments).unwrap_or_default();
            if has_passwords {
                access.extend(["--no-auth-warning", "-a", password].map(str::to_owned));
            }
            access
        };
        let server_access = access(SERVER_PASSWORD);
        let start = |master: Option<u16>| {
            let port = free_port();
            let quick = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];
            let mut arguments: Vec<_> = quick.map(str::to_owned).to_vec();
            if let Some(authority) = authority {
                arguments.extend(authority.server_arguments(port, true));
            }
            if has_passwords {
                for name in ["--requirepass", "--masterauth"] {
                    arguments.extend([name.to_owned(), SERVER_PASSWORD.to_owned()]);
                }
            }
            if let Some(master) = master {
                arguments.extend(["--replicaof".to_owned(), "127.0.0.1".to_owned(), master.to_string()]);
            }
            RedisServer::with_access(port, arguments, &server_access)
        };
        let master = start(None);
        let replicas = [0, 1].map(|_| start(Some(master.port())));
        let servers: Vec<_> = std::iter::once(master).chain(replicas).collect();
        let sentinel_access = access(SENTINEL_PASSWORD);
        let sentinels = (0..3)
            .map(|_| start_sentinel(servers[0].port(), authority, has_passwords, sentinel_access.clone()))
            .collect();
        let group = Self { servers, sentinels };
        group.agrees().await;
        group
    }

    /// Waits until every Sentinel knows all servers and the other Sentinels, and the replicas have caught up.
    async fn agrees(&self) {
        eventually_within(AGREED_WITHIN, "the Sentinels know each other and all servers", || async {
            let knows = |sentinel: &Sentinel| {
                let facts = sentinel.ask(&["SENTINEL", "MASTER", NAME]);
                let has = |name: &str, value: &str| facts.contains(&format!("{name}\n{value}\n"));
                has("num-slaves", "2") && has("num-other-sentinels", "2") && has("flags", "master")
            };
            let info = self.servers[0].cli(&["INFO", "REPLICATION"]);
            (info.matches("state=online").count() == 2 && self.sentinels.iter().all(knows)).then_some(())
        })
        .await;
    }

    /// The Sentinels, as `host:port,…`. The first is of a machine that is not there.
    pub fn hosts(&self) -> String {
        let hosts = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        let absent = std::iter::once(format!("127.0.0.1:{}", free_port()));
        absent.chain(hosts).collect::<Vec<_>>().join(",")
    }

    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/{NAME}", self.hosts())
    }

    /// The port of the master, as most Sentinels say.
    pub fn master_port(&self) -> u16 {
        let mut named: Vec<u16> = self.sentinels.iter().filter_map(Sentinel::names).collect();
        named.sort_unstable();
        named[named.len() / 2]
    }

    pub fn server_on(&mut self, port: u16) -> &mut RedisServer {
        self.servers.iter_mut().find(|server| server.port() == port).expect("a server on this port")
    }

    /// Has one Sentinel put another server into the master's place.
    pub async fn fail_over(&self) {
        eventually_within(AGREED_WITHIN, "a failover begins", || async {
            (self.sentinels[0].ask(&["SENTINEL", "FAILOVER", NAME]) == "OK").then_some(())
        })
        .await;
    }

    /// Waits until every Sentinel names another master than this one, which says so itself; gives its port.
    pub async fn replaced(&self, old: u16) -> u16 {
        eventually_within(AGREED_WITHIN, "the Sentinels name another master", || async {
            let named: Vec<_> = self.sentinels.iter().filter_map(Sentinel::names).collect();
            let first = *named.first()?;
            // The old one may hang, and is not asked.
            let is_agreed = first != old && named.iter().all(|port| *port == first);
            (is_agreed && cli_says_master(&self.servers, first)).then_some(first)
        })
        .await
    }

    /// Waits until a server is a replica.
    pub async fn is_replica(&self, port: u16) {
        let server = self.servers.iter().find(|server| server.port() == port).expect("a server on this port");
        eventually_within(AGREED_WITHIN, "the old master is a replica", || async {
            server.cli(&["ROLE"]).starts_with("slave").then_some(())
        })
        .await;
    }
}

fn cli_says_master(servers: &[RedisServer], port: u16) -> bool {
    servers.iter().any(|server| server.port() == port && server.cli(&["ROLE"]).starts_with("master"))
}

impl Sentinel {
    fn ask(&self, question: &[&str]) -> String {
        let access = self.access.iter().map(String::as_str);
        // A line's end for the last value too.
        cli(self.port, &access.chain(question.iter().copied()).collect::<Vec<_>>())
    }

    fn names(&self) -> Option<u16> {
        self.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).lines().nth(1)?.parse().ok()
    }
}

fn start_sentinel(master: u16, authority: Option<&Authority>, has_passwords: bool, access: Vec<String>) -> Sentinel {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut lines = vec![
        format!("port {}", if authority.is_some() { 0 } else { port }),
        "bind 127.0.0.1".to_owned(),
        format!("dir {}", dir.path().display()),
        format!("sentinel monitor {NAME} 127.0.0.1 {master} 2"),
        format!("sentinel down-after-milliseconds {NAME} {DOWN_AFTER}"),
        format!("sentinel failover-timeout {NAME} 5000"),
        format!("sentinel parallel-syncs {NAME} 2"),
    ];
    if let Some(authority) = authority {
        let arguments = authority.server_arguments(port, true);
        lines.extend(arguments[2..].chunks(2).map(|pair| format!("{} {}", &pair[0][2..], pair[1])));
    }
    if has_passwords {
        lines.push(format!("sentinel auth-pass {NAME} {SERVER_PASSWORD}"));
        lines.push(format!("requirepass {SENTINEL_PASSWORD}"));
        lines.push(format!("sentinel sentinel-pass {SENTINEL_PASSWORD}"));
    }
    let file = dir.path().join("sentinel.conf");
    fs::write(&file, lines.join("\n")).unwrap();
    let process = spawn(&file);
    Sentinel { port, access, process, _dir: dir }
}

fn spawn(file: &Path) -> Child {
    Command::new("redis-server")
        .arg(file)
        .arg("--sentinel")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed by tests/run")
}
