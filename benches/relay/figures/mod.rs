//! The figures, by subject.

mod delivery;
mod embedded;
mod poll;
mod push;
mod receive;
mod redis;
mod scale;
mod sockets;
mod start;
mod storm;

use crate::Bench;
use crate::failure::Outcome;
use crate::report::Row;

/// Something that can be measured.
pub struct Figure {
    /// By which it is picked.
    pub name: &'static str,
    /// What it says.
    pub about: &'static str,
    /// Measures it.
    pub measure: fn(&Bench<'_>) -> Outcome<Vec<Row>>,
}

/// All of them, in the order of the table.
pub const ALL: &[Figure] = &[
    Figure { name: "receive", about: "processor time of a replica for a webhook it takes", measure: receive::measure },
    Figure { name: "redis", about: "processor time of Redis for a message", measure: redis::measure },
    Figure {
        name: "push",
        about: "processor time of a replica for a message it pushes down a socket",
        measure: push::measure,
    },
    Figure {
        name: "delivery",
        about: "webhooks a second, and the time from post to frame",
        measure: delivery::measure,
    },
    Figure { name: "poll", about: "processor time of replica and Redis for a signed poll", measure: poll::measure },
    Figure { name: "sockets", about: "memory of replica and Redis for an idle socket", measure: sockets::measure },
    Figure {
        name: "scale",
        about: "cost of a message with more and more replicas, and with more and more connected users",
        measure: scale::measure,
    },
    Figure { name: "storm", about: "time until all sockets are back that were lost at once", measure: storm::measure },
    Figure { name: "start", about: "time to the first 200, and the size of the binary", measure: start::measure },
    Figure { name: "embedded", about: "durable webhooks a second on the embedded store", measure: embedded::measure },
];
