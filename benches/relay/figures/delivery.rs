//! How many messages go through, and how long one takes from the post to the frame.

use std::sync::Arc;
use std::time::Duration;

use crate::Bench;
use crate::failure::{Outcome, fail};
use crate::load::{CONNECTIONS, Load, WARM_UP};
use crate::paced::{Inbox, Paced, Schedule};
use crate::report::{Row, Target};
use crate::sessions::{self, User};
use crate::socket::Socket;

/// Messages a second at which a message's time is measured.
const RATE: f64 = 2000.0;
/// What of the messages took at most as long as the value says, and the target for it in milliseconds.
const QUANTILES: [(&str, f64, Option<f64>); 3] =
    [("p50", 0.5, None), ("p99", 0.99, Some(5.0)), ("p99.9", 0.999, Some(20.0))];

/// Measures it with two replicas: one takes the webhooks, the other holds the sockets.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let mut rate = Row::new("delivery: webhooks a second, closed loop", "/s");
    let time = |(name, _, most): &(&str, f64, Option<f64>)| {
        let row = Row::new(format!("delivery: {name} at {RATE}/s"), "ms");
        if let Some(most) = most { row.aims_at(Target::AtMost(*most)) } else { row }
    };
    let mut times: Vec<_> = QUANTILES.iter().map(time).collect();
    let mut own = Row::new("delivery: of which the load itself was late, p99.9", "ms");
    let redis = bench.redis()?;
    let replicas = bench.relay.start_many(2, redis.port)?;
    let (takes, pushes) = (&replicas[0], &replicas[1]);
    bench.runtime.block_on(async {
        let users = sessions::register(takes.port, CONNECTIONS).await?;
        let webhooks = || users.iter().map(User::webhook).collect::<Vec<_>>();
        let mut base = 0;
        for _ in bench.runs("delivery") {
            let inbox = Arc::new(Inbox::default());
            let mut sockets = Vec::new();
            for user in &users {
                sockets.push(Socket::open(pushes.port, &user.socket_path_from_now()).await?);
            }
            let _listeners = inbox.listen(sockets);
            rate.add(closed(takes.port, webhooks(), &inbox, bench.stretch()).await?);
            let schedule = Schedule::new(RATE, 2 * bench.stretch());
            inbox.expect(schedule, base);
            let load = Paced::post(&[takes.port], webhooks(), |n| n % CONNECTIONS, base, schedule).await?;
            own.add(quantile(&load.done().await?, 0.999));
            let took = inbox.all().await?;
            base += schedule.count;
            for ((_, part, _), row) in QUANTILES.iter().zip(&mut times) {
                row.add(quantile(&took, *part));
            }
        }
        Outcome::Ok(())
    })?;
    Ok(std::iter::once(rate).chain(times).chain([own]).collect())
}

/// What a part of these values, which ascend, lies at or below.
fn quantile(values: &[f64], part: f64) -> f64 {
    values[(part * (values.len() - 1) as f64).round() as usize]
}

/// Frames that come down the sockets in a second when each connection posts again as soon as it is answered.
async fn closed(port: u16, webhooks: Vec<crate::http::Request>, inbox: &Inbox, time: Duration) -> Outcome<f64> {
    let load = Load::start(port, webhooks).await?;
    tokio::time::sleep(WARM_UP).await;
    let (begun, frames) = (tokio::time::Instant::now(), inbox.frames());
    tokio::time::sleep(time).await;
    let rate = (inbox.frames() - frames) as f64 / begun.elapsed().as_secs_f64();
    let posted = load.stop().await?;
    inbox.has_frames(usize::try_from(posted)?).await?;
    if rate == 0.0 { fail("nothing came down the sockets") } else { Ok(rate) }
}
