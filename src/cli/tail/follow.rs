//! Follows a session over as many connections as it takes.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::Duration;

use awc::http::StatusCode;
use awc::ws::CloseCode;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};
use uuid::Uuid;

use chaos_relay::domain::text::single_line;
use chaos_relay::domain::timestamp::Timestamp;

use super::arguments::Wanted;
use super::pauses::{jittered, longest_delay, spoken};
use super::relay::{Failure, Relay};
use super::screen::{Screen, WEBHOOK};
use super::socket::{Incoming, Socket};
use super::source::{OwnChannel, Source};

/// How often the socket is shown to be alive; below the 60 s after which the relay gives a silent peer up.
const PING_EVERY: Duration = Duration::from_secs(25);
/// A relay that says nothing for this long, pings unanswered, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A connection that lasted this long was a good one: the next loss is not the fault of the last.
const STEADY_AFTER: Duration = Duration::from_secs(5);
/// Most that is slept because the relay asks for it: it may have been given another limit meanwhile.
const REQUESTED_DELAY_MAX: Duration = Duration::from_secs(60);
/// Messages that are known to have been shown. More than the 500 that the relay keeps and could repeat.
const SEEN_MAX: usize = 1024;
/// Channels whose platform is known. More than a session is likely to have.
const PLATFORMS_MAX: usize = 1024;
/// How far back the messages of a session that exists begin, in milliseconds: 5 minutes.
const LOOK_BACK_MS: u64 = 5 * 60 * 1000;
/// The close code of a socket whose place a newer one of the same session took.
const REPLACED: CloseCode = CloseCode::Other(4001);

/// Why nothing more is to be printed.
pub enum End {
    /// Somebody asked for it.
    Stopped,
    /// A newer socket of the session took the place.
    Replaced,
    /// The relay does not know the followed session any more.
    Forgotten,
    /// Messages cannot be written.
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

/// What is followed, and how far.
pub struct Tail {
    relay: Relay,
    source: Source,
    screen: Screen,
    reply: Option<String>,
    unacknowledged: VecDeque<Reply>,
    seen: VecDeque<Uuid>,
    /// The type of each channel that is not a webhook, as far as it has said something.
    platforms: HashMap<String, String>,
    since: Timestamp,
    /// Messages of before are others' to answer.
    answered_from: Timestamp,
    /// A socket that is open already.
    opened: Option<Socket>,
}

impl Tail {
    /// Makes the session and its channel, or opens the socket of the session that exists.
    pub async fn start(server: String, wanted: Wanted, screen: Screen, reply: Option<String>) -> Result<Self, String> {
        let now = Timestamp::now();
        let (relay, source, since, answered_from, opened) = match wanted {
            Wanted::Own(ours) => {
                let relay = Relay::register(server).await.map_err(no_session)?;
                let own = OwnChannel::make(&relay, ours).await.map_err(|failure| failure.to_string())?;
                // The session is new, so that everything in it came in through this channel.
                (relay, Source::Own(own), Timestamp::EPOCH, Timestamp::EPOCH, None)
            }
            Wanted::Session { api_key } => {
                let relay = Relay::existing(server, api_key);
                let since = Timestamp::from_millis(now.millis().saturating_sub(LOOK_BACK_MS));
                let socket = relay.open_socket(since).await.map_err(no_socket)?;
                (relay, Source::Session, since, now, Some(socket))
            }
        };
        Ok(Self {
            relay,
            source,
            screen,
            reply,
            unacknowledged: VecDeque::new(),
            seen: VecDeque::new(),
            platforms: HashMap::new(),
            since,
            answered_from,
            opened,
        })
    }

    /// Says what a person does now, then prints messages for as long as it may.
    pub async fn follow(&mut self) -> End {
        let mut failures = 0;
        let mut is_lost = false;
        let mut is_session_gone = false;
        let mut has_complained = false;
        if let Source::Own(own) = &self.source {
            self.screen.note(own.next_steps());
        }
        self.screen.note(format_args!("Waiting for messages (times are UTC). {}\n", self.source.end()));
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
                let socket = match self.opened.take() {
                    Some(socket) => Ok(socket),
                    None => self.relay.open_socket(self.since).await,
                };
                match socket {
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
                    Err(failure) => is_session_gone = failure.is_unauthorized(),
                }
                if is_session_gone && matches!(self.source, Source::Session) {
                    return End::Forgotten;
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

    /// Gets the session back and makes its channel again, even if the relay lost its data.
    async fn restore(&mut self) -> Result<(), Failure> {
        self.relay.reclaim().await?;
        if let Source::Own(own) = &mut self.source
            && own.restore(&self.relay).await?
        {
            self.screen.note(format_args!("The relay lost this session.\n\n{}", own.next_steps()));
        }
        Ok(())
    }

    /// Takes away what was made for this, if anything, and says whether it is.
    pub async fn take_leave(&self) -> &'static str {
        self.source.remove(&self.relay).await
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
            Some("delivery") => {
                let platform = frame.get("channelId").and_then(Value::as_str).and_then(|id| self.platforms.get(id));
                self.screen.delivery(&frame, platform.map(String::as_str));
                Ok(())
            }
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
        let at = member("timestamp").and_then(Timestamp::parse);
        if !self.seen.contains(&id) {
            self.screen.message(message)?;
            if self.seen.len() == SEEN_MAX {
                self.seen.pop_front();
            }
            self.seen.push_back(id);
            if let (Some(channel), Some(platform)) = (member("channelId"), member("channelType"))
                && platform != WEBHOOK
                && self.platforms.len() < PLATFORMS_MAX
            {
                self.platforms.insert(channel.to_owned(), platform.to_owned());
            }
            if let Some(reply) = self.reply.as_ref().filter(|_| at.unwrap_or(Timestamp::EPOCH) >= self.answered_from) {
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
        if let Some(at) = at {
            self.since = at;
        }
        Ok(())
    }
}

/// Why there is no session of one's own.
fn no_session(failure: Failure) -> String {
    match failure {
        Failure::Refused { status: StatusCode::TOO_MANY_REQUESTS, retry_after, .. } => {
            let when = retry_after.map_or("later".to_owned(), |seconds| format!("in {}", spoken(seconds)));
            format!(
                "the relay takes no more registrations from this address for now: \
                 try again {when}, or raise CHAOS_RATE_REGISTER on the relay"
            )
        }
        other => other.to_string(),
    }
}

/// Why the session that is to be followed has no socket.
fn no_socket(failure: Failure) -> String {
    if failure.is_unauthorized() {
        return "the relay knows no session with the API key in CHAOS_API_KEY".to_owned();
    }
    failure.to_string()
}
