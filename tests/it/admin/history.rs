//! What was said in a session.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::client::{Client, contents, expect};
use crate::support::operator::{Operator, with_password};
use crate::support::relay::{Replica, Setup, data_dir};

async fn read(operator: &Operator, replica: &Replica, user: &str, query: &str) -> Value {
    let path = format!("/admin/sessions/{user}/messages{query}");
    expect(operator.get(replica, &path).await, 200).await
}

async fn both_ways_newest_first_and_every_entry_once(replica: &Replica) {
    let client = Client::register(replica).await;
    let hook = client.make_webhook(replica, json!({})).await;
    let other = client.make_webhook(replica, json!({})).await;
    let mut said = Vec::new();
    for n in 0..12 {
        let webhook = if n % 3 == 0 { &other } else { &hook };
        webhook.deliver(replica, &format!("in {n}")).await;
        client.reply(replica, &webhook.id, &format!("out {n}")).await;
        said.extend([format!("in {n}"), format!("out {n}")]);
    }
    said.reverse();
    let operator = Operator::log_in(replica).await;
    let whole = read(&operator, replica, &client.user_id, "?limit=200").await;
    assert_eq!(contents(whole["messages"].as_array().unwrap()), said);
    assert!(whole.get("cursor").is_none(), "there is no more");
    for message in whole["messages"].as_array().unwrap() {
        let is_out = message["content"].as_str().unwrap().starts_with("out");
        assert_eq!(message["direction"], if is_out { "out" } else { "in" });
        assert_eq!(message["userId"], json!(client.user_id));
        if is_out {
            assert_eq!(message["delivery"]["status"], "stored");
        }
    }
    for limit in [1, 5, 23] {
        let (mut all, mut query) = (Vec::new(), format!("?limit={limit}"));
        loop {
            let page = read(&operator, replica, &client.user_id, &query).await;
            let messages = page["messages"].as_array().unwrap().clone();
            assert!(messages.len() <= limit);
            all.extend(messages);
            let Some(cursor) = page["cursor"].as_str() else { break };
            query = format!("?limit={limit}&cursor={cursor}");
        }
        assert_eq!(contents(&all), said, "limit {limit}");
        let ids: HashSet<_> = all.iter().map(|message| message["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), said.len());
    }
    for (query, count) in [
        ("?direction=in".to_owned(), 12),
        ("?direction=out".to_owned(), 12),
        (format!("?channel={}", other.id), 8),
        (format!("?channel={}&direction=out", hook.id), 8),
    ] {
        let found = read(&operator, replica, &client.user_id, &query).await;
        assert_eq!(found["messages"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_replies_come_newest_first_and_each_once() {
    let replica = with_password(Setup::on_redis()).start().await;
    both_ways_newest_first_and_every_entry_once(&replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_replies_come_newest_first_from_the_embedded_store() {
    let dir = data_dir();
    let replica = with_password(Setup::embedded(dir.path())).start().await;
    both_ways_newest_first_and_every_entry_once(&replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_questions_are_refused_by_name() {
    let replica = with_password(Setup::on_redis()).start().await;
    let client = Client::register(&replica).await;
    let operator = Operator::log_in(&replica).await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "cursor=x",
        "cursor=1.a%20b",
        "cursor=99999999999999999999",
        "direction=up",
        "channel=a%2Fb",
    ] {
        let path = format!("/admin/sessions/{}/messages?{query}", client.user_id);
        let refusal = expect(operator.get(&replica, &path).await, 400).await;
        let name = query.split('=').next().unwrap();
        assert!(refusal["error"].as_str().unwrap().contains(name), "{query}: {refusal}");
    }
    for user in ["00000000-0000-4000-8000-000000000000", "nobody", "%00", "%F0%9F%A6%80"] {
        let refusal = expect(operator.get(&replica, &format!("/admin/sessions/{user}/messages")).await, 404).await;
        assert_eq!(refusal["code"], "unknown_session");
    }
}
