//! What an operator may see and do, and who is one.

pub mod access;
pub mod deletion;
pub mod deliveries;
pub mod overview;
pub mod sessions;
pub mod store_keys;
