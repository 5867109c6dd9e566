//! What is tried again and when, on every platform.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::fate::{becomes, fate, status};
use super::line::{ALL, Fault, Line, hasty};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::{Misbehaviour, discord};
use crate::support::relay::Replica;

/// Room for a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(3);

/// How long after the end of the first call the second one came, if the first took so long.
fn wait(line: &Line, talk: usize, first_took: Duration) -> Duration {
    let calls = line.calls(talk);
    (calls[1].at - calls[0].at).saturating_sub(first_took)
}

async fn opened(platforms: &Platforms, agent: &Client, replica: &Replica, people: usize) -> Vec<Line> {
    join_all(ALL.map(|platform| Line::open(platforms, agent, replica, platform, people))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_of_any_kind_a_reply_is_tried_again_after_about_a_second() {
    let platforms = Platforms::start().await;
    let [a] = hasty(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let faults =
        [Fault::Status(500), Fault::Status(502), Fault::Status(503), Fault::Reset, Fault::Garbage, Fault::Hang];
    let lines = opened(&platforms, &agent, &a, faults.len()).await;
    let of_line = async |line: &Line| {
        let mut ids = Vec::new();
        for (talk, fault) in faults.into_iter().enumerate() {
            line.fault(fault, 1, Some(talk));
            ids.push(line.reply(&agent, &a, talk, &format!("{fault:?}")).await);
        }
        for (talk, (fault, id)) in faults.into_iter().zip(&ids).enumerate() {
            let what = format!("{fault:?} on {}", line.platform);
            let (_, attempts, error) = fate(&becomes(&agent, &a, id, "delivered").await);
            assert_eq!((attempts, error), (2, None), "{what}");
            assert_eq!((line.sent(talk), line.calls(talk).len()), (vec![format!("{fault:?}")], 2), "{what}");
            let took = if matches!(fault, Fault::Hang) { Duration::from_secs(2) } else { Duration::ZERO };
            let wait = wait(line, talk, took);
            assert!(
                wait >= Duration::from_millis(800) && wait <= Duration::from_millis(1200) + SLACK,
                "{what}: {wait:?}"
            );
        }
    };
    join_all(lines.iter().map(of_line)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_whose_answer_was_lost_comes_twice_only_where_the_platform_cannot_tell() {
    let platforms = Platforms::start().await;
    let [a] = hasty(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let of_line = async |line: &Line| {
        line.fault(Fault::AnswerLost, 1, Some(0));
        line.fault(Fault::Slow(Duration::from_secs(3)), 1, Some(1));
        let ids = [line.reply(&agent, &a, 0, "lost").await, line.reply(&agent, &a, 1, "late").await];
        for (talk, id) in ids.iter().enumerate() {
            assert_eq!(fate(&becomes(&agent, &a, id, "delivered").await).1, 2);
            let copies = if ["discord", "email"].contains(&line.platform) { 1 } else { 2 };
            assert_eq!((line.calls(talk).len(), line.sent(talk).len()), (2, copies), "{}", line.platform);
        }
    };
    join_all(opened(&platforms, &agent, &a, 2).await.iter().map(of_line)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_comes_earlier_than_a_platform_asked_for_in_its_429() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let asked = Duration::from_millis(2500);
    let of_line = async |line: &Line| {
        line.fault(Fault::TooMany(asked), 1, None);
        let limited = line.reply(&agent, &a, 0, "limited").await;
        let (_, attempts, error) = fate(&becomes(&agent, &a, &limited, "retrying").await);
        assert!(attempts == 1 && error.is_some(), "{error:?}");
        let other = line.reply(&agent, &a, 1, "another conversation's").await;
        let follower = line.reply(&agent, &a, 0, "follows").await;
        for (id, attempts) in [(&limited, 2), (&other, 1), (&follower, 1)] {
            assert_eq!(fate(&becomes(&agent, &a, id, "delivered").await), ("delivered".to_owned(), attempts, None));
        }
        let wait = wait(line, 0, Duration::ZERO);
        // Up to a fifth later; whole seconds but for Discord, who has fractions.
        let latest = Duration::from_secs(3).mul_f64(1.2) + SLACK;
        assert!(wait >= asked && wait <= latest, "{wait:?} on {}", line.platform);
        assert_eq!(line.sent(0), ["limited", "follows"]);
        // With Slack and the mail provider a limit is the whole account's.
        let first = line.calls(0)[0].at;
        let of_the_other = line.calls(1)[0].at - first;
        assert_eq!(of_the_other >= asked, ["slack", "email"].contains(&line.platform), "{of_the_other:?}");
    };
    join_all(opened(&platforms, &agent, &a, 2).await.iter().map(of_line)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_for_all_of_a_bot_holds_back_its_other_conversations_and_no_other_bot() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "discord", 2).await;
    let other = Line::open(&platforms, &agent, &a, "discord", 1).await;
    let asked = Duration::from_millis(2700);
    let limit = discord::Refusal::GlobalLimit { retry_after: asked };
    platforms.discord.misbehave_on("createMessage", Misbehaviour::Refuse(limit));
    let limited = line.reply(&agent, &a, 0, "limited").await;
    becomes(&agent, &a, &limited, "retrying").await;
    let held = line.reply(&agent, &a, 1, "held").await;
    let free = other.reply(&agent, &a, 0, "another bot's").await;
    becomes(&agent, &a, &free, "delivered").await;
    for id in [&limited, &held] {
        becomes(&agent, &a, id, "delivered").await;
    }
    let first = line.calls(0)[0].at;
    for (line, talk, call, is_held) in [(&line, 0, 1, true), (&line, 1, 0, true), (&other, 0, 0, false)] {
        let after = line.calls(talk)[call].at - first;
        assert_eq!(after >= asked, is_held, "{after:?}");
    }
    // That it had to wait was no try.
    assert_eq!(status(&agent, &a, &held).await["attempts"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_quota_is_told_and_not_tried_again_within_minutes() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "email", 2).await;
    let quota = crate::support::platforms::resend::Refusal::DailyQuota;
    platforms.resend.misbehave_on("sendEmail", Misbehaviour::Refuse(quota));
    let spent = line.reply(&agent, &a, 0, "over the quota").await;
    let error = becomes(&agent, &a, &spent, "retrying").await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("daily_quota_exceeded"), "{error}");
    // What fails for another reason meanwhile comes back within seconds, and that one does not.
    line.fault(Fault::Status(500), 1, Some(1));
    let other = line.reply(&agent, &a, 1, "broken").await;
    becomes(&agent, &a, &other, "delivered").await;
    assert_eq!((line.calls(0).len(), line.calls(1).len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_failed_together_do_not_come_back_together_and_wait_longer_the_second_time() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let talks = 12;
    let line = Line::open(&platforms, &agent, &a, "telegram", talks).await;
    line.fault(Fault::Status(502), 1, Some(0));
    line.fault(Fault::Status(502), 0, None);
    join_all((0..talks).map(|talk| line.reply(&agent, &a, talk, "broken"))).await;
    join_all((0..talks).map(|talk| line.was_called(talk, 2))).await;
    line.behave();
    let retried = Instant::now();
    let waits: Vec<_> = (0..talks).map(|talk| wait(&line, talk, Duration::ZERO)).collect();
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*least >= Duration::from_millis(800) && *most - *least >= Duration::from_millis(50), "{waits:?}");

    let all_sent = || async { (0..talks).all(|talk| line.sent(talk).len() == 1).then_some(()) };
    eventually("all replies arrive", all_sent).await;
    let waits: Vec<_> = (0..talks).map(|talk| line.calls(talk)).map(|calls| calls[2].at - calls[1].at).collect();
    assert!(waits.iter().all(|wait| *wait >= Duration::from_secs(4)), "{waits:?}");
    assert!(retried.elapsed() <= Duration::from_secs(6) + SLACK, "{:?}", retried.elapsed());
}
