use super::*;

fn new(body: Value) -> Result<Channel, InvalidSettings> {
    let new = NewChannel::from_json(body.as_object().unwrap())?;
    Ok(new.into_channel("c".parse().unwrap(), "sealed".to_owned()))
}

fn update(channel: &mut Channel, body: Value) -> Result<(), InvalidSettings> {
    channel.update(ChannelUpdate::from_json(body.as_object().unwrap())?)
}

#[test]
fn a_channel_starts_with_the_defaults_of_the_contract() {
    assert_eq!(
        new(json!({})).unwrap().view(None),
        json!({"id": "c", "type": "webhook", "direction": "inbound", "agentId": "", "enabled": true, "metadata": {}})
    );
}

#[test]
fn the_owner_sees_the_secret_and_nobody_else_does() {
    let channel = new(json!({"metadata": {"webhookSecret": "0123456789abcdef", "colour": "red"}})).unwrap();
    assert_eq!(channel.view(None)["metadata"], json!({"colour": "red"}));
    assert_eq!(
        channel.view(Some(&"0123456789abcdef".into()))["metadata"],
        json!({"colour": "red", "webhookSecret": "0123456789abcdef"})
    );
    assert!(!serde_json::to_string(&channel).unwrap().contains("0123456789abcdef"));
}

#[test]
fn an_update_changes_what_it_names_and_null_resets() {
    let mut channel = new(json!({"name": "a", "prompt": "p", "agentId": "x", "runInBackground": true})).unwrap();
    update(
        &mut channel,
        json!({"enabled": false, "prompt": null, "metadata": {"allowedUsers": [1, "2"], "verified": true}}),
    )
    .unwrap();
    assert_eq!(
        channel.view(None),
        json!({"id": "c", "type": "webhook", "direction": "inbound", "agentId": "x", "enabled": false,
               "name": "a", "runInBackground": true, "metadata": {"allowedUsers": [1, "2"]}})
    );
}

#[test]
fn routing_members_say_what_is_set_and_nothing_else() {
    let bare = new(json!({"runInBackground": false})).unwrap();
    assert_eq!(bare.routing_members(), r#""channelDirection":"inbound""#);
    let full = new(json!({"name": "n", "prompt": "a\nb", "agentId": "g", "direction": "bidirectional",
                          "runInBackground": true, "notifyOnComplete": false}))
    .unwrap();
    let members: Value = serde_json::from_str(&format!("{{{}}}", full.routing_members())).unwrap();
    assert_eq!(
        members,
        json!({"channelDirection": "bidirectional", "channelName": "n", "channelPrompt": "a\nb",
        "channelAgentId": "g", "channelRunInBackground": true, "channelNotifyOnComplete": false})
    );
    assert!(!full.routing_members().contains('\n'));
}

#[test]
fn every_limit_holds_at_its_boundary() {
    assert!(new(json!({"name": "x".repeat(200), "agentId": "ä".repeat(200), "prompt": "p".repeat(8192)})).is_ok());
    let deep: Value = serde_json::from_str(&format!("{}{}", "[".repeat(49), "]".repeat(49))).unwrap();
    for (body, field) in [
        (json!({"name": "x".repeat(201)}), "name"),
        (json!({"agentId": "x".repeat(201)}), "agentId"),
        (json!({"prompt": "p".repeat(8193)}), "prompt"),
        (json!({"id": "a b"}), "id"),
        (json!({"direction": "out"}), "direction"),
        (json!({"enabled": 1}), "enabled"),
        (json!({"metadata": {"webhookSecret": "x".repeat(15)}}), "metadata.webhookSecret"),
        (json!({"metadata": {"webhookSecret": 5}}), "metadata.webhookSecret"),
        (json!({"metadata": []}), "metadata"),
        (json!({"metadata": {"deep": deep}}), "metadata"),
    ] {
        let InvalidSettings::Field(refusal) = new(body).unwrap_err() else { panic!("{field}") };
        assert_eq!(refusal.field, field);
    }
    let pad = |size: usize| json!({"metadata": {"p": "x".repeat(size - r#"{"p":""}"#.len())}});
    assert!(new(pad(4096)).is_ok());
    assert_eq!(new(pad(4097)).unwrap_err(), InvalidSettings::MetadataTooLarge);
}
