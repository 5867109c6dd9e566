//! Channels on platforms: who may write to them, and how one gets on the list.

use serde_json::{Map, Value};

use super::{Channel, ChannelKind, InvalidSettings, check_metadata_size, name};
use crate::domain::connection::{Connection, Pending};
use crate::domain::digest::Digest;
use crate::domain::fields::{Fields, InvalidField};
use crate::domain::ids::ChannelId;

/// Events that paired somebody which are remembered. Platforms deliver again within minutes, hardly ever later.
const MAX_PAIRED_BY: usize = 8;

/// Settings that a client sends along when it registers a bot, app or mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformSettings {
    /// What people call the channel.
    pub name: Option<String>,
    /// The agent that should answer; empty for the client's default.
    pub agent_id: String,
}

impl PlatformSettings {
    /// Reads the members of a registration that are not the platform's own.
    pub fn from_json(body: &Map<String, Value>) -> Result<Self, InvalidField> {
        let fields = Fields::of(body);
        Ok(Self {
            name: name(&fields, "channelName")?.filter(|name| !name.trim().is_empty()),
            agent_id: name(&fields, "agentId")?.unwrap_or_default(),
        })
    }
}

impl Channel {
    /// A channel that was just registered.
    pub fn on_platform(
        id: ChannelId,
        kind: ChannelKind,
        settings: PlatformSettings,
        connection: Connection,
        sealed_secret: Option<String>,
        pending: Pending,
    ) -> Self {
        Self {
            id,
            kind,
            direction: kind.default_direction(),
            name: settings.name,
            prompt: None,
            agent_id: settings.agent_id,
            enabled: true,
            run_in_background: None,
            notify_on_complete: None,
            metadata: Map::new(),
            sealed_secret,
            connection: Some(connection),
            pending: Some(pending),
            paired_by: Vec::new(),
            disabled_reason: None,
            taken_over: false,
        }
    }

    /// Name of the list in the metadata that says who may write.
    fn allow_list(&self) -> &'static str {
        if self.kind == ChannelKind::Email { "allowedSenders" } else { "allowedUsers" }
    }

    /// Whether this person may write: ids compare as text, addresses without regard to case and to the form of
    /// their domain, which mail names in A-labels and its owner perhaps in letters.
    pub fn allows(&self, person: &Value) -> bool {
        let Some(Value::Array(list)) = self.metadata.get(self.allow_list()) else { return false };
        let wanted = as_text(person);
        if self.kind != ChannelKind::Email {
            return list.iter().any(|known| as_text(known) == wanted);
        }
        let wanted = comparable_address(&wanted);
        list.iter().any(|known| comparable_address(&as_text(known)) == wanted)
    }

    /// Adds a person to those who may write, unless the list's room is used up.
    pub fn allow(&mut self, person: Value) -> Result<(), InvalidSettings> {
        if self.allows(&person) {
            return Ok(());
        }
        let mut metadata = self.metadata.clone();
        match metadata.get_mut(self.allow_list()) {
            Some(Value::Array(list)) => list.push(person),
            _ => drop(metadata.insert(self.allow_list().to_owned(), Value::Array(vec![person]))),
        }
        check_metadata_size(&metadata)?;
        self.metadata = metadata;
        Ok(())
    }

    /// Lets a person in who gave the code: the code is used up, and the event that brought it remembered.
    pub fn pair(&mut self, person: Value, event: Digest) -> Result<(), InvalidSettings> {
        self.allow(person)?;
        self.pending = None;
        self.paired_by.push(event);
        let surplus = self.paired_by.len().saturating_sub(MAX_PAIRED_BY);
        self.paired_by.drain(..surplus);
        Ok(())
    }

    /// Takes the channel out of service, for a reason that its owner can read.
    pub fn disable(&mut self, reason: &str) {
        self.enabled = false;
        self.disabled_reason = Some(reason.to_owned());
    }
}

/// An id as text, whatever its JSON type is.
fn as_text(id: &Value) -> String {
    match id {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An address in the form in which two of them compare.
fn comparable_address(address: &str) -> String {
    let address = address.trim().to_lowercase();
    let Some((local, domain)) = address.rsplit_once('@').filter(|(_, domain)| !domain.is_ascii()) else {
        return address;
    };
    match idna::domain_to_ascii(domain) {
        Ok(ascii) => format!("{local}@{ascii}"),
        Err(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::connection::TelegramBot;
    use crate::domain::timestamp::Timestamp;
    use serde_json::json;

    fn channel(kind: ChannelKind) -> Channel {
        let connection = Connection::Telegram(TelegramBot {
            bot_id: "7".to_owned(),
            bot_username: "helper_bot".to_owned(),
            reads_all_group_messages: false,
        });
        let settings = PlatformSettings { name: None, agent_id: String::new() };
        let pending = Pending { digest: Digest::of(b"code"), issued: Timestamp::EPOCH };
        Channel::on_platform("c".parse().unwrap(), kind, settings, connection, Some("sealed".to_owned()), pending)
    }

    #[test]
    fn nobody_may_write_until_somebody_is_let_in() {
        let mut channel = channel(ChannelKind::Telegram);
        assert!(!channel.allows(&json!(5)));
        channel.pair(json!(5), Digest::of(b"event")).unwrap();
        assert!(channel.allows(&json!(5)) && channel.allows(&json!("5")));
        assert!(!channel.allows(&json!(50)) && !channel.allows(&json!("")) && !channel.allows(&Value::Null));
        assert!(channel.pending.is_none());
        channel.pair(json!("5"), Digest::of(b"event")).unwrap();
        assert_eq!(channel.metadata["allowedUsers"], json!([5]));
    }

    #[test]
    fn an_address_is_the_same_with_its_domain_in_letters_and_in_a_labels() {
        let mut mail = channel(ChannelKind::Email);
        mail.allow(json!(" Ana@B\u{dc}CHER.example ")).unwrap();
        assert!(mail.allows(&json!("ana@xn--bcher-kva.example")));
        assert!(!mail.allows(&json!("ana@bucher.example")) && !mail.allows(&json!("ana@xn--bcher-kva.example.org")));
        mail.allow(json!("bob@\u{fffd}.example")).unwrap();
        assert!(!mail.allows(&json!("bob@.example")));
    }

    #[test]
    fn the_last_events_that_paired_are_remembered_and_no_more() {
        let mut channel = channel(ChannelKind::Telegram);
        let event = |n: u8| Digest::of(&[n]);
        for n in 0..10 {
            channel.pair(json!(n), event(n)).unwrap();
        }
        let known: Vec<bool> = (0..10).map(|n| channel.paired_by.contains(&event(n))).collect();
        assert_eq!(known, [false, false, true, true, true, true, true, true, true, true]);
    }

    #[test]
    fn addresses_compare_without_regard_to_case_and_ids_do_not() {
        let mut mail = channel(ChannelKind::Email);
        mail.allow(json!("Ana@Example.com")).unwrap();
        assert!(mail.allows(&json!("ana@example.com")));
        let mut slack = channel(ChannelKind::Slack);
        slack.allow(json!("U1")).unwrap();
        assert!(!slack.allows(&json!("u1")));
    }

    #[test]
    fn a_full_list_takes_nobody_and_changes_nothing() {
        let mut channel = channel(ChannelKind::Telegram);
        let mut n = 0_u64;
        while channel.allow(json!(n)).is_ok() {
            n += 1;
        }
        assert!(n > 500);
        assert!(!channel.allows(&json!(n)));
    }

    #[test]
    fn what_is_stored_reads_back_and_the_owner_sees_the_bot_but_no_secret() {
        let mut channel = channel(ChannelKind::Telegram);
        channel.disable("the token was revoked");
        let json = serde_json::to_string(&channel).unwrap();
        assert_eq!(serde_json::from_str::<Channel>(&json).unwrap(), channel);
        let view = channel.view(None);
        assert_eq!(view["metadata"], json!({"botUsername": "helper_bot", "disabledReason": "the token was revoked"}));
        assert!(!view.to_string().contains("sealed"));
        assert_eq!(channel.label(), "helper_bot");
    }
}
