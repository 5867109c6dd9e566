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

/// A request takes some two hundred pieces of memory and gives them back. With jemalloc that costs a third of what it
/// does with the C library, while an idle socket takes no more; static programs get the same as others.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
