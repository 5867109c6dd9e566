//! Looking up the platforms' names.

use std::error::Error;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use actix_tls::connect::Resolve;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Look-ups of one platform that run at a time. The system's resolver cannot be interrupted, so one that hangs
/// keeps its thread long after its call was given up; without a bound such threads would fill the pool that all
/// platforms share.
const LOOKUPS: usize = 4;

/// The system's resolver, for one platform.
pub(super) struct Lookup {
    free: Arc<Semaphore>,
}

impl Lookup {
    pub(super) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Resolve for Lookup {
    fn lookup<'a>(&'a self, host: &'a str, port: u16) -> LocalBoxFuture<'a, Result<Vec<SocketAddr>, Box<dyn Error>>> {
        Box::pin(async move {
            let place = Arc::clone(&self.free).acquire_owned().await?;
            let name = format!("{host}:{port}");
            let found = spawn_blocking(move || {
                let _place = place;
                name.to_socket_addrs().map(|addresses| addresses.collect())
            });
            Ok(reachable_first(found.await??))
        })
    }
}

/// Addresses are tried one after the other within one time-out. IPv6 that leads nowhere would use it up,
/// whereas a machine without IPv4 knows so at once: IPv4 comes first.
fn reachable_first(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ipv4_is_tried_first_and_the_order_kept_otherwise() {
        let addresses = ["[::2]:1", "10.0.0.2:1", "[::1]:1", "10.0.0.1:1"].map(|text| text.parse().unwrap());
        let sorted = reachable_first(addresses.to_vec()).iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        assert_eq!(sorted, ["10.0.0.2:1", "10.0.0.1:1", "[::2]:1", "[::1]:1"]);
    }

    #[tokio::test]
    async fn a_name_is_found_once_a_hanging_lookup_has_ended() {
        let lookup = Lookup::new();
        let hanging = Arc::clone(&lookup.free).acquire_many_owned(LOOKUPS as u32).await.unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(50), lookup.lookup("localhost", 80)).await;
        assert!(waits.is_err());
        drop(hanging);
        let found = lookup.lookup("localhost", 80).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|address| address.port() == 80 && address.ip().is_loopback()));
        assert_eq!(lookup.free.available_permits(), LOOKUPS);
    }
}
