//! Saving the address of an interactions endpoint, for which the endpoint is tried out.

use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::{Discord, invalid_field, object_is_known, routes, snowflake};
use crate::support::platforms::delivery::{self, Attempt};
use crate::support::platforms::server::Answer;
use crate::support::platforms::unix_seconds;

/// By when an endpoint has to answer.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// A call that tried an endpoint out.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whether its signature was good.
    pub is_signed: bool,
    pub status: Option<u16>,
    /// Whether the endpoint did what it should.
    pub is_passed: bool,
}

/// Posts a body that is signed with this key to an endpoint.
pub async fn post_signed(http: &reqwest::Client, url: &str, key: &SigningKey, body: &str) -> Attempt {
    let timestamp = unix_seconds().to_string();
    let signature = key.sign(format!("{timestamp}{body}").as_bytes());
    let signature = hex::encode(signature.to_bytes());
    let headers = [
        ("X-Signature-Ed25519", signature.as_str()),
        ("X-Signature-Timestamp", timestamp.as_str()),
        ("User-Agent", "Discord-Interactions/1.0 (+https://discord.com)"),
    ];
    delivery::post(http, url, &headers, body, PATIENCE).await
}

/// `PATCH /applications/@me`. Of the settings only the endpoint can be changed here.
pub async fn edit_application(here: &Discord, token: &str, body: &Value) -> Result<Answer, Answer> {
    object_is_known(body, &["interactions_endpoint_url"])?;
    if let Some(url) = body.get("interactions_endpoint_url") {
        let url = match url {
            Value::Null => None,
            Value::String(url) if url.is_empty() => None,
            Value::String(url) => Some(url.clone()),
            _ => return Err(invalid_field("interactions_endpoint_url", "BASE_TYPE_STRING", "Must be a string.")),
        };
        if let Some(url) = &url {
            verify(here, token, url).await?;
        }
        let mut state = here.state();
        state.apps.get_mut(token).unwrap().endpoint = url;
    }
    Ok(Answer::json(200, &routes::show(&here.state().apps[token])))
}

/// Tries an endpoint out: a PING that is signed must be answered, and those that are not refused with 401.
async fn verify(here: &Discord, token: &str, url: &str) -> Result<(), Answer> {
    let parsed = url::Url::parse(url).ok().filter(|url| url.scheme().starts_with("http") && url.has_host());
    if parsed.is_none() {
        let message = "Not a well formed URL.";
        return Err(invalid_field("interactions_endpoint_url", "URL_TYPE_INVALID_URL", message));
    }
    let (app, key) = {
        let state = here.state();
        let app = &state.apps[token];
        (app.id.clone(), app.key.clone())
    };
    let http = delivery::client();
    let ping = || json!({"type": 1, "id": snowflake(), "application_id": app, "version": 1}).to_string();
    let stranger = SigningKey::from_bytes(&[7; 32]);
    for signer in [&key, &stranger] {
        let attempt = post_signed(&http, url, signer, &ping()).await;
        let is_signed = signer.verifying_key() == key.verifying_key();
        let is_json = attempt.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let is_passed = match is_signed {
            true => attempt.status == Some(200) && is_json && attempt.json() == json!({"type": 1}),
            false => attempt.status == Some(401),
        };
        let probe = Probe { is_signed, status: attempt.status, is_passed };
        here.state().apps.get_mut(token).unwrap().probes.push(probe);
        if !is_passed {
            let message = "The specified interactions endpoint url could not be verified.";
            let code = "APPLICATION_INTERACTIONS_ENDPOINT_URL_INVALID";
            return Err(invalid_field("interactions_endpoint_url", code, message));
        }
    }
    Ok(())
}
