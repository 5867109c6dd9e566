//! What the relay talks about: ids, instants, keys, channels, messages, limits and text.
//!
//! Everything here is pure. Values parse on construction, so the rooms above never see a malformed
//! one; nothing here knows of a runtime, a socket or a database.

pub mod channel;
pub mod connection;
pub mod conversation;
pub mod digest;
pub mod event_signature;
pub mod fields;
pub mod ids;
pub mod limit;
pub mod message;
pub mod pairing;
pub mod public_key;
pub mod reply;
pub mod retry;
pub mod sealing;
pub mod signing;
pub mod text;
pub mod timestamp;
pub mod trace;
