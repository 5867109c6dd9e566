//! `chaos-relay tail`: a webhook of one's own, and every message that comes in.

mod relay;
mod screen;

use std::collections::VecDeque;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use awc::error::WsClientError;
use awc::http::StatusCode;
use awc::ws::CloseCode;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use uuid::Uuid;

use chaos_relay::domain::text::single_line;
use chaos_relay::domain::timestamp::Timestamp;

use self::relay::{Failure, Incoming, Relay, Socket, Webhook, read_server};
use self::screen::{Screen, curl_command, reader_gone};
use super::fail;

/// How often the socket is shown to be alive; below the 60 s after which the relay gives a silent peer up.
const PING_EVERY: Duration = Duration::from_secs(25);
/// A relay that says nothing for this long, pings unanswered, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A connection that lasted this long was a good one: the next loss is not the fault of the last.
const STEADY_AFTER: Duration = Duration::from_secs(5);
/// Most that is slept because the relay asks for it: it may have been given another limit meanwhile.
const REQUESTED_DELAY_MAX: Duration = Duration::from_secs(60);
/// How long deleting the webhook may hold up the end.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// Messages that are known to have been shown. More than the 500 that the relay keeps and could repeat.
const SEEN_MAX: usize = 1024;
/// The close code of a socket whose place a newer one of the same session took.
const REPLACED: CloseCode = CloseCode::Other(4001);

/// Options of `tail`.
#[derive(clap::Args)]
pub struct TailArguments {
    /// The relay's address
    #[arg(long, value_name = "URL", default_value = "http://localhost:8787", value_parser = read_server)]
    server: String,
    /// Print each message as one line of JSON, as is done when the output is no terminal
    #[arg(long)]
    json: bool,
    /// Answer each message with this text
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reply: Option<String>,
}

/// Makes a webhook and prints what comes in until Ctrl-C, which takes the webhook away again.
pub async fn run(arguments: TailArguments) -> ExitCode {
    let mut tail = match Tail::start(arguments).await {
        Ok(tail) => tail,
        Err(failure) => return fail(failure),
    };
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return fail(format!("signals cannot be received: {error}")),
    };
    let end = tokio::select! {
        end = tail.follow() => end,
        Some(()) = terminate.recv() => End::Stopped,
        Some(()) = interrupt.recv() => End::Stopped,
        () = reader_gone() => End::Unwritable(io::ErrorKind::BrokenPipe.into()),
    };
    if matches!(end, End::Replaced) {
        // The webhook is now the other client's.
        return fail("another client of this session took over");
    }
    let farewell = tail.delete_webhook().await;
    match end {
        End::Unwritable(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(format!("messages cannot be written: {error}"))
        }
        End::Stopped => {
            // Begins a line of its own: a terminal shows ^C without ending the line.
            tail.screen.note(format_args!("\n{farewell}"));
            ExitCode::SUCCESS
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Why nothing more is to be printed.
enum End {
    Stopped,
    Replaced,
    Unwritable(io::Error),
}

/// Why a connection ended.
enum Loss {
    Connection,
    Session,
    End(End),
}

impl From<io::Error> for Loss {
    fn from(error: io::Error) -> Self {
        Self::End(End::Unwritable(error))
    }
}

/// A reply that the relay has not acknowledged.
struct Reply {
    message: Uuid,
    frame: String,
}

struct Tail {
    relay: Relay,
    webhook: Webhook,
    screen: Screen,
    reply: Option<String>,
    unacknowledged: VecDeque<Reply>,
    seen: VecDeque<Uuid>,
    since: Timestamp,
}

impl Tail {
    /// Makes the session and the webhook, and shows how to use it.
    async fn start(arguments: TailArguments) -> Result<Self, String> {
        let TailArguments { server, json, reply } = arguments;
        let relay = Relay::register(server).await.map_err(|failure| match failure {
            Failure::Refused { status: StatusCode::TOO_MANY_REQUESTS, retry_after, .. } => {
                let when = retry_after.map_or("later".to_owned(), |seconds| format!("in {}", spoken(seconds)));
                format!(
                    "the relay takes no more registrations from this address for now: \
                     try again {when}, or raise CHAOS_RATE_REGISTER on the relay"
                )
            }
            other => other.to_string(),
        })?;
        let webhook = relay.create_webhook(None, reply.is_some()).await.map_err(|failure| failure.to_string())?;
        let screen = Screen::new(json);
        screen.note("A webhook is ready. Send it something from another terminal:\n");
        screen.note(format_args!("  {}\n", curl_command(webhook.url.as_str())));
        Ok(Self {
            relay,
            webhook,
            screen,
            reply,
            unacknowledged: VecDeque::new(),
            seen: VecDeque::new(),
            // The session is new, so that everything in it came in through this webhook.
            since: Timestamp::EPOCH,
        })
    }

    /// Prints messages for as long as it may, over as many connections as it takes.
    async fn follow(&mut self) -> End {
        let mut failures = 0;
        let mut is_lost = false;
        let mut is_session_gone = false;
        let mut has_complained = false;
        self.screen.note("Waiting for messages (times are UTC). Ctrl-C ends this and deletes the webhook.\n");
        loop {
            let mut requested = Duration::ZERO;
            if is_session_gone {
                match self.restore().await {
                    Ok(()) => is_session_gone = false,
                    Err(failure) => {
                        requested = failure.retry_after().unwrap_or_default().min(REQUESTED_DELAY_MAX);
                        let is_known = matches!(failure, Failure::Unreachable { .. });
                        if !is_known && !std::mem::replace(&mut has_complained, true) {
                            self.screen.note(format_args!("The session cannot be restored yet: {failure}"));
                        }
                    }
                }
            }
            if !is_session_gone {
                match self.relay.open_socket(self.since).await {
                    Ok(socket) => {
                        if std::mem::take(&mut is_lost) {
                            self.screen.note("Connected again.");
                        }
                        has_complained = false;
                        let opened = Instant::now();
                        match self.listen(socket).await {
                            Loss::End(end) => return end,
                            Loss::Session => is_session_gone = true,
                            Loss::Connection => {}
                        }
                        if opened.elapsed() >= STEADY_AFTER {
                            failures = 0;
                        }
                    }
                    Err(WsClientError::InvalidResponseStatus(StatusCode::UNAUTHORIZED)) => is_session_gone = true,
                    Err(_) => {}
                }
                if !std::mem::replace(&mut is_lost, true) {
                    self.screen.note("Connection lost, trying again …");
                }
            }
            let delay = jittered(longest_delay(failures)).max(requested);
            failures = failures.saturating_add(1);
            sleep(delay).await;
        }
    }

    /// Gets the session back and makes the webhook again, so that its URL holds even if the relay lost its data.
    async fn restore(&mut self) -> Result<(), Failure> {
        self.relay.reclaim().await?;
        self.webhook = self.relay.create_webhook(Some(&self.webhook), self.reply.is_some()).await?;
        Ok(())
    }

    /// Deletes the webhook if that can be done quickly, and says whether it was.
    async fn delete_webhook(&self) -> &'static str {
        match timeout(FAREWELL_TIMEOUT, self.relay.delete_webhook(&self.webhook)).await {
            Ok(Ok(())) => "The webhook is deleted.",
            _ => "The webhook could not be deleted; it stays until the relay forgets this session.",
        }
    }

    /// Serves one connection until it ends.
    async fn listen(&mut self, mut socket: Socket) -> Loss {
        // Whether these arrived before is not known: asking twice is better than not answering.
        for reply in &self.unacknowledged {
            socket.send(&reply.frame);
        }
        let mut heard = Instant::now();
        let mut ping = interval_at(heard + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In this order: what came in while this process was held up is read before silence is judged.
            let incoming = tokio::select! {
                biased;
                _ = ping.tick() => {
                    socket.send(r#"{"type":"ping"}"#);
                    continue;
                }
                incoming = socket.next() => incoming,
                () = sleep_until(heard + SILENCE_MAX) => Incoming::Closed(None),
            };
            heard = Instant::now();
            let heeded = match incoming {
                Incoming::Text(text) => self.hear(&text, &mut socket),
                Incoming::Alive => Ok(()),
                Incoming::Closed(Some(REPLACED)) => Err(Loss::End(End::Replaced)),
                Incoming::Closed(Some(CloseCode::Policy)) => Err(Loss::Session),
                Incoming::Closed(_) => Err(Loss::Connection),
            };
            if let Err(loss) = heeded {
                return loss;
            }
        }
    }

    /// Deals with a text frame. One that cannot be understood is from a relay newer than this, and left alone.
    fn hear(&mut self, text: &[u8], socket: &mut Socket) -> Result<(), Loss> {
        let Ok(mut frame) = serde_json::from_slice::<Value>(text) else { return Ok(()) };
        let request = frame.get("requestId").and_then(Value::as_str).and_then(|id| id.parse::<Uuid>().ok());
        match frame.get("type").and_then(Value::as_str) {
            Some("message") => self.message(&frame["message"].take(), socket),
            Some(kind @ ("reply_ack" | "error")) => {
                if kind == "error" {
                    let sentence = frame.get("error").and_then(Value::as_str).unwrap_or("an error without a reason");
                    self.screen.complain(format_args!("the relay refused: {}", single_line(sentence)));
                }
                self.unacknowledged.retain(|reply| Some(reply.message) != request);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn message(&mut self, message: &Value, socket: &mut Socket) -> Result<(), Loss> {
        let member = |name: &str| message.get(name).and_then(Value::as_str);
        let Some(id) = member("id").and_then(|id| id.parse::<Uuid>().ok()) else { return Ok(()) };
        if !self.seen.contains(&id) {
            self.screen.message(message)?;
            if self.seen.len() == SEEN_MAX {
                self.seen.pop_front();
            }
            self.seen.push_back(id);
            if let Some(reply) = &self.reply {
                let frame = json!({
                    "type": "reply",
                    "channelId": message["channelId"],
                    "content": reply,
                    "replyTo": id,
                    "metadata": message["metadata"],
                    "requestId": id,
                });
                let frame = frame.to_string();
                socket.send(&frame);
                self.unacknowledged.push_back(Reply { message: id, frame });
            }
        }
        if let Some(at) = member("timestamp").and_then(Timestamp::parse) {
            self.since = at;
        }
        Ok(())
    }
}

/// The longest wait before the next attempt after so many failures: 0.25 s, twice as long each time, 10 s at most.
fn longest_delay(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(250);
    const MAX: Duration = Duration::from_secs(10);
    FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(MAX)
}

/// A random wait up to `longest`, so that the clients of a relay that comes back do not all come at once.
fn jittered(longest: Duration) -> Duration {
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    longest.mul_f64(share)
}

/// A number of seconds as people say it.
fn spoken(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_ten_seconds() {
        let waits: Vec<u128> = (0..8).map(|failures| longest_delay(failures).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(longest_delay(u32::MAX), Duration::from_secs(10));
    }

    #[test]
    fn the_wait_is_never_longer_than_its_bound() {
        let longest = Duration::from_millis(250);
        assert!((0..1000).all(|_| jittered(longest) <= longest));
    }

    #[test]
    fn a_time_to_wait_is_said_in_seconds_or_whole_minutes() {
        assert_eq!([spoken(1), spoken(90), spoken(91), spoken(3600)], ["1 s", "90 s", "2 min", "60 min"]);
    }
}
