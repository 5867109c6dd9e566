//! What the tests stand on: servers they start, clients they use, and patience with a deadline.

pub mod balancer;
pub mod browser;
pub mod certificates;
pub mod client;
pub mod cluster;
pub mod collector;
pub mod operator;
pub mod platforms;
pub mod proxy;
pub mod redis;
pub mod relay;
pub mod secrets;
pub mod sentinel;
pub mod sentinel_stand_in;
pub mod socket;
pub mod tail;
pub mod traffic;

use std::future::Future;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long anything that should happen may take before the test fails. Generous, since machines are slow
/// and shared; nothing waits this long unless it is broken.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    eventually_within(DEADLINE, what, &mut ask).await
}

/// The same with a deadline of its own.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(
    within: Duration,
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let end = tokio::time::Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < end, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A port for a server that goes away and comes back: none that the system gives to outgoing connections meanwhile.
pub fn lasting_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 18_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Other test runs on this machine start elsewhere.
        let place = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + place).expect("below 65536");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Statics are not dropped: a small shell outlives the tests by a moment and runs what cleans up after them.
pub fn after_this_process(cleaning: &str) {
    let script = format!("while kill -0 {} 2>/dev/null; do sleep 1; done; {cleaning}", std::process::id());
    let _ = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}
