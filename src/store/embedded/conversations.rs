//! Conversations of channels, where their messages came from, and the questions that wait for an answer.

use super::Fault;
use super::keys::{self, Owned};
use super::tables::{Tx, View};
use super::values::{Reader, Writing, expires};
use crate::domain::conversation::{ConversationKey, Destination, Origin};
use crate::domain::ids::{ChannelId, MessageId};
use crate::store::{CONVERSATION_LIFE_MS, MAX_CONVERSATIONS, MAX_QUESTIONS, ORIGIN_LIFE_MS, QUESTION_LIFE_MS};

/// What is known of a conversation, or of one message in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// When the message came, or the conversation's newest, in milliseconds.
    pub(super) at: u64,
    /// The conversation in its stored form.
    pub(super) conversation: String,
    /// What the adapter noted of the message, as JSON.
    pub(super) details: String,
}

impl Heard {
    fn write(&self, life: u64) -> Vec<u8> {
        Writing::default()
            .number(self.at.saturating_add(life))
            .number(self.at)
            .text(&self.conversation)
            .text(&self.details)
            .done()
    }

    /// Reads one that did not expire by `now`.
    fn read(value: &[u8], now: u64) -> Result<Option<Self>, Fault> {
        let mut reader = Reader::new("a conversation", value);
        if reader.number()? <= now {
            return Ok(None);
        }
        let at = reader.number()?;
        Ok(Some(Self { at, conversation: reader.text()?.to_owned(), details: reader.text()?.to_owned() }))
    }
}

fn live(view: &dyn View, key: &[u8]) -> Result<Option<Heard>, Fault> {
    match view.get(key)? {
        Some(value) => Heard::read(value.value(), view.now()),
        None => Ok(None),
    }
}

/// Where a message of late came from.
pub(super) fn origin(
    view: &dyn View,
    owned: Owned,
    channel: &ChannelId,
    message: &MessageId,
) -> Result<Option<Heard>, Fault> {
    live(view, &owned.origin(channel, message))
}

/// Whether this is one of the channel's conversations.
pub(super) fn is_known(
    view: &dyn View,
    owned: Owned,
    channel: &ChannelId,
    conversation: &ConversationKey,
) -> Result<bool, Fault> {
    Ok(live(view, &owned.conversation(channel, &conversation.to_text()))?.is_some())
}

/// The channel's conversation that is meant; without a destination the one that was heard of last.
pub(super) fn find(
    view: &dyn View,
    owned: Owned,
    channel: &ChannelId,
    destination: Option<&Destination>,
) -> Result<Option<Heard>, Fault> {
    match destination {
        Some(Destination::Exactly(conversation)) => live(view, &owned.conversation(channel, &conversation.to_text())),
        Some(Destination::Chat(chat)) => {
            let start = owned.conversation(channel, &ConversationKey::new(chat, None).to_text());
            match live(view, &start)? {
                Some(chat) => Ok(Some(chat)),
                None => newest_of(view, &start),
            }
        }
        None => {
            let heard = owned.heard(channel);
            for entry in view.range(&heard, &keys::end_of(&heard))?.rev() {
                let conversation = Reader::new("the newest conversation", entry?.1.value()).text()?.to_owned();
                if let Some(found) = live(view, &owned.conversation(channel, &conversation))? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        }
    }
}

/// The conversation that was heard of last among those whose keys start with `start`.
fn newest_of(view: &dyn View, start: &[u8]) -> Result<Option<Heard>, Fault> {
    let mut newest: Option<Heard> = None;
    for entry in view.range(start, &keys::end_of(start))? {
        let found = Heard::read(entry?.1.value(), view.now())?;
        if let Some(found) = found.filter(|found| newest.as_ref().is_none_or(|newest| newest.at < found.at)) {
            newest = Some(found);
        }
    }
    Ok(newest)
}

/// Notes the message that came in at `at`, the newest of its conversation. The conversation that was silent
/// longest makes room.
pub(super) fn note(
    tx: &mut Tx<'_>,
    owned: Owned,
    channel: &ChannelId,
    at: u64,
    message: &MessageId,
    origin: &Origin,
) -> Result<(), Fault> {
    let conversation = origin.conversation.to_text();
    let heard = Heard { at, conversation, details: origin.details.to_string() };
    let key = owned.conversation(channel, &heard.conversation);
    let before = tx.get(&key)?.map(|value| Heard::read(value.value(), 0)).transpose()?.flatten();
    match before {
        Some(before) => {
            tx.remove(&owned.heard_at(channel, before.at))?;
        }
        None => {
            make_room(tx, owned, channel)?;
            tx.schedule(at.saturating_add(CONVERSATION_LIFE_MS), &key)?;
        }
    }
    tx.put(&key, &heard.write(CONVERSATION_LIFE_MS))?;
    tx.put(&owned.heard_at(channel, at), &Writing::default().text(&heard.conversation).done())?;
    let origin_key = owned.origin(channel, message);
    tx.put(&origin_key, &heard.write(ORIGIN_LIFE_MS))?;
    tx.schedule(at.saturating_add(ORIGIN_LIFE_MS), &origin_key)?;
    if origin.is_question {
        note_question(tx, owned, channel, at, message, &heard.conversation)?;
    }
    Ok(())
}

/// The keys that start with `prefix`, but for the newest `kept` of them.
fn surplus(view: &dyn View, prefix: &[u8], kept: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let mut keys = Vec::new();
    for entry in view.range(prefix, &keys::end_of(prefix))? {
        keys.push(entry?.0.value().to_vec());
    }
    keys.truncate(keys.len().saturating_sub(kept));
    Ok(keys)
}

/// Forgets the conversations that were silent longest, so that there is room for a new one.
fn make_room(tx: &mut Tx<'_>, owned: Owned, channel: &ChannelId) -> Result<(), Fault> {
    for key in surplus(tx, &owned.heard(channel), MAX_CONVERSATIONS - 1)? {
        let conversation = match tx.get(&key)? {
            Some(value) => Reader::new("the newest conversation", value.value()).text()?.to_owned(),
            None => continue,
        };
        tx.remove(&owned.conversation(channel, &conversation))?;
        tx.remove(&key)?;
    }
    Ok(())
}

fn note_question(
    tx: &mut Tx<'_>,
    owned: Owned,
    channel: &ChannelId,
    at: u64,
    message: &MessageId,
    conversation: &str,
) -> Result<(), Fault> {
    for key in surplus(tx, &owned.questions(channel), MAX_QUESTIONS - 1)? {
        tx.remove(&key)?;
    }
    let (key, until) = (owned.question(channel, at), at.saturating_add(QUESTION_LIFE_MS));
    tx.put(&key, &Writing::default().number(until).text(&message.to_string()).text(conversation).done())?;
    tx.schedule(until, &key)
}

/// Takes the question that came in at this instant; says whether it was open.
pub(super) fn take_question(tx: &mut Tx<'_>, owned: Owned, channel: &ChannelId, at: u64) -> Result<bool, Fault> {
    let key = owned.question(channel, at);
    let until = tx.get(&key)?.map(|value| expires(value.value())).transpose()?;
    tx.remove(&key)?;
    Ok(until.is_some_and(|until| until > tx.now))
}

/// Takes the newest open question of a conversation, and gives what is known of its message.
pub(super) fn take_newest_question(
    tx: &mut Tx<'_>,
    owned: Owned,
    channel: &ChannelId,
    conversation: &str,
) -> Result<Option<Heard>, Fault> {
    let questions = owned.questions(channel);
    let mut found = None;
    for entry in tx.range(&questions, &keys::end_of(&questions))?.rev() {
        let (key, value) = entry?;
        let mut reader = Reader::new("a question", value.value());
        let is_open = reader.number()? > tx.now;
        let message: MessageId = reader.parsed()?;
        if is_open && reader.text()? == conversation {
            found = Some((key.value().to_vec(), message));
            break;
        }
    }
    let Some((key, message)) = found else { return Ok(None) };
    tx.remove(&key)?;
    origin(tx, owned, channel, &message)
}

/// Forgets the channel's conversations and questions.
pub(super) fn forget(tx: &mut Tx<'_>, owned: Owned, channel: &ChannelId) -> Result<(), Fault> {
    for prefix in [owned.conversation(channel, ""), owned.heard(channel), owned.questions(channel)] {
        tx.remove_range(&prefix, &keys::end_of(&prefix))?;
    }
    Ok(())
}

/// Removes a conversation that was silent too long, or looks again later; gives how many records went.
pub(super) fn expire(tx: &mut Tx<'_>, key: &[u8]) -> Result<usize, Fault> {
    let Some((until, at)) = tx
        .get(key)?
        .map(|value| {
            let mut reader = Reader::new("a conversation", value.value());
            Ok::<_, Fault>((reader.number()?, reader.number()?))
        })
        .transpose()?
    else {
        return Ok(0);
    };
    if until > tx.now {
        tx.schedule(until, key)?;
        return Ok(0);
    }
    tx.remove(key)?;
    if let Some(heard) = keys::heard_of(key, at) {
        tx.remove(&heard)?;
    }
    Ok(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::testing::{Client, Lab};
    use crate::store::{ChannelStore as _, OutboxStore as _, ReplyOutcome, Settlement};

    async fn newest(lab: &Lab, client: &Client) -> Option<String> {
        let found = lab.store.find_conversation(&client.user, &"c".parse().unwrap(), None).await.unwrap();
        found.map(|found| found.chat)
    }

    #[tokio::test]
    async fn a_conversation_is_forgotten_after_a_month_of_silence() {
        let lab = Lab::new();
        let client = lab.bot("c").await;
        let (records, _) = lab.rows().await;
        lab.hears(&client, "c", "a", false).await;
        lab.hears(&client, "c", "b", false).await;
        lab.advance(CONVERSATION_LIFE_MS - 1);
        lab.sweep(1000).await;
        lab.hears(&client, "c", "a", false).await;
        assert_eq!(newest(&lab, &client).await.as_deref(), Some("a"));
        let exactly = Destination::Exactly(ConversationKey::new("b", None));
        let find = || async {
            let id = "c".parse().unwrap();
            lab.store.find_conversation(&client.user, &id, Some(&exactly)).await.unwrap()
        };
        assert!(find().await.is_some());
        lab.advance(2);
        assert_eq!(find().await, None, "it is not shown though nothing was swept");
        lab.advance(CONVERSATION_LIFE_MS - 4);
        lab.sweep(1000).await;
        assert_eq!(newest(&lab, &client).await.as_deref(), Some("a"), "it was heard of since");
        lab.advance(2);
        assert_eq!(newest(&lab, &client).await, None);
        assert_eq!(lab.replies(&client, "c", None).await.1, ReplyOutcome::NoConversation);
        lab.sweep(1000).await;
        assert_eq!(lab.rows().await.0, records + 1, "only the head of the stream of messages stays");
    }

    #[tokio::test]
    async fn a_question_is_open_for_a_quarter_of_an_hour() {
        let lab = Lab::new();
        let client = lab.bot("c").await;
        for (passed, completes) in [(QUESTION_LIFE_MS - 1, true), (QUESTION_LIFE_MS, false)] {
            for names_it in [true, false] {
                let question = lab.hears(&client, "c", "a", true).await;
                lab.advance(passed);
                lab.replies(&client, "c", names_it.then_some(question)).await;
                let delivery = lab.taken(&client, "c").await;
                assert_eq!((delivery.completes_question, delivery.is_reply_to), (completes, names_it));
                assert!(lab.settle(&delivery, Settlement::Delivered { pause: 0 }).await);
            }
        }
    }

    #[tokio::test]
    async fn a_message_can_be_named_for_two_days() {
        let lab = Lab::new();
        let client = lab.bot("c").await;
        let named = lab.hears(&client, "c", "a", false).await;
        lab.hears(&client, "c", "b", false).await;
        for (passed, chat, is_reply_to) in [(ORIGIN_LIFE_MS - 1, "a", true), (1, "b", false)] {
            lab.advance(passed);
            lab.replies(&client, "c", Some(named)).await;
            let delivery = lab.taken(&client, "c").await;
            assert_eq!((delivery.conversation.chat.as_str(), delivery.is_reply_to), (chat, is_reply_to));
            assert!(lab.settle(&delivery, Settlement::Delivered { pause: 0 }).await);
        }
    }

    #[tokio::test]
    async fn a_deleted_channel_leaves_what_expires_by_itself_only() {
        let lab = Lab::new();
        let client = lab.session().await;
        let before = lab.rows().await;
        lab.put_bot(&client, "c").await;
        for chat in ["a", "b"] {
            lab.hears(&client, "c", chat, true).await;
        }
        lab.replies(&client, "c", None).await;
        assert!(lab.store.delete_channel(&client.user, &"c".parse().unwrap()).await.unwrap());
        // Two messages in their stream, their counter, where each came from, and what became of the reply.
        assert_eq!(lab.rows().await.0, before.0 + 7);
        lab.advance(CONVERSATION_LIFE_MS + 1);
        lab.sweep(1000).await;
        assert_eq!(lab.rows().await, (before.0 + 1, before.1), "only the head of the stream of messages stays");
    }
}
