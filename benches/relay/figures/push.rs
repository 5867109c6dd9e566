//! What a message costs the replica that pushes it down a socket.

use std::io::Write as _;
use std::sync::Arc;

use crate::Bench;
use crate::failure::Outcome;
use crate::floors::Role;
use crate::http::{Connection, Request};
use crate::load::CONNECTIONS;
use crate::paced::{Inbox, Paced, Schedule};
use crate::report::{Row, Target};
use crate::sessions::{self, User};
use crate::socket::Socket;

/// Messages a second: what leaves the processors time to spare, so that no queue makes them cheaper.
const RATE: f64 = 4000.0;

/// Measures it beside bare sockets that are sent frames of the same size at the same instants. The webhooks come in at
/// another replica.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let mut cost = Row::new("push", "µs").beside("actix-ws, a frame").aims_at(Target::RatioAtMost(2.2));
    let redis = bench.redis()?;
    let replicas = bench.relay.start_many(2, redis.port)?;
    let (takes, pushes) = (&replicas[0], &replicas[1]);
    let floor = Role::Push.start()?;
    bench.runtime.block_on(async {
        let users = sessions::register(takes.port, CONNECTIONS).await?;
        let (inbox, bare) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
        let (mut sockets, mut bare_sockets) = (Vec::new(), Vec::new());
        for user in &users {
            sockets.push(Socket::open(pushes.port, &user.socket_path()).await?);
            bare_sockets.push(Socket::open(floor.port, "/ws").await?);
        }
        let _listeners = (inbox.listen(sockets), bare.listen(bare_sockets));
        let mut base = 0;
        for _ in bench.runs("push") {
            let schedule = Schedule::new(RATE, bench.stretch());
            inbox.expect(schedule, base);
            let before = pushes.process.cpu_us()?;
            let webhooks = users.iter().map(User::webhook).collect();
            Paced::post(&[takes.port], webhooks, |n| n % CONNECTIONS, base, schedule).await?.done().await?;
            inbox.all().await?;
            let pushed = (pushes.process.cpu_us()? - before) / schedule.count as f64;
            base += schedule.count;

            let mut order = Request::new("POST", &format!("/push/{}", inbox.frame_size()), &[], "");
            let mut connection = Connection::open(floor.port).await?;
            let port = String::from_utf8_lossy(connection.exchange(order.numbered(0), 200).await?).parse::<u16>()?;
            let mut orders = std::net::TcpStream::connect(("127.0.0.1", port))?;
            orders.set_nodelay(true)?;
            let frames = bare.frames();
            let schedule = Schedule::new(RATE, bench.stretch());
            let before = floor.process.cpu_us()?;
            Paced::send(schedule, move |n| Ok(orders.write_all(&[(n % CONNECTIONS) as u8])?)).done().await?;
            bare.has_frames(frames + schedule.count).await?;
            let least = (floor.process.cpu_us()? - before) / schedule.count as f64;
            cost.add_beside(pushed, least);
        }
        Outcome::Ok(())
    })?;
    Ok(vec![cost])
}
