//! Real Redis servers.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{after_this_process, eventually, free_port};

/// A redis-server on a free port, killed when it is dropped.
pub struct RedisServer {
    port: u16,
    dir: TempDir,
    arguments: Vec<String>,
    /// What redis-cli needs to get in.
    access: Vec<String>,
    process: Child,
}

impl RedisServer {
    /// Starts one that keeps nothing on disk.
    pub fn start() -> Self {
        Self::with_arguments(&["--save", "", "--appendonly", "no"])
    }

    /// Starts one that has every write on disk before it answers.
    pub fn durable() -> Self {
        Self::with_arguments(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Starts one with these arguments besides port and directory.
    pub fn with_arguments(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::with_access(free_port(), arguments, &[])
    }

    /// Starts one on this port that redis-cli gets into with these arguments of its own.
    pub fn with_access(port: u16, arguments: Vec<String>, access: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let process = spawn(port, &dir, &arguments, access);
        Self { port, dir, arguments, access: access.to_vec(), process }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port and files.
    pub fn restart(&mut self) {
        self.process = spawn(self.port, &self.dir, &self.arguments, &self.access);
    }

    /// Freezes it: connections stay, nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Runs redis-cli and gives what it prints.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let access = self.access.iter().map(String::as_str);
        cli(self.port, &access.chain(arguments.iter().copied()).collect::<Vec<_>>())
    }
}

impl RedisServer {
    /// Writes a key that lives for a moment; gives how many replicas had it within half a second, of so many.
    pub fn write_and_wait(&self, key: &str, count: usize) -> String {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.port().to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut client = client.spawn().unwrap();
        let commands = format!("SET {key} x PX 1\nWAIT {count} 500\n");
        client.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
        let output = client.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().trim().to_owned()
    }

    /// Waits until it has so many replicas, and they have everything.
    pub async fn is_followed_by(&self, count: usize) {
        eventually("the replicas of Redis have caught up", || async {
            let info = self.cli(&["INFO", "REPLICATION"]);
            let offset = info.lines().find_map(|line| line.trim().strip_prefix("master_repl_offset:"))?;
            let all = format!("state=online,offset={offset},");
            let is_there = info.matches(",state=").count() == count && info.matches(&all).count() == count;
            // One that is there may still be busy with becoming a replica.
            let takes_writes = count == 0 || self.write_and_wait("probe", count) == count.to_string();
            (is_there && takes_writes).then_some(())
        })
        .await;
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn spawn(port: u16, dir: &TempDir, arguments: &[String], access: &[String]) -> Child {
    let process = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
        .arg(dir.path())
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed by tests/run");
    wait_until_it_answers(port, access);
    process
}

fn wait_until_it_answers(port: u16, access: &[String]) {
    let end = Instant::now() + Duration::from_secs(20);
    while !answers(port, access) {
        assert!(Instant::now() < end, "redis-server did not start on port {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn answers(port: u16, access: &[String]) -> bool {
    use std::io::Write as _;
    if !access.is_empty() {
        let arguments: Vec<_> = access.iter().map(String::as_str).chain(["PING"]).collect();
        return cli(port, &arguments) == "PONG";
    }
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut answer = [0; 5];
    stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"+PONG"
}

/// The server that tests share which do not break it. It is owned by a thread that ends with the process.
pub fn shared() -> &'static RedisServer {
    static SHARED: OnceLock<RedisServer> = OnceLock::new();
    SHARED.get_or_init(|| {
        let server = RedisServer::start();
        after_this_process(&format!("kill -9 {}", server.process.id()));
        server
    })
}

/// A prefix that no other test uses.
pub fn fresh_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}-{}:", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
