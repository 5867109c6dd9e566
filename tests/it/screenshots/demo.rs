//! A deployment as it could be anywhere: people, bots and machines, and an hour of what they said.

use std::sync::Arc;
use std::time::Duration;

use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::Store;
use chaos_relay::store::operator::{Beat, Counts};
use reqwest::Method;
use serde_json::{Value, json};

use crate::delivery::fate::becomes;
use crate::pulse::store_of;
use crate::support::client::{Client, expect};
use crate::support::eventually;
use crate::support::operator::{Operator, with_password};
use crate::support::platforms::Misbehaviour;
use crate::support::platforms::deployment::{Platforms, register};
use crate::support::platforms::resend::Mail;
use crate::support::platforms::telegram::{Bot, Person, Refusal};
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;

const PODS: [&str; 3] =
    ["chaos-relay-6f7c9d8b54-2kqxw", "chaos-relay-6f7c9d8b54-8zv5m", "chaos-relay-6f7c9d8b54-tn4lc"];
/// Over which time that is spread what the demonstration does within seconds, in milliseconds.
const HOUR: u64 = 52 * 60 * 1000;
/// The same for the making of sessions.
const DAYS: u64 = 12 * DAY;
const DAY: u64 = 24 * 60 * 60 * 1000;
/// Between two things that happen, so that their order shows.
const PAUSE: Duration = Duration::from_millis(30);

/// Other sessions: the name of their webhook, its agent, who posts there, and what.
const OTHERS: [(&str, &str, &str, &[&str]); 9] = [
    (
        "Uptime",
        "on-call",
        "uptime-kuma",
        &["shop.example.com is back after 2 min 14 s", "Certificate of api.example.com: 21 days left"],
    ),
    ("Doorbell", "house", "home-assistant", &["Somebody is at the door", "The parcel box was opened"]),
    ("Backups", "keeper", "restic", &["Snapshot 7f3ab210 saved: 41.2 GiB, 312 files new"]),
    (
        "Build results",
        "build-doctor",
        "github",
        &["relay: build 812 passed in 3 min 41 s", "relay: build 813 failed in the step “integration tests”"],
    ),
    (
        "Orders",
        "shop-assistant",
        "shop",
        &["Order 20417: 2 × Ceylon tea, express", "Order 20418: 1 × teapot, gift wrap"],
    ),
    ("Greenhouse", "gardener", "esp32", &["Soil of bed 3 is dry (18 %)"]),
    ("Calendar", "secretary", "caldav", &["Moved: dentist, now Thursday at 8:30"]),
    ("Feeds", "librarian", "miniflux", &["12 new articles in “Distributed systems”"]),
    ("Alerts", "on-call", "alertmanager", &["Resolved: disk of db-2 over 80 %"]),
];

pub struct Demo {
    pub replicas: [Replica; 3],
    pub operator: Operator,
    /// Whose session is in the picture.
    pub ana: Client,
    _sockets: Vec<Socket>,
    _platforms: Platforms,
    _server: RedisServer,
}

impl Demo {
    pub async fn set() -> Self {
        let (server, platforms) = (RedisServer::start(), Platforms::start().await);
        let began = Timestamp::now();
        let setup = with_password(platforms.known_to(Setup::on_server(&server)));
        let replicas = PODS.map(|pod| setup.clone().with("HOSTNAME", pod).start_unready());
        for replica in &replicas {
            eventually("the replica is ready", || async { replica.is_ready().await.then_some(()) }).await;
        }
        platforms.lead_to(&replicas.iter().collect::<Vec<_>>());
        let mut sockets = others(&replicas).await;
        let ana = Client::register_signed(&replicas[0]).await;
        sockets.push(ana.open(&replicas[0], "").await);
        sockets.push(ana.open(&replicas[1], "").await);
        household(&platforms, &ana, &replicas).await;
        let spread = [began.millis(), HOUR, DAYS].map(|number| number.to_string());
        let done = server.cli(&["EVAL", include_str!("hour.lua"), "0", &spread[0], &spread[1], &spread[2]]);
        assert_eq!(done, "OK");
        for replica in &replicas[1..] {
            let id = replica.health().await["replica"].as_str().unwrap()[..8].to_owned();
            stand_for(replica, id, store_of(&setup)).await;
        }
        let operator = Operator::log_in(&replicas[0]).await;
        Self { replicas, operator, ana, _sockets: sockets, _platforms: platforms, _server: server }
    }
}

/// Stops a replica and goes on telling of it, as of one that has been up for days.
async fn stand_for(replica: &Replica, id: String, store: Arc<dyn Store>) {
    let pulse = store.pulse().await.unwrap();
    let mut info = pulse.replicas.into_iter().find(|it| it.info.id == id).expect("a replica is alive").info;
    info.uptime += 5 * DAY;
    replica.signal("STOP");
    let beat = async move {
        let beat = Beat { replica: &info, counts: Counts::default(), recent: &[] };
        while store.beat(&beat).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::spawn(beat);
}

async fn post(replica: &Replica, path: &str, source: &str, text: &str) {
    let request = reqwest::Client::new().post(format!("{}{path}", replica.url()));
    let request = request.header("X-Webhook-Source", source).header("Content-Type", "text/plain");
    expect(request.body(text.to_owned()).send().await.unwrap(), 200).await;
    tokio::time::sleep(PAUSE).await;
}

/// Machines that post, and their agents' answers.
async fn others(replicas: &[Replica]) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for (n, (name, agent, source, texts)) in OTHERS.iter().enumerate() {
        let replica = &replicas[n % replicas.len()];
        let client = Client::register(replica).await;
        if n % 4 != 2 {
            sockets.push(client.open(replica, "").await);
        }
        let hook =
            client.make_webhook(replica, json!({"name": name, "agentId": agent, "direction": "bidirectional"})).await;
        for text in *texts {
            post(replica, &hook.path(), source, text).await;
        }
        client.reply(replica, &hook.id, "Noted. I will look at it and come back to you.").await;
        tokio::time::sleep(PAUSE).await;
    }
    sockets
}

/// Where replies to a person of Telegram go.
fn to(channel: &str, person: &Person, text: &str) -> Value {
    json!({"channelId": channel, "content": text, "metadata": {"chatId": person.id}})
}

async fn reply(client: &Client, replica: &Replica, body: Value, becomes_so: &str) {
    let answer = expect(client.post(replica, "/reply", &body).await, 200).await;
    becomes(client, replica, answer["responseId"].as_str().unwrap(), becomes_so).await;
    tokio::time::sleep(PAUSE).await;
}

async fn change(client: &Client, replica: &Replica, channel: &str, settings: Value) {
    expect(client.send(replica, Method::PATCH, &format!("/channels/{channel}"), &settings).await, 200).await;
}

/// What Ana and her family, colleagues and machines say to her agent, and what it says to them.
async fn household(platforms: &Platforms, ana: &Client, replicas: &[Replica; 3]) {
    let [a, b, c] = replicas;
    let hook = ana.make_webhook(a, json!({"name": "CI builds", "agentId": "build-doctor"})).await;
    let bot = platforms.telegram.bot("casa_souza_bot");
    let body = json!({"botToken": bot.token, "agentId": "house"});
    let family = register(ana, a, "telegram", body).await;
    let (she, he) = (platforms.telegram.person(500_001, "Ana"), platforms.telegram.person(500_002, "Rui"));
    bot.hears(&she, &family.code).await;
    let family = family.id;
    change(ana, a, &family, json!({"name": "Family", "metadata": {"allowedUsers": [she.id, he.id]}})).await;

    let workspace = platforms.slack.workspace();
    let body = json!({"botToken": workspace.token, "signingSecret": workspace.signing_secret, "agentId": "desk"});
    let desk = register(ana, b, "slack", body).await;
    workspace.subscribe(desk.answer["eventsUrl"].as_str().unwrap()).await.unwrap();
    change(ana, b, &desk.id, json!({"name": "Office"})).await;
    let place = workspace.direct_messages("U02MARTA");
    workspace.deliver(&workspace.says("U02MARTA", &place, None, &desk.code)).await.accepted();

    let owner = "ana.souza@example.com";
    let mailbox =
        register(ana, c, "email", json!({"userEmail": owner, "channelName": "Mail", "agentId": "secretary"})).await;
    let sent = platforms.resend.sent();
    let text = sent.last().and_then(|mail| mail.text.clone()).expect("a mail with a link");
    let link = text.split_whitespace().find(|word| word.contains("/email/verify?")).expect("a link");
    assert_eq!(reqwest::Client::new().post(link).send().await.unwrap().status(), 200);
    register(
        ana,
        c,
        "telegram",
        json!({"botToken": platforms.telegram.bot("souza_garden_bot").token, "agentId": "gardener"}),
    )
    .await;

    let said = async |bot: &Bot, person: &Person, text: &str| {
        bot.hears(person, text).await;
        tokio::time::sleep(PAUSE).await;
    };
    post(a, &hook.path(), "github", "relay: build 814 passed in 3 min 38 s").await;
    let address = mailbox.answer["inboundAddress"].as_str().unwrap();
    let mail =
        Mail::new(owner, address, "Train to Porto", "Please find me a train to Porto on Friday, there before noon.");
    platforms.resend.receive(&mail, &platforms.mail_url(), &[&platforms.mail_secret]).await.accepted();
    let answer = json!({
        "channelId": mailbox.id, "content": "The 7:39 arrives at 10:22 and has seats left. Shall I book it?",
        "metadata": {"senderAddress": owner},
    });
    reply(ana, c, answer, "delivered").await;
    said(&bot, &he, "Did the plumber say when he comes?").await;
    reply(ana, a, to(&family, &he, "Yes: tomorrow between 9 and 11. I put it into the calendar."), "delivered").await;
    platforms.telegram.misbehave_on("sendMessage", Misbehaviour::Refuse(Refusal::Blocked));
    said(&bot, &he, "Thanks. Please remind me at 8").await;
    reply(ana, a, to(&family, &he, "It is 8 o'clock: the plumber comes between 9 and 11."), "failed").await;
    let event = workspace.says("U02MARTA", &place, None, "Can you send me the minutes of Monday?");
    workspace.deliver(&event).await.accepted();
    platforms
        .slack
        .misbehave_on("chat.postMessage", Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(600) });
    let answer = json!({
        "channelId": desk.id, "content": "Here they are: https://docs.example.com/minutes/monday",
        "metadata": {"slackChannelId": place},
    });
    reply(ana, b, answer, "retrying").await;
    post(a, &hook.path(), "github", "relay: build 815 failed in the step “integration tests”").await;
    said(&bot, &she, "Is the washing machine done?").await;
    reply(ana, a, to(&family, &she, "Not yet, 12 more minutes. I will tell you."), "delivered").await;
    said(&bot, &she, "And what is missing for dinner?").await;
    let list =
        "For the risotto:\n• 400 g of rice\n• 1 lemon\n• parmesan\n\nRui passes the market at 18:10. Shall I ask him?";
    reply(ana, a, to(&family, &she, list), "delivered").await;
}
