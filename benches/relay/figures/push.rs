//! What a message costs the replica that pushes it down a socket.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::failure::Outcome;
use crate::floors::{Floor, Role};
use crate::http::{Connection, Request};
use crate::load::{CONNECTIONS, Load, WARM_UP};
use crate::paced::{Inbox, Paced, Schedule};
use crate::report::{Row, Target};
use crate::sessions::{self, User};
use crate::socket::Socket;

/// Messages a second at a fixed rate: what leaves the processors time to spare.
const RATE: f64 = 4000.0;
/// Frames that the floor is told to send at once when it is kept as busy as it can be: a quarter of what is under way.
const BURST: usize = CONNECTIONS / 4;
/// How the replica's cost should compare.
const TARGET: Target = Target::RatioAtMost(2.2);

/// Measures it beside bare sockets that are sent frames of the same size, as many a second: at a fixed rate, where each
/// message wakes whoever has to do with it, and in a closed loop, where many are done with at a time. The webhooks come
/// in at another replica.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let row = |name: String| Row::new(name, "µs").beside("actix-ws, a frame").aims_at(TARGET);
    let mut paced = row(format!("push: at {RATE}/s"));
    let mut closed = row("push: closed loop".to_owned());
    let redis = bench.redis()?;
    let replicas = bench.relay.start_many(2, redis.port)?;
    let (takes, pushes) = (&replicas[0], &replicas[1]);
    let floor = Role::Push.start()?;
    bench.runtime.block_on(async {
        let users = sessions::register(takes.port, CONNECTIONS).await?;
        let bare = Arc::new(Inbox::default());
        let mut bare_sockets = Vec::new();
        for _ in &users {
            bare_sockets.push(Socket::open(floor.port, "/ws").await?);
        }
        let _bare_listeners = bare.listen(bare_sockets);
        for run in bench.runs("push") {
            let inbox = Arc::new(Inbox::default());
            let mut sockets = Vec::new();
            for user in &users {
                sockets.push(Socket::open(pushes.port, &user.socket_path_from_now()).await?);
            }
            let _listeners = inbox.listen(sockets);
            let webhooks = || users.iter().map(User::webhook).collect::<Vec<_>>();

            let load = Load::start(takes.port, webhooks()).await?;
            tokio::time::sleep(WARM_UP).await;
            let (begun, frames, before) = (Instant::now(), inbox.frames(), pushes.process.cpu_us()?);
            tokio::time::sleep(bench.stretch()).await;
            let spent = pushes.process.cpu_us()? - before;
            let (count, elapsed) = ((inbox.frames() - frames) as f64, begun.elapsed());
            inbox.has_frames(usize::try_from(load.stop().await?)?).await?;
            let rate = count / elapsed.as_secs_f64();
            closed.add_beside(spent / count, least(&floor, &bare, &inbox, rate, BURST, bench.stretch()).await?);

            let schedule = Schedule::new(RATE, bench.stretch());
            let base = usize::from(run) * schedule.count;
            inbox.expect(schedule, base);
            let before = pushes.process.cpu_us()?;
            Paced::post(&[takes.port], webhooks(), |n| n % CONNECTIONS, base, schedule).await?.done().await?;
            inbox.all().await?;
            let spent = pushes.process.cpu_us()? - before;
            let least = least(&floor, &bare, &inbox, RATE, 1, bench.stretch()).await?;
            paced.add_beside(spent / schedule.count as f64, least);
        }
        Outcome::Ok(())
    })?;
    Ok(vec![paced, closed])
}

/// Microseconds of the floor for a frame as large as the last one, at this rate, so many at once.
async fn least(floor: &Floor, bare: &Inbox, like: &Inbox, rate: f64, burst: usize, time: Duration) -> Outcome<f64> {
    let mut order = Request::new("POST", &format!("/push/{}", like.frame_size()), &[], "");
    let mut connection = Connection::open(floor.port).await?;
    let port = String::from_utf8_lossy(connection.exchange(order.numbered(0), 200).await?).parse::<u16>()?;
    let mut orders = TcpStream::connect(("127.0.0.1", port))?;
    orders.set_nodelay(true)?;
    let frames = bare.frames();
    let schedule = Schedule::new(rate / burst as f64, time);
    let before = floor.process.cpu_us()?;
    let send = move |n| {
        let sockets: Vec<_> = (n * burst..(n + 1) * burst).map(|n| (n % CONNECTIONS) as u8).collect();
        Ok(orders.write_all(&sockets)?)
    };
    Paced::send(schedule, send).done().await?;
    bare.has_frames(frames + schedule.count * burst).await?;
    Ok((floor.process.cpu_us()? - before) / (schedule.count * burst) as f64)
}
