//! Registration and signatures, over several replicas.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chaos_relay::domain::public_key::{KeyPair, PublicKey};
use chaos_relay::domain::signing::signed_text;
use chaos_relay::domain::timestamp::Timestamp;
use futures_util::future::join_all;
use reqwest::{Method, Request, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::client::{Client, expect, signature};
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;

async fn register(replica: &Replica, body: &Value) -> Value {
    let url = format!("{}/auth/register", replica.url());
    expect(reqwest::Client::new().post(url).json(body).send().await.unwrap(), 200).await
}

fn names(value: &Value) -> HashSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A second pair of the same key.
fn again(key: &KeyPair) -> KeyPair {
    KeyPair::from_bytes(&key.to_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_answers_with_a_user_a_key_and_the_relays_own_key() {
    let replica = Setup::on_redis().start().await;
    let mut seen = HashSet::new();
    for body in [json!({}), json!({}), json!({"publicKey": KeyPair::generate().public().to_jwk()})] {
        let answer = register(&replica, &body).await;
        assert_eq!(names(&answer), HashSet::from(["userId", "apiKey", "serverPublicKey"]));
        for name in ["userId", "apiKey"] {
            let text = answer[name].as_str().unwrap();
            assert_eq!(Uuid::parse_str(text).unwrap().as_hyphenated().to_string(), text);
            assert!(seen.insert(text.to_owned()), "{name} is new");
        }
        assert_eq!(names(&answer["serverPublicKey"]), HashSet::from(["kty", "crv", "x", "y"]));
        PublicKey::from_jwk(&answer["serverPublicKey"]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_gets_its_session_back_on_any_replica_and_after_a_restart() {
    let setup = Setup::on_redis();
    let [a, b] = setup.start_many().await;
    let first = Client::register_signed(&a).await;
    let webhook = first.make_webhook(&a, json!({"name": "kept"})).await;
    let key = first.key.as_ref().unwrap();
    let second = Client::register_with(&b, Some(again(key))).await;
    assert_eq!((&second.user_id, &second.api_key), (&first.user_id, &first.api_key));
    // The members that a JWK may have besides do not make another key of it.
    let mut jwk = serde_json::to_value(key.public().to_jwk()).unwrap();
    jwk["key_ops"] = json!(["verify"]);
    jwk["kid"] = json!("mine");
    let dressed = register(&b, &json!({ "publicKey": jwk })).await;
    assert_eq!(dressed["apiKey"], json!(first.api_key));
    drop((a, b));
    let replica = setup.start().await;
    let third = Client::register_with(&replica, Some(again(key))).await;
    assert_eq!((&third.user_id, &third.api_key), (&first.user_id, &first.api_key));
    let channels = expect(third.get(&replica, "/channels").await, 200).await;
    assert_eq!(channels["channels"][0]["id"], json!(webhook.id));
    let other = Client::register_signed(&replica).await;
    assert_ne!((&other.user_id, &other.api_key), (&first.user_id, &first.api_key));
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_register_one_key_at_once_agree() {
    let replicas: [Replica; 2] = Setup::on_redis().start_many().await;
    for _ in 0..5 {
        let key = KeyPair::generate();
        let body = json!({"publicKey": key.public().to_jwk()});
        let answers = join_all((0..12).map(|n| register(&replicas[n % 2], &body))).await;
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
        // What they agree on works everywhere.
        let client = Client::register_with(&replicas[0], Some(key)).await;
        assert_eq!(answers[0]["apiKey"], json!(client.api_key));
        expect(client.get(&replicas[1], "/messages").await, 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relays_own_key_is_one_on_all_replicas_and_survives_them() {
    let setup = Setup::on_redis();
    let replicas: [Replica; 3] = setup.start_many().await;
    let answers =
        join_all(replicas.iter().cycle().take(12).map(|replica| async { register(replica, &json!({})).await })).await;
    let key = answers[0]["serverPublicKey"].clone();
    assert!(answers.iter().all(|answer| answer["serverPublicKey"] == key), "{answers:?}");
    drop(replicas);
    let later = setup.start().await;
    assert_eq!(register(&later, &json!({})).await["serverPublicKey"], key);
    let elsewhere = Setup::on_redis().start().await;
    assert_ne!(register(&elsewhere, &json!({})).await["serverPublicKey"], key, "another deployment has its own");
}

/// The order of the group of P-256.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

/// The other of the two signatures that are valid when one is: `s` taken from the group's order.
fn other_half(signature: &[u8; 64]) -> [u8; 64] {
    let order = hex::decode(ORDER).unwrap();
    let mut other = *signature;
    let mut borrow = 0;
    for n in (0..32).rev() {
        let digit = i32::from(order[n]) - i32::from(signature[32 + n]) - borrow;
        borrow = i32::from(digit < 0);
        other[32 + n] = digit.rem_euclid(256) as u8;
    }
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_with_a_high_and_with_a_low_s_are_both_right() {
    let replica = Setup::on_redis().start().await;
    let client = Client::register_signed(&replica).await;
    for wants_high in [true, false] {
        let (timestamp, nonce) = (Timestamp::now().to_string(), Uuid::new_v4().simple().to_string());
        let raw = client.key.as_ref().unwrap().sign(signed_text(&timestamp, &nonce, "/messages", b"").as_bytes());
        let halves = [raw, other_half(&raw)];
        // Half of the order begins with 7f.
        let [Some(wanted), Some(other)] =
            [wants_high, !wants_high].map(|is_high| halves.iter().find(|half| (half[32] >= 0x80) == is_high))
        else {
            panic!("one is high and one is low: {halves:x?}")
        };
        // The nonce is used up by the first, so the second is refused for nothing but that.
        for (signature, expected) in [(wanted, 200), (other, 401)] {
            let request = reqwest::Client::new()
                .get(format!("{}/messages", replica.url()))
                .bearer_auth(&client.api_key)
                .header("X-Timestamp", &timestamp)
                .header("X-Nonce", &nonce)
                .header("X-Signature", STANDARD.encode(signature));
            let answer = expect(request.send().await.unwrap(), expected).await;
            assert!(expected == 200 || answer["code"] == "nonce_used", "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_can_be_signed_and_the_body_counts_byte_by_byte() {
    let replica = Setup::on_redis().start().await;
    let client = Client::register_signed(&replica).await;
    expect(client.send(&replica, Method::POST, "/channels", &json!({"id": "c"})).await, 201).await;
    expect(client.get(&replica, "/channels").await, 200).await;
    expect(client.get(&replica, "/messages?limit=1&wait=0").await, 200).await;
    let odd = b" {\n\t\"name\" : \"\\u00e4\", \"x\": 1.0e1 }\r\n";
    expect(client.request(&replica, Method::PATCH, "/channels/c", odd).send().await.unwrap(), 200).await;
    expect(client.request(&replica, Method::POST, "/channels/c/pairing-code", b"").send().await.unwrap(), 400).await;
    expect(client.request(&replica, Method::DELETE, "/channels/c", b"").send().await.unwrap(), 200).await;
    expect(client.request(&replica, Method::DELETE, "/channels/c", b"{\"body\":1}").send().await.unwrap(), 404).await;
}

/// A signed poll that can be sent more than once.
fn signed_poll(client: &Client, replica: &Replica, headers: &[(&'static str, String); 3]) -> Request {
    let request = reqwest::Client::new().get(format!("{}/messages", replica.url())).bearer_auth(&client.api_key);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value)).build().unwrap()
}

async fn execute(request: Request) -> Response {
    reqwest::Client::new().execute(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_taken_once_over_all_replicas_and_their_restarts() {
    let setup = Setup::on_redis();
    let [a, b] = setup.start_many().await;
    let client = Client::register_signed(&a).await;
    let headers = signature(client.key.as_ref().unwrap(), "/messages", b"");
    expect(execute(signed_poll(&client, &a, &headers)).await, 200).await;
    for replica in [&a, &b] {
        let refusal = expect(execute(signed_poll(&client, replica, &headers)).await, 401).await;
        assert_eq!(refusal["code"], "nonce_used");
    }
    drop((a, b));
    let c = setup.start().await;
    assert_eq!(expect(execute(signed_poll(&client, &c, &headers)).await, 401).await["code"], "nonce_used");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_request_sent_to_two_replicas_at_once_one_passes() {
    let replicas: [Replica; 2] = Setup::on_redis().start_many().await;
    let client = Client::register_signed(&replicas[0]).await;
    for _ in 0..5 {
        let headers = signature(client.key.as_ref().unwrap(), "/messages", b"");
        let answers = join_all((0..10).map(|n| execute(signed_poll(&client, &replicas[n % 2], &headers)))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status() == 200).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status() == 401).count(), 9);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_used_up_for_every_path_but_for_its_own_session_only() {
    let replica = Setup::on_redis().start().await;
    let (first, second) = (Client::register_signed(&replica).await, Client::register_signed(&replica).await);
    let ask = async |client: &Client, method: Method, path: &str, status: u16| {
        let timestamp = Timestamp::now().to_string();
        let text = signed_text(&timestamp, "the-nonce", path, b"");
        let request = reqwest::Client::new()
            .request(method, format!("{}{path}", replica.url()))
            .bearer_auth(&client.api_key)
            .header("X-Timestamp", timestamp)
            .header("X-Nonce", "the-nonce")
            .header("X-Signature", STANDARD.encode(client.key.as_ref().unwrap().sign(text.as_bytes())));
        expect(request.send().await.unwrap(), status).await
    };
    ask(&first, Method::GET, "/channels", 200).await;
    for (method, path) in [
        (Method::GET, "/messages"),
        (Method::GET, "/replies/x"),
        (Method::POST, "/reply"),
        (Method::POST, "/typing"),
        (Method::POST, "/channels"),
        (Method::PATCH, "/channels/x"),
        (Method::DELETE, "/channels/x"),
        (Method::POST, "/channels/x/pairing-code"),
    ] {
        assert_eq!(ask(&first, method, path, 401).await["code"], "nonce_used", "{path}");
    }
    ask(&second, Method::GET, "/channels", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_does_not_use_up_a_nonce() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register_signed(&a).await;
    let right = signature(client.key.as_ref().unwrap(), "/messages", b"");
    let mut wrong = right.clone();
    wrong[2].1 = STANDARD.encode(KeyPair::generate().sign(b"something"));
    for replica in [&a, &b] {
        let refusal = expect(execute(signed_poll(&client, replica, &wrong)).await, 401).await;
        assert_eq!(refusal["code"], "invalid_signature");
    }
    expect(execute(signed_poll(&client, &b, &right)).await, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_needs_the_api_key_and_no_signature() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register_signed(&a).await;
    client.open(&b, "").await.nothing_more().await;
    for (query, code) in [("", "missing_token"), ("?token=", "missing_token"), ("?token=nobody", "unknown_token")] {
        let Err((status, body)) = Socket::try_open(&format!("{}/ws{query}", b.ws_url())).await else {
            panic!("{query}")
        };
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["code"]), (401, &json!(code)), "{query}");
    }
}

/// Everything that a server holds, names and values.
fn everything(server: &RedisServer) -> String {
    let mut all = String::new();
    for key in server.cli(&["--scan"]).lines() {
        let kind = server.cli(&["TYPE", key]);
        let read: &[&str] = match kind.as_str() {
            "string" => &["GET", key],
            "hash" => &["HGETALL", key],
            "set" => &["SMEMBERS", key],
            "zset" => &["ZRANGE", key, "0", "-1"],
            "list" => &["LRANGE", key, "0", "-1"],
            "stream" => &["XRANGE", key, "-", "+"],
            // It ran out in between.
            "none" => continue,
            other => panic!("{key} is a {other}"),
        };
        all.push_str(&format!("{key}\n{}\n", server.cli(read)));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_the_store_as_it_is() {
    let server = RedisServer::start();
    let replica = Setup::on_server(&server).start().await;
    let (plain, signed) = (Client::register(&replica).await, Client::register_signed(&replica).await);
    let chosen = "a-secret-of-the-client";
    let webhooks = [
        plain.make_webhook(&replica, json!({})).await,
        signed.make_webhook(&replica, json!({"id": "mine", "metadata": {"webhookSecret": chosen}})).await,
    ];
    for (client, webhook) in [&plain, &signed].into_iter().zip(&webhooks) {
        let mut socket = client.open(&replica, "").await;
        webhook.deliver(&replica, "content in the open").await;
        socket.message().await;
        client.reply(&replica, &webhook.id, "reply").await;
        expect(
            client.send(&replica, Method::PATCH, &format!("/channels/{}", webhook.id), &json!({"name": "n"})).await,
            200,
        )
        .await;
    }
    let held = everything(&server);
    // What is no secret is found, so what is one would be.
    for open in [&plain.user_id, &signed.user_id, "content in the open", "mine"] {
        assert!(held.contains(open), "{open}");
    }
    for secret in [&plain.api_key, &signed.api_key, &webhooks[0].secret, &webhooks[1].secret] {
        let bare = Uuid::parse_str(secret).map(|uuid| uuid.simple().to_string()).unwrap_or_else(|_| secret.clone());
        let forms =
            [secret.clone(), bare, hex::encode(secret), STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret)];
        for form in forms {
            assert!(!held.contains(&form), "{secret} is stored as {form}");
        }
    }
}
