//! The agent's responses, as external services poll them.

use super::Relay;
use super::error::Error;
use super::poll::MAX_COUNT;
use crate::domain::digest::Digest;
use crate::domain::ids::ChannelId;
use crate::domain::limit::LimitStatus;
use crate::domain::message::Page;
use crate::domain::timestamp::Timestamp;
use crate::store::{ResponsesOutcome, ResponsesQuery, Secret, Since};

impl Relay {
    /// Reads the responses of a webhook channel. Knowing its id is enough unless the operator wants the
    /// token as well; a token that is sent must be right.
    pub async fn responses(
        &self,
        channel: &str,
        token: Option<&str>,
        since: Timestamp,
    ) -> Result<(Page, LimitStatus), Error> {
        let unknown = || Error::no_channel(channel);
        let id: ChannelId = channel.parse().map_err(|_| unknown())?;
        let secret = match token {
            Some(token) => Secret::Digest(Digest::of(token.as_bytes())),
            None if self.shared.responses_require_token => Secret::Missing,
            None => Secret::Verified,
        };
        let mut user = self.channel_owner(&id).await?.ok_or_else(unknown)?;
        loop {
            let query = ResponsesQuery {
                user,
                channel: &id,
                secret,
                limit: self.shared.limits.responses,
                since: Since::After(since),
                count: MAX_COUNT,
            };
            return match self.store.read_responses(&query).await? {
                ResponsesOutcome::NoChannel if self.forget_owner(&id) => {
                    user = self.channel_owner(&id).await?.ok_or_else(unknown)?;
                    self.forget_owner(&id);
                    continue;
                }
                ResponsesOutcome::NoChannel => Err(unknown()),
                ResponsesOutcome::WrongSecret => Err(Error::Unauthorized {
                    code: "invalid_token",
                    message: "the channel's token is missing or wrong",
                }),
                ResponsesOutcome::OverLimit(limit) => Err(Error::Limited(limit)),
                ResponsesOutcome::Page(page, limit) => Ok((page, limit)),
            };
        }
    }
}
