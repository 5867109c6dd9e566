//! Connections to the nodes of a Cluster.

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{ConnectionInfo, ProtocolVersion, RedisResult};
use tokio::sync::{Mutex, OnceCell};

use super::tls::RedisCertificates;
use super::{CALL_TIMEOUT, CONNECT_TIMEOUT, Forward, PushSender, tcp_settings};

/// One connection to each node, which are found by those that are known.
pub(in crate::store::redis) struct ClusterLink {
    nodes: Vec<ConnectionInfo>,
    certificates: Option<RedisCertificates>,
    push: Option<PushSender>,
    connection: OnceCell<ClusterConnection>,
    turn: Mutex<()>,
}

impl ClusterLink {
    pub(super) fn new(
        nodes: &[ConnectionInfo],
        certificates: Option<RedisCertificates>,
        push: Option<PushSender>,
    ) -> Self {
        Self { nodes: nodes.to_vec(), certificates, push, connection: OnceCell::new(), turn: Mutex::new(()) }
    }

    pub(super) async fn connection(&self) -> RedisResult<ClusterConnection> {
        self.connection.get_or_try_init(|| self.make()).await.cloned()
    }

    async fn make(&self) -> RedisResult<ClusterConnection> {
        let mut builder: ClusterClientBuilder = ClusterClient::builder(self.nodes.clone())
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(CALL_TIMEOUT)
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(tcp_settings());
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.parts());
        }
        if let Some(push) = &self.push {
            builder = builder.push_sender(Forward(push.clone()));
        }
        builder.build()?.get_async_connection().await
    }

    /// Subscribes to, or leaves, a sharded channel. One after the other: calls that find a node's connection
    /// broken make a new one each, of which the last is kept, and what the others subscribed to would be
    /// lost without a word.
    pub(super) async fn subscribe(&self, channel: &str, join: bool) -> RedisResult<()> {
        let mut connection = self.connection().await?;
        let _turn = self.turn.lock().await;
        if join { connection.ssubscribe(channel).await } else { connection.sunsubscribe(channel).await }
    }

    /// Tries once to connect, and says what comes of it.
    pub(super) async fn try_once(&self) -> RedisResult<()> {
        self.make().await.map(drop)
    }
}
