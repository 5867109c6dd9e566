//! Places of sockets and who is watched, in memory: both end with the process.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::ids::UserId;
use crate::store::operator::OpenSocket;
use crate::store::{SOCKET_LEASE_MS, SocketLease, WakeSink};

/// A claim to a place, answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    /// The place; `None` when the claimant was the oldest beyond the cap.
    pub(super) place: Option<String>,
    /// The places that were given up by others.
    pub(super) evicted: Vec<String>,
}

/// The places that are taken, and who is told of which users.
#[derive(Default)]
pub(super) struct Sockets {
    /// Places of each user with the end of their leases in milliseconds. Places sort by age.
    places: HashMap<UserId, BTreeMap<String, u64>>,
    watched: HashMap<UserId, Vec<WakeSink>>,
    /// Age of the newest place, in microseconds since the epoch. No two are of the same age.
    newest: u64,
}

impl Sockets {
    /// Takes or renews a place at `now`, in microseconds.
    pub(super) fn claim(&mut self, lease: &SocketLease, now: u64) -> Claimed {
        let cap = lease.cap;
        let place = lease.place.clone().unwrap_or_else(|| {
            self.newest = now.max(self.newest + 1);
            format!("{:016}-{}-{}", self.newest, lease.socket, lease.replica)
        });
        let now = now / 1000;
        let places = self.places.entry(lease.user).or_default();
        places.insert(place.clone(), now + SOCKET_LEASE_MS);
        if places.len() > cap {
            places.retain(|_, until| *until >= now);
        }
        let mut evicted = Vec::new();
        while places.len() > cap.max(1) {
            if let Some((oldest, _)) = places.pop_first() {
                if oldest == place {
                    return Claimed { place: None, evicted };
                }
                evicted.push(oldest);
            }
        }
        Claimed { place: Some(place), evicted }
    }

    /// Gives a place back.
    pub(super) fn release(&mut self, user: &UserId, place: &str) {
        if let Some(places) = self.places.get_mut(user) {
            places.remove(place);
            if places.is_empty() {
                self.places.remove(user);
            }
        }
    }

    /// Gives all places of a user back.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.places.remove(user);
    }

    /// The sockets of a user that are open at `now`, in milliseconds, the oldest first.
    pub(super) fn open(&self, user: &UserId, now: u64) -> Vec<OpenSocket> {
        let places = self.places.get(user).into_iter().flatten();
        places.filter(|(_, until)| **until >= now).filter_map(|(place, _)| OpenSocket::of_place(place)).collect()
    }

    /// Drops what was not renewed by `now`, in milliseconds.
    pub(super) fn drop_lapsed(&mut self, now: u64) {
        self.places.retain(|_, places| {
            places.retain(|_, until| *until >= now);
            !places.is_empty()
        });
    }

    pub(super) fn watch(&mut self, user: &UserId, sink: &WakeSink) {
        let sinks = self.watched.entry(*user).or_default();
        if !sinks.iter().any(|other| Arc::ptr_eq(other, sink)) {
            // Most users are watched by one.
            sinks.reserve_exact(1);
            sinks.push(sink.clone());
        }
    }

    pub(super) fn unwatch(&mut self, user: &UserId, sink: &WakeSink) {
        if let Some(sinks) = self.watched.get_mut(user) {
            sinks.retain(|other| !Arc::ptr_eq(other, sink));
            if sinks.is_empty() {
                self.watched.remove(user);
            }
        }
    }

    /// Ends all that is watched for this sink.
    pub(super) fn forget_sink(&mut self, sink: &WakeSink) {
        self.watched.retain(|_, sinks| {
            sinks.retain(|other| !Arc::ptr_eq(other, sink));
            !sinks.is_empty()
        });
    }

    /// Who is told of this user.
    pub(super) fn sinks(&self, user: &UserId) -> Vec<WakeSink> {
        self.watched.get(user).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::ids::SocketId;

    const SECOND: u64 = 1_000_000;

    fn claim(sockets: &mut Sockets, user: &UserId, place: Option<&str>, now: u64) -> Claimed {
        let (socket, replica) = (SocketId::random(), "12ab34cd".into());
        let (place, api_key) = (place.map(str::to_owned), Digest::of(b"key"));
        sockets.claim(&SocketLease { user: *user, api_key, socket, replica, place, cap: 2 }, now)
    }

    #[test]
    fn beyond_the_cap_the_oldest_gives_way() {
        let (mut sockets, user) = (Sockets::default(), UserId::random());
        let first = claim(&mut sockets, &user, None, SECOND).place.unwrap();
        assert!(first.starts_with("0000000001000000-"), "{first}");
        let second = claim(&mut sockets, &user, None, SECOND).place.unwrap();
        let third = claim(&mut sockets, &user, None, SECOND);
        assert_eq!(third.evicted, std::slice::from_ref(&first));
        assert!(first < second && second < third.place.unwrap());
        assert_eq!(claim(&mut sockets, &user, Some(&first), SECOND).place, None);
        assert!(claim(&mut sockets, &UserId::random(), None, SECOND).evicted.is_empty());
    }

    #[test]
    fn a_lapsed_place_makes_room_and_is_taken_again_with_its_age() {
        let (mut sockets, user) = (Sockets::default(), UserId::random());
        let old = claim(&mut sockets, &user, None, SECOND).place.unwrap();
        let lapsed = SECOND * 30;
        let second = claim(&mut sockets, &user, None, lapsed).place.unwrap();
        let third = claim(&mut sockets, &user, None, lapsed);
        assert!(third.evicted.is_empty(), "the lapsed place was free");
        sockets.release(&user, &second);
        assert_eq!(claim(&mut sockets, &user, Some(&old), lapsed).place, Some(old.clone()));
        let fourth = claim(&mut sockets, &user, None, lapsed);
        assert_eq!(fourth.evicted, [old], "it is the oldest still");
    }

    #[test]
    fn what_lapses_or_is_released_takes_no_memory() {
        let (mut sockets, user) = (Sockets::default(), UserId::random());
        let place = claim(&mut sockets, &user, None, SECOND).place.unwrap();
        sockets.release(&user, &place);
        assert!(sockets.places.is_empty());
        claim(&mut sockets, &user, None, SECOND);
        sockets.drop_lapsed(1000 + SOCKET_LEASE_MS);
        assert_eq!(sockets.places.len(), 1);
        sockets.drop_lapsed(1001 + SOCKET_LEASE_MS);
        assert!(sockets.places.is_empty());
    }

    #[test]
    fn each_sink_is_told_of_its_own_users_until_it_goes() {
        let (mut sockets, users) = (Sockets::default(), [UserId::random(), UserId::random()]);
        let [one, other]: [WakeSink; 2] = std::array::from_fn(|_| -> WakeSink { Arc::new(|_, _| {}) });
        let told = |sockets: &Sockets| users.map(|user| sockets.sinks(&user).len());
        sockets.watch(&users[0], &one);
        sockets.watch(&users[0], &one);
        sockets.watch(&users[0], &other);
        sockets.watch(&users[1], &one);
        assert_eq!(told(&sockets), [2, 1]);
        sockets.unwatch(&users[0], &one);
        assert!(Arc::ptr_eq(&sockets.sinks(&users[0])[0], &other));
        sockets.forget_sink(&other);
        assert_eq!(told(&sockets), [0, 1]);
        sockets.unwatch(&users[1], &one);
        assert!(sockets.watched.is_empty());
    }
}
