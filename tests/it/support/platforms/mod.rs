//! Stand-ins for the platforms: local servers that refuse what the real ones refuse and misbehave on command.
//!
//! Each is a [`StandIn`] with the rules of one platform: [`telegram::Telegram`], [`discord::Discord`],
//! [`slack::Slack`], [`resend::Resend`]. A relay is pointed at one by its `CHAOS_…_API_BASE`, which is the
//! stand-in's `base_url()`. What they know of the platforms is what the platforms' documentation says; where a
//! rule is not documented they take the side that gives the relay more trouble.

pub mod delivery;
pub mod deployment;
pub mod discord;
pub mod misbehaviour;
pub mod resend;
pub mod server;
pub mod slack;
pub mod stand_in;
pub mod telegram;

pub use misbehaviour::{Misbehaviour, Rule};
pub use stand_in::{Call, Platform, StandIn};

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A number that no other call in this process was given.
pub fn fresh_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// 32 random hex digits.
pub fn random_hex() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
