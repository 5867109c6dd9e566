//! Bodies that are not JSON where JSON is needed, and bodies that are too large.

use super::raw::Request;
use super::row::{Row, World};

/// A megabyte.
const MIB: usize = 1024 * 1024;

pub fn rows(world: &World) -> Vec<Row> {
    [not_json(world), too_large(world)].into_iter().flatten().collect()
}

fn not_json(world: &World) -> Vec<Row> {
    let deep_list = "[".repeat(100_000);
    let deep_object = r#"{"a":"#.repeat(100_000);
    let deep_member =
        format!(r#"{{"channelId":"c","content":"x","metadata":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let long_number = format!(r#"{{"channelId":"c","n":{}}}"#, "9".repeat(10_000));
    let bodies: [(&str, &[u8]); 26] = [
        ("a list", b"[]"),
        ("a text", b"\"channelId\""),
        ("a number", b"7"),
        ("null", b"null"),
        ("true", b"true"),
        ("blanks", b" \r\n\t "),
        ("words", b"channelId=c&content=x"),
        ("half an object", br#"{"channelId":"c","content":"#),
        ("half a text", br#"{"channelId":"c"#),
        ("half an escape", br#"{"channelId":"\u00"}"#),
        ("an object and more", br#"{"channelId":"c"}{}"#),
        ("a comma too many", br#"{"channelId":"c",}"#),
        ("single quotes", b"{'channelId':'c'}"),
        ("a comment", b"{/* */}"),
        ("not a number", br#"{"n":NaN}"#),
        ("a number out of range", br#"{"channelId":"c","n":1e999}"#),
        ("a number of ten thousand digits", long_number.as_bytes()),
        ("a leading zero", br#"{"n":007}"#),
        ("invalid UTF-8", b"{\"channelId\":\"\xff\xfe\"}"),
        ("a surrogate in UTF-8", b"{\"channelId\":\"\xed\xa0\x80\"}"),
        ("a lone surrogate", br#"{"channelId":"\ud800"}"#),
        ("surrogates in the wrong order", br#"{"channelId":"\udc00\ud800"}"#),
        ("a raw NUL", b"{\"channelId\":\"a\0b\"}"),
        ("UTF-16", b"\xff\xfe{\0}\0"),
        ("a hundred thousand lists", deep_list.as_bytes()),
        ("a hundred thousand objects", deep_object.as_bytes()),
    ];
    let update = format!("/channels/{}", world.webhook.id);
    let ways = [("POST", "/reply"), ("POST", "/typing"), ("POST", "/channels"), ("PATCH", update.as_str())];
    let mut rows = Vec::new();
    for (name, body) in bodies {
        for (method, path) in ways {
            let request = world.ask(method, path).header("Content-Type", "application/json").body(body);
            rows.push(Row::refused(&format!("{name} to {method} {path}"), request, 400, "invalid_json", "body"));
        }
        let request = Request::new("POST", "/auth/register").body(body);
        rows.push(Row::refused(&format!("{name} to registration"), request, 400, "invalid_json", "body"));
    }
    rows.push(Row::refused(
        "metadata too deep",
        world.ask("POST", "/reply").body(deep_member),
        400,
        "invalid_json",
        "body",
    ));
    for (method, path) in [("POST", "/reply"), ("POST", "/typing"), ("PATCH", update.as_str())] {
        rows.push(Row::refused(&format!("nothing to {path}"), world.ask(method, path), 400, "invalid_json", "body"));
    }
    let reply = format!(r#"{{"channelId":"{}","content":"x"}}"#, world.webhook.id);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ";;;", "image/*"]
    {
        let request = world.ask("POST", "/reply").header("Content-Type", kind).body(reply.clone());
        rows.push(Row::taken(&format!("JSON called {kind}"), request, 200));
    }
    rows.push(Row::taken("JSON in chunks", world.ask("POST", "/reply").body(reply).chunked(), 200));
    rows
}

fn too_large(world: &World) -> Vec<Row> {
    let update = format!("/channels/{}", world.webhook.id);
    let mut rows = Vec::new();
    for (name, request) in [
        ("a webhook", world.hook()),
        ("a registration", Request::new("POST", "/auth/register")),
        ("a reply", world.ask("POST", "/reply")),
        ("typing", world.ask("POST", "/typing")),
        ("a channel", world.ask("POST", "/channels")),
        ("an update", world.ask("PATCH", update)),
    ] {
        let request = request.body("x".repeat(MIB + 1));
        rows.push(Row::refused(&format!("{name} over 1 MiB"), request.clone(), 413, "too_large", "body"));
        rows.push(Row::refused(&format!("{name} over 1 MiB in chunks"), request.chunked(), 413, "too_large", "body"));
    }
    let several = world.hook().body("x".repeat(5 * MIB)).chunked();
    rows.push(Row::refused("a webhook of 5 MiB", several, 413, "too_large", "body"));
    rows.push(Row::taken("a webhook of 1 MiB", world.hook().body("x".repeat(MIB)), 200));
    rows.push(Row::taken("a webhook of 1 MiB in chunks", world.hook().body("x".repeat(MIB)).chunked(), 200));
    rows
}
