//! The least that could do a part of the relay's work: processes of their own, on the runtime that the relay has,
//! with its settings, and nothing else.

mod json;
mod poll;
mod push;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use actix_web::{App, HttpServer, web};

use crate::crowd;
use crate::failure::{Outcome, fail};
use crate::process::Process;

/// What a process of a run is for.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Parse JSON, answer JSON.
    Json,
    /// Hold bare sockets and send frames down them.
    Push,
    /// Verify signatures and call a script.
    Poll,
    /// No floor, but a part of the load: hold sockets as clients do.
    Hold,
}

impl Role {
    /// Does it until the process is killed, or its input ends.
    pub fn play(self) -> Outcome<()> {
        match self {
            Self::Json => serve(json::routes),
            Self::Push => serve(push::routes),
            Self::Poll => poll::play(),
            Self::Hold => crowd::hold(),
        }
    }

    /// Starts a process that serves.
    pub fn start(self) -> Outcome<Floor> {
        let mut worker = self.launch()?;
        let Ok(port) = worker.hear()?.parse() else { return fail("a floor did not start") };
        Ok(Floor { process: worker.process, port })
    }

    /// Starts a process that is told what to do, and waits until it is ready for it.
    pub fn start_with(self, work: &impl ToString) -> Outcome<Worker> {
        let mut worker = self.launch()?;
        worker.ask(&work.to_string())?;
        Ok(worker)
    }

    fn launch(self) -> Outcome<Worker> {
        let word = clap::ValueEnum::to_possible_value(&self);
        let mut process = Process::start(&std::env::current_exe()?, |command| {
            command.arg("--role").args(word.as_ref().map(|word| word.get_name()));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        })?;
        let (input, output) = (process.child().stdin.take(), process.child().stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return fail("a floor cannot be talked to") };
        Ok(Worker { process, input, output: BufReader::new(output) })
    }
}

/// A floor that listens.
pub struct Floor {
    /// The process.
    pub process: Process,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

/// A process that is told what to do line by line.
pub struct Worker {
    /// The process.
    pub process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Says a line and waits for the one that comes back.
    pub fn ask(&mut self, line: &str) -> Outcome<String> {
        writeln!(self.input, "{line}")?;
        self.hear()
    }

    fn hear(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return fail("a process of the run ended before its time");
        }
        Ok(line.trim().to_owned())
    }
}

/// Serves as a replica does: its number of workers, and its settings.
fn serve(routes: fn(&mut web::ServiceConfig)) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    actix_web::rt::System::new().block_on(async {
        HttpServer::new(move || App::new().configure(routes))
            .listen(listener)?
            .client_request_timeout(Duration::from_secs(10))
            .keep_alive(Duration::from_secs(75))
            .client_disconnect_timeout(Duration::from_millis(300))
            .max_connections(100_000)
            .tcp_nodelay(true)
            .run()
            .await
    })?;
    Ok(())
}
