//! What a service refuses or fails at, by what the caller can do about it.

use crate::channels::adapter::RegistrationError;
use crate::channels::api::CallError;
use crate::domain::channel::InvalidSettings;
use crate::domain::fields::InvalidField;
use crate::domain::limit::LimitStatus;
use crate::domain::public_key::InvalidKey;
use crate::domain::reply::InvalidReply;
use crate::store::StoreError;

/// A refusal or a failure. The texts of all but the last two are shown to the caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong: change it.
    #[error("{message}")]
    Invalid {
        /// A word for machines.
        code: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// The input is too large: shorten it.
    #[error("{0}")]
    TooLarge(String),
    /// The input took too long to arrive: send it again.
    #[error("{0}")]
    TooSlow(&'static str),
    /// The caller is not who it should be.
    #[error("{message}")]
    Unauthorized {
        /// A word for machines.
        code: &'static str,
        /// A sentence for people.
        message: &'static str,
    },
    /// The caller is known and may not do this in this way.
    #[error("{message}")]
    Forbidden {
        /// A word for machines.
        code: &'static str,
        /// A sentence for people.
        message: &'static str,
    },
    /// The channel is disabled: its owner can enable it.
    #[error("the channel is disabled")]
    ChannelDisabled,
    /// There is no such thing (for this caller).
    #[error("{message}")]
    NotFound {
        /// A word for machines.
        code: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// It collides with what is there.
    #[error("{message}")]
    Conflict {
        /// A word for machines.
        code: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// Too much in this time: wait.
    #[error("too many requests: {} are allowed in {} seconds, the next in {}",
        .0.limit.count(), .0.limit.window().as_secs(), .0.reset_seconds())]
    Limited(LimitStatus),
    /// The platform said no: its reason is shown.
    #[error("the platform refused: {0}")]
    PlatformRefused(String),
    /// The platform could not be reached, or could not answer.
    #[error("the platform cannot be reached: {0}")]
    PlatformUnreachable(String),
    /// The operator has not set up what this needs.
    #[error("{0}")]
    NotConfigured(&'static str),
    /// Something else that this depends on is away: try again.
    #[error("{message}")]
    TryAgain {
        /// A sentence for the caller.
        message: &'static str,
        /// When, in seconds.
        seconds: u64,
    },
    /// The store is away: try again in a moment.
    #[error("the store cannot be reached")]
    Unavailable(#[source] StoreError),
    /// Something that should not be.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The word for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { code, .. }
            | Self::Unauthorized { code, .. }
            | Self::Forbidden { code, .. }
            | Self::NotFound { code, .. }
            | Self::Conflict { code, .. } => code,
            Self::TooLarge(_) => "too_large",
            Self::TooSlow(_) => "too_slow",
            Self::ChannelDisabled => "channel_disabled",
            Self::Limited(_) => "rate_limited",
            Self::PlatformRefused(_) => "platform_refused",
            Self::PlatformUnreachable(_) => "platform_unreachable",
            Self::NotConfigured(_) => "not_configured",
            Self::TryAgain { .. } => "try_again",
            Self::Unavailable(_) => "store_unavailable",
            Self::Internal(_) => "internal_error",
        }
    }

    /// The sentence for the caller. What a caller cannot change is opaque.
    pub fn sentence(&self) -> String {
        match self {
            Self::Unavailable(_) => "the relay cannot reach its store at the moment: try again".to_owned(),
            Self::Internal(_) => "something went wrong in the relay".to_owned(),
            shown => shown.to_string(),
        }
    }

    /// Logs what the caller is not told. Whoever answers a caller does this, once.
    pub fn log(&self) {
        match self {
            Self::Unavailable(cause) => tracing::warn!(%cause, "a request failed"),
            Self::Internal(cause) => tracing::error!(%cause, "a request failed"),
            _ => {}
        }
    }

    /// An input that is wrong.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into() }
    }

    /// A channel that the caller does not have.
    pub fn no_channel(id: &str) -> Self {
        // An id is shown as it was sent, but no more of it than an id can have.
        let shown: String = id.chars().take(64).collect();
        Self::NotFound { code: "unknown_channel", message: format!("there is no channel {shown:?}") }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away(_) | StoreError::Format(_) => Self::Unavailable(error),
            StoreError::Corrupt(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<RegistrationError> for Error {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Refused(reason) => Self::PlatformRefused(reason),
            RegistrationError::Unavailable(reason) => Self::PlatformUnreachable(reason),
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::PlatformUnreachable(error.to_string())
    }
}

impl From<InvalidField> for Error {
    fn from(error: InvalidField) -> Self {
        Self::invalid("invalid_field", error.to_string())
    }
}

impl From<InvalidKey> for Error {
    fn from(error: InvalidKey) -> Self {
        Self::invalid("invalid_public_key", error.to_string())
    }
}

impl From<InvalidSettings> for Error {
    fn from(error: InvalidSettings) -> Self {
        match error {
            InvalidSettings::Field(field) => field.into(),
            InvalidSettings::MetadataTooLarge => Self::TooLarge(error.to_string()),
            InvalidSettings::TakenOver => Self::Conflict { code: "taken_over", message: error.to_string() },
        }
    }
}

impl From<InvalidReply> for Error {
    fn from(error: InvalidReply) -> Self {
        match error {
            InvalidReply::Field(field) => field.into(),
            InvalidReply::TooLarge => Self::TooLarge(error.to_string()),
        }
    }
}
