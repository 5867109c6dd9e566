//! Replicas: the built binary as a process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::redis::{self, RedisServer};
use super::{eventually, secrets};

/// The key that all replicas of the tests seal with.
const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Most bytes of a log that are kept, and searched for secrets: of a soak the last ones.
const LOG_MAX: usize = 8 * 1024 * 1024;

/// A replica's process. Killed when dropped; its log is searched for secrets then.
pub struct Replica {
    process: Child,
    port: u16,
    log: Arc<Mutex<String>>,
}

/// What a replica is started with.
#[derive(Clone)]
pub struct Setup {
    variables: Vec<(String, String)>,
}

impl Setup {
    /// On the Redis that tests share, under a prefix of its own. Limits are out of the way.
    pub fn on_redis() -> Self {
        Self::on(&redis::shared().url(), &redis::fresh_prefix())
    }

    /// On a Redis of the test's own.
    pub fn on_server(server: &RedisServer) -> Self {
        Self::on(&server.url(), "chaos:")
    }

    /// On whatever Redis this URL names.
    pub fn on(url: &str, prefix: &str) -> Self {
        secrets::note(ENCRYPTION_KEY);
        Self::bare()
            .with("REDIS_URL", url)
            .with("CHAOS_REDIS_PREFIX", prefix)
            .with("CHAOS_ENCRYPTION_KEY", ENCRYPTION_KEY)
    }

    /// On the embedded store in this directory.
    pub fn embedded(dir: &Path) -> Self {
        Self::bare().with("CHAOS_DATA_DIR", dir.to_str().unwrap())
    }

    fn bare() -> Self {
        let setup = Self { variables: Vec::new() };
        setup
            .with("HOST", "127.0.0.1")
            .with("PORT", "0")
            .with("LOG_FORMAT", "json")
            .with("LOG_LEVEL", "debug")
            .with("CHAOS_DRAIN_SECONDS", "2")
            .with("CHAOS_RATE_REGISTER", "100000/1h")
            .with("CHAOS_RATE_WEBHOOK", "1000000/1m")
            .with("CHAOS_RATE_MESSAGES", "1000000/1m")
            .with("CHAOS_RATE_RESPONSES", "1000000/1m")
            .with("CHAOS_RATE_REPLY", "1000000/1m")
            .with("CHAOS_RATE_CHANNELS", "100000/1h")
    }

    /// With one more variable (or another value for it).
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a variable, so that its default is in force.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// What a variable is set to.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A command of the binary with this environment and no other settings.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos-relay"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a replica and waits until it listens (but not until it is ready).
    pub fn start_unready(&self) -> Replica {
        let mut replica = Replica::run(self.command(), 0);
        replica.port = match self.variable("LOG_LEVEL") {
            // It does not say where it listens.
            Some("warn" | "error") => replica.listens_on(self.variable("PORT").unwrap().parse().unwrap()),
            _ => replica.listening_port(),
        };
        replica
    }

    /// Starts a replica and waits until it is ready.
    pub async fn start(&self) -> Replica {
        let replica = self.start_unready();
        eventually("the replica is ready", || async { replica.is_ready().await.then_some(()) }).await;
        replica
    }

    /// Starts so many replicas.
    pub async fn start_many<const N: usize>(&self) -> [Replica; N] {
        let replicas: [Replica; N] = std::array::from_fn(|_| self.start_unready());
        for replica in &replicas {
            eventually("the replica is ready", || async { replica.is_ready().await.then_some(()) }).await;
        }
        replicas
    }
}

fn collect(pipe: impl std::io::Read + Send + 'static, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
            if log.len() > LOG_MAX {
                let half = log.as_bytes()[LOG_MAX / 2..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .map_or(log.len(), |end| LOG_MAX / 2 + end + 1);
                log.drain(..half);
            }
        }
    });
}

impl Replica {
    /// Runs a command that serves on this port, and keeps what it says.
    pub(super) fn run(mut command: Command, port: u16) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        collect(process.stdout.take().unwrap(), log.clone());
        collect(process.stderr.take().unwrap(), log.clone());
        Self { process, port, log }
    }

    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `ws://127.0.0.1:<port>`
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What the replica has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn listening_port(&mut self) -> u16 {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let port = self.log().lines().find_map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).ok()?;
                line["message"].as_str()?.starts_with("listening on").then(|| line["port"].as_u64())?
            });
            if let Some(port) = port {
                return u16::try_from(port).unwrap();
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "the replica did not start: {ended:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it listens on this port, and gives it.
    fn listens_on(&mut self, port: u16) -> u16 {
        let end = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "the replica did not start: {ended:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        port
    }

    /// Whether the replica says that it can take traffic.
    pub async fn is_ready(&self) -> bool {
        let answer = reqwest::get(format!("{}/health/ready", self.url())).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// What `GET /health` says.
    pub async fn health(&self) -> serde_json::Value {
        reqwest::get(format!("{}/health", self.url())).await.unwrap().json().await.unwrap()
    }

    /// Memory that it occupies, in bytes.
    pub fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits until the process ends by itself, and says whether it ended well.
    pub async fn ended(&mut self) -> bool {
        let end = Instant::now() + super::DEADLINE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < end, "the replica did not end\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- log of the replica on port {} ---\n{}", self.port, tail_of(&log));
            return;
        }
        if let Some(secret) = secrets::find_in(&log) {
            panic!("the log of a replica contains the secret {secret}");
        }
    }
}

fn tail_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A directory that is removed with everything in it.
pub fn data_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}
