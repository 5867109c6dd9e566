//! What each fault did, as a table that is printed at the end, however that came.

use std::time::Duration;

use super::watch::{Counts, Fault};

/// What became of a fault.
pub struct Outcome {
    /// From its beginning until its cause was gone.
    pub lasted: Duration,
    /// From then until everybody had something new.
    pub well_after: Duration,
    /// The longest time from the first try of a caller to a receiver, of what was under way until all was well.
    pub longest: Duration,
    /// The longest time from the first try to the acknowledgement.
    pub longest_try: Duration,
    /// The longest time from the acknowledgement to a receiver.
    pub longest_acknowledged: Duration,
    /// The same for replies, from their first try to their platform.
    pub longest_reply: Duration,
    /// Replies that their platform was sent again.
    pub copies: usize,
    pub counts: Counts,
}

/// The rows so far. Dropped before its end, the last one has no outcome.
pub struct Table {
    title: &'static str,
    rows: Vec<(Fault, Option<Outcome>)>,
}

impl Table {
    pub fn new(title: &'static str) -> Self {
        Self { title, rows: Vec::new() }
    }

    /// A fault begins.
    pub fn begin(&mut self, fault: Fault) {
        self.rows.push((fault, None));
    }

    /// The last one is over.
    pub fn end(&mut self, outcome: Outcome) {
        self.rows.last_mut().expect("one has begun").1 = Some(outcome);
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        println!("\n{}, times in seconds\n", self.title);
        println!(
            "| fault | lasted | longest delay of a message | … after its 200 | until its 200 | longest delay of a reply | well again after | 503s \
             | broken off | reconnects | replies sent again |\n|---|---|---|---|---|---|---|---|---|---|---|"
        );
        for (fault, outcome) in &self.rows {
            let Some(it) = outcome else {
                println!("| {} | **not well again** | | | | | | | | |", fault.name);
                continue;
            };
            let seconds = |time: Duration| format!("{:.2}", time.as_secs_f64());
            let delays = [it.longest, it.longest_acknowledged, it.longest_try, it.longest_reply];
            let times = [it.lasted].into_iter().chain(delays).chain([it.well_after]).map(seconds);
            let Counts { refused, broken, reconnects } = it.counts;
            println!(
                "| {} | {} | {refused} | {broken} | {reconnects} | {} |",
                fault.name,
                times.collect::<Vec<_>>().join(" | "),
                it.copies
            );
        }
        println!();
    }
}
