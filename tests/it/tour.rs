//! The README's tour, with the built binary.

use std::process::Command;

use serde_json::Value;

use crate::support::client::{contents, expect};
use crate::support::relay::{Replica, Setup, data_dir};
use crate::support::tail::Tail;
use crate::support::{eventually, free_port};

/// Runs a line in a shell, as a person would; gives what it prints.
fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same curl command with another text.
fn saying(curl: &str, text: &str) -> String {
    curl.replace("'Hello'", &format!("'{text}'")).replace("curl ", "curl -sS --fail ")
}

fn content(message: &Value) -> &str {
    message["content"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_sees_a_message_arrive_and_loses_none_to_a_crash() {
    let dir = data_dir();
    let setup = Setup::embedded(dir.path()).with("PORT", &free_port().to_string());
    let mut relay = setup.start().await;
    let mut tail = Tail::start(&relay, &[]);
    let curl = tail.curl_command().await;

    assert!(shell(&saying(&curl, "Hello")).contains(r#""ok":true"#));
    let message = tail.message().await;
    assert_eq!(content(&message), "Hello");
    assert_eq!(message["metadata"]["channelName"], "tail");

    shell(&saying(&curl, "before the crash"));
    relay.kill();
    drop(relay);
    let relay = setup.start().await;
    shell(&saying(&curl, "after the crash"));
    assert_eq!(content(&tail.message().await), "before the crash");
    assert_eq!(content(&tail.message().await), "after the crash");
    shell(&saying(&curl, "and on"));
    assert_eq!(content(&tail.message().await), "and on");

    assert!(tail.interrupt().await);
    let gone = Command::new("sh").args(["-c", &saying(&curl, "too late")]).status().unwrap();
    assert!(!gone.success(), "the webhook is deleted at the end");
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_answers_each_message_once() {
    let relay = Setup::on_redis().start().await;
    let mut tail = Tail::start(&relay, &["--reply", "thank you", "--json"]);
    let curl = tail.curl_command().await;
    shell(&saying(&curl, "one"));
    shell(&saying(&curl, "two"));
    let asked = [tail.message().await, tail.message().await];
    let channel = asked[0]["channelId"].as_str().unwrap().to_owned();
    let responses = eventually("both are answered", || async {
        let answer = reqwest::get(format!("{}/responses/{channel}", relay.url())).await.unwrap();
        let responses = expect(answer, 200).await["responses"].as_array().unwrap().clone();
        (responses.len() >= 2).then_some(responses)
    })
    .await;
    assert_eq!(contents(&responses), ["thank you", "thank you"]);
    for (response, message) in responses.iter().zip(&asked) {
        assert_eq!(response["metadata"]["replyTo"], message["id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_a_line_to_read() {
    let relay = Setup::on_redis().start().await;
    let mut tail = Tail::start_on_a_terminal(&relay);
    let curl = tail.curl_command().await;
    tail.note("Waiting for messages").await;
    shell(&saying(&curl, "to a person"));
    let line = tail.note("to a person").await;
    assert!(line.contains("  webhook  to a person"), "{line}");
}

#[test]
fn tail_says_what_to_do_when_nothing_runs() {
    let output = Command::new(env!("CARGO_BIN_EXE_chaos-relay"))
        .args(["tail", "--server", &format!("http://127.0.0.1:{}", free_port())])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("is it running? start it with: chaos-relay") && said.lines().count() == 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_says_where_it_listens_which_store_and_what_is_not_set() {
    let dir = data_dir();
    let relay = Setup::embedded(dir.path()).without("LOG_LEVEL").with("LOG_FORMAT", "json").start().await;
    let log = relay.log();
    for part in [&format!("listening on {}", relay.url()), "store: embedded, in", "CHAOS_PUBLIC_URL is not set"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    drop::<Replica>(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_healthcheck_tell_by_their_exit_code() {
    let setup = Setup::on_redis().with("PORT", &free_port().to_string());
    let run = |command: &str| {
        let output = setup.command().arg(command).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = run("healthcheck");
    assert_eq!((code, said.contains("cannot be reached")), (Some(1), true), "{said}");
    let relay = setup.start().await;
    assert_eq!(run("healthcheck").0, Some(0));
    let (code, said) = run("check");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("store: redis, written and read"), "{said}");
    assert_eq!(crate::support::secrets::find_in(&said), None);
    drop(relay);

    let wrong = Setup::on("redis://127.0.0.1:1", "x:").command().arg("check").output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    let wrong = setup.clone().with("CHAOS_RATE_REPLY", "often").command().output().unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said.contains("CHAOS_RATE_REPLY is \"often\", but must be") && said.lines().count() == 1, "{said}");
}
