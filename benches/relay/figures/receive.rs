//! What a webhook costs the replica that takes it.

use crate::Bench;
use crate::failure::Outcome;
use crate::floors::Role;
use crate::load::{CONNECTIONS, closed_loop};
use crate::process::Keeps;
use crate::report::{Row, Target};
use crate::sessions;

/// Measures it beside a handler that parses and answers JSON, under the very same requests.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let mut cost = Row::new("receive", "µs").beside("actix-web, JSON in and out").aims_at(Target::RatioAtMost(2.0));
    let mut rate = Row::new("receive: webhooks a second", "/s").beside("actix-web, JSON in and out");
    let redis = bench.redis()?;
    let replica = bench.relay.start(&Keeps::Redis(redis.port))?;
    let floor = Role::Json.start()?;
    bench.runtime.block_on(async {
        let users = sessions::register(replica.port, CONNECTIONS).await?;
        let webhooks = || users.iter().map(sessions::User::webhook);
        for _ in bench.runs("receive") {
            let costs = || Ok(vec![replica.process.cpu_us()?]);
            let taken = closed_loop(replica.port, webhooks(), bench.stretch(), costs).await?;
            let costs = || Ok(vec![floor.process.cpu_us()?]);
            let least = closed_loop(floor.port, webhooks(), bench.stretch(), costs).await?;
            cost.add_beside(taken.costs[0], least.costs[0]);
            rate.add_beside(taken.rate, least.rate);
        }
        Outcome::Ok(())
    })?;
    Ok(vec![cost, rate])
}
