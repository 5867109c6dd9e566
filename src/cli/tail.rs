//! `chaos-relay tail`: a webhook, bot or mailbox of one's own, or a session that exists, and every message that
//! comes in.

mod arguments;
mod follow;
mod pauses;
mod relay;
mod screen;
mod socket;
mod source;

use std::io;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use self::arguments::Wanted;
use self::follow::{End, Tail};
use self::screen::{Screen, reader_gone};
use super::fail;

pub use self::arguments::TailArguments;

/// How long what has been begun may hold up the end.
const START_GRACE: Duration = Duration::from_secs(5);

/// Makes what is wanted and prints what comes in until Ctrl-C, which takes away again what was made.
pub async fn run(arguments: TailArguments) -> ExitCode {
    let wanted = match Wanted::read(&arguments, |name| std::env::var(name).ok()) {
        Ok(wanted) => wanted,
        Err(sentence) => return fail(sentence),
    };
    let mut stop = match Stop::watch() {
        Ok(stop) => stop,
        Err(error) => return fail(format!("signals cannot be received: {error}")),
    };
    let TailArguments { server, json, reply, .. } = arguments;
    let screen = Screen::new(json);
    let mut starting = pin!(Tail::start(server, wanted, screen, reply));
    let (started, is_stopped) = tokio::select! {
        started = &mut starting => (started, false),
        // What is made half is made whole and then taken away: left alone it would stay, and be nobody's.
        () = stop.asked() => match timeout(START_GRACE, starting).await {
            Ok(started) => (started, true),
            Err(_) => return fail("ended before the relay answered; what it was to register may stay there"),
        },
    };
    let mut tail = match started {
        Ok(tail) => tail,
        Err(sentence) => return fail(sentence),
    };
    let end = if is_stopped {
        End::Stopped
    } else {
        tokio::select! {
            end = tail.follow() => end,
            () = stop.asked() => End::Stopped,
            () = reader_gone() => End::Unwritable(io::ErrorKind::BrokenPipe.into()),
        }
    };
    match end {
        // What was made is now the other client's, or there is nothing left of it.
        End::Replaced => return fail("another client of this session took over"),
        End::Forgotten => {
            return fail("the relay does not know this session any more: it was deleted, or the relay lost its data");
        }
        End::Stopped | End::Unwritable(_) => {}
    }
    let farewell = tokio::select! {
        farewell = tail.take_leave() => farewell,
        // Asked twice, it waits for nothing.
        () = stop.asked() => return ExitCode::FAILURE,
    };
    match end {
        End::Unwritable(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(format!("messages cannot be written: {error}"))
        }
        End::Stopped => {
            // Begins a line of its own: a terminal shows ^C without ending the line.
            screen.note(format_args!("\n{farewell}"));
            ExitCode::SUCCESS
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The signals by which a person or a script ends a process.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn watch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Completes with the next of them.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
