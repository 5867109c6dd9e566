//! The relay as its users meet it: real processes, a real Redis, real sockets.

mod architecture;
mod bad_requests;
mod bad_sockets;
mod channel_settings;
mod channels;
mod cluster;
mod conversation;
mod dead_replica;
mod edge;
mod email;
mod embedded;
mod expiry;
mod idempotency;
mod keeping;
mod limits;
mod ordering;
mod platform_stand_ins;
mod redis_faults;
mod sessions;
mod sockets;
mod store;
mod support;
mod tail;
mod telegram;
mod tour;
mod webhooks;
