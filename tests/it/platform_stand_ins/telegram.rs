//! What Telegram refuses, and what a message looks like when it was sent.

use serde_json::{Value, json};

use super::read;
use super::receiver::Receiver;
use crate::support::platforms::telegram::{Bot, Chat, Person, Telegram};
use crate::support::secrets;

/// A bot that Ana wrote to.
struct Scene {
    telegram: Telegram,
    bot: Bot,
    ana: Person,
    chat: Chat,
    receiver: Receiver,
    http: reqwest::Client,
}

impl Scene {
    async fn set() -> Self {
        let (telegram, receiver) = (Telegram::start().await, Receiver::willing().await);
        let bot = telegram.bot("helper_bot");
        let ana = telegram.person(500_001, "Ana");
        bot.sets_webhook(&receiver.url).await;
        bot.hears(&ana, "hello").await;
        let chat = ana.chat();
        Self { telegram, bot, ana, chat, receiver, http: reqwest::Client::new() }
    }

    async fn call(&self, method: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/bot{}/{method}", self.telegram.base_url(), self.bot.token);
        let (status, body) = read(self.http.post(url).json(&body).send().await.unwrap()).await;
        // The status is the error code, always.
        assert_eq!(body["ok"] == true, status == 200);
        assert!(status == 200 || body["error_code"] == status, "{body}");
        (status, body)
    }

    async fn refusal(&self, method: &str, body: Value) -> String {
        let (status, body) = self.call(method, body).await;
        assert_ne!(status, 200, "{body}");
        body["description"].as_str().unwrap().to_owned()
    }

    async fn send(&self, body: Value) -> Value {
        let (status, body) = self.call("sendMessage", body).await;
        assert_eq!(status, 200, "{body}");
        body["result"].clone()
    }
}

#[tokio::test]
async fn only_registered_bots_are_let_in() {
    let scene = Scene::set().await;
    let tries = [
        (format!("/bot{}/getMe", scene.bot.token), 200, ""),
        (format!("/bot{}/GETME", scene.bot.token), 200, ""),
        (format!("/bot{}:x/getMe", scene.bot.id), 401, "Unauthorized"),
        (format!("/bot{}/getMore", scene.bot.token), 404, "Not Found: method not found"),
        ("/bot0:x/getMe".to_owned(), 404, "Not Found"),
        ("/bottoken/getMe".to_owned(), 404, "Not Found"),
        ("/getMe".to_owned(), 404, "Not Found"),
    ];
    for (path, status, description) in tries {
        let answer = scene.http.get(format!("{}{path}", scene.telegram.base_url())).send().await.unwrap();
        let (actual, body) = read(answer).await;
        assert_eq!((actual, body["description"].as_str().unwrap_or_default()), (status, description), "{path}");
    }
    assert_eq!(scene.telegram.calls_of("getMe").len(), 5);
    assert!(secrets::find_in(&format!("log: {}", scene.bot.token)).is_some(), "the token is known as a secret");

    let (_, me) = scene.call("getMe", json!({})).await;
    assert_eq!(
        (&me["result"]["username"], &me["result"]["can_read_all_group_messages"]),
        (&json!(scene.bot.username), &json!(false))
    );
    scene.bot.revoke();
    assert_eq!(scene.refusal("getMe", json!({})).await, "Unauthorized");
}

#[tokio::test]
async fn a_webhook_is_checked_remembered_and_replaced() {
    let scene = Scene::set().await;
    let long = "x".repeat(257);
    let tries = [
        (json!({"url": "not a url"}), "Bad Request: invalid webhook URL specified"),
        (json!({"url": "ftp://example.com/x"}), "Bad Request: invalid webhook URL specified"),
        (
            json!({"url": "http://a.example", "secret_token": "ä b"}),
            "Bad Request: secret token contains unallowed characters",
        ),
        (json!({"url": "http://a.example", "secret_token": long}), "Bad Request: secret token is too long"),
        (
            json!({"url": "http://a.example", "allowed_updates": "message"}),
            "Bad Request: can't parse allowed_updates JSON object",
        ),
        (
            json!({"url": "http://a.example", "allowed_updates": {"a": 1}}),
            "Bad Request: can't parse allowed_updates JSON object",
        ),
        (
            json!({"url": "http://a.example", "max_connections": 0}),
            "Bad Request: max_connections must be between 1 and 100",
        ),
    ];
    for (body, description) in tries {
        assert_eq!(scene.refusal("setWebhook", body.clone()).await, description, "{body}");
    }
    assert_eq!(scene.bot.webhook().unwrap().url, scene.receiver.url, "a refused one changes nothing");

    let settings = json!({"url": "http://b.example/x", "secret_token": "a-Z_9", "allowed_updates": ["message"]});
    let said = async |method: &str, body: &Value| scene.call(method, body.clone()).await.1["description"].clone();
    assert_eq!(said("setWebhook", &settings).await, "Webhook was set");
    assert_eq!(said("setWebhook", &settings).await, "Webhook is already set");
    let webhook = scene.bot.webhook().unwrap();
    assert_eq!((webhook.url.as_str(), webhook.secret.as_deref()), ("http://b.example/x", Some("a-Z_9")));
    let info = scene.call("getWebhookInfo", json!({})).await.1;
    assert_eq!((&info["result"]["url"], &info["result"]["allowed_updates"]), (&settings["url"], &json!(["message"])));
    assert_eq!(scene.call("getUpdates", json!({})).await.0, 409);
    assert_eq!(said("deleteWebhook", &json!({})).await, "Webhook was deleted");
    assert_eq!(said("deleteWebhook", &json!({})).await, "Webhook is already deleted");
    assert_eq!(scene.bot.webhook(), None);

    scene.telegram.demand_https();
    let refusal = scene.refusal("setWebhook", settings).await;
    assert_eq!(refusal, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook");
    let refusal = scene.refusal("setWebhook", json!({"url": "https://a.example:8080"})).await;
    assert_eq!(refusal, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443");
    assert_eq!(scene.call("setWebhook", json!({"url": "https://a.example:8443"})).await.0, 200);
}

#[tokio::test]
async fn a_text_has_1_to_4096_utf_16_units_without_its_markup() {
    let scene = Scene::set().await;
    let text = |text: String, mode: Option<&str>| json!({"chat_id": 500_001, "text": text, "parse_mode": mode});
    assert_eq!(scene.refusal("sendMessage", text(String::new(), None)).await, "Bad Request: message text is empty");
    assert_eq!(scene.refusal("sendMessage", text(" \n ".into(), None)).await, "Bad Request: message text is empty");
    assert_eq!(
        scene.refusal("sendMessage", text("<b></b>".into(), Some("HTML"))).await,
        "Bad Request: message text is empty"
    );
    // One emoji is two units.
    let emoji = "😀".repeat(2048);
    scene.send(text(emoji.clone(), None)).await;
    scene.send(text(format!("<b>{emoji}</b>"), Some("HTML"))).await;
    scene.send(text("&lt;".repeat(4096), Some("html"))).await;
    assert_eq!(scene.refusal("sendMessage", text(format!("{emoji}x"), None)).await, "Bad Request: message is too long");
    assert_eq!(
        scene.refusal("sendMessage", text("&lt;".repeat(4097), Some("HTML"))).await,
        "Bad Request: message is too long"
    );
    assert_eq!(scene.refusal("sendMessage", text("x".repeat(32_769), None)).await, "Bad Request: text is too long");
    assert_eq!(
        scene.refusal("sendMessage", text("x".into(), Some("BBCode"))).await,
        "Bad Request: unsupported parse_mode"
    );
}

#[tokio::test]
async fn html_is_parsed_as_strictly_as_by_telegram() {
    let scene = Scene::set().await;
    let refused = [
        ("a <br> b", "Unsupported start tag \"br\" at byte offset 2"),
        ("ä < b", "Unsupported start tag \"\" at byte offset 3"),
        ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
        ("<b>x</i>", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
        ("<b><i>x</b></i>", "Unmatched end tag at byte offset 7, expected \"</i>\", found \"</b>\""),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<a href=\"x", "Unclosed start tag \"a\" at byte offset 0"),
        ("<a href>x</a>", "Expected equal sign in declaration of an attribute of the tag \"a\" at byte offset 0"),
        ("<span>x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
        ("<tg-emoji emoji-id=\"a\">x</tg-emoji>", "Invalid custom emoji identifier specified"),
        ("<blockquote><blockquote>x</blockquote></blockquote>", "Blockquotes can't be nested at byte offset 12"),
    ];
    for (html, why) in refused {
        let refusal =
            scene.refusal("sendMessage", json!({"chat_id": 500_001, "text": html, "parse_mode": "HTML"})).await;
        assert_eq!(refusal, format!("Bad Request: can't parse entities: {why}"), "{html}");
    }
    let taken = [
        ("<b>a</b>", "a", json!([{"type": "bold", "offset": 0, "length": 1}])),
        ("😀<I>ä&#228;&#xe4;</I >", "😀äää", json!([{"type": "italic", "offset": 2, "length": 3}])),
        ("&lt;&gt;&amp;&quot;&copy;&nbsp; & &", "<>&\"&copy;&nbsp; & &", json!([])),
        (" \n<u> x</u> ", "x", json!([{"type": "underline", "offset": 0, "length": 1}])),
        (
            "<b>a<i>b</i></b>",
            "ab",
            json!([{"type": "bold", "offset": 0, "length": 2}, {"type": "italic", "offset": 1, "length": 1}]),
        ),
        (
            "<pre><code class=\"language-rust\">x</code></pre>",
            "x",
            json!([{"type": "pre", "offset": 0, "length": 1, "language": "rust"}]),
        ),
        ("<pre>x<b>y</b></pre>", "xy", json!([{"type": "pre", "offset": 0, "length": 2}])),
        ("<code>x<b>y</b></code>", "xy", json!([{"type": "code", "offset": 0, "length": 2}])),
        (
            "<a href='https://x.example/?a=1&amp;b'>y</a>",
            "y",
            json!([{"type": "text_link", "offset": 0, "length": 1, "url": "https://x.example/?a=1&b"}]),
        ),
        (
            "<a href=\"mailto:ana@example.com\">y</a>",
            "y",
            json!([{"type": "text_link", "offset": 0, "length": 1, "url": "http://mailto:ana@example.com"}]),
        ),
        ("<a href=\"/relative\">y</a>", "y", json!([])),
        (
            "<blockquote expandable>q</blockquote>",
            "q",
            json!([{"type": "expandable_blockquote", "offset": 0, "length": 1}]),
        ),
        ("<span class=\"tg-spoiler\">s</span><s></s>", "s", json!([{"type": "spoiler", "offset": 0, "length": 1}])),
    ];
    for (html, text, entities) in taken {
        let message = scene.send(json!({"chat_id": 500_001, "text": html, "parse_mode": "HTML"})).await;
        assert_eq!(
            (message["text"].as_str(), message.get("entities").cloned().unwrap_or(json!([]))),
            (Some(text), entities),
            "{html}"
        );
        let sent = scene.telegram.sent().pop().unwrap();
        assert_eq!((sent.text.as_str(), sent.parse_mode.as_deref()), (text, Some("HTML")));
    }
}

#[tokio::test]
async fn entities_beside_the_text_begin_and_end_at_whole_characters() {
    let scene = Scene::set().await;
    let body = |entities: Value| json!({"chat_id": 500_001, "text": "😀b", "entities": entities});
    let good = json!([{"type": "bold", "offset": 2, "length": 1}]);
    assert_eq!(scene.send(body(good.clone())).await["entities"], good);
    for bad in [
        json!([{"type": "bold", "offset": 1, "length": 1}]),
        json!([{"type": "bold", "offset": 2, "length": 2}]),
        json!([{"type": "bold", "offset": 0}]),
        json!([{"offset": 0, "length": 2}]),
        json!({"type": "bold"}),
    ] {
        assert_eq!(scene.call("sendMessage", body(bad.clone())).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_bot_writes_only_where_somebody_wrote_to_it() {
    let scene = Scene::set().await;
    let ben = scene.telegram.person(500_002, "Ben");
    let group = scene.telegram.group(-400, "Friends");
    let tries = [
        (json!(500_002), 403, "Forbidden: bot can't initiate conversation with a user"),
        (json!(-400), 403, "Forbidden: bot is not a member of the group chat"),
        (json!(500_003), 400, "Bad Request: chat not found"),
        (json!("@somebody"), 400, "Bad Request: chat not found"),
        (json!(""), 400, "Bad Request: chat_id is empty"),
        (Value::Null, 400, "Bad Request: chat_id is empty"),
    ];
    for (chat, status, description) in tries {
        let (actual, body) = scene.call("sendMessage", json!({"chat_id": chat, "text": "hi"})).await;
        assert_eq!((actual, body["description"].as_str().unwrap()), (status, description), "{chat}");
        assert_eq!(scene.call("sendChatAction", json!({"chat_id": chat, "action": "typing"})).await.0, status);
    }
    scene.bot.hears(&ben, "hello").await;
    scene.bot.deliver(&ben.says(&group, "/start@helper_bot")).await.accepted();
    scene.send(json!({"chat_id": "500002", "text": "hi"})).await;
    let message = scene.send(json!({"chat_id": -400, "text": "hi"})).await;
    assert_eq!(message["chat"], json!({"id": -400, "type": "group", "title": "Friends"}));
    let chats: Vec<_> = scene.telegram.sent().iter().map(|sent| sent.chat).collect();
    assert_eq!(chats, [500_002, -400]);
}

#[tokio::test]
async fn topics_and_answered_messages_must_exist_in_the_chat() {
    let scene = Scene::set().await;
    scene.bot.sees_all();
    let forum = scene.telegram.supergroup(-1001, "Team");
    let topic = forum.topic();
    let question = scene.bot.deliver(&scene.ana.says(&topic, "which?")).await.accepted().event;
    assert_eq!(question["message"]["is_topic_message"], true);
    let asked = question["message"]["message_id"].as_i64().unwrap();
    let body = |thread: Option<i64>, reply: Value| {
        let mut body = json!({"chat_id": -1001, "text": "x", "reply_parameters": reply});
        body["message_thread_id"] = thread.into();
        body
    };

    let message = scene.send(body(topic.thread, Value::Null)).await;
    assert_eq!((message["message_thread_id"].as_i64(), &message["is_topic_message"]), (topic.thread, &json!(true)));
    assert_eq!(scene.send(body(None, Value::Null)).await["message_thread_id"], Value::Null);
    let answer = scene.send(body(None, json!({"message_id": asked}))).await;
    assert_eq!(answer["message_thread_id"].as_i64(), topic.thread, "an answer stands where the question does");
    let sent = scene.telegram.sent().pop().unwrap();
    assert_eq!((sent.thread, sent.reply_to), (topic.thread, Some(asked)));

    let gone = "Bad Request: message thread not found";
    // The General topic has no id, and a private chat no topics.
    assert_eq!(scene.refusal("sendMessage", body(Some(1), Value::Null)).await, gone);
    let private = json!({"chat_id": 500_001, "text": "x", "message_thread_id": topic.thread});
    assert_eq!(scene.refusal("sendMessage", private).await, gone);
    let action = json!({"chat_id": -1001, "action": "typing", "message_thread_id": topic.thread});
    assert_eq!(scene.call("sendChatAction", action.clone()).await.0, 200);
    topic.delete_topic();
    assert_eq!(scene.refusal("sendChatAction", action).await, gone);

    let unknown = "Bad Request: message to be replied not found";
    assert_eq!(scene.refusal("sendMessage", body(None, json!({"message_id": 4}))).await, unknown);
    assert_eq!(
        scene.refusal("sendMessage", body(None, json!(4))).await,
        "Bad Request: object expected as reply parameters"
    );
    let tolerant = body(None, json!({"message_id": 4, "allow_sending_without_reply": true}));
    assert_eq!(scene.send(tolerant).await["reply_to_message"], Value::Null);
}

#[tokio::test]
async fn a_group_that_moved_names_its_new_id() {
    let scene = Scene::set().await;
    let group = scene.telegram.group(-400, "Team");
    scene.bot.deliver(&scene.ana.says(&group, "/start")).await.accepted();
    let notice = scene.bot.deliver(&group.moves(&scene.ana, -1_001_400)).await.accepted();
    assert_eq!(notice.event["message"]["migrate_to_chat_id"], -1_001_400);
    let new = scene.telegram.upgrade(&group, -1_001_400);
    let (status, body) = scene.call("sendMessage", json!({"chat_id": -400, "text": "hi"})).await;
    assert_eq!((status, &body["parameters"]), (400, &json!({"migrate_to_chat_id": -1_001_400})));
    assert_eq!(scene.send(json!({"chat_id": new.id, "text": "hi"})).await["chat"]["type"], "supergroup");
}

#[tokio::test]
async fn a_refusal_to_a_group_that_moves_makes_it_move() {
    use crate::support::platforms::Misbehaviour;
    use crate::support::platforms::telegram::Refusal;
    let scene = Scene::set().await;
    let group = scene.telegram.group(-400, "Team");
    scene.bot.deliver(&scene.ana.says(&group, "/start")).await.accepted();
    scene.telegram.misbehave(Misbehaviour::Refuse(Refusal::Migrated { to: -1_001_400 }));
    for _ in 0..2 {
        let (status, body) = scene.call("sendMessage", json!({"chat_id": -400, "text": "hi"})).await;
        assert_eq!((status, &body["parameters"]["migrate_to_chat_id"]), (400, &json!(-1_001_400)));
    }
    scene.send(json!({"chat_id": -1_001_400, "text": "hi"})).await;
    for (refusal, status) in [
        (Refusal::CannotParseEntities, 400),
        (Refusal::ThreadNotFound, 400),
        (Refusal::Unauthorized, 401),
        (Refusal::Error { code: 403, description: "Forbidden: user is deactivated" }, 403),
    ] {
        scene.telegram.misbehave(Misbehaviour::Refuse(refusal));
        assert_eq!(scene.call("sendMessage", json!({"chat_id": 500_001, "text": "hi"})).await.0, status);
    }
}

#[tokio::test]
async fn actions_and_pressed_buttons_are_known_ones() {
    let scene = Scene::set().await;
    let action = |action: &str| json!({"chat_id": 500_001, "action": action});
    assert_eq!(scene.call("sendChatAction", action("typing")).await.0, 200);
    assert_eq!(
        scene.refusal("sendChatAction", action("thinking")).await,
        "Bad Request: wrong parameter action in request"
    );

    let pressed = scene.bot.deliver(&scene.ana.presses(&scene.chat, 43, "approve:1")).await.accepted().event;
    let id = &pressed["callback_query"]["id"];
    assert_eq!(scene.call("answerCallbackQuery", json!({"callback_query_id": id})).await.0, 200);
    let late = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    assert_eq!(scene.refusal("answerCallbackQuery", json!({"callback_query_id": "1"})).await, late);
}

#[tokio::test]
async fn parameters_are_read_from_the_query_a_form_or_json() {
    let scene = Scene::set().await;
    let url = format!("{}/bot{}/sendMessage", scene.telegram.base_url(), scene.bot.token);
    let form = "application/x-www-form-urlencoded";
    let answers = [
        scene.http.get(format!("{url}?chat_id=500001&text=a+b")).send().await.unwrap(),
        scene.http.post(&url).header("Content-Type", form).body("chat_id=500001&text=a+b").send().await.unwrap(),
        scene.http.post(&url).header("Content-Type", "text/plain").body(r#"{"chat_id":500001}"#).send().await.unwrap(),
        scene.http.post(&url).header("Content-Type", "application/json").body("{").send().await.unwrap(),
        scene.http.post(&url).json(&json!([1])).send().await.unwrap(),
    ];
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses, [200, 200, 400, 400, 400]);
    let texts: Vec<_> = scene.telegram.sent().into_iter().map(|sent| sent.text).collect();
    assert_eq!(texts, ["a b", "a b"]);
    assert_eq!(scene.telegram.calls_of("sendMessage")[1].body, json!({"chat_id": "500001", "text": "a b"}));
}
