//! What runs on its own, without a caller.

pub mod store_health;
