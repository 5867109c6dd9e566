//! Writes that a caller is told about, and which replicas of Redis must have before.
//!
//! Redis acknowledges a write before its replicas have it, and a master that dies takes along what it had
//! not passed on. `WAIT` on the connection that wrote tells how many replicas have everything written on it
//! so far; until then Redis answers nothing else on that connection. So these writes have a connection of
//! their own, on which no read waits, and all that come while one `WAIT` is under way share the next.
//!
//! On a Cluster `WAIT` counts at one node only, so there each write has its own, at the node of its slot, and
//! only so many are under way at once: many `WAIT`s that stand in line on one connection slow each other down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{Cmd, RedisResult, Value};
use tokio::sync::{Semaphore, oneshot};

use super::connection::{CALL_TIMEOUT, Link, Route, away, is_unknown_script};
use super::script::Script;
use crate::store::StoreError;

/// How long replicas are waited for, in milliseconds: well below the silence after which a connection is
/// given up, since nothing else is answered meanwhile.
const WAIT_MS: u64 = 500;
/// The most writes that share one `WAIT`, so that the first of them is not held up by the last.
const BATCH_MAX: usize = 256;
/// The most writes under way at once to a Cluster. Measured with all at one node, 16 take 1.5 ms each, and
/// 64 some of them close to a second.
const AT_ONCE_ON_CLUSTER: usize = 24;

/// How writes that are acknowledged reach Redis.
pub(super) struct Writes {
    link: Arc<Link>,
    /// How many replicas must have a write; 0 waits for none.
    copies: u8,
    queue: Arc<Mutex<Queue>>,
    /// Who may write to a Cluster now.
    turns: Semaphore,
}

/// The writes that are not under way yet, and whether a task is working them off.
#[derive(Default)]
struct Queue {
    waiting: Vec<Write>,
    is_worked_off: bool,
}

struct Write {
    call: Cmd,
    /// What the call is a call of, if it is one of a script.
    script: Option<&'static Script>,
    done: oneshot::Sender<Result<Value, StoreError>>,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // No code under the lock can panic half-way.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writes {
    /// Writes over `link`, unless replicas are waited for: that takes a connection of its own.
    pub(super) fn new(route: &Route, link: &Arc<Link>) -> Self {
        let copies = route.copies();
        let link = if copies == 0 { link.clone() } else { Arc::new(Link::new(route)) };
        Self { link, copies, queue: Arc::default(), turns: Semaphore::new(AT_ONCE_ON_CLUSTER) }
    }

    /// Runs one command.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, StoreError> {
        if self.copies == 0 {
            return self.link.command(command).await;
        }
        Box::pin(self.link.observed("command", self.kept(command, None))).await
    }

    /// Runs a script, like [`Link::script`].
    pub(super) async fn script(&self, script: &'static Script, call: &Cmd) -> Result<Value, StoreError> {
        if self.copies == 0 {
            return self.link.script(script, call).await;
        }
        // Boxed: most relays wait for no replica, and their calls need no room for it.
        Box::pin(self.link.observed(script.name, self.kept(call, Some(script)))).await
    }

    async fn kept(&self, call: &Cmd, script: Option<&'static Script>) -> Result<Value, StoreError> {
        let (done, answer) = oneshot::channel();
        let write = Write { call: call.clone(), script, done };
        let told = async {
            if self.link.is_cluster() {
                let _turn = self.turns.acquire().await;
                work_off(&self.link, self.copies, vec![write]).await;
            } else {
                self.enqueue(write);
            }
            answer.await
        };
        match tokio::time::timeout(CALL_TIMEOUT, told).await {
            Ok(Ok(answer)) => answer,
            _ => Err(StoreError::Away(format!("no answer within {} ms", CALL_TIMEOUT.as_millis()))),
        }
    }

    fn enqueue(&self, write: Write) {
        let is_first = {
            let mut queue = lock(&self.queue);
            queue.waiting.push(write);
            !std::mem::replace(&mut queue.is_worked_off, true)
        };
        if is_first {
            // A task of its own, which goes on for the others when this caller gives up.
            tokio::spawn(work_off_all(self.link.clone(), self.copies, self.queue.clone()));
        }
    }
}

async fn work_off_all(link: Arc<Link>, copies: u8, queue: Arc<Mutex<Queue>>) {
    loop {
        let batch: Vec<_> = {
            let mut queue = lock(&queue);
            // Whoever has given up is not told any more, so nothing need be written.
            queue.waiting.retain(|write| !write.done.is_closed());
            let count = queue.waiting.len().min(BATCH_MAX);
            if count == 0 {
                queue.is_worked_off = false;
                return;
            }
            queue.waiting.drain(..count).collect()
        };
        work_off(&link, copies, batch).await;
    }
}

/// Runs these writes with one `WAIT`, and tells each caller. Those whose scripts the server does not know
/// are run again with their source.
async fn work_off(link: &Link, copies: u8, batch: Vec<Write>) {
    let unknown = run(link, copies, batch, |write| write.call.clone()).await;
    if !unknown.is_empty() {
        let with_source = |write: &Write| match write.script {
            Some(script) => script.with_source(&write.call),
            None => write.call.clone(),
        };
        for write in run(link, copies, unknown, with_source).await {
            let _ = write.done.send(Err(StoreError::Away("a script is not known".to_owned())));
        }
    }
}

/// Gives back the writes whose scripts the server does not know.
async fn run(link: &Link, copies: u8, batch: Vec<Write>, call: impl Fn(&Write) -> Cmd) -> Vec<Write> {
    let mut pipeline = redis::Pipeline::with_capacity(batch.len() + 1);
    for write in &batch {
        pipeline.add_command(call(write));
    }
    pipeline.cmd("WAIT").arg(copies).arg(WAIT_MS);
    let mut unknown = Vec::new();
    match link.batch(&pipeline).await {
        Ok(mut answers) => {
            let kept = is_kept(answers.pop(), copies);
            for (write, answer) in batch.into_iter().zip(answers) {
                let answer = match answer {
                    Err(error) if is_unknown_script(&error) => {
                        unknown.push(write);
                        continue;
                    }
                    Err(error) => Err(away(&error)),
                    Ok(value) => kept.clone().map(|()| value).map_err(StoreError::Away),
                };
                // Whoever has given up is not told.
                let _ = write.done.send(answer);
            }
        }
        Err(error) => {
            let refuse = || match &error {
                StoreError::Away(cause) | StoreError::Corrupt(cause) => StoreError::Away(cause.clone()),
                StoreError::Format(refusal) => StoreError::Format(refusal.clone()),
            };
            for write in batch {
                let _ = write.done.send(Err(refuse()));
            }
        }
    }
    unknown
}

/// Whether enough replicas have what was written; why not, if not.
fn is_kept(waited: Option<RedisResult<Value>>, copies: u8) -> Result<(), String> {
    match waited {
        Some(Ok(Value::Int(count))) if count >= i64::from(copies) => Ok(()),
        Some(Ok(Value::Int(count))) => Err(format!("{count} of {copies} replicas of Redis have it after {WAIT_MS} ms")),
        Some(Err(error)) => Err(error.to_string()),
        _ => Err("Redis did not say how many replicas have it".to_owned()),
    }
}
