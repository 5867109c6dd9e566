//! Polling messages, with the patience of a long poll.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Relay;
use super::authenticate::{Caller, Passed};
use super::error::Error;
use crate::domain::message::Page;
use crate::domain::timestamp::Timestamp;
use crate::hub::{Hub, ListenerKind, Notice};
use crate::store::{Since, Wake};
use crate::telemetry::metrics::Sent;

/// Most messages of one answer.
pub const MAX_COUNT: usize = 100;
/// The longest a long poll may wait, in seconds: below the usual timeouts of balancers and browsers.
pub const MAX_WAIT_SECONDS: u64 = 25;
/// How often a long poll reads without having been woken, should a wake be lost.
const READ_ANYWAY: Duration = Duration::from_secs(10);

/// What a poll asks for.
#[derive(Debug, Clone, Copy)]
pub struct PollQuery {
    /// Everything strictly after this instant.
    pub since: Timestamp,
    /// At most so many, 1 to [`MAX_COUNT`].
    pub count: usize,
    /// How long to wait for the first one.
    pub wait: Duration,
}

impl Relay {
    /// Reads messages; with a wait, answers as soon as there is one. It is waited for at the hub of the caller's thread.
    pub async fn poll(
        &self,
        hub: &Arc<Hub>,
        caller: &Caller,
        query: Result<PollQuery, Error>,
    ) -> Result<Passed<Page>, Error> {
        let gate = caller.limited_gate("messages", self.shared.limits.messages);
        let query = match query {
            Ok(query) => query,
            Err(refusal) => return Err(self.refuse(&gate, refusal).await),
        };
        let since = Since::After(query.since);
        let mut passed = self.passed(&gate, self.store.poll_messages(&gate, since, query.count).await)?;
        if passed.value.records.is_empty() && !query.wait.is_zero() {
            // The store's cursor may lie before one from the client's future, and must then be taken.
            let query = PollQuery { since: passed.value.cursor, ..query };
            passed.value = self.wait_for_messages(hub, caller, query).await?;
        }
        passed.value.records.iter().for_each(|record| self.shared.note_sent(record, Sent::Polled));
        Ok(passed)
    }

    async fn wait_for_messages(&self, hub: &Arc<Hub>, caller: &Caller, query: PollQuery) -> Result<Page, Error> {
        let end = Instant::now() + query.wait;
        let listener = hub.join(caller.user, ListenerKind::LongPoll);
        listener.live(query.wait).await;
        loop {
            listener.forget();
            let page = self.store.read_messages(&caller.user, Since::After(query.since), query.count).await?;
            let now = Instant::now();
            if !page.records.is_empty() || now >= end {
                return Ok(page);
            }
            let until = end.min(now + READ_ANYWAY);
            match tokio::time::timeout_at(until, listener.next()).await {
                Ok(Notice::End) => return Ok(page),
                Ok(Notice::Wake(wake)) if *wake == Wake::SessionGone => {
                    self.forget_session(&caller.api_key);
                    return Ok(page);
                }
                Ok(Notice::Wake(_) | Notice::Missed(_)) | Err(_) => {}
            }
        }
    }
}
