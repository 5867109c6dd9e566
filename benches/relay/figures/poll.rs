//! What a signed poll costs.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::Bench;
use crate::failure::{Outcome, fail};
use crate::floors::Role;
use crate::http::Connection;
use crate::load::{CONNECTIONS, all_once};
use crate::process::{Keeps, cpu_of};
use crate::redis::RedisServer;
use crate::report::{Row, Target};
use crate::sessions::Signer;

/// Messages that are stored for those who poll: none, and as many as one answer takes.
const STORED: [usize; 2] = [0, 100];
/// Polls of each connection in one stretch. All are signed beforehand, since signing takes the client longer than the
/// replica needs for the rest.
const POLLS: usize = 100;

/// Measures what replica and Redis need for a poll together, beside what one verification and one call of the script
/// need on both sides.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let redis = bench.redis()?;
    let replica = bench.relay.start(&Keeps::Redis(redis.port))?;
    let mut rows = Vec::new();
    for stored in STORED {
        let mut cost = Row::new(format!("poll: {stored} messages"), "µs")
            .beside("ECDSA, a script call")
            .aims_at(Target::RatioAtMost(1.5));
        bench.runtime.block_on(async {
            let mut signers = Vec::new();
            for _ in 0..CONNECTIONS {
                let signer = Signer::register(replica.port).await?;
                let posts = (0..stored).map(|_| signer.user.webhook()).collect();
                all_once(vec![(replica.port, posts)]).await?;
                signers.push(signer);
            }
            let calls = calls_of(&redis, replica.port, &signers, stored).await?;
            let mut floor = Role::Poll.start_with(&calls)?;
            for _ in bench.runs(&format!("poll, {stored} messages")) {
                let polls = bench.many(POLLS);
                let sign = |signer: &Signer| (replica.port, (0..polls).map(|_| signer.poll().1).collect());
                let signed: Vec<_> = signers.iter().map(sign).collect();
                let count = (polls * CONNECTIONS) as f64;
                let before = cpu_of([&replica.process, &redis.process])?;
                all_once(signed).await?;
                let polled = cpu_of([&replica.process, &redis.process])? - before;
                let before = cpu_of([&floor.process, &redis.process])?;
                floor.ask(&(polls * CONNECTIONS).to_string())?;
                let least = cpu_of([&floor.process, &redis.process])? - before;
                cost.add_beside(polled / count, least / count);
            }
            Outcome::Ok(())
        })?;
        rows.push(cost);
    }
    Ok(rows)
}

/// The calls with which the replica answers a poll of each of these, as Redis saw them, with the nonces in them.
async fn calls_of(redis: &RedisServer, port: u16, signers: &[Signer], stored: usize) -> Outcome<Value> {
    let mut monitor = redis.client()?.monitor()?;
    let mut connection = Connection::open(port).await?;
    let mut calls = Vec::new();
    for signer in signers {
        let (nonce, mut poll) = signer.poll();
        let page: Value = serde_json::from_slice(connection.exchange(poll.numbered(0), 200).await?)?;
        let ids: HashSet<_> = page["messages"].as_array().into_iter().flatten().map(|message| &message["id"]).collect();
        if ids.len() != stored {
            return fail(format!("a poll gave {} messages instead of {stored}", ids.len()));
        }
        let call = monitor.script_call_with(&nonce)?;
        let call = call.into_iter().map(String::from_utf8).collect::<Result<Vec<_>, _>>()?;
        calls.push(json!({"nonce": nonce, "arguments": call}));
    }
    Ok(json!({"redis": redis.port, "calls": calls}))
}
