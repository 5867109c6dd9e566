//! Redis in every form it can take: the same short tour on each, and what is particular to it.

mod access;
mod failover;
mod named;
mod replicas;
mod resharding;
mod sentinel;
mod tls;

use std::process::Command;

use serde_json::json;

use crate::support::client::{Client, contents, expect};
use crate::support::relay::{Replica, Setup};
use crate::support::secrets;

/// Registration, a channel, a webhook to one replica with the socket on another, a reply, a poll.
async fn tour(setup: &Setup) -> [Replica; 2] {
    let [a, b] = setup.start_many().await;
    let client = Client::register_signed(&a).await;
    let webhook = client.make_webhook(&b, json!({})).await;
    let mut socket = client.open(&b, "").await;
    webhook.deliver(&a, "from the one").await;
    assert_eq!(socket.content().await, "from the one");
    client.reply(&b, &webhook.id, "heard").await;
    let responses = reqwest::get(format!("{}/responses/{}", a.url(), webhook.id)).await.unwrap();
    let responses = expect(responses, 200).await["responses"].as_array().unwrap().clone();
    assert_eq!(contents(&responses), ["heard"]);
    assert_eq!(contents(&client.poll_all(&a).await), ["from the one"]);
    let health = reqwest::get(format!("{}/health?deep=1", a.url())).await.unwrap();
    let health = expect(health, 200).await;
    assert_eq!((&health["kv"], &health["kvLive"]["ok"]), (&json!(true), &json!(true)));
    [a, b]
}

/// Whether a start or a check goes well, and what it says; no secret is in it.
fn run(setup: &Setup, command: &str) -> (bool, String) {
    let mut process: Command = setup.command();
    let output = process.arg(command).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(secrets::find_in(&said), None, "{said}");
    (output.status.success(), said)
}
