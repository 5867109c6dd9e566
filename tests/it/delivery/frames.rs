//! What becomes of a reply is told on every socket of the session, and `GET /replies` says the same.

use serde_json::json;

use super::fate::{becomes, fate, listen, status, told};
use super::line::{Fault, Line, hasty};
use crate::support::client::{Client, expect};
use crate::support::cluster::RedisCluster;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::telegram::Refusal;
use crate::support::platforms::{Misbehaviour, Rule, telegram};
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;

fn refuse(refusal: Refusal) -> Misbehaviour<telegram::Refusal> {
    Misbehaviour::Refuse(refusal)
}

/// The next frame on both sockets, which must tell the same of this reply as either replica when it is asked.
async fn both_are_told(
    sockets: &mut [Socket; 2],
    agent: &Client,
    replicas: [&Replica; 2],
    line: &Line,
    id: &str,
) -> (String, u64, Option<String>) {
    let [first, second] = sockets;
    let told = [told(first, &line.id, id).await, told(second, &line.id, id).await];
    assert_eq!(told[0], told[1]);
    for replica in replicas {
        let shown = status(agent, replica, id).await;
        assert_eq!((&shown["responseId"], &shown["channelId"]), (&json!(id), &json!(line.id)));
        assert_eq!(fate(&shown), told[0]);
    }
    told[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failed_try_and_the_end_are_told_on_the_sockets_of_every_replica() {
    let platforms = Platforms::start().await;
    let [a, b] = hasty(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register_signed(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let other = Client::register(&b).await;
    let mut sockets = [listen(&agent, &a).await, listen(&agent, &b).await];
    let mut others = listen(&other, &b).await;

    line.fault(Fault::Hang, 1, None);
    let id = line.reply(&agent, &b, 0, "late").await;
    line.was_called(0, 1).await;
    assert_eq!(fate(&status(&agent, &a, &id).await), ("pending".to_owned(), 0, None));
    let (state, attempts, error) = both_are_told(&mut sockets, &agent, [&a, &b], &line, &id).await;
    assert_eq!((state.as_str(), attempts), ("retrying", 1));
    assert_eq!(error.as_deref(), Some("the platform did not answer within 2 seconds"));
    let told = both_are_told(&mut sockets, &agent, [&a, &b], &line, &id).await;
    assert_eq!(told, ("delivered".to_owned(), 2, None));

    platforms.telegram.misbehave_on("sendMessage", refuse(Refusal::Blocked));
    let id = line.reply(&agent, &a, 0, "never").await;
    let (state, attempts, error) = both_are_told(&mut sockets, &agent, [&a, &b], &line, &id).await;
    assert_eq!((state.as_str(), attempts), ("failed", 1));
    assert_eq!(error.as_deref(), Some("Forbidden: bot was blocked by the user"));

    let id = line.reply(&agent, &a, 0, "at once").await;
    let told = both_are_told(&mut sockets, &agent, [&a, &b], &line, &id).await;
    assert_eq!(told, ("delivered".to_owned(), 1, None));
    for socket in &mut sockets {
        socket.nothing_more().await;
    }
    others.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_session_itself_is_told_what_became_of_a_reply() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let id = line.reply(&agent, &a, 0, "private").await;
    becomes(&agent, &a, &id, "delivered").await;

    let other = Client::register(&a).await;
    let unknown = "4e4f6ad5-93ab-4c5d-8f1c-6d0d3f1ec0a5";
    for (client, path) in
        [(&other, id.as_str()), (&agent, unknown), (&agent, "x"), (&agent, line.id.as_str()), (&agent, "%20")]
    {
        let refused = expect(client.get(&a, &format!("/replies/{path}")).await, 404).await;
        assert_eq!(refused["code"], "unknown_response", "{path}");
    }
    // The replies of a platform's channel are private: who knows its id learns nothing.
    let responses = reqwest::get(format!("{}/responses/{}", a.url(), line.id)).await.unwrap();
    expect(responses, 404).await;
}

async fn a_reply_to_a_webhook_is_stored_and_told_of_by_nothing_but_its_ack(setup: Setup) {
    let replica = setup.start().await;
    let agent = Client::register(&replica).await;
    let webhook = agent.make_webhook(&replica, json!({})).await;
    let mut socket = listen(&agent, &replica).await;
    let id = agent.reply(&replica, &webhook.id, "for whoever asks").await;
    let expected = json!({"responseId": id, "channelId": webhook.id, "status": "stored", "attempts": 0});
    assert_eq!(status(&agent, &replica, &id).await, expected);
    socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_a_webhook_is_stored_and_told_of_by_nothing_but_its_ack_on_redis() {
    a_reply_to_a_webhook_is_stored_and_told_of_by_nothing_but_its_ack(Setup::on_redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_a_webhook_is_stored_and_told_of_by_nothing_but_its_ack_on_the_embedded_store() {
    let dir = crate::support::relay::data_dir();
    a_reply_to_a_webhook_is_stored_and_told_of_by_nothing_but_its_ack(Setup::embedded(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_every_user_is_told_wherever_they_are_kept() {
    let cluster = RedisCluster::start().await;
    let platforms = Platforms::start().await;
    let [a, b] = platforms.known_to(Setup::on(&cluster.url(), "chaos:")).start_many().await;
    platforms.lead_to(&[&a, &b]);
    // Enough that users lie on each of the masters, but for a rare chance.
    for n in 0..18 {
        let agent = Client::register([&a, &b][n % 2]).await;
        let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
        let mut socket = listen(&agent, &b).await;
        let delivered = line.reply(&agent, &a, 0, "one").await;
        assert_eq!(told(&mut socket, &line.id, &delivered).await, ("delivered".to_owned(), 1, None));
        let refusal = Rule::new(refuse(Refusal::Blocked)).on("sendMessage");
        platforms.telegram.rule(refusal.when(|call| call.body["text"] == "two"));
        let failed = line.reply(&agent, &b, 0, "two").await;
        assert_eq!(told(&mut socket, &line.id, &failed).await.0, "failed");
        line.fault(Fault::Status(502), 1, Some(0));
        let retried = line.reply(&agent, &a, 0, "three").await;
        assert_eq!(told(&mut socket, &line.id, &retried).await.0, "retrying");
        assert_eq!(status(&agent, &a, &retried).await["status"], "retrying");
    }
}
