//! WebSockets: frames, the state of a socket, and the loop that owns one.

pub mod protocol;
mod pump;
pub mod session;

use std::sync::Arc;
use std::time::Duration;

use actix_ws::{MessageStream, Session};

use crate::domain::ids::SocketId;
use crate::domain::timestamp::Timestamp;
use crate::hub::{Hub, ListenerKind};
use crate::services::Relay;
use crate::services::authenticate::Caller;
use crate::services::error::Error;
use crate::store::{Since, SocketLease, SocketOutcome};

use pump::Pump;

/// What a socket that names no cursor is sent: the messages of the last so many milliseconds.
const REPLAY_MS: u64 = 5 * 60 * 1000;
/// How long opening waits for the watch on the user. Without it the socket opens all the same, and its
/// regular reads make up for wakes until the watch is there.
const WATCH_TIMEOUT: Duration = Duration::from_secs(1);
/// Largest frame, in bytes. Part of the wire contract.
const MAX_FRAME: usize = 1024 * 1024;
/// Most messages of one read.
const PAGE: usize = 50;

/// Takes a place for a socket that asks for an upgrade, and sets it going on this thread, of which `hub` is. On an error the upgrade is
/// refused.
///
/// The order matters: listen first, then read. What is stored in between is heard, what was stored before is read.
pub async fn open(
    relay: Relay,
    hub: &Arc<Hub>,
    caller: Caller,
    since: Option<Timestamp>,
    session: Session,
    frames: MessageStream,
) -> Result<(), Error> {
    let listener = hub.join(caller.user, ListenerKind::Socket);
    listener.live(WATCH_TIMEOUT).await;
    listener.forget();
    let mut lease = SocketLease {
        user: caller.user,
        api_key: caller.api_key,
        socket: SocketId::random(),
        replica: relay.shared.replica_name().clone(),
        place: None,
        cap: relay.shared.sockets_per_session,
    };
    let since = since.map_or(Since::Last(REPLAY_MS), Since::After);
    let page = match relay.store.hold_socket(&lease, since, PAGE).await? {
        SocketOutcome::Held { place, page, touch_due } => {
            if touch_due {
                relay.touch(caller.user);
            }
            lease.place = Some(place);
            page
        }
        // The newest socket is never the one to go; should the store think so, it is as if it were not reachable.
        SocketOutcome::Evicted => return Err(Error::Internal("a new socket was refused its place".to_owned())),
        SocketOutcome::NoSession => {
            relay.forget_session(&caller.api_key);
            return Err(Error::Unauthorized {
                code: "unknown_token",
                message: "the API key is not known: register to get one",
            });
        }
    };
    let frames = frames.max_frame_size(MAX_FRAME).aggregate_continuations().max_continuation_size(MAX_FRAME);
    let pump = Pump::new(relay, caller, lease, listener, session, frames, page);
    actix_web::rt::spawn(pump.run());
    Ok(())
}
