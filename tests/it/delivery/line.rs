//! A channel on a platform with its agent and its people, used in the same way on all platforms.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::client::{Client, expect};
use crate::support::eventually;
use crate::support::platforms::deployment::{MAIL_DOMAIN, Platforms, register, register_bot};
use crate::support::platforms::discord::{App, Channel, Discord, User};
use crate::support::platforms::resend::{Mail, Resend};
use crate::support::platforms::slack::{Slack, Workspace};
use crate::support::platforms::telegram::{Bot, Telegram};
use crate::support::platforms::{Call, Misbehaviour, Platform, Rule, StandIn, fresh_number};
use crate::support::relay::{Replica, Setup};

/// The platforms by the types of their channels.
pub const ALL: [&str; 4] = ["telegram", "discord", "slack", "email"];

/// With calls that may take two seconds, and replies that are another replica's seven seconds after they were taken.
pub fn hasty(setup: Setup) -> Setup {
    setup.with("CHAOS_DELIVERY_CALL_SECONDS", "2").with("CHAOS_DELIVERY_LEASE_SECONDS", "7")
}

/// What can go wrong everywhere.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// 429 in the platform's own form.
    TooMany(Duration),
    Status(u16),
    Reset,
    AnswerLost,
    Slow(Duration),
    Hang,
    Garbage,
}

impl Fault {
    fn on<R: Clone>(self, method: &str) -> Rule<R> {
        Rule::new(match self {
            Self::TooMany(retry_after) => Misbehaviour::TooManyRequests { retry_after },
            Self::Status(status) => Misbehaviour::ServerError(status),
            Self::Reset => Misbehaviour::Reset,
            Self::AnswerLost => Misbehaviour::AnswerLost,
            Self::Slow(time) => Misbehaviour::Slow(time),
            Self::Hang => Misbehaviour::Hang,
            Self::Garbage => Misbehaviour::Garbage,
        })
        .on(method)
    }
}

/// One conversation of the channel: a private chat, a channel, or the mail with one person.
struct Talk {
    /// What the platform calls it.
    place: String,
    /// What a reply's metadata say to go there.
    metadata: Value,
}

/// A registered channel whose people may write.
pub struct Line {
    pub platform: &'static str,
    /// The channel.
    pub id: String,
    side: Side,
    talks: Vec<Talk>,
}

enum Side {
    Telegram { telegram: Telegram, bot: Bot },
    Discord { discord: Discord, app: App, channels: Vec<Channel>, person: User, events_url: String },
    Slack { slack: Slack, workspace: Workspace },
    Mail { resend: Resend, address: String, url: String, secret: String },
}

impl Line {
    /// Registers a channel by this replica and lets so many people write, each of whom begins a conversation.
    pub async fn open(
        platforms: &Platforms,
        agent: &Client,
        replica: &Replica,
        platform: &'static str,
        people: usize,
    ) -> Self {
        let mut line = match platform {
            "telegram" => Self::on_telegram(platforms, agent, replica, people).await,
            "discord" => Self::on_discord(platforms, agent, replica, people).await,
            "slack" => Self::on_slack(platforms, agent, replica, people).await,
            "email" => Self::by_mail(platforms, agent, replica, people).await,
            other => panic!("there is no platform {other}"),
        };
        line.platform = platform;
        for talk in 0..people {
            line.hears(talk, "hello").await;
        }
        line
    }

    async fn on_telegram(platforms: &Platforms, agent: &Client, replica: &Replica, people: usize) -> Self {
        let bot = platforms.telegram.bot("helper_bot");
        let channel = register_bot(agent, replica, "telegram", &bot.token).await;
        let ids: Vec<i64> = (0..people).map(|_| 500_000 + i64::try_from(fresh_number()).unwrap()).collect();
        allow(agent, replica, &channel.id, json!({"allowedUsers": ids})).await;
        let talk = |id: &i64| Talk { place: id.to_string(), metadata: json!({"chatId": id}) };
        let talks = ids.iter().map(talk).collect();
        Self { platform: "", id: channel.id, side: Side::Telegram { telegram: platforms.telegram.clone(), bot }, talks }
    }

    async fn on_discord(platforms: &Platforms, agent: &Client, replica: &Replica, people: usize) -> Self {
        let app = platforms.discord.application("helper");
        let channel = register_bot(agent, replica, "discord", &app.token).await;
        let person = User::new("Ana");
        allow(agent, replica, &channel.id, json!({"allowedUsers": [person.id]})).await;
        let events_url = shown(agent, replica, &channel.id).await["metadata"]["eventsUrl"].as_str().unwrap().to_owned();
        let channels: Vec<Channel> = (0..people).map(|_| platforms.discord.direct_channel()).collect();
        for channel in &channels {
            app.joins(channel);
        }
        let talk =
            |channel: &Channel| Talk { place: channel.id.clone(), metadata: json!({"discordChannelId": channel.id}) };
        let talks = channels.iter().map(talk).collect();
        let side = Side::Discord { discord: platforms.discord.clone(), app, channels, person, events_url };
        Self { platform: "", id: channel.id, side, talks }
    }

    async fn on_slack(platforms: &Platforms, agent: &Client, replica: &Replica, people: usize) -> Self {
        let workspace = platforms.slack.workspace();
        let body = json!({"botToken": workspace.token, "signingSecret": workspace.signing_secret});
        let channel = register(agent, replica, "slack", body).await;
        workspace.subscribe(channel.answer["eventsUrl"].as_str().unwrap()).await.unwrap();
        let users: Vec<String> = (0..people).map(|n| format!("U{:06}", n)).collect();
        allow(agent, replica, &channel.id, json!({"allowedUsers": users})).await;
        let talk = |user: &String| {
            let place = workspace.direct_messages(user);
            Talk { metadata: json!({"slackChannelId": place}), place }
        };
        let talks = users.iter().map(talk).collect();
        Self { platform: "", id: channel.id, side: Side::Slack { slack: platforms.slack.clone(), workspace }, talks }
    }

    async fn by_mail(platforms: &Platforms, agent: &Client, replica: &Replica, people: usize) -> Self {
        let tag = fresh_number();
        let owner = format!("owner{tag}@example.com");
        let channel = register(agent, replica, "email", json!({"userEmail": owner})).await;
        let is_to_owner = |mail: &crate::support::platforms::resend::Sent| mail.to == [owner.as_str()];
        let mail = platforms.resend.sent().into_iter().find(is_to_owner).expect("a verification mail was sent");
        let text = mail.text.unwrap();
        let link = text.split_whitespace().find(|word| word.contains("/email/verify?")).expect("a link");
        assert_eq!(reqwest::Client::new().post(link).send().await.unwrap().status(), 200);
        let people: Vec<String> = (0..people).map(|n| format!("person{n}-{tag}@example.com")).collect();
        allow(agent, replica, &channel.id, json!({"allowedSenders": people})).await;
        let talk = |person: &String| Talk { place: person.clone(), metadata: json!({"senderAddress": person}) };
        let talks = people.iter().map(talk).collect();
        let address = channel.answer["inboundAddress"].as_str().unwrap().to_owned();
        assert!(address.ends_with(MAIL_DOMAIN));
        let side = Side::Mail {
            resend: platforms.resend.clone(),
            address,
            url: platforms.mail_url(),
            secret: platforms.mail_secret.clone(),
        };
        Self { platform: "", id: channel.id, side, talks }
    }

    /// A person writes, and the relay takes it.
    pub async fn hears(&self, talk: usize, text: &str) {
        let place = &self.talks[talk].place;
        match &self.side {
            Side::Telegram { telegram, bot } => {
                let id = place.parse().unwrap();
                bot.hears(&telegram.person(id, &format!("P{id}")), text).await;
            }
            Side::Discord { app, channels, person, events_url, .. } => {
                let event = app.message(person, &channels[talk], text);
                let attempt = app.forward(events_url, &event).await;
                assert!(attempt.is_accepted(), "{attempt:?}");
            }
            Side::Slack { workspace, .. } => {
                let event = workspace.says(&format!("U{talk:06}"), place, None, text);
                workspace.deliver(&event).await.accepted();
            }
            Side::Mail { resend, address, url, secret } => {
                resend.receive(&Mail::new(place, address, "hello", text), url, &[secret]).await.accepted();
            }
        }
    }

    /// What metadata must say to lead to one of the conversations.
    pub fn metadata(&self, talk: usize) -> Value {
        self.talks[talk].metadata.clone()
    }

    /// The body of a reply to one of the conversations.
    pub fn body(&self, talk: usize, text: &str) -> Value {
        json!({"channelId": self.id, "content": text, "metadata": self.metadata(talk)})
    }

    /// Replies in one of the conversations, however that ends.
    pub async fn try_reply(&self, agent: &Client, replica: &Replica, talk: usize, text: &str) -> Response {
        agent.post(replica, "/reply", &self.body(talk, text)).await
    }

    /// Replies in one of the conversations; gives the response's id.
    pub async fn reply(&self, agent: &Client, replica: &Replica, talk: usize, text: &str) -> String {
        let answer = expect(self.try_reply(agent, replica, talk, text).await, 200).await;
        answer["responseId"].as_str().unwrap().to_owned()
    }

    /// What the platform's documentation calls the method that sends.
    pub fn method(&self) -> &'static str {
        match &self.side {
            Side::Telegram { .. } => "sendMessage",
            Side::Discord { .. } => "createMessage",
            Side::Slack { .. } => "chat.postMessage",
            Side::Mail { .. } => "sendEmail",
        }
    }

    /// Lets the platform misbehave at the next messages that are sent: so many, or all (0) until it is told to
    /// behave. With a conversation only there.
    pub fn fault(&self, fault: Fault, times: usize, talk: Option<usize>) {
        self.fault_after(0, fault, times, talk);
    }

    /// The same after so many messages went well.
    pub fn fault_after(&self, messages: usize, fault: Fault, times: usize, talk: Option<usize>) {
        fn add<P: Platform>(
            here: &StandIn<P>,
            rule: Rule<P::Refusal>,
            messages: usize,
            times: usize,
            place: Option<String>,
        ) {
            let rule = if times == 0 { rule.always() } else { rule.times(times) }.after(messages);
            here.rule(match place {
                Some(place) => rule.when(move |call| place_of(call) == place),
                None => rule,
            });
        }
        let (method, place) = (self.method(), talk.map(|talk| self.place(talk).to_owned()));
        match &self.side {
            Side::Telegram { telegram, .. } => add(telegram, fault.on(method), messages, times, place),
            Side::Discord { discord, .. } => add(discord, fault.on(method), messages, times, place),
            Side::Slack { slack, .. } => add(slack, fault.on(method), messages, times, place),
            Side::Mail { resend, .. } => add(resend, fault.on(method), messages, times, place),
        }
    }

    /// What the platform calls a conversation.
    pub fn place(&self, talk: usize) -> &str {
        &self.talks[talk].place
    }

    /// Where it was shown that the agent is at work, in that order.
    pub fn signs(&self) -> Vec<String> {
        let calls = match &self.side {
            Side::Telegram { telegram, .. } => telegram.calls_of("sendChatAction"),
            Side::Discord { discord, .. } => discord.calls_of("triggerTyping"),
            Side::Slack { .. } | Side::Mail { .. } => Vec::new(),
        };
        calls.iter().map(place_of).collect()
    }

    /// Registers the same Telegram bot for somebody else.
    pub async fn register_again(&self, agent: &Client, replica: &Replica) {
        let Side::Telegram { bot, .. } = &self.side else { panic!("it is no Telegram bot") };
        register_bot(agent, replica, "telegram", &bot.token).await;
    }

    /// The bot's token is good for nothing from now on.
    pub fn revoke(&self) {
        match &self.side {
            Side::Telegram { bot, .. } => bot.revoke(),
            Side::Discord { app, .. } => app.revoke(),
            Side::Slack { workspace, .. } => workspace.revoke(),
            Side::Mail { .. } => panic!("the key is not the channel's"),
        }
    }

    /// Lets the platform behave from now on.
    pub fn behave(&self) {
        match &self.side {
            Side::Telegram { telegram, .. } => telegram.behave(),
            Side::Discord { discord, .. } => discord.behave(),
            Side::Slack { slack, .. } => slack.behave(),
            Side::Mail { resend, .. } => resend.behave(),
        }
    }

    /// Every call that tried to send something on the whole platform.
    pub fn all_calls(&self) -> Vec<Call> {
        match &self.side {
            Side::Telegram { telegram, .. } => telegram.calls_of(self.method()),
            Side::Discord { discord, .. } => discord.calls_of(self.method()),
            Side::Slack { slack, .. } => slack.calls_of(self.method()),
            Side::Mail { resend, .. } => resend.calls_of(self.method()),
        }
    }

    /// The calls that tried to send something in one of the conversations.
    pub fn calls(&self, talk: usize) -> Vec<Call> {
        self.all_calls().into_iter().filter(|call| place_of(call) == self.talks[talk].place).collect()
    }

    /// Everything that one of the conversations was sent, in that order.
    pub fn sent(&self, talk: usize) -> Vec<String> {
        let place = &self.talks[talk].place;
        match &self.side {
            Side::Telegram { telegram, .. } => telegram
                .sent()
                .into_iter()
                .filter(|sent| sent.chat.to_string() == *place)
                .map(|sent| sent.text)
                .collect(),
            Side::Discord { discord, .. } => {
                discord.sent().into_iter().filter(|sent| sent.channel == *place).map(|sent| sent.content).collect()
            }
            Side::Slack { slack, .. } => {
                slack.sent().into_iter().filter(|sent| sent.channel == *place).map(|sent| sent.text).collect()
            }
            Side::Mail { resend, .. } => resend
                .sent()
                .into_iter()
                .filter(|sent| sent.to == [place.as_str()])
                .map(|sent| sent.text.unwrap_or_default())
                .collect(),
        }
    }

    /// Waits until one of the conversations was sent so much; gives all that it was.
    pub async fn was_sent(&self, talk: usize, count: usize) -> Vec<String> {
        let what = format!("{count} messages in conversation {talk} on {}", self.platform);
        eventually(&what, || async { Some(self.sent(talk)).filter(|sent| sent.len() >= count) }).await
    }

    /// Waits until so many calls tried to send something in one of the conversations; gives all of them.
    pub async fn was_called(&self, talk: usize, count: usize) -> Vec<Call> {
        let what = format!("{count} calls for conversation {talk} on {}", self.platform);
        eventually(&what, || async { Some(self.calls(talk)).filter(|calls| calls.len() >= count) }).await
    }
}

/// The conversation that a call is for.
fn place_of(call: &Call) -> String {
    match (&call.body["chat_id"], &call.body["channel"], &call.body["to"][0]) {
        (Value::Number(chat), ..) => chat.to_string(),
        (_, Value::String(channel), _) => channel.clone(),
        (_, _, Value::String(person)) => person.clone(),
        _ => call.path.split('/').rev().nth(1).unwrap_or_default().to_owned(),
    }
}

async fn allow(agent: &Client, replica: &Replica, channel: &str, metadata: Value) {
    let path = format!("/channels/{channel}");
    expect(agent.send(replica, Method::PATCH, &path, &json!({"metadata": metadata})).await, 200).await;
}

/// A channel as its owner sees it.
async fn shown(agent: &Client, replica: &Replica, id: &str) -> Value {
    let list = expect(agent.get(replica, "/channels").await, 200).await;
    let channels = list["channels"].as_array().unwrap();
    channels.iter().find(|channel| channel["id"] == id).cloned().expect("the channel is listed")
}
