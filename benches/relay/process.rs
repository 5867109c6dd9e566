//! The processes of a run, what they cost, and the replica among them.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use procfs::process::LimitValue;

use crate::failure::{Outcome, fail};

/// How long a process may take until it can be used.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// File handles that a process with many sockets needs besides.
const SPARE_FILES: usize = 300;
/// The key that all replicas of a run seal with; what it seals lives as long as the run.
const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A process of the run. Killed when dropped.
pub struct Process(Child);

impl Process {
    /// Starts a command that ends with this process, however this one ends. To be called from the main thread, whose
    /// end is what counts.
    pub fn start(program: &Path, prepare: impl FnOnce(&mut Command)) -> Outcome<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        prepare(&mut command);
        match command.spawn() {
            Ok(child) => Ok(Self(child)),
            Err(error) => fail(format!("{} did not start: {error}", program.display())),
        }
    }

    /// The process, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Time on a processor so far, of all threads that are there, in microseconds. The scheduler's own account, since
    /// clock ticks are too coarse for a run of seconds.
    pub fn cpu_us(&self) -> Outcome<f64> {
        let mut nanoseconds = 0;
        for task in self.proc()?.tasks()? {
            nanoseconds += task?.schedstat()?.sum_exec_runtime;
        }
        Ok(nanoseconds as f64 / 1000.0)
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> Outcome<f64> {
        let kibibytes = self.proc()?.status()?.vmrss;
        kibibytes.map_or_else(|| fail("the memory of a process could not be read"), |kib| Ok(kib as f64 * 1024.0))
    }

    fn proc(&self) -> Outcome<procfs::process::Process> {
        Ok(procfs::process::Process::new(self.0.id().cast_signed())?)
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The sum of what these have used of the processors so far, in microseconds.
pub fn cpu_of<'a>(processes: impl IntoIterator<Item = &'a Process>) -> Outcome<f64> {
    processes.into_iter().map(Process::cpu_us).sum()
}

/// A port that was free a moment ago.
pub fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Waits until something is true, within the time that a start may take.
pub fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) -> Outcome<()> {
    let end = Instant::now() + START_TIMEOUT;
    while !is_true() {
        if Instant::now() > end {
            return fail(format!("not within {} s: {what}", START_TIMEOUT.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The relay that is measured, and how its replicas are set.
pub struct Relay<'a> {
    /// The binary.
    pub binary: &'a Path,
    /// Settings that whoever started the run wants, as pairs of name and value.
    pub settings: &'a [(String, String)],
}

/// Where a replica keeps its records.
pub enum Keeps<'a> {
    /// In Redis, at this port.
    Redis(u16),
    /// In the embedded store, in this directory.
    Embedded(&'a Path),
}

/// A replica's process.
pub struct Replica {
    /// The process.
    pub process: Process,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

impl Relay<'_> {
    /// Sets a command up as a replica: everything at its default but the rate limits, which are out of the way.
    /// Log lines are written as ever, to where they cost the least.
    pub fn prepare(&self, command: &mut Command, port: u16, keeps: &Keeps<'_>) {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOST", "127.0.0.1").env("PORT", port.to_string());
        for limit in ["REGISTER", "WEBHOOK", "MESSAGES", "CHANNELS"] {
            command.env(format!("CHAOS_RATE_{limit}"), "4000000000/1h");
        }
        match keeps {
            Keeps::Redis(port) => {
                command.env("REDIS_URL", format!("redis://127.0.0.1:{port}"));
                command.env("CHAOS_ENCRYPTION_KEY", ENCRYPTION_KEY)
            }
            Keeps::Embedded(dir) => command.env("CHAOS_DATA_DIR", dir),
        };
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
    }

    /// Starts a replica and waits until it is ready.
    pub fn start(&self, keeps: &Keeps<'_>) -> Outcome<Replica> {
        let port = free_port()?;
        let process = Process::start(self.binary, |command| self.prepare(command, port, keeps))?;
        wait_until("the replica is ready", || answers_200(port, "/health/ready"))?;
        Ok(Replica { process, port })
    }

    /// Starts so many replicas on one Redis.
    pub fn start_many(&self, count: usize, redis: u16) -> Outcome<Vec<Replica>> {
        (0..count).map(|_| self.start(&Keeps::Redis(redis))).collect()
    }
}

/// Whether a GET of this path is answered 200.
pub fn answers_200(port: u16, path: &str) -> bool {
    use std::io::Read as _;
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    let is_answered = stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok();
    is_answered && answer == *b"HTTP/1.1 200"
}

/// Begins anew with as many file handles as this process may have, if it has fewer. All processes of the run have as
/// many then.
pub fn raise_file_limit() -> Outcome<()> {
    let limits = procfs::process::Process::myself()?.limits()?.max_open_files;
    if handles(limits.soft_limit) == handles(limits.hard_limit) {
        return Ok(());
    }
    let mut again = Command::new("sh");
    again.args(["-c", "ulimit -n \"$(ulimit -Hn)\" && exec \"$0\" \"$@\""]);
    again.arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
    // It gives an error or nothing.
    fail(format!("the limit of file handles could not be raised: {}", again.exec()))
}

/// Refuses a figure for which a process needs more file handles than it has.
pub fn has_files_for(sockets: usize) -> Outcome<()> {
    let limit = handles(procfs::process::Process::myself()?.limits()?.max_open_files.soft_limit);
    if limit >= (sockets + SPARE_FILES) as u64 {
        return Ok(());
    }
    fail(format!(
        "a process may have {limit} file handles, and {sockets} sockets need {SPARE_FILES} more than themselves: raise \
         the hard limit (ulimit -Hn)"
    ))
}

fn handles(limit: LimitValue) -> u64 {
    match limit {
        LimitValue::Unlimited => u64::MAX,
        LimitValue::Value(limit) => limit,
    }
}
