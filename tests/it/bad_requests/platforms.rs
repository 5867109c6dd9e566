//! Endpoints of the platforms: what is registered, and events for channels that are not there or another's.

use serde_json::{Value, json};

use super::raw::Request;
use super::row::{Row, World};

const PLATFORMS: [&str; 3] = ["telegram", "discord", "slack"];

pub fn rows(world: &World) -> Vec<Row> {
    [methods(), events(world), registrations(world), verification(world)].into_iter().flatten().collect()
}

fn methods() -> Vec<Row> {
    let paths = PLATFORMS.map(|platform| format!("/{platform}/x"));
    let registers = ["telegram", "discord", "slack", "email"].map(|platform| format!("/channels/{platform}/register"));
    paths
        .into_iter()
        .chain(registers)
        .chain(["/email/inbound".to_owned()])
        .flat_map(|path| ["GET", "HEAD", "PUT"].map(|method| (method, path.clone())))
        .chain([("PUT", "/email/verify".to_owned())])
        .map(|(method, path)| {
            let request = Request::new(method, &path);
            Row::refused(&format!("{method} {path}"), request, 405, "method_not_allowed", "this path takes")
        })
        .collect()
}

/// Whoever posts to a channel that is not the platform's learns that and nothing else.
fn events(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for platform in PLATFORMS {
        let to = |id: &str| Request::new("POST", format!("/{platform}/{id}")).body(r#"{"type": 1}"#);
        for id in ["not-there", "a%2fb", "%00", "%ff", "..%2f..", "x%0d%0aX-A:%201"] {
            let name = format!("{platform} event for {id}");
            rows.push(Row::refused(&name, to(id), 404, "unknown_channel", "no channel"));
        }
        let name = format!("{platform} event for a webhook");
        rows.push(Row::refused(&name, to(&world.webhook.id), 400, "wrong_channel_type", "\"webhook\""));
        let name = format!("{platform} event for nobody of a megabyte");
        let large = Request::new("POST", format!("/{platform}/x")).body("x".repeat(1024 * 1024 + 1));
        rows.push(Row::refused(&name, large, 413, "too_large", "1048576 bytes"));
    }
    rows
}

/// The bodies are refused by their form, before anybody is asked.
fn registrations(world: &World) -> Vec<Row> {
    let register = |platform: &str, body: &Value| {
        world.ask("POST", format!("/channels/{platform}/register")).body(body.to_string())
    };
    let mut rows = Vec::new();
    for platform in PLATFORMS {
        for token in
            [json!(null), json!(""), json!(7), json!([]), json!("x"), json!("a b"), json!("1:../../x"), json!("ключ")]
        {
            let name = format!("{platform} with the token {token}");
            let body = json!({"botToken": token, "signingSecret": "0123456789abcdef"});
            rows.push(Row::bad_field(&name, register(platform, &body), "botToken"));
        }
        let name = format!("{platform} with a list");
        rows.push(Row::refused(&name, register(platform, &json!([])), 400, "invalid_json", "JSON object"));
    }
    for secret in [json!(null), json!(""), json!("short"), json!("ключ".repeat(8))] {
        let body = json!({"botToken": "xoxb-1234567890-abcdef", "signingSecret": secret});
        rows.push(Row::bad_field(
            &format!("slack with the secret {secret}"),
            register("slack", &body),
            "signingSecret",
        ));
    }
    for address in [
        json!(null),
        json!(""),
        json!(7),
        json!("ana"),
        json!("ana@example.com, bob@example.com"),
        json!("Ana <ana@example.com>"),
        json!("ana@example.com\r\nBcc: bob@example.com"),
        json!(format!("{}@example.com", "a".repeat(300))),
    ] {
        let name = format!("a mailbox for {}", address.to_string().chars().take(40).collect::<String>());
        rows.push(Row::bad_field(&name, register("email", &json!({"userEmail": address})), "userEmail"));
    }
    for name in ["webhook", "pager", "Telegram"] {
        let request = register(name, &json!({}));
        rows.push(Row::refused(&format!("registering a {name}"), request, 404, "unknown_path", "nothing at"));
    }
    let bare = Request::new("POST", "/channels/telegram/register").body("{}");
    rows.push(Row::refused("a registration by nobody", bare, 401, "missing_token", "API key"));
    rows
}

fn verification(world: &World) -> Vec<Row> {
    let unsigned = Request::new("POST", "/email/inbound").body(r#"{"type":"email.received"}"#);
    let stale = Request::new("POST", "/email/inbound")
        .header("svix-id", "msg_1")
        .header("svix-timestamp", "1700000000")
        .header("svix-signature", "v1,hYcXrW3NwdtEXi1vSgQddO1xaJjFuyua29XgB4mxne4=")
        .body(r#"{"type":"email.received"}"#);
    let code = |id: &str| world.ask("POST", format!("/channels/{id}/pairing-code"));
    vec![
        Row::refused("a mail event without a signature", unsigned, 401, "invalid_signature", "not signed"),
        Row::refused("a mail event signed long ago", stale, 401, "invalid_signature", "not signed"),
        Row::refused("a code for a webhook", code(&world.webhook.id), 400, "no_pairing", "webhook"),
        Row::refused("a code for nothing", code("not-there"), 404, "unknown_channel", "not-there"),
        Row::refused("a code for another's channel", code(&world.foreign.id), 404, "unknown_channel", "no channel"),
    ]
}
