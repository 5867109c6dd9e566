//! Who listens on this replica: the local sockets and long polls by user, and the watch on each user.
//!
//! The store is told to watch a user as long as there is a listener. One task reconciles what is wanted
//! with what is; so joins and leaves never race, and a watch that failed is made later.

mod mailbox;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::Notify;
use tokio::time::Instant;

use mailbox::Mailbox;
pub use mailbox::Notice;

use crate::domain::ids::UserId;
use crate::store::{Store, Wake, WakeSink};

/// Watches that are made or ended at the same time.
const RECONCILE_AT_ONCE: usize = 128;
/// Pause before watches that failed are tried again.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// Steps in which a drain closes sockets.
const DRAIN_STEP: Duration = Duration::from_millis(50);

/// The listeners of this replica.
#[derive(Default)]
pub struct Hub {
    users: Mutex<HashMap<UserId, Watched>>,
    /// Users whose watch may have to be made or ended; true where the store lost one.
    changed: Mutex<HashMap<UserId, bool>>,
    change: Notify,
    sockets: AtomicUsize,
}

#[derive(Default)]
struct Watched {
    listeners: Vec<Arc<Mailbox>>,
    is_live: bool,
    live: Arc<Notify>,
}

/// Locks; a panic of another holder leaves these maps whole, since no code between lock and unlock can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Where the store sends its wakes.
    pub fn sink(self: &Arc<Self>) -> WakeSink {
        let hub = self.clone();
        Arc::new(move |user, wake| hub.wake(user, &Arc::new(wake)))
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

    /// Open WebSockets of this replica.
    pub fn sockets(&self) -> usize {
        self.sockets.load(Ordering::Relaxed)
    }

    /// Begins to listen for a user. Wakes may be missed until [`Listener::live`] completes.
    pub fn join(self: &Arc<Self>, user: UserId, kind: ListenerKind) -> Listener {
        let mailbox = Arc::new(Mailbox::default());
        {
            let mut users = lock(&self.users);
            let watched = users.entry(user).or_default();
            watched.listeners.push(mailbox.clone());
            if !watched.is_live {
                self.reconcile(user);
            }
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

    /// Keeps the store's watches as the listeners want them. Runs until it is dropped.
    pub async fn run(&self, store: &dyn Store) {
        let mut watching = HashSet::new();
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
                let is_watching = watching.contains(&user);
                async move {
                    let done = match (wanted, is_watching) {
                        (true, false) => store.watch(&user).await,
                        (false, true) => store.unwatch(&user).await,
                        _ => Ok(()),
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
                        watching.insert(user);
                        self.set_live(&user);
                    }
                    Ok(()) => {
                        watching.remove(&user);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a watch could not be changed; it is tried again");
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
            watched.live.notify_waiters();
        }
    }

    /// Tells every listener to end, evenly over `time`, and those that join meanwhile too. Ends when nobody is left.
    pub async fn drain(&self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let listeners = self.not_yet_told();
            let left = end.saturating_duration_since(Instant::now());
            let steps = usize::try_from(left.as_millis() / DRAIN_STEP.as_millis()).unwrap_or(0) + 1;
            for listener in listeners.iter().take(listeners.len().div_ceil(steps)) {
                listener.end();
            }
            if lock(&self.users).is_empty() && left.is_zero() {
                return;
            }
            tokio::time::sleep(DRAIN_STEP).await;
        }
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
            let users = lock(&self.hub.users);
            match users.get(&self.user) {
                Some(watched) if watched.is_live => return true,
                Some(watched) => watched.live.clone(),
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
