//! The two things that a signed poll cannot do without: one verification, and one call of the script.

use std::io::BufRead as _;
use std::sync::Arc;

use ::redis::Client;
use ::redis::aio::{ConnectionLike as _, MultiplexedConnection};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaos_relay::domain::public_key::{KeyPair, PublicKey};
use chaos_relay::domain::signing::{is_signed_by, signed_text};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::failure::{Outcome, fail};

/// What there is to do.
#[derive(Deserialize)]
struct Work {
    /// The port of Redis.
    redis: u16,
    calls: Vec<Call>,
}

/// A call of the script, and the nonce in it, which must be another one each time.
#[derive(Deserialize)]
struct Call {
    nonce: String,
    arguments: Vec<String>,
}

struct Signed {
    key: PublicKey,
    text: String,
    signature: String,
}

/// Reads the work from the first line of the input, and from each line after it how often to do it: that many times in
/// all, as many at once as there are calls.
pub(super) fn play() -> Outcome<()> {
    let mut lines = std::io::stdin().lock().lines();
    let work: Work = serde_json::from_str(&lines.next().transpose()?.unwrap_or_default())?;
    let calls: Vec<_> = work.calls.into_iter().map(Arc::new).collect();
    let pair = KeyPair::generate();
    let text = signed_text("2026-01-15T10:30:00.123Z", &calls[0].nonce, "/messages", b"");
    let signature = STANDARD.encode(pair.sign(text.as_bytes()));
    let signed = Arc::new(Signed { key: pair.public(), text, signature });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connection = runtime.block_on(async {
        let client = Client::open(format!("redis://127.0.0.1:{}/?protocol=resp3", work.redis))?;
        client.get_multiplexed_async_connection().await
    })?;
    println!("ready");
    for line in lines {
        let each = line?.parse::<usize>()? / calls.len();
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for call in &calls {
                tasks.spawn(repeat(connection.clone(), call.clone(), signed.clone(), each));
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            Outcome::Ok(())
        })?;
        println!("done");
    }
    Ok(())
}

async fn repeat(
    mut connection: MultiplexedConnection,
    call: Arc<Call>,
    signed: Arc<Signed>,
    times: usize,
) -> Outcome<()> {
    for _ in 0..times {
        if !is_signed_by(&signed.key, &signed.text, &signed.signature) {
            return fail("a signature that is right was refused");
        }
        let nonce = uuid::Uuid::new_v4().to_string();
        let mut command = ::redis::Cmd::new();
        for argument in &call.arguments {
            command.arg(argument.replace(&call.nonce, &nonce));
        }
        let answer = connection.req_packed_command(&command).await?;
        answer.extract_error()?;
    }
    Ok(())
}
