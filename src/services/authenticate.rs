//! Who is calling: API keys, signatures and the gate in the store.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Relay;
use super::error::Error;
use crate::domain::digest::Digest;
use crate::domain::ids::UserId;
use crate::domain::limit::{Limit, LimitStatus};
use crate::domain::public_key::PublicKey;
use crate::domain::signing::{self, Nonce};
use crate::domain::timestamp::Timestamp;
use crate::store::{Denied, Gate, Gated, LimitUse, StoreError};

/// Sessions that a replica remembers with their parsed keys. An entry takes about 250 bytes.
const SESSIONS_CACHED: usize = 50_000;

/// Remembers what never changes about a session: its user and public key. Whether it is still there is
/// asked of the store by each call's gate.
pub(super) struct SessionCache(Cache<[u8; 32], Arc<Identity>>);

impl Default for SessionCache {
    fn default() -> Self {
        Self(Cache::new(SESSIONS_CACHED))
    }
}

struct Identity {
    user: UserId,
    public_key: Option<PublicKey>,
}

/// What a request shows of its sender. Headers that are not text are given as an empty one.
#[derive(Debug, Default)]
pub struct Credentials<'a> {
    /// The bearer token.
    pub api_key: Option<&'a str>,
    /// `X-Timestamp`.
    pub timestamp: Option<&'a str>,
    /// `X-Nonce`.
    pub nonce: Option<&'a str>,
    /// `X-Signature`.
    pub signature: Option<&'a str>,
    /// The URL's path as it was sent.
    pub path: &'a str,
    /// The body; empty for GET and HEAD.
    pub body: &'a [u8],
}

/// A sender whose signature is right. Whether the session is still there and the nonce new is found by
/// the gate, in the same step as the work.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose session.
    pub user: UserId,
    /// Digest of the API key.
    pub api_key: Digest,
    nonce: Option<Nonce>,
}

impl Caller {
    /// The gate for a call that counts against no limit.
    pub fn gate(&self) -> Gate {
        Gate { user: self.user, api_key: self.api_key, nonce: self.nonce.clone(), limit: None }
    }

    /// The gate for a call that counts against the session's limit of this name.
    pub fn limited_gate(&self, counter: &str, limit: Limit) -> Gate {
        Gate { limit: Some(LimitUse { counter: counter.to_owned(), limit }), ..self.gate() }
    }

    /// The same caller, after a gate took the nonce.
    pub fn after_gate(&self) -> Self {
        Self { nonce: None, ..self.clone() }
    }
}

fn unauthorized(code: &'static str, message: &'static str) -> Error {
    Error::Unauthorized { code, message }
}

fn unknown_token() -> Error {
    unauthorized("unknown_token", "the API key is not known: register to get one")
}

impl Relay {
    /// Finds the session of an API key. A socket needs no more than this.
    pub async fn identify(&self, api_key: Option<&str>) -> Result<Caller, Error> {
        let digest = Digest::of(required_key(api_key)?.as_bytes());
        let identity = self.identity(&digest).await?;
        Ok(Caller { user: identity.user, api_key: digest, nonce: None })
    }

    /// Finds the session of an API key and checks the signature if the session has a key.
    pub async fn authenticate(&self, shown: &Credentials<'_>) -> Result<Caller, Error> {
        let digest = Digest::of(required_key(shown.api_key)?.as_bytes());
        let identity = self.identity(&digest).await?;
        let nonce = match (&identity.public_key, shown.timestamp, shown.nonce, shown.signature) {
            (None, None, None, None) => None,
            (None, ..) => {
                return Err(unauthorized(
                    "unexpected_signature",
                    "this session has no public key, so its requests must not be signed",
                ));
            }
            (Some(key), Some(timestamp), Some(nonce), Some(signature)) => {
                Some(check_signature(key, timestamp, nonce, signature, shown)?)
            }
            (Some(_), ..) => {
                return Err(unauthorized(
                    "signature_required",
                    "this session has a public key, so X-Timestamp, X-Nonce and X-Signature are needed",
                ));
            }
        };
        Ok(Caller { user: identity.user, api_key: digest, nonce })
    }

    async fn identity(&self, digest: &Digest) -> Result<Arc<Identity>, Error> {
        let cache = &self.shared.sessions.0;
        if let Some(identity) = cache.get(digest.as_bytes()) {
            return Ok(identity);
        }
        let session = self.store.find_session(digest).await?.ok_or_else(unknown_token)?;
        let public_key = session
            .public_key
            .map(|stored| {
                PublicKey::from_stored(&stored)
                    .ok_or_else(|| Error::Internal("a stored public key cannot be read".to_owned()))
            })
            .transpose()?;
        let identity = Arc::new(Identity { user: session.user, public_key });
        cache.insert(*digest.as_bytes(), identity.clone());
        Ok(identity)
    }

    /// Forgets a session that turned out to be gone.
    pub fn forget_session(&self, api_key: &Digest) {
        self.shared.sessions.0.remove(api_key.as_bytes());
    }

    /// Reads the answer of a gate: a refusal becomes an error, a due touch is begun.
    pub(super) fn passed<T>(&self, gate: &Gate, answer: Result<Gated<T>, StoreError>) -> Result<Passed<T>, Error> {
        match answer? {
            Ok(granted) => {
                if granted.touch_due {
                    self.touch(gate.user);
                }
                Ok(Passed { value: granted.value, limit: granted.limit })
            }
            Err(Denied::UnknownSession) => {
                self.forget_session(&gate.api_key);
                Err(unknown_token())
            }
            Err(Denied::NonceUsed) => {
                Err(unauthorized("nonce_used", "X-Nonce was used before: each request needs a new one"))
            }
            Err(Denied::OverLimit(status)) => Err(Error::Limited(status)),
        }
    }

    /// The error for input that is wrong: only those who pass the gate are told so, and it counts like any
    /// other request.
    pub(super) async fn refuse(&self, gate: &Gate, refusal: impl Into<Error>) -> Error {
        match self.store.authorize(gate).await.map_err(Error::from) {
            Ok(answer) => self.passed(gate, Ok(answer)).map_or_else(|denied| denied, |_| refusal.into()),
            Err(error) => error,
        }
    }

    /// Notes in the background that a session is in use, which lets it live on. Should it fail, the next minutes bring
    /// another.
    pub fn touch(&self, user: UserId) {
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.touch_session(&user).await {
                tracing::warn!(%error, "the life of a session could not be extended; it is tried again later");
            }
        });
    }
}

/// What passed a gate.
#[derive(Debug)]
pub struct Passed<T> {
    /// The answer.
    pub value: T,
    /// Where the limit stands, when one was counted.
    pub limit: Option<LimitStatus>,
}

fn required_key(api_key: Option<&str>) -> Result<&str, Error> {
    api_key
        .filter(|key| !key.is_empty())
        .ok_or_else(|| unauthorized("missing_token", "an API key is needed: Authorization: Bearer <apiKey>"))
}

fn check_signature(
    key: &PublicKey,
    timestamp: &str,
    nonce: &str,
    signature: &str,
    shown: &Credentials<'_>,
) -> Result<Nonce, Error> {
    let at = Timestamp::parse(timestamp)
        .ok_or_else(|| unauthorized("invalid_timestamp", "X-Timestamp must be an ISO 8601 timestamp"))?;
    if !signing::is_fresh(at, Timestamp::now()) {
        return Err(unauthorized("stale_timestamp", "X-Timestamp must be within 5 minutes of the relay's clock"));
    }
    let parsed = Nonce::parse(nonce)
        .ok_or_else(|| unauthorized("invalid_nonce", "X-Nonce must be 1 to 128 visible characters"))?;
    let text = signing::signed_text(timestamp, nonce, shown.path, shown.body);
    if !signing::is_signed_by(key, &text, signature) {
        return Err(unauthorized("invalid_signature", "X-Signature does not match this request and key"));
    }
    Ok(parsed)
}
