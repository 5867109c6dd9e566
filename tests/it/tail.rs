//! `tail` with a bot, a mailbox or a session of somebody else's.

mod stand_in;

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use self::stand_in::StandIn;
use crate::support::client::{Client, contents, expect};
use crate::support::relay::{Replica, Setup, data_dir};
use crate::support::tail::Tail;
use crate::support::{eventually, free_port, secrets};

const TELEGRAM_TOKEN: &str = "7000000001:AAaaBBbbCCccDDddEEeeFFffGGggHHhhIIi";
const DISCORD_TOKEN: &str = "discord.bot.token-AAaaBBbbCCcc";
const SLACK_TOKEN: &str = "xoxb-1-slack-bot-token-AAaaBBbb";
const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

/// Where the platforms believe the relay to be. Nothing is there: the tests bring the events themselves.
const PUBLIC_URL: &str = "https://relay.example";

fn on_platforms(setup: Setup, platforms: &StandIn) -> Setup {
    for secret in [TELEGRAM_TOKEN, DISCORD_TOKEN, SLACK_TOKEN, SIGNING_SECRET] {
        secrets::note(secret);
    }
    ["TELEGRAM", "DISCORD", "SLACK", "RESEND"]
        .iter()
        .fold(setup, |setup, name| setup.with(&format!("CHAOS_{name}_API_BASE"), &platforms.url))
        .with("CHAOS_PUBLIC_URL", PUBLIC_URL)
}

/// A Telegram bot whose updates the test brings.
struct Bot<'a> {
    telegram: &'a StandIn,
    /// How often the bot had been registered before.
    earlier: usize,
}

impl Bot<'_> {
    /// Delivers an update of Ana's to where `setWebhook` said, as Telegram would.
    async fn say(&self, relay: &Replica, update_id: u64, text: &str) {
        let hooks = self.telegram.bodies("setWebhook");
        let hook = &hooks[self.earlier];
        let path = hook["url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap();
        let secret = hook["secret_token"].as_str().unwrap();
        secrets::note(secret);
        let update = json!({"update_id": update_id, "message": {"message_id": update_id, "date": 1_767_225_600,
            "from": {"id": 500_001, "is_bot": false, "first_name": "Ana", "username": "ana"},
            "chat": {"id": 500_001, "type": "private"}, "text": text}});
        let request = reqwest::Client::new()
            .post(format!("{}{path}", relay.url()))
            .header("X-Telegram-Bot-Api-Secret-Token", secret)
            .json(&update);
        expect(request.send().await.unwrap(), 200).await;
    }

    /// Pairs Ana with the link that `tail` prints, and waits until she was told so.
    async fn pair(&self, relay: &Replica, tail: &mut Tail) -> String {
        let link = tail.note("https://t.me/helper_bot?start=").await;
        let code = link.split_once("start=").unwrap().1.to_owned();
        assert_eq!(tail.note(&code).await, code, "the code stands alone too");
        self.say(relay, 1, &format!("/start {code}")).await;
        self.telegram.wait_for("sendMessage", |body| body["text"].as_str().unwrap().contains("are paired")).await;
        code
    }
}

fn start_bot(relay: &Replica, platform: &str, more: &[&str]) -> Tail {
    let token = match platform {
        "telegram" => TELEGRAM_TOKEN,
        "discord" => DISCORD_TOKEN,
        _ => SLACK_TOKEN,
    };
    let arguments = [&["--bot", platform], more].concat();
    Tail::start_with(relay, &arguments, &[("CHAOS_BOT_TOKEN", token), ("CHAOS_SIGNING_SECRET", SIGNING_SECRET)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_registered_paired_with_heard_answered_and_unregistered() {
    let telegram = StandIn::start();
    let relay = on_platforms(Setup::on_redis(), &telegram).start().await;
    let mut tail = start_bot(&relay, "telegram", &["--reply", "thank you"]);
    let bot = Bot { telegram: &telegram, earlier: 0 };
    bot.pair(&relay, &mut tail).await;
    tail.note("Ctrl-C ends this and unregisters the bot.").await;

    bot.say(&relay, 2, "Hello").await;
    let message = tail.message().await;
    assert_eq!((&message["content"], &message["from"]), (&json!("Hello"), &json!("ana")));
    assert_eq!(message["channelType"], "telegram");
    let sent = telegram.wait_for("sendMessage", |body| body["text"].as_str().unwrap().contains("thank you")).await;
    assert_eq!(sent["chat_id"], json!(500_001));
    assert_eq!(sent["reply_parameters"]["message_id"], json!(2));
    assert_eq!(tail.note("elivered").await, "Delivered (telegram).");

    assert_eq!(telegram.bodies("deleteWebhook").len(), 0);
    tail.press_ctrl_c();
    tail.note("The bot is unregistered.").await;
    assert!(tail.ended().await);
    assert_eq!(telegram.bodies("deleteWebhook").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fate_of_each_reply_is_told_with_its_reason() {
    let telegram = StandIn::start();
    let relay = on_platforms(Setup::on_redis(), &telegram).start().await;
    let mut tail = start_bot(&relay, "telegram", &["--reply", "thank you"]);
    let bot = Bot { telegram: &telegram, earlier: 0 };
    bot.pair(&relay, &mut tail).await;

    let refusal = |code: u16, text: &str| json!({"ok": false, "error_code": code, "description": text});
    telegram.answer("sendMessage", 500, refusal(500, "Internal Server Error: asleep"));
    bot.say(&relay, 2, "one").await;
    let told = tail.note("elivered").await;
    assert!(told.starts_with("Not delivered yet, trying again (telegram): ") && told.contains("asleep"), "{told}");
    assert_eq!(tail.note("elivered").await, "Delivered (telegram).");

    telegram.answer("sendMessage", 403, refusal(403, "Forbidden: bot was blocked by the user"));
    bot.say(&relay, 3, "two").await;
    let told = tail.note("elivered").await;
    assert!(told.starts_with("Not delivered (telegram): ") && told.contains("blocked by the user"), "{told}");

    // Only messages are on stdout.
    assert_eq!(contents(&[tail.message().await, tail.message().await]), ["one", "two"]);
    tail.press_ctrl_c();
    assert!(tail.ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_lost_its_data_gets_the_bot_again_with_a_new_code() {
    let telegram = StandIn::start();
    let (dir, empty) = (data_dir(), data_dir());
    let port = free_port().to_string();
    let on = |dir: &std::path::Path| on_platforms(Setup::embedded(dir), &telegram).with("PORT", &port);
    let mut relay = on(dir.path()).start().await;
    let mut tail = start_bot(&relay, "telegram", &[]);
    let code = Bot { telegram: &telegram, earlier: 0 }.pair(&relay, &mut tail).await;

    // A restart alone changes nothing for those who are paired.
    relay.kill();
    drop(relay);
    let mut relay = on(dir.path()).start().await;
    tail.note("Connected again.").await;
    let bot = Bot { telegram: &telegram, earlier: 0 };
    bot.say(&relay, 2, "still here").await;
    assert_eq!(tail.message().await["content"], "still here");
    assert_eq!(telegram.bodies("setWebhook").len(), 1);

    relay.kill();
    drop(relay);
    let relay = on(empty.path()).start().await;
    tail.note("The relay lost this session.").await;
    let bot = Bot { telegram: &telegram, earlier: 1 };
    assert_ne!(bot.pair(&relay, &mut tail).await, code);
    bot.say(&relay, 2, "and on").await;
    assert_eq!(tail.message().await["content"], "and on");
    tail.press_ctrl_c();
    tail.note("The bot is unregistered.").await;
    assert!(tail.ended().await);
    assert_eq!(telegram.bodies("deleteWebhook").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_is_just_being_registered_is_unregistered_too() {
    let telegram = StandIn::start();
    telegram.slow_down("getMe", Duration::from_secs(1));
    let relay = on_platforms(Setup::on_redis(), &telegram).start().await;
    let mut tail = start_bot(&relay, "telegram", &[]);
    telegram.wait_for("getMe", |_| true).await;
    assert_eq!(telegram.bodies("setWebhook").len(), 0);
    tail.press_ctrl_c();
    tail.note("The bot is unregistered.").await;
    assert!(tail.ended().await);
    assert_eq!((telegram.bodies("setWebhook").len(), telegram.bodies("deleteWebhook").len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_names_the_platform_before_the_sender() {
    let telegram = StandIn::start();
    let relay = on_platforms(Setup::on_redis(), &telegram).start().await;
    let mut tail = Tail::start_on_a_terminal_with(&relay, "--bot telegram", &[("CHAOS_BOT_TOKEN", TELEGRAM_TOKEN)]);
    let bot = Bot { telegram: &telegram, earlier: 0 };
    bot.pair(&relay, &mut tail).await;
    bot.say(&relay, 2, "to a person").await;
    let line = tail.note("to a person").await;
    assert!(line.ends_with("  telegram  ana  to a person"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_app_is_told_its_url_and_a_discord_bot_its_command() {
    let platforms = StandIn::start();
    let relay = on_platforms(Setup::on_redis(), &platforms).start().await;

    let mut tail = start_bot(&relay, "slack", &[]);
    tail.note("The Slack app helper of Team is registered.").await;
    tail.note(&format!("{PUBLIC_URL}/slack/")).await;
    assert_eq!(tail.note("pair ").await.len(), "pair CDFH2345".len());
    tail.press_ctrl_c();
    tail.note("The bot is unregistered.").await;
    assert!(tail.ended().await);

    // Who the application is, and then that it has an endpoint which does not answer yet.
    platforms.answer("@me", 200, stand_in::usual("@me"));
    platforms.answer("@me", 400, json!({"code": 50035, "message": "Invalid Form Body"}));
    let mut tail = start_bot(&relay, "discord", &[]);
    tail.note("The Discord bot helper is registered.").await;
    assert_eq!(tail.note("/pair ").await.len(), "/pair CDFH2345".len());
    let warning = tail.note("interactions endpoint").await;
    assert!(warning.contains(&format!("{PUBLIC_URL}/discord/")), "{warning}");
    tail.press_ctrl_c();
    tail.note("The bot is unregistered.").await;
    assert!(tail.ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_shown_with_its_address_and_unregistered() {
    let platforms = StandIn::start();
    let relay = on_platforms(Setup::on_redis(), &platforms)
        .with("CHAOS_EMAIL_DOMAIN", "mail.example")
        .with("RESEND_API_KEY", "re_0123456789")
        .start()
        .await;
    let mut tail = Tail::start(&relay, &["--mailbox", "ana@home.example"]);
    tail.note("@mail.example").await;
    tail.note("A verification mail is under way to ana@home.example").await;
    tail.press_ctrl_c();
    tail.note("The mailbox is unregistered.").await;
    assert!(tail.ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_or_relay_that_refuses_is_quoted() {
    let telegram = StandIn::start();
    let relay = on_platforms(Setup::on_redis(), &telegram).start().await;
    telegram.answer("getMe", 401, json!({"ok": false, "error_code": 401, "description": "Unauthorized"}));
    let mut tail = start_bot(&relay, "telegram", &[]);
    let told = tail.note("the relay refused: ").await;
    assert!(told.contains("Unauthorized") && !told.contains(TELEGRAM_TOKEN), "{told}");
    assert!(!tail.ended().await);

    let mut tail = Tail::start(&relay, &["--mailbox", "ana@home.example"]);
    tail.note("CHAOS_EMAIL_DOMAIN").await;
    assert!(!tail.ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_followed_on_all_its_channels_and_left_as_it_was() {
    let relay = Setup::on_redis().start().await;
    let client = Client::register(&relay).await;
    let first = client.make_webhook(&relay, json!({"direction": "bidirectional"})).await;
    let second = client.make_webhook(&relay, json!({"direction": "bidirectional"})).await;
    first.deliver(&relay, "a minute ago").await;

    let key = [("CHAOS_API_KEY", client.api_key.as_str())];
    let mut tail = Tail::start_with(&relay, &["--follow", "--reply", "seen"], &key);
    assert_eq!(tail.message().await["content"], "a minute ago");
    second.deliver(&relay, "now").await;
    let message = tail.message().await;
    assert_eq!((&message["content"], &message["channelId"]), (&json!("now"), &json!(second.id)));
    let responses = async |id: &str| -> Vec<Value> {
        let answer = reqwest::get(format!("{}/responses/{id}", relay.url())).await.unwrap();
        expect(answer, 200).await["responses"].as_array().unwrap().clone()
    };
    let answers =
        eventually("it is answered", || async { Some(responses(&second.id).await).filter(|all| !all.is_empty()) });
    assert_eq!(contents(&answers.await), ["seen"]);
    assert!(responses(&first.id).await.is_empty(), "what came before is not answered");

    tail.press_ctrl_c();
    assert!(tail.ended().await);
    let channels = expect(client.get(&relay, "/channels").await, 200).await;
    assert_eq!(channels["channels"].as_array().unwrap().len(), 2);
    first.deliver(&relay, "and still open").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_session_that_is_gone_ends_it_and_an_unknown_one_does_not_begin() {
    let (dir, empty) = (data_dir(), data_dir());
    let port = free_port().to_string();
    let on = |dir: &std::path::Path| Setup::embedded(dir).with("PORT", &port);
    let mut relay = on(dir.path()).start().await;
    let client = Client::register(&relay).await;
    let key = [("CHAOS_API_KEY", client.api_key.as_str())];
    let mut tail = Tail::start_with(&relay, &["--follow"], &key);
    tail.note("Waiting for messages").await;
    relay.kill();
    drop(relay);
    let relay = on(empty.path()).start().await;
    tail.note("the relay does not know this session any more").await;
    assert!(!tail.ended().await);

    let mut tail = Tail::start_with(&relay, &["--follow"], &key);
    let told = tail.note("chaos-relay: ").await;
    assert!(told.contains("no session with the API key in CHAOS_API_KEY"), "{told}");
    assert!(!tail.ended().await);
}

#[test]
fn what_is_missing_or_makes_no_sense_is_said_before_anything_is_asked() {
    let run = |arguments: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos-relay"));
        for name in ["CHAOS_BOT_TOKEN", "CHAOS_SIGNING_SECRET", "CHAOS_API_KEY"] {
            command.env_remove(name);
        }
        command.args(["tail", "--server", &format!("http://127.0.0.1:{}", free_port())]).args(arguments);
        command.output().unwrap()
    };
    for (arguments, code, part) in [
        (&["--bot", "telegram"][..], 1, "CHAOS_BOT_TOKEN"),
        (&["--follow"], 1, "CHAOS_API_KEY"),
        (&["--bot", "irc"], 2, "telegram, discord, slack"),
        (&["--bot", "slack", "--follow"], 2, "cannot be used with"),
    ] {
        let output = run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for part in ["--bot", "--mailbox", "--follow", "CHAOS_BOT_TOKEN", "CHAOS_SIGNING_SECRET", "CHAOS_API_KEY"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}
