//! A real HAProxy with the configuration that the relay is deployed with.

use std::ops::Deref;
use std::process::Command;

use super::relay::{Replica, Setup};
use super::{eventually, lasting_port};

/// What clients reach instead of a replica, so they take it for one. Killed when it is dropped; its log is searched
/// for secrets then.
pub struct Balancer(Replica);

impl Deref for Balancer {
    type Target = Replica;

    fn deref(&self) -> &Replica {
        &self.0
    }
}

/// Three replicas on ports that they keep, and the balancer before them.
pub struct Deployment {
    pub front: Balancer,
    /// How each replica is started.
    pub setups: [Setup; 3],
    pub replicas: [Replica; 3],
}

impl Deployment {
    /// Starts replicas of this setup, and a balancer that has seen each of them.
    pub async fn start(setup: Setup) -> Self {
        let setup = setup.with("CHAOS_TRUSTED_PROXIES", "127.0.0.1");
        let setups = std::array::from_fn(|_| setup.clone().with("PORT", &lasting_port().to_string()));
        let replicas = setups.each_ref().map(Setup::start_unready);
        for replica in &replicas {
            eventually("the replica is ready", || async { replica.is_ready().await.then_some(()) }).await;
        }
        let front = Balancer::before(&replicas);
        eventually("the balancer serves", || async { front.is_ready().await.then_some(()) }).await;
        Self { front, setups, replicas }
    }
}

impl Balancer {
    fn before(replicas: &[Replica; 3]) -> Self {
        Self::on(lasting_port(), replicas)
    }

    fn on(port: u16, replicas: &[Replica; 3]) -> Self {
        let mut command = Command::new("haproxy");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.args(["-db", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/haproxy/haproxy.cfg")]);
        command.env("BALANCER_BIND", format!("127.0.0.1:{port}")).env("BALANCER_MAXCONN", "1000");
        for (n, replica) in replicas.iter().enumerate() {
            command.env(format!("RELAY_{}", n + 1), format!("127.0.0.1:{}", replica.port()));
        }
        Self(Replica::run(command, port))
    }

    /// Ends this one, with every connection that it has.
    pub fn break_off(&self) {
        self.signal("KILL");
    }

    /// Starts another in its place, on the same port, that has seen each replica.
    pub async fn start_again(&self, replicas: &[Replica; 3]) -> Self {
        let next = Self::on(self.port(), replicas);
        eventually("the balancer serves", || async { next.is_ready().await.then_some(()) }).await;
        next
    }

    /// Waits until a replica is given nothing any more.
    pub async fn misses(&self, n: usize) {
        let is_missed = || async { (self.times(n, "DOWN") > self.times(n, "UP")).then_some(()) };
        eventually("the balancer misses the replica", is_missed).await;
    }

    /// Starts a replica again that it misses, and waits until it is given requests.
    pub async fn welcomes(&self, n: usize, setup: &Setup) -> Replica {
        let setup = setup.clone();
        let replica = tokio::task::spawn_blocking(move || setup.start_unready()).await.unwrap();
        let is_seen = || async { (self.times(n, "UP") == self.times(n, "DOWN")).then_some(()) };
        eventually("the balancer sees the replica", is_seen).await;
        replica
    }

    /// How often it said that a replica is now up or down. At first all are taken to be up, without a word.
    fn times(&self, n: usize, state: &str) -> usize {
        let word = format!("Server replicas/relay-{} is {state}", n + 1);
        self.log().lines().filter(|line| line.contains(&word)).count()
    }
}
