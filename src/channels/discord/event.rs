//! Events of Discord: which of the two kinds one is, and whether it is authentic.

use serde_json::{Value, json};

use super::{Discord, interaction, message};
use crate::channels::adapter::{Event, EventAdapter, RawEvent, Spoken};
use crate::domain::connection::{Connection, ConnectionSecrets};
use crate::domain::event_signature::{InvalidSecret, SignatureError, verify_discord, verify_shared_secret};
use crate::domain::text::{Limit, split};
use crate::domain::timestamp::Timestamp;

/// Ed25519 signature in hex. Source: discord-api-docs `developers/interactions/overview.mdx`.
const SIGNATURE: &str = "x-signature-ed25519";
/// What is signed together with the body.
const TIMESTAMP: &str = "x-signature-timestamp";
/// Flag of a message that only the person who used the command sees.
const EPHEMERAL: u64 = 1 << 6;

impl EventAdapter for Discord {
    fn verify(
        &self,
        connection: &Connection,
        secrets: &ConnectionSecrets,
        event: &RawEvent<'_>,
        _now: Timestamp,
    ) -> Result<(), SignatureError> {
        let Connection::Discord(app) = connection else { return Err(InvalidSecret::Ed25519.into()) };
        if is_signed(event) {
            let [timestamp, signature] = [TIMESTAMP, SIGNATURE].map(|name| (event.header)(name).unwrap_or_default());
            return verify_discord(&app.verify_key, timestamp, signature, event.body);
        }
        verify_shared_secret(&secrets.events, event.secret.ok_or(SignatureError::Missing)?)
    }

    fn parse(&self, connection: &Connection, _secrets: &ConnectionSecrets, event: &RawEvent<'_>) -> Event {
        let Connection::Discord(app) = connection else { return Event::Ignored("not of a Discord channel") };
        let Ok(body) = serde_json::from_slice::<Value>(event.body) else { return Event::Ignored("not JSON") };
        if is_signed(event) { interaction::read(app, &body) } else { message::read(app, &body) }
    }

    fn response(&self, spoken: Spoken<'_>) -> Value {
        match spoken {
            Spoken::Deferred => json!({"type": 5}),
            Spoken::Privately(text) => privately(text),
        }
    }

    fn how_to_pair(&self, _connection: &Connection, _is_group: bool) -> String {
        "We are not paired yet. Use /pair with the code that your app shows.".to_owned()
    }
}

/// Whether the event claims to be Discord's own. Then the signature decides alone: whoever forwards messages must
/// not be able to pass something off as an interaction, nor Discord's probes get in by the other way.
fn is_signed(event: &RawEvent<'_>) -> bool {
    [SIGNATURE, TIMESTAMP].iter().any(|name| (event.header)(name).is_some())
}

/// The response to an interaction that says `text` to the person who caused it, and to nobody else. Longer than a
/// message it is cut.
pub(super) fn privately(text: &str) -> Value {
    let content = split(text, Limit::DISCORD).into_iter().next().unwrap_or_default();
    json!({"type": 4, "data": {"content": content, "flags": EPHEMERAL, "allowed_mentions": {"parse": []}}})
}

#[cfg(test)]
mod tests;
