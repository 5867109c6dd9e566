//! Registration, and the deployment's own key.

use std::sync::PoisonError;

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
        // A key that is null is no key: taking it for none would leave a client unsigned that meant to sign.
        let public_key = body.get("publicKey").map(PublicKey::from_jwk).transpose()?;
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

    /// The deployment's public key. The pair is made by whichever replica comes first. A store that lost
    /// everything is given back the pair that is known here, unless another replica came first again.
    pub async fn public_key(&self) -> Result<Jwk, Error> {
        let known = self.shared.public_key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let candidate = known.as_ref().map_or_else(|| self.new_deployment_key(), |(sealed, _)| sealed.clone());
        let sealed = self.store.deployment_key(&candidate).await?;
        if let Some((_, key)) = known.filter(|(known, _)| *known == sealed) {
            return Ok(key);
        }
        let encoded = self
            .shared
            .keys
            .unseal(Owner::Deployment, &sealed)
            .map_err(|error| unsealing_failed(error, "the deployment's own key"))?;
        let key = URL_SAFE_NO_PAD
            .decode(encoded.expose_secret())
            .ok()
            .and_then(|bytes| KeyPair::from_bytes(&bytes))
            .map(|pair| pair.public().to_jwk())
            .ok_or_else(|| Error::Internal("the deployment's own key cannot be read".to_owned()))?;
        *self.shared.public_key.lock().unwrap_or_else(PoisonError::into_inner) = Some((sealed, key.clone()));
        Ok(key)
    }

    fn new_deployment_key(&self) -> String {
        let encoded: SecretString = URL_SAFE_NO_PAD.encode(KeyPair::generate().to_bytes()).into();
        self.shared.keys.seal(Owner::Deployment, &encoded)
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
