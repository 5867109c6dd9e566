//! The embedded store: one process, one directory, and nothing acknowledged is lost with the process.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};

use crate::conversation::conversation;
use crate::support::client::{Client, Webhook, contents, expect, signature};
use crate::support::eventually;
use crate::support::relay::{Replica, Setup, data_dir};
use crate::support::traffic::{Listener, assert_has_all, assert_in_order};

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_works_as_it_does_on_redis() {
    let dir = data_dir();
    let replica = Setup::embedded(dir.path()).start().await;
    let health = replica.health().await;
    assert_eq!((&health["store"], &health["kv"], &health["status"]), (&json!("embedded"), &json!(true), &json!("ok")));
    conversation(&replica, &replica, &replica).await;
}

/// Posts until the relay is gone; gives the texts that were acknowledged.
async fn post_until_killed(webhook: &Webhook, replica: &Replica, name: &str) -> Vec<String> {
    let mut acknowledged = Vec::new();
    // A session keeps 500 messages, and eight senders share one over all rounds.
    for n in 0..20 {
        let text = format!("{name}, message {n}");
        match webhook.post(replica, &text).await {
            Ok(answer) if answer.status() == 200 => acknowledged.push(text),
            Ok(answer) => panic!("{}: {}", answer.status(), answer.text().await.unwrap()),
            Err(_) => break,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_load_loses_nothing_that_was_acknowledged() {
    const SENDERS: usize = 64;
    const ROUNDS: usize = 3;
    let dir = data_dir();
    let setup = Setup::embedded(dir.path());
    let mut replica = setup.start().await;
    let mut users = Vec::new();
    for _ in 0..SENDERS / 8 {
        let client = Client::register(&replica).await;
        let webhook = client.make_webhook(&replica, json!({})).await;
        users.push((client, webhook, Vec::<String>::new(), Vec::<Value>::new()));
    }
    for round in 0..ROUNDS {
        // Sockets go on from what they saw before the kill.
        let listeners = join_all(users.iter().map(|(client, _, _, heard)| {
            let since = heard.last().map(|message| format!("&since={}", message["timestamp"].as_str().unwrap()));
            let (replica, query) = (&replica, since.unwrap_or_default());
            async move { Listener::on(client.open(replica, &query).await) }
        }))
        .await;
        let senders = join_all((0..SENDERS).map(|n| {
            let (user, name) = (&users[n % users.len()], format!("round {round}, sender {n}"));
            let replica = &replica;
            async move { post_until_killed(&user.1, replica, &name).await }
        }));
        let kill = async {
            eventually("half of the messages were heard", || async {
                let heard: usize = listeners.iter().map(|listener| listener.heard().len()).sum();
                (heard >= (SENDERS * 20) / 2).then_some(())
            })
            .await;
            replica.signal("KILL");
        };
        let (acknowledged, ()) = tokio::join!(senders, kill);
        let total: usize = acknowledged.iter().map(Vec::len).sum();
        assert!(total < SENDERS * 20, "the kill came too late to hit anything");
        let users_count = users.len();
        for (n, texts) in acknowledged.into_iter().enumerate() {
            users[n % users_count].2.extend(texts);
        }
        for (listener, user) in listeners.iter().zip(&mut users) {
            user.3.extend(listener.heard());
        }
        replica.kill();
        replica = setup.start().await;
        for (client, _, acknowledged, _) in &users {
            let messages = client.poll_all(&replica).await;
            assert_in_order(&messages);
            assert_has_all(&messages, acknowledged);
        }
    }
    for (client, webhook, acknowledged, mut heard) in users {
        let since = heard.last().unwrap()["timestamp"].as_str().unwrap().to_owned();
        webhook.deliver(&replica, "the last").await;
        let mut socket = client.open(&replica, &format!("&since={since}")).await;
        while heard.last().unwrap()["content"] != "the last" {
            heard.push(socket.message().await);
        }
        assert_in_order(&heard);
        assert_has_all(&heard, &acknowledged);
        // What the sockets were shown over all restarts is what is stored.
        assert_eq!(client.poll_all(&replica).await, heard);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_directory_is_refused_with_a_clear_sentence() {
    let dir = data_dir();
    let setup = Setup::embedded(dir.path());
    let mut first = setup.start().await;
    let mut second = setup.command();
    let second = tokio::task::spawn_blocking(move || second.output().unwrap());
    let output = tokio::time::timeout(crate::support::DEADLINE, second).await.expect("it ends").unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = [output.stderr, output.stdout].map(|pipe| String::from_utf8(pipe).unwrap()).concat();
    assert!(said.contains("another relay is using the data directory"), "{said}");
    assert!(said.contains(dir.path().to_str().unwrap()), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    // The first did not notice, and a kill leaves no lock behind.
    Client::register(&first).await;
    first.kill();
    let third = setup.start().await;
    Client::register(&third).await;
}

/// Registers with the client's key and gives the whole answer.
async fn registration(client: &Client, replica: &Replica) -> Value {
    let body = json!({"publicKey": client.key.as_ref().unwrap().public().to_jwk()});
    let answer = reqwest::Client::new().post(format!("{}/auth/register", replica.url())).json(&body).send().await;
    expect(answer.unwrap(), 200).await
}

/// The same signed request every time it is called.
struct Replay(Vec<(&'static str, String)>, String);

impl Replay {
    fn of(client: &Client) -> Self {
        let headers = signature(client.key.as_ref().unwrap(), "/channels", b"");
        Self(headers.into(), client.api_key.clone())
    }

    async fn send(&self, replica: &Replica) -> Response {
        let request = reqwest::Client::new().get(format!("{}/channels", replica.url())).bearer_auth(&self.1);
        self.0.iter().fold(request, |request, (name, value)| request.header(*name, value)).send().await.unwrap()
    }
}

async fn post_once(webhook: &Webhook, replica: &Replica) -> Value {
    let request = reqwest::Client::new().post(format!("{}{}", replica.url(), webhook.path()));
    expect(request.header("Idempotency-Key", "only once").body("once").send().await.unwrap(), 200).await
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_survives_a_restart_whether_the_process_was_stopped_or_killed() {
    let dir = data_dir();
    let setup = Setup::embedded(dir.path());
    let mut replica = setup.start().await;
    let client = Client::register_signed(&replica).await;
    let registered = registration(&client, &replica).await;
    let settings = json!({"name": "door bell", "prompt": "Answer it.", "direction": "bidirectional"});
    let webhook = client.make_webhook(&replica, settings).await;
    let gone = client.make_webhook(&replica, json!({})).await;
    let path = format!("/channels/{}", gone.id);
    expect(client.send(&replica, reqwest::Method::DELETE, &path, &json!({})).await, 200).await;
    let channels = expect(client.get(&replica, "/channels").await, 200).await;
    let first = post_once(&webhook, &replica).await;
    let response = client.reply(&replica, &webhook.id, "coming").await;
    let replay = Replay::of(&client);
    assert_eq!(replay.send(&replica).await.status(), 200);
    let messages = client.poll_all(&replica).await;

    for is_stopped in [true, false] {
        if is_stopped {
            replica.signal("TERM");
            assert!(replica.ended().await, "{}", replica.log());
        } else {
            replica.kill();
        }
        replica = setup.start().await;
        assert_eq!(registration(&client, &replica).await, registered);
        assert_eq!(expect(client.get(&replica, "/channels").await, 200).await, channels);
        assert_eq!(client.poll_all(&replica).await, messages);
        let responses = reqwest::get(format!("{}/responses/{}", replica.url(), webhook.id)).await.unwrap();
        let responses = expect(responses, 200).await;
        assert_eq!(contents(responses["responses"].as_array().unwrap()), ["coming"]);
        let status = client.get(&replica, &format!("/replies/{response}")).await;
        assert_eq!(expect(status, 200).await["status"], "stored");
        // What was used up stays used up, what was deleted stays deleted, a wrong secret stays wrong.
        assert_eq!(expect(replay.send(&replica).await, 401).await["code"], "nonce_used");
        let again = post_once(&webhook, &replica).await;
        assert_eq!((&again["messageId"], &again["duplicate"]), (&first["messageId"], &json!(true)));
        assert_eq!(gone.post(&replica, "hello?").await.unwrap().status(), 404);
        let stranger = Webhook { id: webhook.id.clone(), secret: gone.secret.clone() };
        assert_eq!(stranger.post(&replica, "let me in").await.unwrap().status(), 401);
    }
    let mut socket = client.open(&replica, "").await;
    assert_eq!(socket.content().await, "once");
    webhook.deliver(&replica, "still at work").await;
    assert_eq!(socket.content().await, "still at work");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_the_data_directory_are_for_its_owner_only() {
    let parent = data_dir();
    let dir = parent.path().join("made by the relay");
    let replica = Setup::embedded(&dir).start().await;
    let client = Client::register_signed(&replica).await;
    let webhook = client.make_webhook(&replica, json!({})).await;
    assert_eq!(mode(&dir.join("encryption.key")), 0o600);
    assert_eq!(mode(&dir), 0o700);
    for file in std::fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let bytes = std::fs::read(&path).unwrap();
        for secret in [&client.api_key, &webhook.secret] {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{} holds a secret in the clear", path.display());
        }
    }
}
