//! Replicas, one Redis, the network before it, the balancer, platforms and clocks, each broken in turn.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::scene::{Scene, Size};
use super::watch::Fault;
use crate::delivery::line::Fault as PlatformFault;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup, data_dir};
use crate::support::{eventually, traffic};

/// The contract gives the relay this after the store's return; the rest is a caller's pause after a 503, the one between
/// two messages, and a busy machine. Less than the time after which a poll looks without being woken.
const WELL_WITHIN: Duration = traffic::RECOVERED_WITHIN.saturating_add(Duration::from_secs(4));
/// How long what is broken stays so.
const BROKEN_FOR: Duration = Duration::from_secs(3);
/// The same for a replica: longer than the balancer needs to miss it, and than its replies are its own. When it goes on,
/// it does not know that they are another's.
const FROZEN_FOR: Duration = Duration::from_secs(9);
/// How much longer everything takes to and from Redis, each way.
const LAG: Duration = Duration::from_millis(100);
/// How far two clocks go astray, one ahead and one behind, in seconds. A signature may be five minutes off.
const ASTRAY: i64 = 120;

const KILLED: Fault =
    Fault::new("a replica is killed and started again", WELL_WITHIN).breaks_off().closes_with(&[1006]);
const STOPPED: Fault = Fault::new("a replica gets SIGTERM and is started again", WELL_WITHIN).closes_with(&[1012]);
const FROZEN: Fault = Fault::new("a replica is frozen (SIGSTOP) and goes on", WELL_WITHIN).refuses();
const REDIS_FROZEN: Fault = Fault::new("Redis is frozen and goes on", WELL_WITHIN).refuses();
const REDIS_KILLED: Fault = Fault::new("Redis is killed and started again", WELL_WITHIN).refuses();
const CLIENTS_KILLED: Fault = Fault::new("`CLIENT KILL TYPE normal`", WELL_WITHIN).refuses();
const LISTENERS_KILLED: Fault = Fault::new("`CLIENT KILL TYPE pubsub`", WELL_WITHIN);
const CUT: Fault = Fault::new("the network to Redis is cut", WELL_WITHIN).refuses();
const STALLED: Fault = Fault::new("the network to Redis swallows everything", WELL_WITHIN).refuses();
const DELAYED: Fault = Fault::new("the network to Redis takes 100 ms each way", WELL_WITHIN);
const BALANCER: Fault =
    Fault::new("the balancer is killed and started again", WELL_WITHIN).breaks_off().closes_with(&[1006]);
const PLATFORMS: Fault = Fault::new("a platform answers 503, another breaks off", WELL_WITHIN);
const CLOCKS: Fault = Fault::new("clocks of two replicas jump, one 120 s ahead, one behind", WELL_WITHIN);

/// One Redis that has every write on disk before it answers, and the way to it.
struct Store {
    redis: RedisServer,
    way: Proxy,
}

impl Store {
    async fn start() -> (Self, Setup) {
        let redis = RedisServer::durable();
        let way = Proxy::to(redis.port()).await;
        let setup = Setup::on(&way.url(), "chaos:");
        (Self { redis, way }, setup)
    }
}

async fn replica_is_killed(scene: &mut Scene) {
    let (n, setup) = (0, scene.setups[0].clone());
    scene
        .suffers(KILLED, async |scene| {
            scene.replicas[n].kill();
            sleep(BROKEN_FOR).await;
            scene.replace(n, &setup).await;
        })
        .await;
}

async fn replica_is_stopped(scene: &mut Scene) {
    let (n, setup) = (1, scene.setups[1].clone());
    scene
        .suffers(STOPPED, async |scene| {
            scene.replicas[n].signal("TERM");
            assert!(scene.replicas[n].ended().await, "it should end well");
            scene.replace(n, &setup).await;
        })
        .await;
}

async fn replica_is_frozen(scene: &mut Scene) {
    scene
        .suffers(FROZEN, async |scene| {
            scene.replicas[2].signal("STOP");
            sleep(FROZEN_FOR).await;
            scene.replicas[2].signal("CONT");
        })
        .await;
}

async fn redis_is_frozen(scene: &mut Scene, store: &Store) {
    scene
        .suffers(REDIS_FROZEN, async |_| {
            store.redis.pause();
            sleep(BROKEN_FOR).await;
            store.redis.resume();
        })
        .await;
}

async fn redis_is_killed(scene: &mut Scene, store: &mut Store) {
    scene
        .suffers(REDIS_KILLED, async |_| {
            store.redis.kill();
            sleep(BROKEN_FOR).await;
            store.redis.restart();
        })
        .await;
}

async fn connections_are_killed(scene: &mut Scene, store: &Store, fault: Fault, kind: &str) {
    scene
        .suffers(fault, async |_| {
            let killed: usize = store.redis.cli(&["CLIENT", "KILL", "TYPE", kind]).parse().unwrap();
            assert!(killed >= 3, "every replica has a connection of type {kind}, and {killed} were killed");
        })
        .await;
}

async fn network_is_broken(scene: &mut Scene, store: &Store, fault: Fault, break_it: impl Fn(&Proxy)) {
    scene
        .suffers(fault, async |_| {
            break_it(&store.way);
            sleep(BROKEN_FOR).await;
            store.way.heal();
            store.way.delay(Duration::ZERO);
        })
        .await;
}

async fn network_is_slow(scene: &mut Scene, store: &Store) {
    scene
        .suffers(DELAYED, async |_| {
            store.way.delay(LAG);
            sleep(BROKEN_FOR).await;
            store.way.delay(Duration::ZERO);
        })
        .await;
}

async fn balancer_is_restarted(scene: &mut Scene) {
    scene.suffers(BALANCER, async |scene| scene.restart_balancer(Duration::from_secs(1)).await).await;
}

async fn platforms_are_down(scene: &mut Scene) {
    scene
        .suffers(PLATFORMS, async |scene| {
            for agent in &scene.agents {
                match agent.platform() {
                    "telegram" => agent.misbehaves(PlatformFault::Status(503)),
                    "discord" => agent.misbehaves(PlatformFault::Reset),
                    _ => {}
                }
            }
            sleep(BROKEN_FOR).await;
            for agent in &scene.agents {
                agent.behaves();
            }
        })
        .await;
}

/// A replica whose clock can be set: what a file says is added to the machine's. How long something takes it still
/// knows, as real machines do.
fn with_clock(setup: &Setup, file: &Path) -> Setup {
    setup
        .clone()
        .with("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1")
        .with("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
        .with("FAKETIME_CACHE_DURATION", "1")
        .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// Waits until a replica says that its clock is so many seconds off.
async fn is_off(replica: &Replica, seconds: i64) {
    eventually("the clock is as it was set", || async {
        let answer = reqwest::get(format!("{}/health", replica.url())).await.ok()?;
        let says = httpdate::parse_http_date(answer.headers().get("Date")?.to_str().ok()?).ok()?;
        let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
        let off = since_1970(says) - since_1970(SystemTime::now());
        ((off - seconds).abs() <= 3).then_some(())
    })
    .await;
}

async fn clocks_go_astray(scene: &mut Scene) {
    let dir = data_dir();
    let clocks = [(0, ASTRAY), (2, -ASTRAY)].map(|(n, off)| (n, off, dir.path().join(n.to_string())));
    let set = async |scene: &Scene, is_astray: bool| {
        for (n, off, file) in &clocks {
            let off = if is_astray { *off } else { 0 };
            std::fs::write(file, format!("{off:+}")).unwrap();
            is_off(&scene.replicas[*n], off).await;
        }
    };
    for (n, _, file) in &clocks {
        std::fs::write(file, "+0").unwrap();
        let setup = with_clock(&scene.setups[*n], file);
        let exchange = async |scene: &mut Scene| {
            scene.replicas[*n].kill();
            scene.replace(*n, &setup).await;
        };
        scene.undergoes(KILLED, exchange).await;
    }
    scene
        .suffers(CLOCKS, async |scene| {
            set(scene, true).await;
            sleep(BROKEN_FOR).await;
            set(scene, false).await;
        })
        .await;
}

/// Everything that breaks with one Redis.
pub async fn everything(size: Size) {
    let (mut store, setup) = Store::start().await;
    let mut scene = Scene::start("Three replicas behind HAProxy, one Redis", setup, size).await;
    replica_is_killed(&mut scene).await;
    replica_is_stopped(&mut scene).await;
    replica_is_frozen(&mut scene).await;
    redis_is_frozen(&mut scene, &store).await;
    redis_is_killed(&mut scene, &mut store).await;
    connections_are_killed(&mut scene, &store, CLIENTS_KILLED, "normal").await;
    connections_are_killed(&mut scene, &store, LISTENERS_KILLED, "pubsub").await;
    network_is_broken(&mut scene, &store, CUT, Proxy::cut).await;
    network_is_broken(&mut scene, &store, STALLED, Proxy::stall).await;
    network_is_slow(&mut scene, &store).await;
    balancer_is_restarted(&mut scene).await;
    platforms_are_down(&mut scene).await;
    clocks_go_astray(&mut scene).await;
    scene.ends().await;
}

/// What tells most in a short time.
pub async fn a_few(size: Size) {
    let (mut store, setup) = Store::start().await;
    let mut scene = Scene::start("A few faults", setup, size).await;
    replica_is_killed(&mut scene).await;
    redis_is_killed(&mut scene, &mut store).await;
    connections_are_killed(&mut scene, &store, LISTENERS_KILLED, "pubsub").await;
    balancer_is_restarted(&mut scene).await;
    scene.ends().await;
}
