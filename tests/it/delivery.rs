//! Replies on their way out: whatever replicas, platforms and the store do, what was acknowledged arrives, in
//! order, and where it should.

mod backlog;
mod counts;
mod deletion;
mod destinations;
pub mod fate;
mod frames;
pub mod line;
mod mixed;
mod order;
mod redis_away;
mod redrive;
mod refusals;
mod replicas;
mod retries;
mod typing;
