//! Settings of channels, as a client sends them: a body that makes one, and with 0 between them, one that changes it.

use std::borrow::Cow;

use chaos_relay::domain::channel::{
    Channel, ChannelKind, ChannelUpdate, MAX_METADATA_BYTES, NewChannel, PlatformSettings,
};
use chaos_relay::domain::ids::ChannelId;
use chaos_relay::domain::text::{single_line, strip_hidden};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

pub fn check(input: &[u8]) {
    let [made, changed] = super::parts(input).map(|body| serde_json::from_slice::<Map<String, Value>>(body).ok());
    let Some(made) = made else { return };
    if let Ok(settings) = PlatformSettings::from_json(&made) {
        check_name(settings.name.as_deref().unwrap_or("x"));
        check_name(&settings.agent_id);
    }
    let Ok(new) = NewChannel::from_json(&made) else { return };
    if let Some(secret) = &new.secret {
        assert!(secret.expose_secret().chars().count() >= 16);
        // Whoever says the secret under another name, too, has made it public.
        let is_said_once = super::text(input).matches(secret.expose_secret()).count() == 1;
        let shown = format!("{new:?}");
        assert!(
            !is_said_once || !shown.contains(secret.expose_secret()) || secret.expose_secret().contains("REDACTED")
        );
    }
    let id = new.id.clone().unwrap_or_else(ChannelId::random);
    let mut channel = new.into_channel(id, "sealed".to_owned());
    check_channel(&channel);
    let Some(Ok(update)) = changed.as_ref().map(ChannelUpdate::from_json) else { return };
    let before = channel.clone();
    match channel.update(update) {
        Ok(()) => check_channel(&channel),
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            assert_eq!(channel, before, "a refusal changed something");
        }
    }
}

fn check_channel(channel: &Channel) {
    assert_eq!(channel.kind, ChannelKind::Webhook);
    check_name(channel.name.as_deref().unwrap_or_default());
    check_name(&channel.agent_id);
    if let Some(prompt) = &channel.prompt {
        assert!(prompt.len() <= 8 * 1024 && matches!(strip_hidden(prompt), Cow::Borrowed(_)));
    }
    let size = serde_json::to_string(&channel.metadata).expect("metadata are JSON").len();
    assert!(size <= MAX_METADATA_BYTES && !channel.metadata.contains_key("webhookSecret"));
    for members in [channel.routing_members(), channel.response_members()] {
        assert!(!members.is_empty() && !members.contains('\n'));
        assert!(serde_json::from_str::<Map<String, Value>>(&format!("{{{members}}}")).is_ok());
    }
    let stored = serde_json::to_string(channel).expect("a channel is JSON");
    assert_eq!(&serde_json::from_str::<Channel>(&stored).expect("what was stored is read"), channel);
    let view = channel.view(Some(&"0123456789abcdef".into()));
    assert_eq!(
        (&view["metadata"]["webhookSecret"], &view["id"]),
        (&"0123456789abcdef".into(), &channel.id.as_str().into())
    );
    assert!(view.get("sealedSecret").is_none());
    let list = serde_json::json!({"channels": [view]}).to_string();
    assert!(serde_json::from_str::<Value>(&list).is_ok(), "a list of channels that cannot be read");
}

fn check_name(name: &str) {
    assert!(name.chars().count() <= 200 && single_line(name) == name);
}
