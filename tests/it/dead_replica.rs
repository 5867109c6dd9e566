//! What a replica that died leaves behind: places of sockets, which nobody gives back.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::support::DEADLINE;
use crate::support::client::Client;
use crate::support::relay::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn the_places_of_a_dead_replica_are_free_after_30_seconds_and_the_server_pings_after_25() {
    let [mut a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&b).await;
    let webhook = client.make_webhook(&b, json!({})).await;
    let mut oldest = client.open(&b, "").await.into_inner();
    let opened = tokio::time::Instant::now();
    let mut on_the_dead = Vec::new();
    for _ in 0..4 {
        on_the_dead.push(client.open(&a, "").await);
    }
    a.kill();
    let killed = tokio::time::Instant::now();
    for socket in &mut on_the_dead {
        assert_eq!(socket.closed().await, 1006);
    }

    let ping = timeout(Duration::from_secs(30), oldest.next()).await.expect("a ping within 30 s");
    assert!(matches!(ping, Some(Ok(Message::Ping(_)))), "{ping:?}");
    assert!(opened.elapsed() >= Duration::from_secs(24), "after {:?}", opened.elapsed());

    // That nobody is closed in favour of the dead shows only when new sockets come.
    sleep_until(killed + Duration::from_secs(30)).await;
    let mut newer = Vec::new();
    for _ in 0..4 {
        newer.push(client.open(&b, "").await);
    }
    webhook.deliver(&b, "to the living").await;
    for socket in &mut newer {
        assert_eq!(socket.content().await, "to the living");
    }
    let frame = timeout(DEADLINE, oldest.next()).await.unwrap();
    assert!(matches!(&frame, Some(Ok(Message::Text(text))) if text.contains("to the living")), "{frame:?}");
}
