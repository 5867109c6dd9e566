//! What is kept, for how many, and the cursors by which it is read.

use std::collections::HashSet;

use chaos_relay::domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::support::client::{Client, contents, expect};
use crate::support::relay::{Replica, Setup};

async fn responses(replica: &Replica, channel: &str, query: &str) -> Value {
    let answer = reqwest::get(format!("{}/responses/{channel}{query}", replica.url())).await.unwrap();
    expect(answer, 200).await
}

/// Makes sure that these are written as the contract says, and that each is after the one before.
fn strictly_increase(messages: &[Value]) {
    let times: Vec<&str> = messages.iter().map(|message| message["timestamp"].as_str().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    for time in times {
        assert_eq!(Timestamp::parse(time).unwrap().to_string(), time);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_500_messages_are_kept_and_read_in_pages_of_100() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let mut ids = Vec::new();
    for n in 0..510 {
        ids.push(json!(webhook.deliver(if n % 2 == 0 { &a } else { &b }, &n.to_string()).await));
    }
    let (mut kept, mut query, mut pages) = (Vec::new(), String::new(), Vec::new());
    loop {
        let page = client.poll(&b, &query).await;
        let messages = page["messages"].as_array().unwrap().clone();
        assert_eq!(page["since"], messages.last().unwrap()["timestamp"]);
        pages.push((messages.len(), page["more"].clone()));
        kept.extend(messages);
        if page["more"] != json!(true) {
            break;
        }
        query = format!("?since={}", page["since"].as_str().unwrap());
    }
    let full = (100, json!(true));
    assert_eq!(pages, [full.clone(), full.clone(), full.clone(), full, (100, json!(null))]);
    assert_eq!(kept.iter().map(|message| message["id"].clone()).collect::<Vec<_>>(), ids[10..]);
    strictly_increase(&kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_as_many_messages_as_were_asked_for() {
    let replica = Setup::on_redis().start().await;
    let client = Client::register(&replica).await;
    let webhook = client.make_webhook(&replica, json!({})).await;
    for n in 0..5 {
        webhook.deliver(&replica, &n.to_string()).await;
    }
    for (limit, count, more) in [(1, 1, json!(true)), (4, 4, json!(true)), (5, 5, json!(null)), (100, 5, json!(null))] {
        let page = client.poll(&replica, &format!("?limit={limit}")).await;
        assert_eq!((page["messages"].as_array().unwrap().len(), &page["more"]), (count, &more), "limit {limit}");
        assert_eq!(page["messages"][0]["content"], "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_misses_nothing_while_messages_come_in_on_two_replicas() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let write = async |replica: &Replica, name: &str| {
        let mut ids = Vec::new();
        for n in 0..100 {
            ids.push(webhook.deliver(replica, &format!("{name} {n}")).await);
        }
        ids
    };
    let walk = async {
        let (mut seen, mut query) = (Vec::<Value>::new(), "?limit=7".to_owned());
        // Each turn goes on from the last one's cursor, whether or not it brought anything.
        while seen.len() < 300 {
            let replica = if seen.len() % 2 == 0 { &b } else { &a };
            let page = client.poll(replica, &query).await;
            seen.extend(page["messages"].as_array().unwrap().iter().cloned());
            query = format!("?limit=7&since={}", page["since"].as_str().unwrap());
        }
        seen
    };
    let walk = tokio::time::timeout(crate::support::DEADLINE, walk);
    let (x, y, z, seen) = tokio::join!(write(&a, "x"), write(&b, "y"), write(&b, "z"), walk);
    let seen = seen.expect("all messages within the deadline");
    strictly_increase(&seen);
    let found: HashSet<String> = seen.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, x.into_iter().chain(y).chain(z).collect());
    for name in ["x", "y", "z"] {
        let own: Vec<&str> = contents(&seen).into_iter().filter(|content| content.starts_with(name)).collect();
        assert_eq!(
            own,
            (0..100).map(|n| format!("{name} {n}")).collect::<Vec<_>>(),
            "one sender's messages keep their order"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_of_an_empty_page_misses_nothing() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    for n in 0..50 {
        let empty = client.poll(&a, "?since=2999-01-01T00:00:00Z").await;
        assert_eq!((&empty["messages"], &empty["more"]), (&json!([]), &json!(null)));
        let after = responses(&b, &webhook.id, "?since=2999-01-01T00:00:00Z").await;
        let id = webhook.deliver(&b, "next").await;
        let next = client.poll(&a, &format!("?since={}", empty["since"].as_str().unwrap())).await;
        assert_eq!(
            (next["messages"].as_array().unwrap().len(), &next["messages"][0]["id"]),
            (1, &json!(id)),
            "round {n}"
        );
        let id = client.reply(&a, &webhook.id, "reply").await;
        let next = responses(&b, &webhook.id, &format!("?since={}", after["since"].as_str().unwrap())).await;
        assert_eq!(
            (next["responses"].as_array().unwrap().len(), &next["responses"][0]["id"]),
            (1, &json!(id)),
            "round {n}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_may_be_any_rfc_3339_timestamp() {
    let replica = Setup::on_redis().start().await;
    let client = Client::register(&replica).await;
    let webhook = client.make_webhook(&replica, json!({})).await;
    for content in ["one", "two"] {
        webhook.deliver(&replica, content).await;
    }
    let first = client.poll(&replica, "?limit=1").await["since"].as_str().unwrap().to_owned();
    let at = Timestamp::parse(&first).unwrap();
    let moved = Timestamp::from_millis(at.millis() + 2 * 3600 * 1000).to_string();
    for same in [
        first.clone(),
        first.replace('Z', "%2B00:00"),
        first.replace('Z', "999999Z"),
        moved.replace('Z', "%2B02:00"),
        moved.replace('Z', "+02:00"),
        first.to_lowercase(),
    ] {
        let page = client.poll(&replica, &format!("?since={same}")).await;
        assert_eq!(contents(page["messages"].as_array().unwrap()), ["two"], "{same}");
    }
    let before = Timestamp::from_millis(at.millis() - 1);
    for all in
        ["", "?since=", "?since=1970-01-01T00:00:00Z", "?since=0000-01-01T00:00:00Z", &format!("?since={before}")]
    {
        let page = client.poll(&replica, all).await;
        assert_eq!(contents(page["messages"].as_array().unwrap()), ["one", "two"], "{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_100_responses_of_a_channel_are_kept() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let other = client.make_webhook(&a, json!({})).await;
    client.reply(&a, &other.id, "elsewhere").await;
    for n in 0..105 {
        client.reply(if n % 2 == 0 { &a } else { &b }, &webhook.id, &n.to_string()).await;
    }
    let page = responses(&b, &webhook.id, "").await;
    let kept = page["responses"].as_array().unwrap();
    assert_eq!(contents(kept), (5..105).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!((&page["since"], &page["more"]), (&kept[99]["timestamp"], &json!(null)));
    strictly_increase(kept);
    let rest = responses(&a, &webhook.id, &format!("?since={}", kept[59]["timestamp"].as_str().unwrap())).await;
    assert_eq!(rest["responses"].as_array().unwrap(), &kept[60..]);
    let elsewhere = responses(&a, &other.id, "").await;
    assert_eq!(contents(elsewhere["responses"].as_array().unwrap()), ["elsewhere"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_responses_outlive_the_replicas() {
    let setup = Setup::on_redis();
    let first = setup.start().await;
    let client = Client::register_signed(&first).await;
    let webhook = client.make_webhook(&first, json!({})).await;
    webhook.deliver(&first, "before").await;
    client.reply(&first, &webhook.id, "answer").await;
    drop(first);
    let second = setup.start().await;
    webhook.deliver(&second, "after").await;
    assert_eq!(contents(&client.poll_all(&second).await), ["before", "after"]);
    let page = responses(&second, &webhook.id, "").await;
    assert_eq!(contents(page["responses"].as_array().unwrap()), ["answer"]);
}
