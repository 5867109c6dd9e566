//! Discord's limits: they are heeded, and no call is made that would be refused for one.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Scene;
use crate::support::client::{Client, expect};
use crate::support::platforms::discord::Refusal;
use crate::support::platforms::{Call, Misbehaviour, Rule};

impl Scene {
    fn messages_posted(&self) -> Vec<Call> {
        self.discord().calls_of("createMessage")
    }
}

fn gap(first: &Call, second: &Call) -> Duration {
    second.at.duration_since(first.at)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_discord_names_is_kept_to_its_fraction() {
    let scene = Scene::set().await;
    scene.writes(&scene.ana, &scene.room, "hi").await;
    let mut socket = scene.client.open(&scene.a, "").await;
    socket.message().await;
    let wait = Duration::from_millis(1650);
    scene.discord().misbehave_on("createMessage", Misbehaviour::TooManyRequests { retry_after: wait });
    let response = scene.replies(json!({"content": "hello"})).await;
    let frame = socket.expect("delivery").await;
    assert_eq!((&frame["status"], &frame["attempts"]), (&json!("retrying"), &json!(1)));
    assert!(frame["error"].as_str().unwrap().contains("rate limited"), "{frame}");
    scene.delivered(&response).await;
    let calls = scene.messages_posted();
    assert_eq!(calls.iter().map(|call| call.answered).collect::<Vec<_>>(), [Some(429), Some(200)]);
    assert!(gap(&calls[0], &calls[1]) >= wait, "{:?}", gap(&calls[0], &calls[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_one_channel_holds_no_other_up() {
    let scene = Scene::set().await;
    let other = scene.another_room();
    scene.writes(&scene.ana, &scene.room, "hi").await;
    scene.writes(&scene.ana, &other, "hi").await;
    let limited = format!("/channels/{}/", scene.room.id);
    let limit = Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(2) };
    scene.discord().rule(Rule::new(limit).when(move |call| call.path.contains(&limited)));
    let late = scene.replies(json!({"content": "late", "metadata": {"discordChannelId": scene.room.id}})).await;
    scene.discord().wait_for_calls("createMessage", 1).await;
    scene.says(json!({"content": "soon", "metadata": {"discordChannelId": other.id}})).await;
    assert_ne!(scene.status(&late).await["status"], "delivered");
    scene.delivered(&late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_limit_holds_the_whole_bot() {
    let scene = Scene::set().await;
    let other = scene.another_room();
    scene.writes(&scene.ana, &scene.room, "hi").await;
    scene.writes(&scene.ana, &other, "hi").await;
    let wait = Duration::from_millis(1500);
    scene.discord().misbehave(Misbehaviour::Refuse(Refusal::GlobalLimit { retry_after: wait }));
    let first = scene.replies(json!({"content": "first", "metadata": {"discordChannelId": scene.room.id}})).await;
    scene.discord().wait_for("the limit", |discord| discord.calls_of("createMessage").first()?.answered).await;
    let second = scene.replies(json!({"content": "second", "metadata": {"discordChannelId": other.id}})).await;
    for response in [&first, &second] {
        scene.delivered(response).await;
    }
    let calls = scene.messages_posted();
    assert_eq!(calls.iter().map(|call| call.answered).collect::<Vec<_>>(), [Some(429), Some(200), Some(200)]);
    assert!(calls[1..].iter().all(|call| gap(&calls[0], call) >= wait), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_used_up_is_waited_for_instead_of_hit() {
    let scene = Scene::set().await;
    scene.writes(&scene.ana, &scene.room, "hi").await;
    let (asked, question) = scene.asks(&scene.ana, &scene.another_room(), "a long story").await;
    let before = scene.discord().sent().len();
    scene.discord().limit_buckets(2, Duration::from_millis(600));
    let began = Instant::now();
    // A long reply and short ones to a channel, and a long answer to a command.
    let parts: Vec<_> = (1..=4).map(|number| number.to_string().repeat(1500)).collect();
    let room = json!({"discordChannelId": scene.room.id});
    let mut responses = vec![scene.replies(json!({"content": parts.join("\n\n"), "metadata": room})).await];
    for number in 5..=8 {
        responses.push(scene.replies(json!({"content": number.to_string(), "metadata": room})).await);
    }
    responses.push(scene.replies(json!({"content": parts.join("\n\n"), "replyTo": question["id"]})).await);
    for response in &responses {
        scene.delivered(response).await;
        assert_eq!(scene.status(response).await["attempts"], 1);
    }
    let refused: Vec<_> = scene.discord().calls().into_iter().filter(|call| call.answered == Some(429)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    // Eight messages, two at a time.
    assert!(began.elapsed() >= Duration::from_millis(1800), "{:?}", began.elapsed());
    let sent = scene.discord().sent().split_off(before).into_iter().filter(|sent| sent.channel == scene.room.id);
    let firsts: Vec<_> = sent.map(|sent| sent.content[..1].to_owned()).collect();
    assert_eq!(firsts, ["1", "2", "3", "4", "5", "6", "7", "8"], "in order all the same");
    assert_eq!(scene.answers_to(&asked).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_discord_has_shut_out_stops_calling() {
    let scene = Scene::set().await;
    let rooms = [scene.room.clone(), scene.another_room(), scene.another_room()];
    for room in &rooms {
        scene.writes(&scene.ana, room, "hi").await;
    }
    let (_, question) = scene.asks(&scene.ana, &scene.another_room(), "question").await;
    let before = scene.discord().calls().len();
    // It names a second; whoever comes back so soon is not let in again.
    let ban = Misbehaviour::Refuse(Refusal::EdgeBan { retry_after: Duration::from_secs(1) });
    scene.discord().rule(Rule::new(ban).always());
    let to = |room: usize, text: &str| json!({"content": text, "metadata": {"discordChannelId": rooms[room].id}});
    let first = scene.replies(to(0, "first")).await;
    scene.discord().wait_for("the ban", |discord| discord.calls_of("createMessage").first()?.answered).await;
    let mut waiting = vec![scene.replies(to(0, "behind the first")).await];
    for room in 1..3 {
        waiting.push(scene.replies(to(room, "elsewhere")).await);
    }
    waiting.push(scene.replies(json!({"content": "answer", "replyTo": question["id"]})).await);
    let typing = json!({"channelId": scene.channel.id});
    expect(scene.client.post(&scene.a, "/typing", &typing).await, 200).await;
    let other = Client::register(&scene.a).await;
    let token = json!({"botToken": scene.discord().application("second").token});
    let refused = expect(other.post(&scene.a, "/channels/discord/register", &token).await, 502).await;
    assert_eq!(refused["code"], "platform_unreachable", "another bot's calls come from the same address");
    // Long enough for whoever hammers: the worker looks every second, and the ban named one.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let calls = scene.discord().calls().split_off(before);
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_eq!(scene.status(&first).await["status"], "retrying");
    for response in &waiting {
        assert_eq!(scene.status(response).await["status"], "pending", "nothing of it is lost");
    }
    // What people say is taken meanwhile.
    scene.asks(&scene.ana, &scene.room, "are you there?").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_out() {
    let scene = Scene::set().await;
    let overloaded =
        Refusal::Error { status: 400, code: 130_000, message: "API resource is currently overloaded. Try again later" };
    let mut replies = Vec::new();
    for trouble in [
        Misbehaviour::ServerError(500),
        Misbehaviour::ServerError(503),
        Misbehaviour::Reset,
        Misbehaviour::Refuse(overloaded),
    ] {
        let room = scene.another_room();
        scene.writes(&scene.ana, &room, "hi").await;
        let path = format!("/channels/{}/", room.id);
        scene.discord().rule(Rule::new(trouble.clone()).when(move |call| call.path.contains(&path)));
        let reply = json!({"content": "hello", "metadata": {"discordChannelId": room.id}});
        replies.push((scene.replies(reply).await, room, trouble));
    }
    for (response, room, trouble) in &replies {
        scene.delivered(response).await;
        assert_eq!(scene.status(response).await["attempts"], 2, "{trouble:?}");
        let sent = scene.discord().sent().into_iter().filter(|sent| sent.channel == room.id).count();
        assert_eq!(sent, 1, "{trouble:?}");
    }
}
