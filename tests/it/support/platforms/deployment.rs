//! Replicas that speak to stand-ins for the platforms, behind one public address.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::discord::Discord;
use super::resend::Resend;
use super::slack::Slack;
use super::telegram::Telegram;
use crate::support::client::{Client, expect};
use crate::support::relay::{Replica, Setup};
use crate::support::secrets;

/// The domain of the relay's mail addresses.
pub const MAIL_DOMAIN: &str = "in.example.net";

/// The stand-ins, and the address under which they reach the relay.
pub struct Platforms {
    pub telegram: Telegram,
    pub discord: Discord,
    pub slack: Slack,
    pub resend: Resend,
    /// What the mail provider signs with.
    pub mail_secret: String,
    front: Front,
}

impl Platforms {
    /// Starts all four.
    pub async fn start() -> Self {
        let resend = Resend::start().await;
        resend.verify_domain(MAIL_DOMAIN);
        let mail_secret = Resend::webhook_secret();
        secrets::note(&mail_secret);
        Self {
            telegram: Telegram::start().await,
            discord: Discord::start().await,
            slack: Slack::start().await,
            resend,
            mail_secret,
            front: Front::open().await,
        }
    }

    /// Points replicas with this setup at the stand-ins.
    pub fn known_to(&self, setup: Setup) -> Setup {
        setup
            .with("CHAOS_PUBLIC_URL", &self.public_url())
            .with("CHAOS_TELEGRAM_API_BASE", &self.telegram.base_url())
            .with("CHAOS_DISCORD_API_BASE", &self.discord.base_url())
            .with("CHAOS_SLACK_API_BASE", &self.slack.base_url())
            .with("CHAOS_RESEND_API_BASE", &self.resend.base_url())
            .with("CHAOS_EMAIL_DOMAIN", MAIL_DOMAIN)
            .with("RESEND_API_KEY", self.resend.key())
            .with("RESEND_WEBHOOK_SECRET", &self.mail_secret)
    }

    /// A setup on the Redis that tests share.
    pub fn on_redis(&self) -> Setup {
        self.known_to(Setup::on_redis())
    }

    /// A setup on the embedded store.
    pub fn embedded(&self, dir: &Path) -> Setup {
        self.known_to(Setup::embedded(dir))
    }

    /// The relay's public address.
    pub fn public_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port)
    }

    /// Lets the public address lead to these replicas, in turn.
    pub fn lead_to(&self, replicas: &[&Replica]) {
        *self.front.behind.lock().unwrap() = replicas.iter().map(|replica| replica.port()).collect();
    }

    /// Where the mail provider posts its events.
    pub fn mail_url(&self) -> String {
        format!("{}/email/inbound", self.public_url())
    }
}

/// Takes connections and passes each on to the next of the replicas behind it.
struct Front {
    port: u16,
    behind: Arc<Mutex<Vec<u16>>>,
    accepting: JoinHandle<()>,
}

impl Front {
    async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind: Arc<Mutex<Vec<u16>>> = Arc::default();
        let replicas = behind.clone();
        let turn = AtomicUsize::new(0);
        let accepting = tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let next = {
                    let replicas = replicas.lock().unwrap();
                    assert!(!replicas.is_empty(), "the public address leads nowhere yet");
                    replicas[turn.fetch_add(1, Ordering::Relaxed) % replicas.len()]
                };
                tokio::spawn(async move {
                    if let Ok(mut to) = TcpStream::connect(("127.0.0.1", next)).await {
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    }
                });
            }
        });
        Self { port, behind, accepting }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A registered channel of a platform.
pub struct Registered {
    pub id: String,
    /// The pairing code, where there is one.
    pub code: String,
    /// The whole answer.
    pub answer: Value,
}

/// Registers a channel with this body; it must be taken.
pub async fn register(client: &Client, replica: &Replica, platform: &str, body: Value) -> Registered {
    let path = format!("/channels/{platform}/register");
    let answer = expect(client.post(replica, &path, &body).await, 201).await;
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    Registered { id: text("channelId"), code: text("pairingCode"), answer }
}

/// Registers a bot by its token.
pub async fn register_bot(client: &Client, replica: &Replica, platform: &str, token: &str) -> Registered {
    register(client, replica, platform, json!({"botToken": token})).await
}
