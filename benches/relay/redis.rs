//! A private redis-server, and as much of its protocol as the run needs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::failure::{Outcome, fail};
use crate::process::{Process, free_port, wait_until};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A redis-server that keeps nothing on disk.
pub struct RedisServer {
    /// The process.
    pub process: Process,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    _dir: TempDir,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub fn start() -> Outcome<Self> {
        let (port, dir) = (free_port()?, tempfile::tempdir()?);
        let process = Process::start(Path::new("redis-server"), |command| {
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.arg("--dir").arg(dir.path());
        })?;
        let server = Self { process, port, _dir: dir };
        wait_until("redis-server answers (is it installed?)", || {
            server.client().and_then(|mut client| client.command(&[b"PING"])).is_ok()
        })?;
        Ok(server)
    }

    /// A connection of its own.
    pub fn client(&self) -> Outcome<RedisClient> {
        RedisClient::connect(self.port)
    }

    /// Keys there are.
    pub fn keys(&self) -> Outcome<usize> {
        match self.client()?.command(&[b"DBSIZE"])? {
            Reply::Number(keys) => Ok(keys),
            _ => fail("Redis did not say how many keys it has"),
        }
    }

    /// Bytes that Redis has allocated for what it holds and for who is connected.
    pub fn used_memory(&self) -> Outcome<f64> {
        let Reply::Text(info) = self.client()?.command(&[b"INFO", b"memory"])? else {
            return fail("Redis did not say what it uses");
        };
        let info = String::from_utf8_lossy(&info);
        let used = info.lines().find_map(|line| line.trim().strip_prefix("used_memory:")?.parse().ok());
        used.map_or_else(|| fail("Redis did not say what it uses"), Ok)
    }
}

/// An answer of Redis, as far as anybody asks for it.
pub enum Reply {
    /// A number that is not negative.
    Number(usize),
    /// A string of either form.
    Text(Vec<u8>),
    /// Anything else.
    Other,
}

/// A plain connection.
pub struct RedisClient {
    stream: BufReader<TcpStream>,
}

impl RedisClient {
    /// Connects.
    pub fn connect(port: u16) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self { stream: BufReader::with_capacity(256 * 1024, stream) })
    }

    /// Runs one command.
    pub fn command(&mut self, arguments: &[&[u8]]) -> Outcome<Reply> {
        self.send(&pack(arguments))?;
        self.reply()
    }

    /// Sends packed commands.
    pub fn send(&mut self, packed: &[u8]) -> Outcome<()> {
        Ok(self.stream.get_mut().write_all(packed)?)
    }

    /// Whether the beginning of another answer is here already.
    pub fn has_more(&self) -> bool {
        !self.stream.buffer().is_empty()
    }

    /// Waits for the next answer. One that is an error ends the run.
    pub fn reply(&mut self) -> Outcome<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
        match kind {
            "+" => Ok(Reply::Text(rest.as_bytes().to_vec())),
            ":" => Ok(rest.parse().map_or(Reply::Other, Reply::Number)),
            "$" if rest == "-1" => Ok(Reply::Other),
            "$" => {
                let mut text = vec![0; rest.parse::<usize>()? + 2];
                self.stream.read_exact(&mut text)?;
                text.truncate(text.len() - 2);
                Ok(Reply::Text(text))
            }
            "*" => {
                for _ in 0..rest.parse::<i64>()?.max(0) {
                    self.reply()?;
                }
                Ok(Reply::Other)
            }
            _ => fail(format!("Redis answered {line:?}")),
        }
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return fail("Redis closed a connection");
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    /// Has every command told that Redis runs from now on.
    pub fn monitor(mut self) -> Outcome<Monitor> {
        self.command(&[b"MONITOR"])?;
        Ok(Monitor(self))
    }
}

/// A command in the form in which it is sent.
pub fn pack<T: AsRef<[u8]>>(arguments: &[T]) -> Vec<u8> {
    let mut packed = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments.iter().map(AsRef::as_ref) {
        packed.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        packed.extend_from_slice(argument);
        packed.extend_from_slice(b"\r\n");
    }
    packed
}

/// What Redis tells of the commands it runs.
pub struct Monitor(RedisClient);

impl Monitor {
    /// Waits for the next call of a script that has this among its arguments, and gives all of them.
    pub fn script_call_with(&mut self, wanted: &str) -> Outcome<Vec<Vec<u8>>> {
        loop {
            let line = self.0.line()?;
            // `+<time> [<db> <client>] "<command>" "<argument>" …`; what a script runs itself has `lua` for a client.
            let Some((from, rest)) = line.split_once("] ") else { continue };
            if from.ends_with("lua") {
                continue;
            }
            let call = unquote(rest);
            let is_script = call.first().is_some_and(|name| name.eq_ignore_ascii_case(b"EVALSHA"));
            if is_script && call.iter().any(|argument| memchr::memmem::find(argument, wanted.as_bytes()).is_some()) {
                return Ok(call);
            }
        }
    }
}

/// Reads quoted arguments as Redis writes them.
fn unquote(text: &str) -> Vec<Vec<u8>> {
    let (mut arguments, mut current) = (Vec::new(), None::<Vec<u8>>);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match (&mut current, byte) {
            (None, b'"') => current = Some(Vec::new()),
            (None, _) => {}
            (Some(_), b'"') => arguments.extend(current.take()),
            (Some(argument), b'\\') => match bytes.next() {
                Some(b'n') => argument.push(b'\n'),
                Some(b'r') => argument.push(b'\r'),
                Some(b't') => argument.push(b'\t'),
                Some(b'a') => argument.push(7),
                Some(b'b') => argument.push(8),
                Some(b'x') => {
                    let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                    argument.extend(u8::from_str_radix(&digits, 16));
                }
                Some(other) => argument.push(other),
                None => {}
            },
            (Some(argument), byte) => argument.push(byte),
        }
    }
    arguments
}
