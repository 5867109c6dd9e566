//! What the relay itself says to a person on a platform: how to pair, that it worked.
//!
//! Such a word is worth a few tries and no more: whoever misses it writes again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Relay;
use super::known_channel::KnownChannel;
use crate::channels::adapter::{Inbound, Outgoing, Progress, Verdict};
use crate::domain::conversation::ConversationKey;
use crate::domain::ids::MessageId;
use crate::domain::timestamp::Timestamp;

/// Waits before the second and third try.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// The most calls for one word: its parts, and other forms of them.
const MAX_CALLS: usize = 4;

impl Relay {
    /// Says something where this was said, in the background.
    pub(super) fn speak(&self, channel: &Arc<KnownChannel>, inbound: &Inbound, said: &str) {
        let (relay, channel, said) = (self.clone(), channel.clone(), said.to_owned());
        let (conversation, details) = (inbound.conversation.clone(), inbound.details.clone());
        tokio::spawn(async move {
            for wait in WAITS.into_iter().map(Some).chain([None]) {
                if relay.say_once(&channel, &conversation, &details, &said).await {
                    return;
                }
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => tracing::info!(channel = %channel.channel().id, "a person could not be told something"),
                }
            }
        });
    }

    /// Says whether it is done with, one way or the other.
    async fn say_once(
        &self,
        channel: &KnownChannel,
        conversation: &ConversationKey,
        details: &Value,
        said: &str,
    ) -> bool {
        let Some(adapter) = self.shared.platforms.sender(channel.channel().kind) else { return true };
        let now = Timestamp::now();
        let outgoing = Outgoing {
            response: MessageId::random(),
            connection: &channel.connection,
            secrets: channel.secrets.as_ref(),
            label: channel.channel().label(),
            conversation,
            details,
            answer_secret: None,
            is_reply_to: false,
            completes_question: false,
            asked_at: now,
            content: said,
            now,
        };
        let mut progress = Progress::default();
        for _ in 0..MAX_CALLS {
            let Some(call) = adapter.next_call(&outgoing, &progress) else { return true };
            let Ok(answer) = self.call(call).await else { return false };
            match adapter.interpret(&outgoing, &mut progress, &answer) {
                Verdict::Arrived { .. } | Verdict::Reformed => {}
                Verdict::Later { .. } => return false,
                Verdict::QuotaSpent { .. } | Verdict::Refused { .. } => return true,
                Verdict::Revoked { reason } => {
                    self.disable(&channel.user, &channel.channel().id, &reason).await;
                    return true;
                }
            }
        }
        true
    }
}
