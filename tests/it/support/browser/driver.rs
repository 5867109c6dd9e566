//! The one chromedriver of the tests. It starts a Chromium for each session.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use tempfile::TempDir;

use crate::support::{DEADLINE, after_this_process};

struct Driver {
    port: u16,
    /// All that it and the browsers write is in here.
    home: PathBuf,
}

/// Where it is reached. It is started when this is asked first, and ends with the tests.
pub fn url() -> String {
    format!("http://127.0.0.1:{}", shared().port)
}

/// A directory for a browser's files.
pub fn fresh_profile() -> TempDir {
    tempfile::tempdir_in(&shared().home).unwrap()
}

fn shared() -> &'static Driver {
    static SHARED: OnceLock<Driver> = OnceLock::new();
    SHARED.get_or_init(start)
}

fn start() -> Driver {
    let home = tempfile::tempdir().unwrap().keep();
    let process = Command::new("chromedriver")
        .arg("--port=0")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &home)
        .env("TMPDIR", &home)
        // Its browsers are in its group, so that one signal ends them all.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is installed by tests/run");
    after_this_process(&format!("kill -9 -{}; sleep 1; rm -rf '{}'", process.id(), home.display()));
    let (found, port) = channel();
    std::thread::spawn(move || attend(process, &found));
    let port = port.recv_timeout(DEADLINE).expect("chromedriver says on which port it listens");
    Driver { port, home }
}

/// Finds the port in what it says, reads on so that it can go on speaking, and sees it end.
fn attend(mut process: Child, found: &Sender<u16>) {
    let output = BufReader::new(process.stdout.take().unwrap());
    for line in output.lines().map_while(Result::ok) {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            let _ = found.send(port.trim_end_matches('.').parse().unwrap());
        }
    }
    let _ = process.wait();
}
