//! The state of the deployment, for programs.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::operator::{Operator, with_password};
use crate::support::platforms::deployment::{Platforms, register_bot};
use crate::support::relay::{Setup, data_dir};

fn of_user<'a>(status: &'a Value, user: &str) -> &'a Value {
    let sessions = status["sessions"].as_array().unwrap();
    sessions.iter().find(|session| session["userId"] == user).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_counts_the_sockets_of_the_whole_deployment() {
    let [a, b] = with_password(Setup::on_redis()).start_many().await;
    let client = Client::register(&a).await;
    let _on_a = client.open(&a, "").await;
    let on_b = client.open(&b, "").await;
    let operator = Operator::log_in(&a).await;
    for replica in [&a, &b] {
        let status = eventually("both sockets are counted", || async {
            let status = operator.status(replica).await;
            (status["websockets"] == 2).then_some(status)
        })
        .await;
        assert_eq!(of_user(&status, &client.user_id)["wsConnections"], 2);
        assert_eq!((&status["status"], &status["kv"]), (&json!("ok"), &json!(true)));
        assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
        assert!(status["uptime"].as_u64().is_some());
    }
    drop(on_b);
    eventually("the closed socket is not counted", || async {
        let status = operator.status(&a).await;
        (status["websockets"] == 1 && of_user(&status, &client.user_id)["wsConnections"] == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_show_their_channels_and_no_secret() {
    let platforms = Platforms::start().await;
    let replica = with_password(platforms.on_redis()).start().await;
    platforms.lead_to(&[&replica]);
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({"agentId": "scribe"})).await;
    let bot = platforms.telegram.bot("helper_bot");
    let channel_of_bot = register_bot(&client, &replica, "telegram", &bot.token).await;
    let operator = Operator::log_in(&replica).await;
    let status = operator.status(&replica).await;
    let session = of_user(&status, &client.user_id);
    let created = session["createdAt"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.len() == 24, "{created}");
    let channel = |id: &str| {
        let channels = session["channels"].as_array().unwrap();
        channels.iter().find(|channel| channel["id"] == id).unwrap().clone()
    };
    let webhook = channel(&hook.id);
    let expected = json!({
        "id": hook.id, "type": "webhook", "agentId": "scribe", "enabled": true, "hasPairingCode": false,
    });
    assert_eq!(webhook, expected);
    let telegram = channel(&channel_of_bot.id);
    assert_eq!((&telegram["type"], &telegram["hasPairingCode"]), (&json!("telegram"), &json!(true)));
    assert_eq!(telegram["botUsername"], "helper_bot");
    let text = status.to_string();
    for secret in [&client.api_key, &hook.secret, &bot.token] {
        assert!(!text.contains(secret.as_str()), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_messages_of_all_sessions_are_shown_cut_with_their_direction() {
    let [a, b] = with_password(Setup::on_redis()).start_many().await;
    let operator = Operator::log_in(&a).await;
    let (ana, bob) = (Client::register(&a).await, Client::register(&b).await);
    let (for_ana, for_bob) = (ana.make_webhook(&a, json!({})).await, bob.make_webhook(&b, json!({})).await);
    for n in 0..20 {
        for_ana.deliver(&a, &format!("ana {n}")).await;
        for_bob.deliver(&b, &format!("bob {n}")).await;
    }
    let long = "ü".repeat(101);
    for_ana.deliver(&b, &long).await;
    let reply = bob.reply(&a, &for_bob.id, "from the agent").await;
    let recent = eventually("the newest are shown", || async {
        let status = operator.status(&b).await;
        let recent = status["recentMessages"].as_array().unwrap().clone();
        let contents: Vec<_> = recent.iter().map(|message| message["content"].as_str().unwrap()).collect();
        let all = ["from the agent", &format!("{}…", "ü".repeat(100)), "ana 19", "bob 19"];
        (recent.len() == 30 && all.iter().all(|content| contents.contains(content))).then_some(recent)
    })
    .await;
    let find = |content: &str| recent.iter().find(|message| message["content"] == content).unwrap();
    let out = find("from the agent");
    assert_eq!((&out["direction"], &out["id"], &out["userId"]), (&json!("out"), &json!(reply), &json!(bob.user_id)));
    assert_eq!(find("bob 19")["direction"], "in");
    let times: Vec<_> = recent.iter().map(|message| message["timestamp"].as_str().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "newest first: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_tells_the_same() {
    let dir = data_dir();
    let replica = with_password(Setup::embedded(dir.path())).start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    let _socket = client.open(&replica, "").await;
    hook.deliver(&replica, "hello").await;
    let operator = Operator::log_in(&replica).await;
    let status = eventually("all of it is there", || async {
        let status = operator.status(&replica).await;
        (status["recentMessages"][0]["content"] == "hello" && status["websockets"] == 1).then_some(status)
    })
    .await;
    let session = of_user(&status, &client.user_id);
    assert_eq!((&session["wsConnections"], &session["channels"][0]["id"]), (&json!(1), &json!(hook.id)));
}
