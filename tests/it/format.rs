//! The format of the records: relays that cannot read them leave them alone, and those that can work side by side.

mod newer;
mod raising;

use std::process::Output;
use std::time::Instant;

use redb::{Builder, Database, TableDefinition};
use serde_json::json;

use crate::support::client::{Client, expect};
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup, data_dir};
use crate::support::traffic::assert_refused;
use crate::support::{DEADLINE, eventually};

/// Where a Redis says which format its records have.
const FORMAT: &str = "chaos:{deployment}:format";
/// What a relay says of records that are newer than it.
const NEWER: &str = "the store has format 2, from a newer relay; this one knows formats up to 1";
/// Where the embedded store's file says so.
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

/// Runs a command of the binary until it ends.
async fn run(setup: &Setup, command: &str) -> Output {
    let mut process = setup.command();
    process.arg(command);
    let ends = tokio::task::spawn_blocking(move || process.output().unwrap());
    tokio::time::timeout(DEADLINE, ends).await.expect("it ends").unwrap()
}

/// Makes sure that a relay does not start on this, and says why; nor does a check pass.
async fn assert_will_not_start(setup: &Setup) {
    for command in ["serve", "check"] {
        let output = run(setup, command).await;
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = [output.stderr, output.stdout].map(|pipe| String::from_utf8(pipe).unwrap()).concat();
        assert!(said.contains(NEWER) && !said.contains("panicked"), "{command}: {said}");
    }
}

/// Everything on a server but what lapses by itself within seconds.
fn everything(server: &RedisServer) -> Vec<String> {
    let lapses = ["{deployment}:replica", "{deployment}:minute"];
    let keys = server.cli(&["--scan"]);
    let keys = keys.lines().filter(|key| !lapses.iter().any(|lapses| key.contains(lapses)));
    let mut all: Vec<_> = keys.map(|key| format!("{key} {}", server.cli(&["DUMP", key]))).collect();
    all.sort();
    all
}

async fn is_unready(replica: &Replica) -> Option<()> {
    (!replica.is_ready().await).then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_a_new_store_is_given_the_format_and_an_older_one_that_names_none_is_adopted() {
    let server = RedisServer::start();
    let setup = Setup::on_server(&server);
    let mut replica = setup.start().await;
    assert_eq!(server.cli(&["GET", FORMAT]), "1");
    let client = Client::register(&replica).await;
    client.make_webhook(&replica, json!({"id": "kept"})).await;
    replica.kill();
    for forgets in [false, true] {
        if forgets {
            server.cli(&["DEL", FORMAT]);
        }
        let replica = setup.start().await;
        assert_eq!(server.cli(&["GET", FORMAT]), "1");
        let channels = expect(client.get(&replica, "/channels").await, 200).await;
        assert_eq!(channels["channels"][0]["id"], "kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_a_newer_format_keeps_a_relay_from_starting_and_nothing_is_touched() {
    let server = RedisServer::start();
    let setup = Setup::on_server(&server);
    let replica = setup.start().await;
    Client::register(&replica).await;
    drop(replica);
    server.cli(&["SET", FORMAT, "2"]);
    let before = everything(&server);
    assert_will_not_start(&setup).await;
    assert_eq!(everything(&server), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_meets_a_newer_format_later_refuses_everything_until_that_changes() {
    let server = RedisServer::start();
    let replica = Setup::on_server(&server).start().await;
    let client = Client::register(&replica).await;
    server.cli(&["SET", FORMAT, "2"]);
    eventually("it is not ready", || is_unready(&replica)).await;
    assert!(replica.log().contains(NEWER), "it says why");
    let before = everything(&server);
    let began = Instant::now();
    assert_refused(client.post(&replica, "/channels", &json!({})).await, began).await;
    assert_eq!(everything(&server), before);
    server.cli(&["SET", FORMAT, "1"]);
    eventually("it is ready", || async { replica.is_ready().await.then_some(()) }).await;
    client.make_webhook(&replica, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_with_newer_records_is_left_alone_from_the_first_moment() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    proxy.cut();
    let replica = Setup::on(&proxy.url(), "chaos:").start_unready();
    server.cli(&["SET", FORMAT, "2"]);
    proxy.heal();
    let said = async {
        eventually("it says why it is not ready", || async { replica.log().contains(NEWER).then_some(()) }).await;
    };
    let asking = async {
        let http = reqwest::Client::new();
        while !replica.log().contains(NEWER) {
            let began = Instant::now();
            assert_refused(http.post(format!("{}/auth/register", replica.url())).send().await.unwrap(), began).await;
        }
    };
    tokio::join!(said, asking);
    assert!(!replica.is_ready().await);
    assert_eq!(server.cli(&["--scan"]), FORMAT, "it wrote nothing");
}

fn open(dir: &std::path::Path) -> Database {
    Builder::new().open(dir.join("relay.redb")).unwrap()
}

/// What the file says of its format.
fn named(dir: &std::path::Path) -> Option<String> {
    use redb::ReadableDatabase as _;
    let meta = open(dir).begin_read().unwrap().open_table(META).unwrap();
    meta.get("format").unwrap().map(|named| named.value().to_owned())
}

/// Lets the file say this of its format.
fn name(dir: &std::path::Path, format: Option<&str>) {
    let transaction = open(dir).begin_write().unwrap();
    {
        let mut meta = transaction.open_table(META).unwrap();
        match format {
            Some(format) => drop(meta.insert("format", format).unwrap()),
            None => drop(meta.remove("format").unwrap()),
        }
    }
    transaction.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_embedded_store_it_is_the_same() {
    let dir = data_dir();
    let setup = Setup::embedded(dir.path());
    let mut replica = setup.start().await;
    let client = Client::register(&replica).await;
    client.make_webhook(&replica, json!({"id": "kept"})).await;
    replica.kill();
    for forgets in [false, true] {
        assert_eq!(named(dir.path()).as_deref(), Some("1"));
        if forgets {
            name(dir.path(), None);
        }
        let mut replica = setup.start().await;
        let channels = expect(client.get(&replica, "/channels").await, 200).await;
        assert_eq!(channels["channels"][0]["id"], "kept");
        replica.kill();
    }
    assert_eq!(named(dir.path()).as_deref(), Some("1"));
    name(dir.path(), Some("2"));
    assert_will_not_start(&setup).await;
    assert_eq!(named(dir.path()).as_deref(), Some("2"));
}
