//! Registration, call by call.

use super::*;
use crate::channels::discord::testing::*;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

fn ok(body: &Value) -> ApiAnswer {
    answer(200, &[], body.to_string())
}

fn refused(answer: &ApiAnswer) -> Option<String> {
    match discord().check(answer) {
        Err(RegistrationError::Refused(reason)) => Some(reason),
        _ => None,
    }
}

fn unavailable(answer: &ApiAnswer) -> bool {
    matches!(discord().check(answer), Err(RegistrationError::Unavailable(_)))
}

#[test]
fn a_token_is_visible_ascii_of_a_sensible_length() {
    for good in ["MTEx.b0t-t0ken", "1234567890", &"x".repeat(200)] {
        assert!(is_token(good), "{good}");
    }
    for bad in
        ["", "123456789", &"x".repeat(201), "1234567890 ", "12345\n67890", "12345\u{e9}67890", "12345\u{7f}67890"]
    {
        assert!(!is_token(bad), "{bad:?}");
    }
}

#[test]
fn every_call_says_who_calls_and_proves_the_bot() {
    let (discord, token) = (discord(), secrets().token);
    let mut calls = vec![
        discord.get_application(&token),
        discord.get_me(&token),
        discord.set_endpoint(&token, "https://relay.example/discord/1"),
        discord.clear_endpoint(&token),
        discord.list_commands(&token, &app()),
        discord.delete_command(&token, &app(), "5"),
    ];
    calls.extend(discord.commands(&token, &app()));
    for call in calls {
        let header = |name: &str| {
            let found = call.headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.expose_secret().to_owned()).unwrap()
        };
        assert_eq!(header("Authorization"), format!("Bot {TOKEN}"));
        let agent = header("User-Agent");
        assert!(agent.starts_with("DiscordBot (https://github.com/chaos-relay/chaos-relay, "), "{agent}");
        assert!(agent.ends_with(')'));
        assert!(!format!("{call:?}").contains(TOKEN));
    }
}

#[test]
fn the_application_and_its_bot_are_asked_for() {
    let token = secrets().token;
    let call = discord().get_application(&token);
    assert_eq!((call.method, url(&call)), (Method::Get, "https://discord.test/api/v10/applications/@me"));
    let call = discord().get_me(&token);
    assert_eq!((call.method, url(&call)), (Method::Get, "https://discord.test/api/v10/users/@me"));
}

#[test]
fn an_application_is_read_with_its_bot() {
    let shown = json!({
        "id": "111", "name": "Helper", "verify_key": KEY, "flags": 0, "interactions_endpoint_url": null,
        "bot": {"id": "112", "username": "helper", "bot": true},
    });
    let read = discord().read_application(&ok(&shown)).unwrap();
    let bot = read.bot.clone().unwrap();
    assert_eq!(read.with_bot(bot), app());
}

#[test]
fn a_bot_that_the_application_leaves_out_is_read_on_its_own() {
    for bot in [Value::Null, json!({}), json!({"id": "112"}), json!({"id": "112", "username": " "})] {
        let shown = json!({"id": "111", "verify_key": KEY, "bot": bot});
        let read = discord().read_application(&ok(&shown)).unwrap();
        assert_eq!(read.bot, None);
        let me = discord().read_me(&ok(&json!({"id": "112", "username": "helper", "bot": true}))).unwrap();
        assert_eq!(read.with_bot(me), app());
    }
}

#[test]
fn an_application_that_cannot_be_read_is_nobodys_fault_but_discords() {
    let zero = "0".repeat(64);
    for shown in [
        Value::Null,
        json!([]),
        json!({"id": "111"}),
        json!({"id": "111", "verify_key": "abc"}),
        json!({"id": "111", "verify_key": zero}),
        json!({"id": "x/y", "verify_key": KEY}),
    ] {
        let error = discord().read_application(&ok(&shown)).unwrap_err();
        assert!(matches!(error, RegistrationError::Unavailable(_)), "{shown}");
    }
    assert!(discord().read_me(&ok(&json!({"id": "112"}))).is_err());
}

#[test]
fn the_endpoint_is_set_and_cleared() {
    let token = secrets().token;
    let set = discord().set_endpoint(&token, "https://relay.example/discord/1");
    assert_eq!((set.method, url(&set)), (Method::Patch, "https://discord.test/api/v10/applications/@me"));
    assert_eq!(sent(&set), json!({"interactions_endpoint_url": "https://relay.example/discord/1"}));
    let clear = discord().clear_endpoint(&token);
    assert_eq!((clear.method, url(&clear)), (Method::Patch, "https://discord.test/api/v10/applications/@me"));
    assert_eq!(sent(&clear), json!({"interactions_endpoint_url": null}));
}

#[test]
fn each_command_is_made_by_itself_so_that_others_stay() {
    let calls = discord().commands(&secrets().token, &app());
    for call in &calls {
        assert_eq!((call.method, url(call)), (Method::Post, "https://discord.test/api/v10/applications/111/commands"));
        let command = sent(call);
        assert_eq!(command["integration_types"], json!([0, 1]));
        assert_eq!(command["contexts"], json!([0, 1, 2]));
        assert_eq!(command["type"], 1);
        for text in [&command["description"], &command["options"][0]["description"]] {
            assert!((1..=100).contains(&text.as_str().unwrap().len()));
        }
    }
    let option = |at: usize| sent(&calls[at])["options"][0].clone();
    let names: Vec<_> = calls.iter().map(|call| sent(call)["name"].clone()).collect();
    assert_eq!(names, ["chat", "pair"]);
    let chat = option(0);
    assert_eq!((&chat["name"], &chat["type"], &chat["max_length"]), (&json!("message"), &json!(3), &json!(6000)));
    assert_eq!(chat["required"], true);
    let pair = option(1);
    assert_eq!((&pair["name"], &pair["type"], &pair["required"]), (&json!("code"), &json!(3), &json!(true)));
}

#[test]
fn only_our_own_commands_are_found_again() {
    let token = secrets().token;
    let list = discord().list_commands(&token, &app());
    assert_eq!((list.method, url(&list)), (Method::Get, "https://discord.test/api/v10/applications/111/commands"));
    let mut listed: Vec<Value> = discord().commands(&token, &app()).iter().map(sent).collect();
    listed[0]["id"] = "51".into();
    listed[1]["id"] = "52".into();
    listed.push(json!({"id": "53", "name": "chat", "description": "Another chat"}));
    listed.push(json!({"id": "54", "name": "weather", "description": "Send a message to the agent"}));
    listed.push(json!(7));
    assert_eq!(discord().read_own_commands(&ok(&Value::Array(listed))).unwrap(), ["51", "52"]);
    assert!(discord().read_own_commands(&ok(&json!({}))).is_err());

    let delete = discord().delete_command(&token, &app(), "51");
    assert_eq!(delete.method, Method::Delete);
    assert_eq!(url(&delete), "https://discord.test/api/v10/applications/111/commands/51");
}

#[test]
fn discord_says_why_it_refused() {
    for (status, body, reason) in [
        (401, json!({"message": "401: Unauthorized", "code": 0}), "401: Unauthorized"),
        (403, json!({"message": "Missing\nAccess", "code": 50001}), "Missing Access"),
        (
            400,
            json!({
                "message": "Invalid Form Body", "code": 50035,
                "errors": {"interactions_endpoint_url": {"_errors": [
                    {"code": "APPLICATION_INTERACTIONS_ENDPOINT_URL_INVALID", "message": "could not be verified"},
                    {"message": "second"},
                ]}},
            }),
            "Invalid Form Body: could not be verified",
        ),
        (
            400,
            json!({"message": "Invalid Form Body", "errors": {"options": {"0": {"name": {"_errors": [7, {"message": "bad"}]}}}}}),
            "Invalid Form Body: bad",
        ),
        (404, json!({"message": 7}), "Discord answered with HTTP status 404"),
        (404, Value::Null, "Discord answered with HTTP status 404"),
    ] {
        assert_eq!(refused(&answer(status, &[], body.to_string())).as_deref(), Some(reason));
    }
    assert_eq!(refused(&answer(403, &[], "<html>no</html>")).as_deref(), Some("Discord answered with HTTP status 403"));
    let long = json!({"message": "x".repeat(100_000)}).to_string();
    assert_eq!(refused(&answer(400, &[], long)).unwrap().len(), 300);
}

#[test]
fn an_overloaded_or_broken_discord_is_tried_later() {
    for status in [429, 500, 502, 503, 302, 100] {
        assert!(unavailable(&answer(status, &[], r#"{"message": "x"}"#)), "{status}");
    }
    for status in [200, 201, 204] {
        assert_eq!(discord().check(&answer(status, &[], "")), Ok(()));
    }
}

proptest! {
    #[test]
    fn any_answer_is_read(status in 100_u16..600, body in any_json()) {
        let answer = answer(status, &[], body.to_string());
        let _ = discord().check(&answer);
        let _ = discord().read_application(&answer);
        let _ = discord().read_me(&answer);
        let _ = discord().read_own_commands(&answer);
    }
}
