//! Registration, and the deployment's own key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Relay;
use super::error::Error;
use crate::domain::digest::Digest;
use crate::domain::ids::UserId;
use crate::domain::limit::LimitStatus;
use crate::domain::public_key::{Jwk, KeyPair, PublicKey};
use crate::domain::sealing::{Owner, UnsealError};
use crate::store::{LimitUse, NewSession};

/// What a client gets for registering.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    user_id: UserId,
    api_key: String,
    server_public_key: Jwk,
}

impl Relay {
    /// Counts a registration from this address; refuses it beyond the limit.
    pub async fn admit_registration(&self, address: &str) -> Result<LimitStatus, Error> {
        let counter = LimitUse { counter: format!("register:{address}"), limit: self.shared.limits.register };
        let status = self.store.count_use(&counter).await?;
        if status.is_exceeded() { Err(Error::Limited(status)) } else { Ok(status) }
    }

    /// Makes a session, or gives back the one that the same public key made before.
    pub async fn register(&self, body: &Map<String, Value>) -> Result<Registration, Error> {
        let public_key = match body.get("publicKey") {
            None | Some(Value::Null) => None,
            Some(jwk) => Some(PublicKey::from_jwk(jwk)?),
        };
        let server_public_key = self.public_key().await?;
        let user = public_key.as_ref().map_or_else(UserId::random, |key| UserId::of_key(&key.thumbprint()));
        let owner = user.to_string();
        let api_key: SecretString = Uuid::new_v4().as_hyphenated().to_string().into();
        let new = NewSession {
            user,
            api_key: Digest::of(api_key.expose_secret().as_bytes()),
            sealed_api_key: self.shared.keys.seal(Owner::ApiKey(&owner), &api_key),
            public_key: public_key.map(|key| key.to_stored()),
        };
        let session = self.store.create_session(&new).await?;
        let api_key = self
            .shared
            .keys
            .unseal(Owner::ApiKey(&owner), &session.sealed_api_key)
            .map_err(|error| unsealing_failed(error, "an API key"))?;
        Ok(Registration { user_id: user, api_key: api_key.expose_secret().to_owned(), server_public_key })
    }

    /// The deployment's public key. The pair is made by whichever replica comes first.
    pub async fn public_key(&self) -> Result<Jwk, Error> {
        let made = self.shared.public_key.get_or_try_init(|| async {
            let encoded: SecretString = URL_SAFE_NO_PAD.encode(KeyPair::generate().to_bytes()).into();
            let candidate = self.shared.keys.seal(Owner::Deployment, &encoded);
            let sealed = self.store.deployment_key(&candidate).await?;
            let encoded = self
                .shared
                .keys
                .unseal(Owner::Deployment, &sealed)
                .map_err(|error| unsealing_failed(error, "the deployment's own key"))?;
            URL_SAFE_NO_PAD
                .decode(encoded.expose_secret())
                .ok()
                .and_then(|bytes| KeyPair::from_bytes(&bytes))
                .map(|pair| pair.public().to_jwk())
                .ok_or_else(|| Error::Internal("the deployment's own key cannot be read".to_owned()))
        });
        made.await.cloned()
    }
}

/// The failure to open a sealed value, with what an operator can do about it.
pub(super) fn unsealing_failed(error: UnsealError, what: &str) -> Error {
    let advice = match error {
        UnsealError::UnknownKey => "; CHAOS_ENCRYPTION_KEY must hold the key it was sealed with, on every replica",
        UnsealError::Damaged => "",
    };
    Error::Internal(format!("{what} cannot be opened: {error}{advice}"))
}
