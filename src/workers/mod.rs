//! What runs on its own, without a caller.

pub mod listening;
pub mod outbox;
pub mod pulse;
pub mod store_health;
