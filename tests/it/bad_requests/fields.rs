//! Bodies that are JSON and say something wrong, and ones that merely say more than is known.

use serde_json::{Value, json};

use super::raw::Request;
use super::row::{Row, World};

/// A value of every JSON type but the right one (and `null`, which is the same as absent in most places).
fn of_other_types(right: &str) -> Vec<Value> {
    let all = [
        ("string", json!("yes")),
        ("number", json!(7)),
        ("boolean", json!(true)),
        ("list", json!(["x"])),
        ("object", json!({"x": 1})),
    ];
    all.into_iter().filter(|(name, _)| *name != right).map(|(_, value)| value).collect()
}

fn wrong_types(what: &str, field: &'static str, right: &str, make: impl Fn(Value) -> Request) -> Vec<Row> {
    let of =
        |value: Value| Row::bad_field(&format!("{what} with {field} {value}"), make(json!({ field: value })), field);
    of_other_types(right).into_iter().map(of).collect()
}

pub fn rows(world: &World) -> Vec<Row> {
    [replies(world), typing(world), creations(world), updates(world), settings(world)].into_iter().flatten().collect()
}

fn replies(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for field in ["channelId", "content", "channelType", "replyTo"] {
        rows.extend(wrong_types("a reply", field, "string", |changes| world.reply(changes)));
    }
    rows.extend(wrong_types("a reply", "metadata", "object", |changes| world.reply(changes)));
    for (name, changes, field) in [
        ("a reply without channelId", json!({"channelId": null}), "channelId"),
        ("a reply with an empty channelId", json!({"channelId": ""}), "channelId"),
        ("a reply without content", json!({"content": null}), "content"),
        ("a reply with empty content", json!({"content": ""}), "content"),
        ("a reply of blanks", json!({"content": " \n\t"}), "content"),
        ("a reply of markup alone", json!({"content": "<b></b><!-- -->"}), "content"),
        ("a reply of hidden characters alone", json!({"content": "\u{202e}\u{e0041}\u{0}"}), "content"),
        ("a reply with an endless replyTo", json!({"replyTo": "x".repeat(201)}), "replyTo"),
    ] {
        rows.push(Row::bad_field(name, world.reply(changes), field));
    }
    let unknown = |name: &str, id: &'static str| {
        Row::refused(name, world.reply(json!({"channelId": id})), 404, "unknown_channel", id)
    };
    rows.extend([
        unknown("a reply to a channel that is not there", "not-there"),
        unknown("a reply to what cannot be a channel", "a/b c"),
        unknown("a reply to an id of other letters", "канал"),
        Row::refused(
            "a reply to a channel of another session",
            world.reply(json!({"channelId": world.foreign.id})),
            404,
            "unknown_channel",
            "no channel",
        ),
        Row::refused(
            "a reply to an id of a megabyte",
            world.reply(json!({"channelId": "x".repeat(1_000_000)})),
            404,
            "unknown_channel",
            "no channel",
        ),
        Row::refused(
            "a reply with another type",
            world.reply(json!({"channelType": "telegram"})),
            400,
            "wrong_channel_type",
            "\"telegram\", but the channel is of type \"webhook\"",
        ),
        Row::refused(
            "content over 128 KiB",
            world.reply(json!({"content": "x".repeat(128 * 1024 + 1)})),
            413,
            "too_large",
            "content",
        ),
        Row::refused(
            "content over 128 KiB in few characters",
            world.reply(json!({"content": "ä".repeat(64 * 1024 + 1)})),
            413,
            "too_large",
            "content",
        ),
        Row::taken("content of 128 KiB", world.reply(json!({"content": "x".repeat(128 * 1024)})), 200),
        Row::taken("unknown members", world.reply(json!({"urgent": true, "to": [1, {"a": null}]})), 200),
        Row::taken(
            "members that are null",
            world.reply(json!({"replyTo": null, "metadata": null, "channelType": null})),
            200,
        ),
        Row::taken("metadata of 500 kB", world.reply(json!({"metadata": {"raw": "x".repeat(500_000)}})), 200),
    ]);
    rows
}

fn typing(world: &World) -> Vec<Row> {
    let mut rows = wrong_types("typing", "channelId", "string", |changes| world.typing(changes));
    rows.extend(wrong_types("typing", "channelType", "string", |changes| world.typing(changes)));
    rows.extend(wrong_types("typing", "metadata", "object", |changes| world.typing(changes)));
    rows.extend([
        Row::bad_field("typing nowhere", world.typing(json!({"channelId": null})), "channelId"),
        Row::bad_field("typing in an empty channelId", world.typing(json!({"channelId": ""})), "channelId"),
        Row::refused(
            "typing in a channel that is not there",
            world.typing(json!({"channelId": "not-there"})),
            404,
            "unknown_channel",
            "not-there",
        ),
        Row::refused(
            "typing in a channel of another session",
            world.typing(json!({"channelId": world.foreign.id})),
            404,
            "unknown_channel",
            "no channel",
        ),
        Row::refused(
            "typing with another type",
            world.typing(json!({"channelType": "slack"})),
            400,
            "wrong_channel_type",
            "\"slack\", but the channel is of type \"webhook\"",
        ),
        Row::taken("typing with unknown members", world.typing(json!({"speed": 3})), 200),
    ]);
    rows
}

/// What creation alone reads.
fn creations(world: &World) -> Vec<Row> {
    let create = |body: Value| world.post("/channels", &body);
    let mut rows = wrong_types("a channel", "id", "string", create);
    rows.extend(wrong_types("a channel", "type", "string", create));
    for (name, id) in [
        ("an empty id", String::new()),
        ("an id of 65 characters", "x".repeat(65)),
        ("an id with a slash", "a/b".to_owned()),
        ("an id with a blank", "a b".to_owned()),
        ("an id with a NUL", "a\0".to_owned()),
        ("an id of other letters", "канал".to_owned()),
    ] {
        rows.push(Row::bad_field(name, create(json!({ "id": id })), "id"));
    }
    for secret in [json!("x".repeat(15)), json!(""), json!(7), json!(["x".repeat(16)])] {
        let body = json!({"metadata": {"webhookSecret": secret}});
        rows.push(Row::bad_field(&format!("the secret {secret}"), create(body), "metadata.webhookSecret"));
    }
    let endpoint = |kind: &str, says| {
        Row::refused(&format!("a {kind} channel"), create(json!({ "type": kind })), 400, "wrong_endpoint", says)
    };
    rows.extend([
        endpoint("telegram", "/channels/telegram/register"),
        endpoint("discord", "/channels/discord/register"),
        endpoint("slack", "/channels/slack/register"),
        endpoint("email", "/channels/email/register"),
        Row::bad_field("a channel of an unknown type", create(json!({"type": "pigeon"})), "type"),
        Row::bad_field("a channel of a type in capitals", create(json!({"type": "WEBHOOK"})), "type"),
        Row::refused(
            "metadata over 4 KiB",
            create(json!({"metadata": {"p": "x".repeat(4096 - 7)}})),
            413,
            "too_large",
            "metadata",
        ),
        Row::refused(
            "an id of another session",
            create(json!({"id": world.foreign.id})),
            409,
            "channel_taken",
            "another session",
        ),
        Row::taken("metadata of 4 KiB", create(json!({"metadata": {"p": "x".repeat(4096 - 8)}})), 201),
        Row::taken("a channel with unknown members", create(json!({"colour": "red", "verified": [true]})), 201),
        Row::taken("an id of 64 characters", create(json!({"id": "y".repeat(64)})), 201),
    ]);
    rows
}

/// What an update alone reads.
fn updates(world: &World) -> Vec<Row> {
    let to = |id: &str, body: &Value| world.ask("PATCH", format!("/channels/{id}")).json(body);
    vec![
        Row::refused(
            "an update that makes metadata too large",
            world.patch(&json!({"metadata": {"allowedUsers": ["x".repeat(4096)]}})),
            413,
            "too_large",
            "metadata",
        ),
        Row::refused(
            "an update of what is not there",
            to("not-there", &json!({})),
            404,
            "unknown_channel",
            "not-there",
        ),
        Row::refused(
            "an update of another session's channel",
            to(&world.foreign.id, &json!({"enabled": false})),
            404,
            "unknown_channel",
            "no channel",
        ),
        Row::refused(
            "deletion of another session's channel",
            world.ask("DELETE", format!("/channels/{}", world.foreign.id)),
            404,
            "unknown_channel",
            "no channel",
        ),
        Row::refused(
            "deletion of what is not there",
            world.ask("DELETE", "/channels/not-there"),
            404,
            "unknown_channel",
            "not-there",
        ),
        Row::refused(
            "a pairing code for another session's channel",
            world.ask("POST", format!("/channels/{}/pairing-code", world.foreign.id)),
            404,
            "unknown_channel",
            "no channel",
        ),
        Row::refused(
            "a pairing code for a webhook",
            world.ask("POST", format!("/channels/{}/pairing-code", world.webhook.id)),
            400,
            "no_pairing",
            "webhook",
        ),
        Row::taken("an update of nothing", world.patch(&json!({})), 200),
        Row::taken(
            "an update of unknown members",
            world.patch(&json!({"colour": 1, "metadata": {"verified": 7}})),
            200,
        ),
    ]
}

/// What creation and update both read.
fn settings(world: &World) -> Vec<Row> {
    let create = |body: Value| world.post("/channels", &body);
    let update = |body: Value| world.patch(&body);
    let ways: [(&str, &dyn Fn(Value) -> Request); 2] = [("a channel", &create), ("an update", &update)];
    let mut rows = Vec::new();
    for (what, make) in ways {
        for field in ["name", "prompt", "agentId", "direction"] {
            rows.extend(wrong_types(what, field, "string", make));
        }
        for field in ["enabled", "runInBackground", "notifyOnComplete"] {
            rows.extend(wrong_types(what, field, "boolean", make));
        }
        rows.extend(wrong_types(what, "metadata", "object", make));
        for (field, body) in [
            ("name", json!({"name": "x".repeat(201)})),
            ("agentId", json!({"agentId": "ä".repeat(201)})),
            ("prompt", json!({"prompt": "x".repeat(8193)})),
            ("direction", json!({"direction": "outbound"})),
            ("direction", json!({"direction": ""})),
            ("metadata.allowedUsers", json!({"metadata": {"allowedUsers": "ana"}})),
            ("metadata.allowedUsers", json!({"metadata": {"allowedUsers": [{}]}})),
            ("metadata.allowedSenders", json!({"metadata": {"allowedSenders": {"a": 1}}})),
            ("metadata.allowedSenders", json!({"metadata": {"allowedSenders": [null]}})),
        ] {
            rows.push(Row::bad_field(&format!("{what} with a {field} that cannot be"), make(body), field));
        }
        let fits = json!({"name": "x".repeat(200), "agentId": "ä".repeat(200), "prompt": "x".repeat(8192)});
        let status = if what == "a channel" { 201 } else { 200 };
        rows.push(Row::taken(&format!("{what} with the longest of everything"), make(fits), status));
    }
    rows
}
