//! What the relay tells of itself: logs, metrics and traces.

pub mod logs;
pub mod metrics;
mod process;
pub mod traces;
