//! The bot's token and the app's signing secret are in nothing that anybody can read.

use std::path::Path;

use reqwest::{Method, Response};
use serde_json::json;

use super::{ANA, BOB, Scene, credentials};
use crate::support::platforms::Misbehaviour;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::slack::Refusal;
use crate::support::relay::data_dir;
use crate::support::secrets;

/// Everything that an answer says.
async fn words(answer: Response) -> String {
    let head = format!("{} {:?}", answer.status(), answer.headers());
    format!("{head} {}", answer.text().await.unwrap())
}

/// Whether a file in this directory has these bytes.
fn is_in_a_file(dir: &Path, wanted: &str) -> bool {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_secret_is_in_an_answer_a_log_or_a_file() {
    let (dir, platforms) = (data_dir(), Platforms::start().await);
    let setup = platforms.embedded(dir.path());
    let scene = Scene::on::<1>(platforms, &setup).await;
    let (client, relay, slack) = (&scene.client, scene.relay(), &scene.platforms.slack);
    let path = format!("/channels/{}", scene.channel.id);
    let (direct, to_bob) = (scene.workspace.direct_messages(ANA), scene.workspace.direct_messages(BOB));
    let mut said = vec![scene.channel.answer.to_string()];

    scene.let_in(&[ANA]).await;
    let event = scene.workspace.says(ANA, &direct, None, "hi");
    let mut wrong = scene.workspace.clone();
    wrong.signing_secret = "0123456789abcdef".to_owned();
    for delivery in [
        wrong.post(&scene.events_url(0), scene.envelope(&event)).await,
        scene.workspace.deliver(&event).await,
        scene.workspace.deliver(&scene.workspace.says(BOB, &to_bob, None, "hi")).await,
        scene.workspace.post(&scene.events_url(0), json!({"type": "url_verification", "challenge": "x"})).await,
        scene.workspace.post(&format!("{}/slack/none", relay.url()), scene.envelope(&event)).await,
    ] {
        said.push(format!("{:?}", delivery.attempts));
    }
    let mut socket = scene.socket().await;
    let registering =
        [Misbehaviour::Refuse(Refusal::Error("account_inactive")), Misbehaviour::Garbage, Misbehaviour::Reset];
    for behaviour in registering {
        slack.misbehave_on("auth.test", behaviour);
        let answer = client.post(relay, "/channels/slack/register", &credentials(&scene.workspace)).await;
        assert!(answer.status().as_u16() >= 400, "{answer:?}");
        said.push(words(answer).await);
    }
    let mut swapped = credentials(&scene.workspace);
    swapped["botToken"] = scene.workspace.signing_secret.as_str().into();
    said.push(words(client.post(relay, "/channels/slack/register", &swapped).await).await);

    for behaviour in [Misbehaviour::Reset, Misbehaviour::Refuse(Refusal::Error("token_revoked"))] {
        slack.misbehave_on("chat.postMessage", behaviour);
    }
    let response = scene.reply(json!({"content": "hello"})).await;
    for status in ["retrying", "failed"] {
        let frame = socket.expect("delivery").await;
        assert_eq!(frame["status"], status);
        said.push(frame.to_string());
    }
    for (method, path, body) in [
        (Method::GET, format!("/replies/{response}"), json!({})),
        (Method::GET, "/channels".to_owned(), json!({})),
        (Method::GET, "/messages".to_owned(), json!({})),
        (Method::POST, "/reply".to_owned(), json!({"channelId": scene.channel.id, "content": "x"})),
        (Method::PATCH, path.clone(), json!({"enabled": true, "metadata": {"botToken": "x"}})),
        (Method::POST, format!("{path}/pairing-code"), json!({})),
    ] {
        said.push(words(client.send(relay, method, &path, &body).await).await);
    }
    let both = [&scene.workspace.token, &scene.workspace.signing_secret];
    for text in &said {
        assert!(!both.iter().any(|secret| text.contains(secret.as_str())), "a secret was told: {text}");
        assert_eq!(secrets::find_in(text), None);
    }
    for secret in both {
        assert!(!relay.log().contains(secret.as_str()), "a secret is in the log");
        assert!(!is_in_a_file(dir.path(), secret), "a secret is in a file");
    }
    assert!(is_in_a_file(dir.path(), &scene.workspace.team), "what is no secret is found this way");
    assert!(slack.calls().iter().all(|call| !call.path.contains("xox")), "the token is in no URL");
}
