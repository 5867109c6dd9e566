//! Paths, methods, queries and headers that are not what they should be.

use super::raw::Request;
use super::row::{Row, World};

pub fn rows(world: &World) -> Vec<Row> {
    [paths(), methods(), queries(world), webhooks(world), sockets(world)].into_iter().flatten().collect()
}

fn paths() -> Vec<Row> {
    let long = format!("/{}", "x".repeat(30_000));
    let mut rows = Vec::new();
    for path in [
        "/",
        "/nope",
        "/messages/",
        "/messages/x",
        "//messages",
        "/MESSAGES",
        "/./messages",
        "/x/../messages",
        "/auth",
        "/auth/register/",
        "/webhook",
        "/webhook/",
        "/webhook/a/b",
        "/responses",
        "/channels/a/b",
        "/%",
        "/%zz",
        "/%00",
        "/%ff%fe",
        "/%c0%af..%c0%af",
        "/'script'",
        "/{channel}",
        "/reply;x=1",
        long.as_str(),
    ] {
        let shown: String = path.chars().take(40).collect();
        rows.push(Row::refused(&format!("GET {shown}"), Request::new("GET", path), 404, "unknown_path", "nothing at"));
    }
    // What stands for an id must be one; nothing else may come of it.
    for id in
        ["%ff", "%00", "%zz", "%", "a%2fb", "a%20b", "..%2f..", "%d0%ba", "a.b", "a:b", "{user}", "x%0d%0aX-A:%201"]
    {
        for (method, path) in [("POST", "/webhook"), ("GET", "/responses")] {
            let request = Request::new(method, format!("{path}/{id}"));
            rows.push(Row::refused(&format!("{method} {path}/{id}"), request, 404, "unknown_channel", "no channel"));
        }
    }
    let endless = "x".repeat(20_000);
    let request = Request::new("POST", format!("/webhook/{endless}?token=t"));
    rows.push(Row::refused("an endless id", request, 404, "unknown_channel", "no channel"));
    rows
}

fn methods() -> Vec<Row> {
    [
        ("GET", "/auth/register"),
        ("HEAD", "/auth/register"),
        ("GET", "/webhook/x"),
        ("PUT", "/webhook/x"),
        ("POST", "/responses/x"),
        ("POST", "/ws"),
        ("POST", "/messages"),
        ("HEAD", "/messages"),
        ("GET", "/reply"),
        ("DELETE", "/reply"),
        ("DELETE", "/replies/x"),
        ("GET", "/typing"),
        ("PUT", "/channels"),
        ("DELETE", "/channels"),
        ("GET", "/channels/x"),
        ("POST", "/channels/x"),
        ("GET", "/channels/x/pairing-code"),
        ("POST", "/health"),
        ("DELETE", "/health/live"),
        ("PUT", "/health/ready"),
        ("TRACE", "/messages"),
        ("BREW", "/messages"),
        ("get", "/messages"),
    ]
    .into_iter()
    // No token comes along: that the method is wrong is found first.
    .map(|(method, path)| {
        Row::refused(
            &format!("{method} {path}"),
            Request::new(method, path),
            405,
            "method_not_allowed",
            "this path takes",
        )
    })
    .collect()
}

fn queries(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for (query, name) in [
        ("since=nonsense", "since"),
        ("since=1768473000123", "since"),
        ("since=2026-01-15", "since"),
        ("since=2026-02-30T00:00:00Z", "since"),
        ("since=%ff", "since"),
        ("since=%00", "since"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=ten", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("wait=26", "wait"),
        ("wait=-1", "wait"),
        ("wait=1s", "wait"),
        ("wait=1e1", "wait"),
    ] {
        let request = world.ask("GET", format!("/messages?{query}"));
        rows.push(Row::refused(&format!("messages with {query}"), request, 400, "invalid_query", name));
    }
    let responses = |query: &str| Request::new("GET", format!("/responses/{}?{query}", world.webhook.id));
    let endless = format!("since={}", "9".repeat(30_000));
    for query in ["since=nonsense", "since=0", endless.as_str()] {
        let shown: String = query.chars().take(20).collect();
        rows.push(Row::refused(&format!("responses with {shown}"), responses(query), 400, "invalid_query", "since"));
    }
    for id in ["x", "not-there", "00000000-0000-0000-0000-000000000000", "%ff", "%00"] {
        let request = world.ask("GET", format!("/replies/{id}"));
        rows.push(Row::refused(&format!("the fate of reply {id}"), request, 404, "unknown_response", "no such reply"));
    }
    let odd = [
        "",
        "since=",
        "&&==&%&%zz",
        "limit=1&wait=0",
        "limit=100",
        "since=2026-01-15T10:30:00%2B01:00",
        "since=0001-01-01T00:00:00Z",
        "since=9999-12-31T23:59:59.999999Z",
        "unknown=1",
    ];
    rows.extend(odd.map(|query| {
        Row::taken(&format!("messages with {query}"), world.ask("GET", format!("/messages?{query}")), 200)
    }));
    rows
}

fn webhooks(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for name in ["Idempotency-Key", "webhook-id", "svix-id"] {
        for key in [String::new(), "k".repeat(257), "k".repeat(50_000)] {
            let request = world.hook().header(name, &key).body("hello");
            let label = format!("{name} of {} characters", key.len());
            rows.push(Row::refused(&label, request, 400, "invalid_idempotency_key", "idempotency key"));
        }
        rows.push(Row::taken(&format!("{name} of 256 characters"), world.hook().header(name, "k".repeat(256)), 200));
    }
    for kind in
        ["", ";", "application", "application/json;;;=", "text/plain; charset=utf-16", "a/b/c", "\u{e9}/\u{fc}", "*/*"]
    {
        rows.push(Row::taken(
            &format!("a webhook of {kind:?}"),
            world.hook().header("Content-Type", kind).body("\u{e9}"),
            200,
        ));
    }
    let endless = "application/".to_owned() + "x".repeat(30_000).as_str();
    rows.push(Row::taken("a webhook of an endless type", world.hook().header("Content-Type", endless).body("x"), 200));
    rows.push(Row::taken("a webhook of nothing", world.hook(), 200));
    let sources: [&[u8]; 4] = [b"", b"\xff\xfe", "\u{202e}\u{440}".as_bytes(), &[b's'; 30_000]];
    rows.extend(
        sources.map(|source| Row::taken("an odd source", world.hook().header("X-Webhook-Source", source), 200)),
    );
    let not_there = Request::new("POST", "/webhook/not-there?token=t").header("Idempotency-Key", "k");
    rows.push(Row::refused("a webhook that is not there", not_there, 404, "unknown_channel", "not-there"));
    // The channel is looked up before anything else is looked at.
    let not_there = Request::new("POST", "/webhook/not-there?token=t").header("Idempotency-Key", "");
    rows.push(Row::refused("a bad key for no channel", not_there, 404, "unknown_channel", "not-there"));
    rows
}

fn sockets(world: &World) -> Vec<Row> {
    let key = &world.plain.api_key;
    let open = |query: &str| Request::new("GET", format!("/ws?token={key}{query}"));
    let upgrade = |request: Request| {
        request
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    let needed = |name: &str, request| Row::refused(name, request, 400, "upgrade_needed", "WebSocket");
    vec![
        needed("a socket without an upgrade", open("")),
        needed("an upgrade to something else", open("").header("Connection", "Upgrade").header("Upgrade", "h2c")),
        needed(
            "an upgrade of another version",
            open("")
                .header("Connection", "Upgrade")
                .header("Upgrade", "websocket")
                .header("Sec-WebSocket-Version", "8"),
        ),
        needed(
            "an upgrade without a key",
            open("")
                .header("Connection", "Upgrade")
                .header("Upgrade", "websocket")
                .header("Sec-WebSocket-Version", "13"),
        ),
        Row::refused("a socket from nonsense", upgrade(open("&since=nonsense")), 400, "invalid_query", "since"),
        Row::refused("a socket from a number", upgrade(open("&since=17684730")), 400, "invalid_query", "since"),
        Row::refused(
            "an upgrade without a token",
            upgrade(Request::new("GET", "/ws")),
            401,
            "missing_token",
            "API key",
        ),
    ]
}
