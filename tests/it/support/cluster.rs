//! A real Redis Cluster.

use std::time::Duration;

use super::certificates::Authority;
use super::redis::RedisServer;
use super::{eventually, free_port};

/// Slots of every Cluster.
const SLOTS: u32 = 16384;
/// How long a node may be silent before the others count it as gone, in milliseconds.
const NODE_TIMEOUT: &str = "2000";

/// Masters that share the slots evenly, each with a replica if there are any. Killed when it is dropped.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    replicas: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts three masters without replicas and waits until they are a Cluster.
    pub async fn start() -> Self {
        Self::make(None, 0).await
    }

    /// The same with a replica for each master.
    pub async fn with_replicas() -> Self {
        let cluster = Self::make(None, 3).await;
        for (replica, master) in cluster.replicas.iter().zip(&cluster.nodes) {
            let id = master.cli(&["CLUSTER", "MYID"]);
            eventually("a node becomes a replica", || async {
                (replica.cli(&["CLUSTER", "REPLICATE", &id]) == "OK").then_some(())
            })
            .await;
            master.is_followed_by(1).await;
        }
        // A replica that is there may still be busy with becoming one: each has to take a write first.
        for (n, master) in (0..).zip(&cluster.nodes) {
            let holds = |key: &String| cluster.slot_of(key) * 3 / SLOTS == n;
            let key = (0..).map(|n| format!("probe{n}")).find(holds).unwrap();
            eventually("a replica takes writes", || async { (master.write_and_wait(&key, 1) == "1").then_some(()) })
                .await;
        }
        cluster
    }

    /// Three masters that speak TLS only, and want a certificate of their clients.
    pub async fn with_tls(authority: &Authority) -> Self {
        Self::make(Some(authority), 0).await
    }

    async fn make(authority: Option<&Authority>, replicas: usize) -> Self {
        let nodes: Vec<_> = (0..3 + replicas).map(|_| start_node(authority)).collect();
        for (n, (node, bus)) in (0..).zip(&nodes) {
            if n < 3 {
                let (first, last) = (n * SLOTS / 3, (n + 1) * SLOTS / 3 - 1);
                assert_eq!(node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]), "OK");
            }
            assert_eq!(node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]), "OK");
            let (port, bus) = (node.port().to_string(), bus.to_string());
            assert_eq!(nodes[0].0.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]), "OK");
        }
        let mut nodes: Vec<_> = nodes.into_iter().map(|(node, _)| node).collect();
        let replicas = nodes.split_off(3);
        let cluster = Self { nodes, replicas };
        cluster.agrees().await;
        cluster
    }

    /// Waits until every node sees every slot served, and by the same nodes.
    async fn agrees(&self) {
        eventually("the nodes are a cluster", || async {
            let is_ok = self.nodes.iter().all(|node| {
                let info = node.cli(&["CLUSTER", "INFO"]);
                let known = format!("cluster_known_nodes:{}", self.nodes.len() + self.replicas.len());
                info.contains("cluster_state:ok") && info.contains(&known)
            });
            let views: Vec<_> = self.nodes.iter().map(|node| node.cli(&["CLUSTER", "SLOTS"])).collect();
            let sizes: Vec<_> = views.iter().map(String::len).collect();
            (is_ok && sizes.iter().all(|size| *size == sizes[0])).then_some(())
        })
        .await;
    }

    /// `redis+cluster://` with two of the nodes; the third has to be found.
    pub fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].port(), self.nodes[1].port())
    }

    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The node that holds the slot of this hash tag.
    pub fn node_of(&self, tag: &str) -> &RedisServer {
        let slot = self.slot_of(tag);
        let holds = |node: &&RedisServer| {
            let shard = node.cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
            shard.parse::<u32>().unwrap() > 0
        };
        self.nodes.iter().find(holds).expect("a node that holds keys of the slot")
    }

    pub fn slot_of(&self, tag: &str) -> u32 {
        self.nodes[0].cli(&["CLUSTER", "KEYSLOT", &format!("{{{tag}}}")]).parse().unwrap()
    }

    /// Moves a slot with its keys to another node, key by key, as an operator's resharding does.
    pub async fn move_slot(&self, slot: u32, from: &RedisServer, to: &RedisServer) {
        let id = |node: &RedisServer| node.cli(&["CLUSTER", "MYID"]);
        let (slot, from_id, to_id) = (slot.to_string(), id(from), id(to));
        assert_eq!(to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]), "OK");
        assert_eq!(from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]), "OK");
        let to_port = to.port().to_string();
        loop {
            let keys = from.cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]);
            if keys.is_empty() {
                break;
            }
            from.cli(&["MIGRATE", "127.0.0.1", &to_port, &keys, "0", "1000"]);
            // So that requests meet a slot that is half here and half there.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for node in [to, from] {
            assert_eq!(node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]), "OK");
        }
        for node in &self.nodes {
            node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
        }
    }
}

/// A node and the port of its bus, which by default would lie beyond the range of ports for most free ones.
fn start_node(authority: Option<&Authority>) -> (RedisServer, u16) {
    let (port, bus) = (free_port(), free_port());
    let bus_port = bus.to_string();
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", &bus_port, "--cluster-node-timeout", NODE_TIMEOUT];
    let in_memory = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];
    let mut arguments: Vec<_> = [&arguments[..], &in_memory].concat().into_iter().map(str::to_owned).collect();
    let mut access = Vec::new();
    if let Some(authority) = authority {
        arguments.extend(authority.server_arguments(port, true));
        arguments.extend(["--tls-cluster", "yes"].map(str::to_owned));
        access = authority.cli_arguments();
    }
    (RedisServer::with_access(port, arguments, &access), bus)
}
