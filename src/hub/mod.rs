//! Who listens on one worker thread: its sockets and long polls by user, and the watch on each user.
//!
//! The store is told to watch a user as long as there is a listener. One task reconciles what is wanted
//! with what is; so joins and leaves never race, and a watch that failed is made later.

mod hubs;
mod mailbox;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::Notify;

pub use hubs::Hubs;
use mailbox::Mailbox;
pub use mailbox::Notice;

use crate::domain::ids::UserId;
use crate::store::{Wake, WakeSink, Watcher};

/// Watches that are made or ended at the same time.
const RECONCILE_AT_ONCE: usize = 128;
/// Pause before watches that failed are tried again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// The listeners of one worker thread. What wakes them is watched from that thread too, so that a message goes
/// from the store to its sockets without waking another.
#[derive(Default)]
pub struct Hub {
    users: Mutex<HashMap<UserId, Watched>>,
    /// Users whose watch may have to be made or ended; true where the store lost one.
    changed: Mutex<HashMap<UserId, bool>>,
    change: Notify,
    sockets: AtomicUsize,
    /// Whether every listener was told to end, and those that join are told at once.
    is_closed: AtomicBool,
    echo: Mutex<Echo>,
}

/// What came of having the store say something to a hub alone. The later of two counts for more.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Echo {
    /// It was heard after so long.
    Heard(Duration),
    /// Nothing was said yet, or the store is away.
    #[default]
    Awaited,
    /// It was not heard: wakes do not come.
    Lost,
}

#[derive(Default)]
struct Watched {
    listeners: Vec<Arc<Mailbox>>,
    is_live: bool,
    /// Told when the watch is there; made by the first who waits for it, and let go then.
    live: Option<Arc<Notify>>,
}

/// Locks; a panic of another holder leaves these maps whole, since no code between lock and unlock can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Where the store sends its wakes.
    pub fn sink(self: &Arc<Self>) -> WakeSink {
        let hub = self.clone();
        Arc::new(move |user, wake| hub.wake(user, &wake))
    }

    fn wake(&self, user: &UserId, wake: &Arc<Wake>) {
        if **wake == Wake::WatchLost {
            if let Some(watched) = lock(&self.users).get_mut(user) {
                watched.is_live = false;
            }
            lock(&self.changed).insert(*user, true);
            self.change.notify_one();
            return;
        }
        if let Some(watched) = lock(&self.users).get(user) {
            for listener in &watched.listeners {
                listener.put(wake);
            }
        }
    }

    /// Open WebSockets of this worker.
    pub fn sockets(&self) -> usize {
        self.sockets.load(Ordering::Relaxed)
    }

    /// Begins to listen for a user. Wakes may be missed until [`Listener::live`] completes.
    pub fn join(self: &Arc<Self>, user: UserId, kind: ListenerKind) -> Listener {
        let mailbox = Arc::new(Mailbox::default());
        {
            let mut users = lock(&self.users);
            let watched = users.entry(user).or_default();
            // Most users have one listener.
            watched.listeners.reserve_exact(1);
            watched.listeners.push(mailbox.clone());
            if !watched.is_live {
                self.reconcile(user);
            }
        }
        // After it was put where a drain looks for it, so that one of the two sees the other.
        if self.is_closed.load(Ordering::SeqCst) {
            mailbox.end();
        }
        if kind == ListenerKind::Socket {
            self.sockets.fetch_add(1, Ordering::Relaxed);
        }
        Listener { hub: self.clone(), user, mailbox, kind }
    }

    fn leave(&self, user: UserId, mailbox: &Arc<Mailbox>) {
        let mut users = lock(&self.users);
        if let Some(watched) = users.get_mut(&user) {
            watched.listeners.retain(|other| !Arc::ptr_eq(other, mailbox));
            if watched.listeners.is_empty() {
                users.remove(&user);
                self.reconcile(user);
            }
        }
    }

    fn reconcile(&self, user: UserId) {
        lock(&self.changed).entry(user).or_insert(false);
        self.change.notify_one();
    }

    /// Notes what came of the last echo.
    pub fn note_echo(&self, echo: Echo) {
        *lock(&self.echo) = echo;
    }

    /// What came of the last echo.
    pub fn echo(&self) -> Echo {
        *lock(&self.echo)
    }

    /// Keeps the watches as the listeners want them. Runs until it is dropped.
    pub async fn run(&self, watcher: &dyn Watcher) {
        // Users whose watch was made, and whether it is there for certain: one that could not be ended may have gone with
        // the connection.
        let mut watching = HashMap::new();
        loop {
            let users: Vec<_> = lock(&self.changed).drain().collect();
            if users.is_empty() {
                self.change.notified().await;
                continue;
            }
            let steps = users.into_iter().map(|(user, is_lost)| {
                if is_lost {
                    watching.remove(&user);
                }
                let wanted = lock(&self.users).contains_key(&user);
                let watch = watching.get(&user).copied();
                async move {
                    let done = match (wanted, watch) {
                        (true, Some(true)) | (false, None) => Ok(()),
                        (true, _) => watcher.watch(&user).await,
                        (false, Some(_)) => watcher.unwatch(&user).await,
                    };
                    (user, wanted, done)
                }
            });
            let steps: Vec<_> = steps.collect();
            let steps: Vec<_> = stream::iter(steps).buffer_unordered(RECONCILE_AT_ONCE).collect().await;
            let mut failed = false;
            for (user, wanted, done) in steps {
                match done {
                    Ok(()) if wanted => {
                        watching.insert(user, true);
                        self.set_live(&user);
                    }
                    Ok(()) => {
                        watching.remove(&user);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a watch could not be changed; it is tried again");
                        watching.insert(user, false);
                        lock(&self.changed).entry(user).or_insert(false);
                        failed = true;
                    }
                }
            }
            if failed {
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    fn set_live(&self, user: &UserId) {
        if let Some(watched) = lock(&self.users).get_mut(user) {
            watched.is_live = true;
            if let Some(live) = watched.live.take() {
                live.notify_waiters();
            }
        }
    }

    /// Has those that join from now on told to end at once.
    fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    fn is_empty(&self) -> bool {
        lock(&self.users).is_empty()
    }

    fn not_yet_told(&self) -> Vec<Arc<Mailbox>> {
        let users = lock(&self.users);
        let all = users.values().flat_map(|watched| &watched.listeners);
        all.filter(|listener| !listener.is_ending()).cloned().collect()
    }
}

/// What listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListenerKind {
    /// A WebSocket.
    Socket,
    /// A request that waits for a message.
    LongPoll,
}

/// A place at the hub; leaves when it is dropped.
pub struct Listener {
    hub: Arc<Hub>,
    user: UserId,
    mailbox: Arc<Mailbox>,
    kind: ListenerKind,
}

impl Listener {
    /// Completes when the store watches the user, so that a read from now on misses nothing, or when the
    /// time is up; says which.
    pub async fn live(&self, at_most: Duration) -> bool {
        let live = {
            let mut users = lock(&self.hub.users);
            match users.get_mut(&self.user) {
                Some(watched) if watched.is_live => return true,
                Some(watched) => watched.live.get_or_insert_default().clone(),
                None => return false,
            }
        };
        let notified = live.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if lock(&self.hub.users).get(&self.user).is_some_and(|watched| watched.is_live) {
            return true;
        }
        tokio::time::timeout(at_most, notified).await.is_ok()
    }

    /// Forgets what was heard so far. Right before a read, which shows all of it.
    pub fn forget(&self) {
        self.mailbox.clear();
    }

    /// Waits for what comes next.
    pub async fn next(&self) -> Notice {
        self.mailbox.next().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.kind == ListenerKind::Socket {
            self.hub.sockets.fetch_sub(1, Ordering::Relaxed);
        }
        self.hub.leave(self.user, &self.mailbox);
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::store::StoreError;

    /// A store whose connection breaks, and all watches with it, while the first watch is being ended.
    #[derive(Default)]
    struct BreaksOff {
        watches: AtomicUsize,
        ending: Notify,
        broken: Notify,
    }

    #[async_trait]
    impl Watcher for BreaksOff {
        async fn watch(&self, _: &UserId) -> Result<(), StoreError> {
            self.watches.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        async fn unwatch(&self, _: &UserId) -> Result<(), StoreError> {
            self.ending.notify_one();
            self.broken.notified().await;
            Err(StoreError::Away("the connection broke".to_owned()))
        }

        async fn echo(&self) -> Result<Option<Duration>, StoreError> {
            unreachable!("the hub asks for none")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_while_a_watch_breaks_that_was_being_ended_is_watched_anew() {
        let (hub, store, user) = (Arc::new(Hub::default()), BreaksOff::default(), UserId::random());
        let poll = async || {
            let listener = hub.join(user, ListenerKind::LongPoll);
            assert!(listener.live(TIME).await);
            listener
        };
        let story = async {
            drop(poll().await);
            store.ending.notified().await;
            let next = hub.join(user, ListenerKind::LongPoll);
            store.broken.notify_one();
            assert!(next.live(TIME).await);
            assert_eq!(store.watches.load(Ordering::Relaxed), 2);
        };
        tokio::select! {
            () = story => {}
            () = hub.run(&store) => unreachable!("it runs until it is dropped"),
        }
    }

    const TIME: Duration = Duration::from_secs(4);
}
