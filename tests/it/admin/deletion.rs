//! Deleting a session, and closing its sockets.

use reqwest::Method;
use serde_json::json;

use crate::support::client::{Client, expect};
use crate::support::eventually;
use crate::support::operator::{Operator, location, with_password};
use crate::support::platforms::deployment::{Platforms, register_bot};
use crate::support::relay::{Setup, data_dir};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_session_is_gone_everywhere_and_its_sockets_close_with_1008() {
    let [a, b] = with_password(Setup::on_redis()).start_many().await;
    let client = Client::register_signed(&a).await;
    let hook = client.make_webhook(&a, json!({})).await;
    hook.deliver(&a, "hello").await;
    client.reply(&a, &hook.id, "a reply").await;
    let (mut on_a, mut on_b) = (client.open(&a, "").await, client.open(&b, "").await);
    let operator = Operator::log_in(&a).await;
    let path = format!("/admin/sessions/{}", client.user_id);
    let answer = operator.request(&a, Method::DELETE, &path).send().await.unwrap();
    assert_eq!(expect(answer, 200).await["ok"], true);
    assert_eq!(on_a.closed().await, 1008);
    assert_eq!(on_b.closed().await, 1008);
    for replica in [&a, &b] {
        assert_eq!(client.get(replica, "/messages").await.status(), 401);
        assert_eq!(hook.post(replica, "again").await.unwrap().status(), 404);
        assert!(operator.session(replica, &client.user_id).await.is_none());
    }
    let status = operator.status(&b).await;
    let recent = status["recentMessages"].as_array().unwrap();
    assert!(recent.iter().all(|message| message["userId"] != json!(client.user_id)), "nothing of it is shown");
    let answer = operator.request(&b, Method::DELETE, &path).send().await.unwrap();
    assert_eq!(expect(answer, 404).await["code"], "unknown_session");
    let again = Client::register_with(&b, client.key).await;
    assert_eq!(again.user_id, client.user_id);
    assert_eq!(again.poll(&a, "").await["messages"], json!([]), "it begins anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bots_of_a_deleted_session_are_unhooked() {
    let platforms = Platforms::start().await;
    let replica = with_password(platforms.on_redis()).start().await;
    platforms.lead_to(&[&replica]);
    let client = Client::register(&replica).await;
    let bot = platforms.telegram.bot("helper_bot");
    register_bot(&client, &replica, "telegram", &bot.token).await;
    let operator = Operator::log_in(&replica).await;
    let path = format!("/admin/sessions/{}", client.user_id);
    expect(operator.request(&replica, Method::DELETE, &path).send().await.unwrap(), 200).await;
    assert_eq!(platforms.telegram.calls_of("deleteWebhook").len(), 1);
    let next = Client::register(&replica).await;
    let again = next.post(&replica, "/channels/telegram/register", &json!({"botToken": bot.token})).await;
    assert_eq!(again.status(), 201, "the bot is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_are_closed_may_come_back() {
    let [a, b] = with_password(Setup::on_redis()).start_many().await;
    let client = Client::register(&a).await;
    let hook = client.make_webhook(&a, json!({})).await;
    let (mut on_a, mut on_b) = (client.open(&a, "").await, client.open(&b, "").await);
    let operator = Operator::log_in(&b).await;
    let path = format!("/admin/sessions/{}/disconnect", client.user_id);
    let answer = expect(operator.request(&b, Method::POST, &path).send().await.unwrap(), 200).await;
    assert_eq!(answer["disconnected"], 2);
    assert_eq!((on_a.closed().await, on_b.closed().await), (1012, 1012));
    let mut back = client.open(&b, "").await;
    hook.deliver(&a, "still here").await;
    assert_eq!(back.message().await["content"], "still here");
    eventually("one socket is counted", || async { (operator.status(&a).await["websockets"] == 1).then_some(()) })
        .await;
    for unknown in ["00000000-0000-4000-8000-000000000000", "nobody"] {
        let path = format!("/admin/sessions/{unknown}/disconnect");
        assert_eq!(operator.request(&a, Method::POST, &path).send().await.unwrap().status(), 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_deletes_only_what_was_confirmed() {
    let dir = data_dir();
    let replica = with_password(Setup::embedded(dir.path())).start().await;
    let client = Client::register(&replica).await;
    let operator = Operator::log_in(&replica).await;
    let path = format!("/admin/sessions/{}/delete", client.user_id);
    assert!(operator.page(&replica, &path).await.contains(&client.user_id));
    for wrong in ["", "delete", &client.user_id[1..9]] {
        assert_eq!(operator.send_form(&replica, &path, &[("confirm", wrong)]).await.status(), 400, "{wrong}");
    }
    let form = operator.request(&replica, Method::POST, &path).header("Referer", format!("{}{path}", replica.url()));
    let form = form.header("Content-Type", "application/x-www-form-urlencoded");
    let body = format!("csrf={}&confirm=no", operator.csrf(&replica).await);
    let refused = form.body(body).send().await.unwrap().text().await.unwrap().replace("&#x2F;", "/");
    assert!(refused.contains(&format!("href=\"{path}\"")), "the way back to the form: {refused}");
    assert_eq!(client.get(&replica, "/messages").await.status(), 200);
    let answer = operator.send_form(&replica, &path, &[("confirm", &client.user_id[..8])]).await;
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, "/admin/sessions?notice=deleted"));
    assert_eq!(client.get(&replica, "/messages").await.status(), 401);
    assert!(operator.page(&replica, "/admin/sessions?notice=deleted").await.contains("was deleted"));
}
