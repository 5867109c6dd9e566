//! What the relay tells of itself: logs and metrics.

pub mod logs;
pub mod metrics;
mod process;
