//! The relay as its users meet it: real processes, a real Redis, real sockets.

mod architecture;
mod conversation;
mod store;
mod support;
mod tour;
