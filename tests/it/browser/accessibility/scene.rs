//! A relay on which a lot has happened: every kind of channel, every fate of a reply.

use std::time::Duration;

use serde_json::json;

use crate::delivery::fate::becomes;
use crate::delivery::line::{Fault, Line};
use crate::support::client::{Client, expect};
use crate::support::eventually;
use crate::support::operator::{Operator, with_password};
use crate::support::platforms::Misbehaviour;
use crate::support::platforms::deployment::{Platforms, register, register_bot};
use crate::support::platforms::telegram::Refusal;
use crate::support::proxy::Proxy;
use crate::support::redis;
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;

/// More than a page of the list shows.
const SESSIONS: usize = 55;

pub struct Scene {
    pub replica: Replica,
    pub operator: Operator,
    /// Whose session has nearly everything.
    pub client: Client,
    /// One of its channels.
    pub channel: String,
    /// A reply that failed, on a channel that is disabled by now.
    pub undeliverable: String,
    /// Between the replica and Redis.
    pub proxy: Proxy,
    _other: Replica,
    _sockets: Vec<Socket>,
    _platforms: Platforms,
}

impl Scene {
    pub async fn set() -> Self {
        let (platforms, proxy) = (Platforms::start().await, Proxy::to(redis::shared().port()).await);
        let setup = Setup::on(&proxy.url(), &redis::fresh_prefix());
        let [replica, other] = with_password(platforms.known_to(setup)).start_many().await;
        platforms.lead_to(&[&replica, &other]);
        let client = Client::register_signed(&replica).await;
        let mut sockets = vec![client.open(&replica, "").await, client.open(&other, "").await];
        for _ in 1..SESSIONS {
            let another = Client::register(&other).await;
            another.make_webhook(&other, json!({})).await;
            if sockets.len() < 4 {
                sockets.push(another.open(&other, "").await);
            }
        }
        let channel = webhooks(&client, &replica).await;
        waits_to_be_paired(&platforms, &client, &replica).await;
        talks(&platforms, &client, &replica).await;
        let undeliverable = fails(&platforms, &client, &replica).await;
        let operator = Operator::log_in(&replica).await;
        let answer = operator.send_form(&replica, &format!("/admin/sessions/{}/disconnect", client.user_id), &[]).await;
        assert_eq!(answer.status(), 303);
        let scene = Self {
            replica,
            operator,
            client,
            channel,
            undeliverable,
            proxy,
            _other: other,
            _sockets: sockets,
            _platforms: platforms,
        };
        eventually("the pages show it", || async {
            let overview = scene.operator.page(&scene.replica, "/admin").await;
            overview.contains("It keeps failing").then_some(())
        })
        .await;
        scene
    }
}

/// Makes webhooks that say short things and long ones. Gives the one that says most.
async fn webhooks(client: &Client, replica: &Replica) -> String {
    let hook = client.make_webhook(replica, json!({"name": "CI builds", "agentId": "build-doctor"})).await;
    let long = "The nightly build failed in the step “integration tests”.\n\n    assertion failed: left == right\n";
    for text in ["Build 812 passed", "", &long.repeat(40), "صباح الخير، هل يمكنك إرسال التقرير؟", &"word".repeat(200)]
    {
        hook.deliver(replica, text).await;
    }
    client.reply(replica, &hook.id, "I looked at it: `left` is *3*, and `right` is *4*.").await;
    let settings = json!({"enabled": false, "name": "A name that is so long that it fits into no column of any table"});
    client.make_webhook(replica, settings).await;
    hook.id
}

/// Registers a bot that waits for its code, and a mailbox that waits for its link.
async fn waits_to_be_paired(platforms: &Platforms, client: &Client, replica: &Replica) {
    register_bot(client, replica, "telegram", &platforms.telegram.bot("waiting_bot").token).await;
    register(client, replica, "email", json!({"userEmail": "ana.souza@example.org"})).await;
}

/// On Discord and by mail all goes well. Slack asks for patience: one reply is tried again, another waits behind it.
async fn talks(platforms: &Platforms, client: &Client, replica: &Replica) {
    for platform in ["discord", "email"] {
        let line = Line::open(platforms, client, replica, platform, 1).await;
        let reply = line.reply(client, replica, 0, "All is well.").await;
        becomes(client, replica, &reply, "delivered").await;
    }
    let line = Line::open(platforms, client, replica, "slack", 1).await;
    line.fault(Fault::TooMany(Duration::from_secs(3600)), 0, None);
    let first = line.reply(client, replica, 0, "It keeps trying.").await;
    becomes(client, replica, &first, "retrying").await;
    line.reply(client, replica, 0, "It waits for the other.").await;
}

/// Telegram refuses two replies, and then the token. Gives the reply that is left on the channel.
async fn fails(platforms: &Platforms, client: &Client, replica: &Replica) -> String {
    let line = Line::open(platforms, client, replica, "telegram", 1).await;
    platforms.telegram.misbehave_on("sendMessage", Misbehaviour::Refuse(Refusal::Blocked));
    let first = line.reply(client, replica, 0, "It failed.").await;
    becomes(client, replica, &first, "failed").await;
    let gone = Line::open(platforms, client, replica, "telegram", 1).await;
    platforms.telegram.misbehave_on("sendMessage", Misbehaviour::Refuse(Refusal::Blocked));
    let second = gone.reply(client, replica, 0, "It failed too.").await;
    becomes(client, replica, &second, "failed").await;
    gone.revoke();
    let last = gone.reply(client, replica, 0, "It keeps failing.").await;
    becomes(client, replica, &last, "failed").await;
    expect(line.try_reply(client, replica, 0, "It is delivered.").await, 200).await;
    second
}
