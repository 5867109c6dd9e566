//! A new encryption key takes the place of an old one: nothing that was sealed is lost.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use chaos_relay::app::{self, ResealStep};
use chaos_relay::config::Config;
use chaos_relay::domain::public_key::KeyPair;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::client::{Client, Webhook, expect};
use crate::support::cluster::RedisCluster;
use crate::support::platforms::deployment::{Platforms, Registered, register, register_bot};
use crate::support::platforms::discord::{App, Channel as Room, User};
use crate::support::platforms::slack::Workspace;
use crate::support::platforms::telegram::{Bot, Person};
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup, data_dir};
use crate::support::{eventually, secrets};

/// The key that takes over.
const NEW: &str = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f";
/// Who writes on Slack.
const ANA: &str = "U0ANA";

fn with_keys(setup: &Setup, keys: &[&str]) -> Setup {
    keys.iter().for_each(|key| secrets::note(key));
    setup.clone().with("CHAOS_ENCRYPTION_KEY", &keys.join(","))
}

fn key_of(setup: &Setup) -> String {
    setup.variable("CHAOS_ENCRYPTION_KEY").unwrap().to_owned()
}

/// What a run of `reseal` came to.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    said: String,
}

impl Run {
    /// How many were (or would be) sealed anew, were so already, and could not be opened.
    fn counts(&self) -> [u64; 3] {
        let line = self.said.lines().find(|line| line.contains("already under key")).expect(&self.said);
        // What could not be opened is listed behind, in the same form.
        let counts = line.split(", ").take(3).map(|part| part.split(' ').next().unwrap().parse().unwrap());
        counts.collect::<Vec<_>>().try_into().unwrap()
    }
}

/// Runs `reseal` as an operator does. It says no secret.
fn reseal(setup: &Setup, arguments: &[&str]) -> Run {
    let output = setup.command().arg("reseal").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(secrets::find_in(&said), None);
    Run { code: output.status.code(), said }
}

/// A session with a key, and a channel of each kind that has a secret.
struct Owner {
    client: Client,
    webhook: Webhook,
    telegram: (Registered, Bot, Person),
    slack: (Registered, Workspace),
    discord: (Registered, App, Room, User),
    /// Where a gateway relay forwards events to, with its secret.
    events_url: String,
}

impl Owner {
    async fn register(platforms: &Platforms, replica: &Replica) -> Self {
        let client = Client::register_signed(replica).await;
        let webhook = client.make_webhook(replica, json!({})).await;
        let (bot, ana) = (platforms.telegram.bot("helper_bot"), platforms.telegram.person(500_001, "Ana"));
        let telegram = register_bot(&client, replica, "telegram", &bot.token).await;
        let workspace = platforms.slack.workspace();
        let credentials = json!({"botToken": workspace.token, "signingSecret": workspace.signing_secret});
        let slack = register(&client, replica, "slack", credentials).await;
        workspace.subscribe(slack.answer["eventsUrl"].as_str().unwrap()).await.unwrap();
        let (app, room, user) =
            (platforms.discord.application("helper"), platforms.discord.channel(), User::new("Ana"));
        app.joins(&room);
        let discord = register_bot(&client, replica, "discord", &app.token).await;
        for (channel, person) in [(&telegram, json!(ana.id)), (&slack, json!(ANA)), (&discord, json!(user.id))] {
            let change = json!({"metadata": {"allowedUsers": [person]}});
            expect(client.send(replica, Method::PATCH, &format!("/channels/{}", channel.id), &change).await, 200).await;
        }
        let mut owner = Self {
            client,
            webhook,
            telegram: (telegram, bot, ana),
            slack: (slack, workspace),
            discord: (discord, app, room, user),
            events_url: String::new(),
        };
        owner.events_url =
            owner.view(replica, &owner.discord.0.id).await["metadata"]["eventsUrl"].as_str().unwrap().to_owned();
        owner
    }

    async fn view(&self, replica: &Replica, channel: &str) -> Value {
        let answer = expect(self.client.get(replica, "/channels").await, 200).await;
        let channels = answer["channels"].as_array().unwrap();
        channels.iter().find(|known| known["id"] == channel).unwrap().clone()
    }

    /// Everything that needs a secret works, at each of these replicas.
    async fn works(&self, replicas: &[Replica], when: &str) {
        for (n, replica) in replicas.iter().enumerate() {
            let key = self.client.key.as_ref().unwrap().public().to_jwk();
            let again = reqwest::Client::new().post(format!("{}/auth/register", replica.url()));
            let again = expect(again.json(&json!({"publicKey": key})).send().await.unwrap(), 200).await;
            assert_eq!(
                (&again["userId"], &again["apiKey"]),
                (&json!(self.client.user_id), &json!(self.client.api_key))
            );
            let webhook = self.view(replica, &self.webhook.id).await;
            assert_eq!(webhook["metadata"]["webhookSecret"], self.webhook.secret);
            let discord = self.view(replica, &self.discord.0.id).await;
            assert_eq!(discord["metadata"]["eventsUrl"], self.events_url);
            self.webhook.deliver(replica, "posted").await;
            self.bots_hear_and_answer(replica, &format!("{when}, replica {n}")).await;
        }
    }

    /// Events are believed and replies arrive: the platforms take no wrong token.
    async fn bots_hear_and_answer(&self, replica: &Replica, text: &str) {
        let (telegram, bot, ana) = &self.telegram;
        bot.hears(ana, &format!("Telegram {text}")).await;
        let url = format!("{}/telegram/{}", replica.url(), telegram.id);
        assert_eq!(bot.deliver_to(&url, Some("wrong"), &json!({})).await.status, Some(401));

        let (slack, workspace) = &self.slack;
        let event = workspace.says(ANA, &workspace.direct_messages(ANA), None, &format!("Slack {text}"));
        for delivery in workspace.deliver_all(&event).await {
            delivery.accepted();
        }

        let (discord, app, room, user) = &self.discord;
        let path = self.events_url.split_once("/discord/").unwrap().1;
        let url = format!("{}/discord/{path}", replica.url());
        let event = app.message(user, room, &format!("Discord {text}"));
        assert_eq!(app.forward(&url, &event).await.status, Some(200));
        let forged = app.forward(url.split('?').next().unwrap(), &event).await;
        assert_eq!(forged.status, Some(401));

        let messages = self.client.poll_all(replica).await;
        for (platform, channel) in [("Telegram", telegram), ("Slack", slack), ("Discord", discord)] {
            let content = format!("{platform} {text}");
            let message = messages.iter().find(|message| message["content"] == content.as_str()).expect(&content);
            let reply = json!({"channelId": channel.id, "content": "yes", "metadata": message["metadata"]});
            let ack = expect(self.client.post(replica, "/reply", &reply).await, 200).await;
            let path = format!("/replies/{}", ack["responseId"].as_str().unwrap());
            eventually(&format!("{content} is answered"), || async {
                let fate = expect(self.client.get(replica, &path).await, 200).await;
                assert_ne!(fate["status"], "failed", "{fate}");
                (fate["status"] == "delivered").then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_takes_over_from_the_old_one_without_a_break() {
    let (server, platforms) = (RedisServer::start(), Platforms::start().await);
    let setup = platforms.known_to(Setup::on_server(&server));
    let old = key_of(&setup);
    let mut replicas = Vec::from(setup.start_many::<2>().await);
    platforms.lead_to(&replicas.iter().collect::<Vec<_>>());
    let owner = Owner::register(&platforms, &replicas[0]).await;
    owner.works(&replicas, "before").await;

    // First all learn to open what the new key will seal; only then it seals.
    for keys in [[&old, NEW], [NEW, &old]] {
        for n in 0..2 {
            replicas[n] = with_keys(&setup, &keys).start().await;
            platforms.lead_to(&replicas.iter().collect::<Vec<_>>());
            owner.works(&replicas, &format!("as replica {n} changes")).await;
        }
    }

    let listed = with_keys(&setup, &[NEW, &old]);
    for _ in 0..2 {
        let trial = reseal(&listed, &["--dry-run"]);
        assert_eq!((trial.code, trial.counts()), (Some(0), [6, 0, 0]), "{trial:?}");
    }
    let run = reseal(&listed, &[]);
    assert_eq!((run.code, run.counts()), (Some(0), [6, 0, 0]), "{run:?}");
    assert!(run.said.contains("wait a day before the old key leaves the list"), "{run:?}");
    for arguments in [&[][..], &["--dry-run"]] {
        let again = reseal(&listed, arguments);
        assert_eq!((again.code, again.counts()), (Some(0), [0, 6, 0]), "{again:?}");
    }
    owner.works(&replicas, "beside the replicas that ran").await;

    drop(replicas);
    let replicas = Vec::from(with_keys(&setup, &[NEW]).start_many::<2>().await);
    platforms.lead_to(&replicas.iter().collect::<Vec<_>>());
    owner.works(&replicas, "with the new key alone").await;
    let refused = setup.command().output().unwrap();
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert!(!refused.status.success() && said.contains("CHAOS_ENCRYPTION_KEY must hold the key"), "{said}");
}

/// Sessions that have a webhook each.
async fn sessions(replica: &Replica, count: usize) -> Vec<(Client, Webhook)> {
    join_all((0..count).map(|_| async {
        let client = Client::register_with(replica, Some(KeyPair::generate())).await;
        let webhook = client.make_webhook(replica, json!({})).await;
        (client, webhook)
    }))
    .await
}

/// Each sees its secret.
async fn all_see_their_secrets(sessions: &[(Client, Webhook)], replica: &Replica) {
    for (client, webhook) in sessions {
        let answer = expect(client.get(replica, "/channels").await, 200).await;
        assert_eq!(answer["channels"][0]["metadata"]["webhookSecret"], webhook.secret);
        webhook.deliver(replica, "hello").await;
    }
}

fn config(setup: &Setup) -> Config {
    Config::read(|name| setup.variable(name).map(str::to_owned)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_broke_off_is_made_good_by_the_next() {
    let server = RedisServer::start();
    let setup = Setup::on_server(&server);
    let replica = setup.start().await;
    let sessions = sessions(&replica, 30).await;
    drop(replica);
    let listed = with_keys(&setup, &[NEW, &key_of(&setup)]);
    let (first_step, settings) = (Notify::new(), config(&listed));
    tokio::select! {
        biased;
        () = first_step.notified() => {}
        done = app::reseal(&settings, false, |step| {
            if matches!(step, ResealStep::SoFar(_)) {
                first_step.notify_one();
            }
        }) => panic!("it was not broken off: {done:?}"),
    }
    let [left, done, unopened] = reseal(&listed, &["--dry-run"]).counts();
    assert!(left > 0 && done > 0 && (left + done, unopened) == (61, 0), "{left} left, {done} done");
    let run = reseal(&listed, &[]);
    assert_eq!((run.code, run.counts()), (Some(0), [left, done, 0]), "{run:?}");
    let replica = with_keys(&setup, &[NEW]).start().await;
    all_see_their_secrets(&sessions, &replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_are_made_meanwhile_stay() {
    const CHANGES: usize = 40;
    let server = RedisServer::start();
    let setup = Setup::on_server(&server);
    let old = key_of(&setup);
    let listed = with_keys(&setup, &[NEW, &old]);
    let replicas: [Replica; 2] = listed.start_many().await;
    let sessions = sessions(&replicas[0], 4).await;
    let is_over = AtomicBool::new(false);
    let changing = async {
        join_all(sessions.iter().enumerate().map(|(n, (client, webhook))| {
            let (path, replica) = (format!("/channels/{}", webhook.id), &replicas[n % 2]);
            async move {
                for change in 0..CHANGES {
                    let name = json!({"name": format!("name {change}")});
                    expect(client.send(replica, Method::PATCH, &path, &name).await, 200).await;
                }
            }
        }))
        .await;
        is_over.store(true, Ordering::SeqCst);
    };
    let resealing = async {
        let (there, back) = (config(&listed), config(&with_keys(&setup, &[&old, NEW])));
        let mut runs = 0;
        while !is_over.load(Ordering::SeqCst) || runs < 2 {
            let done = app::reseal(if runs % 2 == 0 { &back } else { &there }, false, |_| {}).await.unwrap();
            // A channel that is changed without pause may be left as it is, which is said.
            assert_eq!((done.unopened.len(), done.total()), (0, 9), "{done:?}");
            runs += 1;
        }
        runs
    };
    let ((), runs) = tokio::join!(changing, resealing);
    let run = reseal(&listed, &[]);
    assert_eq!((run.code, run.counts()[2]), (Some(0), 0), "{run:?} after {runs} runs");
    drop(replicas);
    let replica = with_keys(&setup, &[NEW]).start().await;
    all_see_their_secrets(&sessions, &replica).await;
    for (client, _) in &sessions {
        let answer = expect(client.get(&replica, "/channels").await, 200).await;
        assert_eq!(answer["channels"][0]["name"], format!("name {}", CHANGES - 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_is_told_by_its_kind_and_left_alone() {
    let server = RedisServer::start();
    let setup = Setup::on_server(&server);
    let replica = setup.start().await;
    let sessions = sessions(&replica, 3).await;
    let run = reseal(&with_keys(&setup, &[NEW]), &[]);
    assert_eq!((run.code, run.counts()), (Some(1), [0, 0, 7]), "{run:?}");
    assert!(run.said.contains("(API keys: 3, the deployment's own key: 1, webhook secrets: 3)"), "{run:?}");
    all_see_their_secrets(&sessions, &replica).await;

    // One value is damaged, and one record.
    let [damaged, unreadable, whole] = [0, 1, 2].map(|n| &sessions[n]);
    server.cli(&["HSET", &format!("chaos:{{{}}}:session", damaged.0.user_id), "a", "s1.01234567.AAAA"]);
    let channel = format!("chaos:{{{}}}:channel:{}", unreadable.0.user_id, unreadable.1.id);
    server.cli(&["HSET", &channel, "d", "{"]);
    let run = reseal(&with_keys(&setup, &[NEW, &key_of(&setup)]), &[]);
    assert_eq!((run.code, run.counts()), (Some(1), [5, 0, 2]), "{run:?}");
    assert!(run.said.contains("(API keys: 1, records that cannot be read: 1)"), "{run:?}");
    assert_eq!(server.cli(&["HGET", &channel, "d"]), "{");
    drop(replica);
    let replica = with_keys(&setup, &[NEW]).start().await;
    all_see_their_secrets(std::slice::from_ref(whole), &replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_of_a_cluster_is_looked_at() {
    let cluster = RedisCluster::start().await;
    let setup = Setup::on(&cluster.url(), "chaos:");
    let replica = setup.start().await;
    let sessions = sessions(&replica, 12).await;
    let nodes: std::collections::HashSet<_> =
        sessions.iter().map(|(client, _)| cluster.node_of(&client.user_id).port()).collect();
    assert!(nodes.len() > 1, "all users are on one node");
    let run = reseal(&with_keys(&setup, &[NEW, &key_of(&setup)]), &[]);
    assert_eq!((run.code, run.counts()), (Some(0), [25, 0, 0]), "{run:?}");
    drop(replica);
    let replica = with_keys(&setup, &[NEW]).start().await;
    all_see_their_secrets(&sessions, &replica).await;
}

fn kept_key(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("encryption.key")).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_is_resealed_while_its_relay_is_stopped() {
    let dir = data_dir();
    let setup = Setup::embedded(dir.path());
    let replica = setup.start().await;
    let sessions = sessions(&replica, 25).await;
    let listed = with_keys(&setup, &[NEW, &kept_key(dir.path())]);
    let refused = reseal(&listed, &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.said.contains("another relay is using the data directory"), "{refused:?}");
    drop(replica);
    for (arguments, counts) in [(&["--dry-run"][..], [51, 0, 0]), (&[], [51, 0, 0]), (&[], [0, 51, 0])] {
        let run = reseal(&listed, arguments);
        assert_eq!((run.code, run.counts()), (Some(0), counts), "{run:?}");
    }
    let replica = with_keys(&setup, &[NEW]).start().await;
    all_see_their_secrets(&sessions, &replica).await;
    drop(replica);
    // The key that is kept beside the file may be replaced in its place too.
    std::fs::write(dir.path().join("encryption.key"), NEW).unwrap();
    all_see_their_secrets(&sessions, &setup.start().await).await;
}
