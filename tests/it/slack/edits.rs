//! What is changed afterwards, what comes back, and what is attached.

use serde_json::{Value, json};

use super::{ANA, BOB, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_by_its_author_is_a_message_that_says_so() {
    let scene = Scene::with_ana().await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    let texts = [("helo", "hello".to_owned()), ("&lt;3", "I &lt;3 <https://x.example|docs>".to_owned())];
    for (number, (before, after)) in texts.into_iter().enumerate() {
        let event = scene.says(ANA, &direct, None, before).await;
        let original = scene.message_after(2 * number).await;
        assert_eq!(original["metadata"].get("edited"), None);
        let edit = scene.workspace.edits(&event, &after);
        scene.workspace.deliver(&edit).await.accepted();
        let edited = scene.message_after(2 * number + 1).await;
        assert_ne!(edited["id"], original["id"]);
        assert_eq!(edited["content"], ["hello", "I <3 docs (https://x.example)"][number]);
        let mut expected = original["metadata"].clone();
        expected["edited"] = true.into();
        assert_eq!(edited["metadata"], expected, "it is the same message of the same person");
    }

    let post = scene.says(ANA, &place, None, &scene.at_bot("what is gnu?")).await;
    let edit = scene.workspace.edits(&post, &scene.at_bot("what is new?"));
    scene.workspace.deliver(&edit).await.accepted();
    let edited = scene.message_after(5).await;
    assert_eq!((&edited["content"], &edited["metadata"]["threadTs"]), (&json!("what is new?"), &post["ts"]));
    scene.delivered(&scene.answer(&edited, "Nothing.").await).await;
    assert_eq!(json!(scene.sent(1).await[0].thread), post["ts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_edit_counts_once() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    let event = scene.says(ANA, &direct, None, "one").await;
    for (text, count) in [("two", 2), ("three", 3)] {
        let envelope = scene.envelope(&scene.workspace.edits(&event, text));
        for _ in 0..3 {
            scene.workspace.post(&scene.events_url(0), envelope.clone()).await.accepted();
        }
        assert_eq!(scene.message_after(count - 1).await["content"], text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_brings_the_bot_in_is_heard() {
    let scene = Scene::with_ana().await;
    let place = scene.workspace.channel();
    let post = scene.says(ANA, &place, None, "what is new?").await;
    assert!(scene.messages().await.is_empty());
    let edit = scene.workspace.edits(&post, &scene.at_bot("what is new?"));
    scene.workspace.deliver(&edit).await.accepted();
    // Slack sends the mention on its own as well.
    let mut mention = scene.workspace.mention(&edit["message"]).unwrap();
    mention["event_ts"] = edit["event_ts"].clone();
    scene.workspace.deliver(&mention).await.accepted();
    let message = scene.message_after(0).await;
    assert_eq!((&message["metadata"]["edited"], &message["metadata"]["threadTs"]), (&json!(true), &post["ts"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_no_person_made_is_ignored() {
    let scene = Scene::with_ana().await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    let event = scene.says(ANA, &direct, None, "https://x.example").await;
    let chatter = scene.says(ANA, &place, None, "lunch?").await;
    let edited = scene.workspace.edits(&event, "https://y.example");
    scene.workspace.deliver(&edited).await.accepted();
    scene.message_after(1).await;

    let change = |event: &Value, changes: Value| {
        let mut change = scene.workspace.edits(event, "changed");
        let post = change["message"].as_object_mut().unwrap();
        post.extend(changes.as_object().unwrap().clone());
        change
    };
    let mut preview_of_edited = change(&edited["message"], json!({"attachments": [{"title": "Y"}]}));
    preview_of_edited["message"]["edited"] = edited["message"]["edited"].clone();
    for change in [
        change(&event, json!({"edited": null, "attachments": [{"title": "X"}]})),
        preview_of_edited,
        change(&event, json!({"bot_id": "B9"})),
        change(&event, json!({"user": scene.workspace.bot_user})),
        change(&event, json!({"subtype": "tombstone"})),
        change(&event, json!({"ts": null})),
        change(&chatter, json!({})),
    ] {
        scene.workspace.deliver(&change).await.accepted();
    }
    scene.message_after(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_does_not_hear_itself_nor_other_bots() {
    let scene = Scene::with_ana().await;
    // Even if somebody puts the bots on the list.
    scene.let_in(&[ANA, BOB, &scene.workspace.bot_user, "B9"]).await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    scene.says(ANA, &direct, None, "hi").await;
    scene.delivered(&scene.answer(&scene.message_after(0).await, "hello").await).await;
    scene.says(ANA, &place, None, &scene.at_bot("hi")).await;
    scene.delivered(&scene.answer(&scene.message_after(1).await, &scene.at_bot("hello")).await).await;
    for sent in scene.sent(2).await {
        scene.workspace.echo(&sent).await.accepted();
    }
    for changes in [
        json!({"bot_id": "B9"}),
        json!({"bot_id": "B9", "bot_profile": {"id": "B9", "name": "other"}, "user": "U9"}),
        json!({"subtype": "bot_message", "bot_id": "B9", "username": "other", "user": null}),
    ] {
        for place in [&direct, &place] {
            let mut event = scene.workspace.says(BOB, place, None, &scene.at_bot("hi"));
            event.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            for delivery in scene.workspace.deliver_all(&event).await {
                delivery.accepted();
            }
        }
    }
    assert_eq!(scene.messages().await.len(), 2);
    scene.sent(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_named_where_there_is_no_text() {
    let scene = Scene::with_ana().await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    let image = json!({"id": "F1", "name": "cat.png", "mimetype": "image/png", "url_private": "https://files.example"});
    let document = json!({"id": "F2", "name": "a\n\u{202e}b.pdf", "mimetype": "application/pdf"});
    for (number, (place, text, files, content, media_type)) in [
        (&direct, "", json!([image]), "[image: cat.png]", json!("image")),
        (&direct, "", json!([document, image]), "[file: a b.pdf]\n[image: cat.png]", json!("file")),
        (&direct, "look", json!([image]), "look", Value::Null),
        (&place, &scene.at_bot(""), json!([image]), "[image: cat.png]", json!("image")),
        (&place, &scene.at_bot(""), json!([]), "@helper", Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let mut event = scene.workspace.says(ANA, place, None, text);
        event["subtype"] = "file_share".into();
        event["files"] = files;
        scene.workspace.deliver(&event).await.accepted();
        let message = scene.message_after(number).await;
        assert_eq!((&message["content"], &message["metadata"]["mediaType"]), (&json!(content), &media_type));
    }
    let mut broadcast = scene.workspace.says(ANA, &direct, None, "to all");
    broadcast["subtype"] = "thread_broadcast".into();
    scene.workspace.deliver(&broadcast).await.accepted();
    assert_eq!(scene.message_after(5).await["content"], "to all");
}
