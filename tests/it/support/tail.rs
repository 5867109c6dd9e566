//! `chaos-relay tail`, as a person or a script runs it.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::relay::Replica;
use super::{DEADLINE, secrets};

/// A running `tail`. Killed when dropped.
pub struct Tail {
    process: Child,
    out: UnboundedReceiver<String>,
    err: UnboundedReceiver<String>,
    /// What is printed for people: with a terminal everything is on it.
    has_terminal: bool,
}

impl Tail {
    /// Starts it with its output in pipes.
    pub fn start(replica: &Replica, arguments: &[&str]) -> Self {
        Self::start_with(replica, arguments, &[])
    }

    /// The same with these variables in its environment.
    pub fn start_with(replica: &Replica, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos-relay"));
        command.args(["tail", "--server", &replica.url()]).args(arguments).envs(variables.iter().copied());
        Self::spawn(command, false)
    }

    /// Starts it on a terminal of its own.
    pub fn start_on_a_terminal(replica: &Replica) -> Self {
        Self::start_on_a_terminal_with(replica, "", &[])
    }

    /// The same with these arguments, and variables in its environment.
    pub fn start_on_a_terminal_with(replica: &Replica, arguments: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("script");
        let line = format!("{} tail --server {} {arguments}", env!("CARGO_BIN_EXE_chaos-relay"), replica.url());
        command.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
        command.envs(variables.iter().copied());
        Self::spawn(command, true)
    }

    fn spawn(mut command: Command, has_terminal: bool) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let out = lines(process.stdout.take().unwrap());
        let err = lines(process.stderr.take().unwrap());
        Self { process, out, err, has_terminal }
    }

    /// The next line on stdout.
    pub async fn line(&mut self) -> String {
        timeout(DEADLINE, self.out.recv()).await.expect("a line on stdout").expect("stdout is open")
    }

    /// The next message on stdout, in the form of a pipe.
    pub async fn message(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// The next line for people that has this in it.
    pub async fn note(&mut self, part: &str) -> String {
        let lines = if self.has_terminal { &mut self.out } else { &mut self.err };
        let found = async {
            loop {
                let line = lines.recv().await.unwrap_or_else(|| panic!("ended without {part:?}"));
                if line.contains(part) {
                    return line.trim().to_owned();
                }
            }
        };
        timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("no line with {part:?}"))
    }

    /// The curl command that is printed at the start.
    pub async fn curl_command(&mut self) -> String {
        let command = self.note("curl ").await;
        let token = command.split("token=").nth(1).unwrap().trim_end_matches('\'');
        secrets::note(token);
        command
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn press_ctrl_c(&self) {
        let pid = self.process.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }

    /// Waits for its end; says whether it ended well.
    pub async fn ended(mut self) -> bool {
        timeout(DEADLINE, self.process.wait()).await.expect("it ends").unwrap().success()
    }

    /// Ends it as Ctrl-C does; says whether it ended well.
    pub async fn interrupt(self) -> bool {
        self.press_ctrl_c();
        self.ended().await
    }
}

fn lines(pipe: impl AsyncRead + Unpin + Send + 'static) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
