//! A self-hostable message relay that gives personal AI agents a public address.
//!
//! Data flows one way: `http`, `ws` and `workers` call `services`, which call the store and read what
//! channels bring; the domain underneath knows nothing of any of them.

pub mod app;
pub mod channels;
pub mod config;
pub mod domain;
pub mod http;
pub mod hub;
mod services;
pub mod shutdown;
pub mod store;
pub mod telemetry;
mod workers;
pub mod ws;

use tikv_jemallocator::Jemalloc;

/// Measured beside the C library's allocator, a webhook takes 14 % less of a core, and an idle socket no more memory.
/// Static programs get it as others do.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
