//! Channels: making, listing, changing and deleting them, on any replica.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::client::{Client, Webhook, contents, expect};
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup};
use crate::support::secrets;

async fn create(client: &Client, replica: &Replica, body: Value) -> Value {
    let answer = expect(client.post(replica, "/channels", &body).await, 201).await;
    secrets::note(answer["channel"]["metadata"]["webhookSecret"].as_str().unwrap());
    answer
}

async fn delete(client: &Client, replica: &Replica, id: &str) -> Response {
    client.send(replica, Method::DELETE, &format!("/channels/{id}"), &json!({})).await
}

async fn list(client: &Client, replica: &Replica) -> Vec<Value> {
    expect(client.get(replica, "/channels").await, 200).await["channels"].as_array().unwrap().clone()
}

async fn responses(replica: &Replica, id: &str) -> Response {
    reqwest::get(format!("{}/responses/{id}", replica.url())).await.unwrap()
}

/// A secret that begins with this, different in each run so that it is not found in a log by chance.
fn secret(name: &str) -> String {
    let secret = format!("{name}-{}", uuid::Uuid::new_v4());
    secrets::note(&secret);
    secret
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_of_no_settings_has_the_defaults_and_a_url_that_works() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register_signed(&a).await;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let answer = create(&client, &a, json!({})).await;
        let channel = &answer["channel"];
        let (id, secret) = (channel["id"].as_str().unwrap(), channel["metadata"]["webhookSecret"].as_str().unwrap());
        let expected = json!({"id": id, "type": "webhook", "direction": "inbound", "agentId": "", "enabled": true,
                              "metadata": {"webhookSecret": secret}});
        assert_eq!(channel, &expected);
        // 128 random bits take at least 22 characters of base64.
        assert!(secret.len() >= 22 && seen.insert(secret.to_owned()) && seen.insert(id.to_owned()));
        let url = answer["webhookUrl"].as_str().unwrap();
        assert_eq!(url, format!("{}/webhook/{id}?token={secret}", a.url()));
        expect(reqwest::Client::new().post(url).body("hello").send().await.unwrap(), 200).await;
        assert!(list(&client, &b).await.contains(&expected));
    }
    assert_eq!(list(&client, &b).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_is_kept_and_listed_to_its_owner_alone() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let settings = json!({
        "id": "all-of_It", "type": "webhook", "name": "Door bell ä", "prompt": "Say who is there.\nBe brief.", "agentId": "butler",
        "direction": "bidirectional", "enabled": false, "runInBackground": true, "notifyOnComplete": false,
        "metadata": {"webhookSecret": secret("chosen"), "colour": "red", "allowedUsers": [1, "two"], "deep": {"a": [null]}},
    });
    let made = create(&client, &a, settings.clone()).await["channel"].clone();
    assert_eq!(made, settings);
    assert_eq!(list(&client, &b).await, [settings]);
    assert_eq!(list(&Client::register(&b).await, &a).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_url_starts_what_is_given_out() {
    let setup = Setup::on_redis();
    let open = setup.start().await;
    let client = Client::register(&open).await;
    let body = json!({"id": "c", "metadata": {"webhookSecret": secret("url")}}).to_string();
    let url = async |replica: &Replica, headers: &[(&str, &str)]| {
        let request = client.request(replica, Method::POST, "/channels", body.as_bytes());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = expect(request.send().await.unwrap(), 201).await;
        answer["webhookUrl"].as_str().unwrap().split_once("/webhook/c?token=").unwrap().0.to_owned()
    };
    let forwarded = [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https")];
    assert_eq!(url(&open, &forwarded).await, open.url());
    assert_eq!(url(&open, &[("Host", "relay.lan:8787")]).await, "http://relay.lan:8787");
    let behind = setup.clone().with("CHAOS_TRUSTED_PROXIES", "127.0.0.1").start().await;
    assert_eq!(url(&behind, &forwarded).await, "https://evil.example");
    let public = setup.with("CHAOS_PUBLIC_URL", "https://relay.example/base/").start().await;
    assert_eq!(url(&public, &forwarded).await, "https://relay.example/base");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_the_same_url_back_after_deletion_and_after_a_loss_of_data() {
    let server = RedisServer::start();
    let replica = Setup::on_server(&server).start().await;
    let client = Client::register_signed(&replica).await;
    let body = json!({"id": "public_Name-1", "metadata": {"webhookSecret": secret("recreated")}});
    let first = create(&client, &replica, body.clone()).await;
    expect(delete(&client, &replica, "public_Name-1").await, 200).await;
    assert_eq!(create(&client, &replica, body.clone()).await, first);

    server.cli(&["FLUSHALL"]);
    expect(client.get(&replica, "/channels").await, 401).await;
    let key = chaos_relay::domain::public_key::KeyPair::from_bytes(&client.key.as_ref().unwrap().to_bytes());
    let again = Client::register_with(&replica, key).await;
    assert_eq!(again.user_id, client.user_id);
    assert_eq!(create(&again, &replica, body).await, first);
    let url = first["webhookUrl"].as_str().unwrap();
    expect(reqwest::Client::new().post(url).body("hello").send().await.unwrap(), 200).await;
    assert_eq!(contents(&again.poll_all(&replica).await), ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_ones_own_channel_replaces_it_and_keeps_its_messages() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let (old, new) = (secret("old"), secret("new"));
    let before = json!({"id": "c", "name": "old name", "prompt": "p", "enabled": true, "metadata": {"webhookSecret": old, "x": 1}});
    create(&client, &a, before).await;
    let hook = |secret: &String| Webhook { id: "c".to_owned(), secret: secret.clone() };
    hook(&old).deliver(&b, "kept").await;
    let after = create(&client, &a, json!({"id": "c", "agentId": "new", "metadata": {"webhookSecret": new}})).await;
    let expected = json!({"id": "c", "type": "webhook", "direction": "inbound", "agentId": "new", "enabled": true,
                          "metadata": {"webhookSecret": new}});
    assert_eq!(after["channel"], expected);
    assert_eq!(list(&client, &b).await, [expected]);
    for replica in [&a, &b] {
        expect(hook(&old).post(replica, "refused").await.unwrap(), 401).await;
        hook(&new).deliver(replica, "taken").await;
    }
    assert_eq!(contents(&client.poll_all(&a).await), ["kept", "taken", "taken"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_another_session_is_refused_and_nothing_changes_there() {
    let [a, b] = Setup::on_redis().start_many().await;
    let (owner, other) = (Client::register_signed(&a).await, Client::register(&b).await);
    let settings = json!({"id": "mine", "name": "first", "metadata": {"webhookSecret": secret("owner")}});
    create(&owner, &a, settings).await;
    let before = list(&owner, &a).await;
    let webhook =
        Webhook { id: "mine".to_owned(), secret: before[0]["metadata"]["webhookSecret"].as_str().unwrap().to_owned() };
    owner.reply(&a, "mine", "answer").await;
    let theirs =
        json!({"id": "mine", "name": "stolen", "enabled": false, "metadata": {"webhookSecret": secret("thief")}});
    for replica in [&a, &b] {
        let refusal = expect(other.post(replica, "/channels", &theirs).await, 409).await;
        assert_eq!(refusal["code"], "channel_taken");
        assert!(!refusal.to_string().contains(&owner.user_id));
        let path = "/channels/mine";
        expect(other.send(replica, Method::PATCH, path, &json!({"enabled": false})).await, 404).await;
        expect(delete(&other, replica, "mine").await, 404).await;
        expect(other.post(replica, "/channels/mine/pairing-code", &json!({})).await, 404).await;
        expect(other.post(replica, "/typing", &json!({"channelId": "mine"})).await, 404).await;
        let refusal = other.post(replica, "/reply", &json!({"channelId": "mine", "content": "x"})).await;
        assert!(expect(refusal, 404).await["error"].as_str().unwrap().contains("mine"));
    }
    assert_eq!(list(&other, &a).await, Vec::<Value>::new());
    for replica in [&a, &b] {
        assert_eq!(list(&owner, replica).await, before);
        webhook.deliver(replica, "hello").await;
        let answers = expect(responses(replica, "mine").await, 200).await;
        assert_eq!(contents(answers["responses"].as_array().unwrap()), ["answer"]);
    }
    assert_eq!(contents(&owner.poll_all(&b).await), ["hello", "hello"]);
    assert!(other.poll_all(&b).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sessions_that_want_one_id_at_once_one_gets_it() {
    let replicas: [Replica; 2] = Setup::on_redis().start_many().await;
    let clients = join_all((0..8).map(|n| Client::register(&replicas[n % 2]))).await;
    for round in 0..5 {
        let body = json!({"id": format!("wanted-{round}")});
        let tries = clients.iter().enumerate().map(|(n, client)| client.post(&replicas[n % 2], "/channels", &body));
        let statuses: Vec<u16> = join_all(tries).await.iter().map(|answer| answer.status().as_u16()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
        for (client, status) in clients.iter().zip(statuses) {
            let has_it = list(client, &replicas[0]).await.iter().any(|channel| channel["id"] == body["id"]);
            assert_eq!(has_it, status == 201);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_frees_the_id_and_takes_the_responses_along() {
    let [a, b] = Setup::on_redis().start_many().await;
    let (first, second) = (Client::register(&a).await, Client::register(&b).await);
    let made = first.make_webhook(&a, json!({"id": "free"})).await;
    // Both replicas come to know whose it is.
    for replica in [&a, &b] {
        made.deliver(replica, "to the first").await;
        first.reply(replica, "free", "by the first").await;
        expect(responses(replica, "free").await, 200).await;
    }
    assert_eq!(expect(delete(&first, &a, "free").await, 200).await, json!({"ok": true}));
    for replica in [&a, &b] {
        expect(made.post(replica, "nobody").await.unwrap(), 404).await;
        expect(responses(replica, "free").await, 404).await;
        expect(delete(&first, replica, "free").await, 404).await;
        expect(first.post(replica, "/reply", &json!({"channelId": "free", "content": "x"})).await, 404).await;
        assert!(list(&first, replica).await.is_empty());
    }
    let taken = second.make_webhook(&b, json!({"id": "free"})).await;
    for replica in [&a, &b] {
        assert_eq!(expect(responses(replica, "free").await, 200).await["responses"], json!([]));
        expect(made.post(replica, "refused").await.unwrap(), 401).await;
        taken.deliver(replica, "to the second").await;
    }
    assert_eq!(contents(&second.poll_all(&a).await), ["to the second", "to the second"]);
    assert_eq!(contents(&first.poll_all(&a).await), ["to the first", "to the first"]);
    // One's own id comes back without its old responses, too.
    second.reply(&a, "free", "by the second").await;
    expect(delete(&second, &a, "free").await, 200).await;
    second.make_webhook(&a, json!({"id": "free"})).await;
    assert_eq!(expect(responses(&b, "free").await, 200).await["responses"], json!([]));
}
