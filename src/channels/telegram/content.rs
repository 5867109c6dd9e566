//! What a Telegram message says: its text, or a word for what it shows.

use serde_json::Value;

use super::rich;
use crate::domain::text;

/// Longest name, title or question that stands in for something else, in characters.
const MAX_DETAIL_CHARS: usize = 200;

/// What a message says.
#[derive(Debug, PartialEq)]
pub(super) struct Content {
    /// The text, the caption, or a word in brackets.
    pub(super) text: String,
    /// What else there is, by the name of Telegram's field, such as `photo`.
    pub(super) media_type: Option<&'static str>,
}

/// Reads what `message` says; `None` when nobody says anything: for a service message, or a kind of content
/// that is newer than this code.
pub(super) fn read(message: &Value) -> Option<Content> {
    let written = |name: &str| message[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let media = media(message);
    let media_type = media.as_ref().map(|(media_type, _)| *media_type);
    let text = written("text").or_else(|| rich::text(&message["rich_message"])).or_else(|| written("caption"));
    Some(Content { text: text.or_else(|| media.map(|(_, word)| word))?, media_type })
}

/// The kind of media in `message` and the word for it. What comes with a second field for older programs is
/// looked for first (`animation` sets `document`, `live_photo` sets `photo`, `venue` sets `location`).
/// Source: core.telegram.org/bots/api#message.
fn media(message: &Value) -> Option<(&'static str, String)> {
    const KINDS: [(&str, &str, Detail); 19] = [
        ("animation", "animation", Detail::None),
        ("live_photo", "live photo", Detail::None),
        ("photo", "photo", Detail::None),
        ("voice", "voice message", Detail::None),
        ("audio", "audio", Detail::FirstOf(&["title", "file_name"])),
        ("document", "document", Detail::FirstOf(&["file_name"])),
        ("video", "video", Detail::None),
        ("video_note", "video message", Detail::None),
        ("paid_media", "paid media", Detail::None),
        ("sticker", "sticker", Detail::Emoji),
        ("story", "story", Detail::None),
        ("venue", "venue", Detail::All(&[&["title"], &["address"]])),
        ("location", "location", Detail::All(&[&["latitude"], &["longitude"]])),
        ("contact", "contact", Detail::All(&[&["first_name", "last_name"], &["phone_number"]])),
        ("poll", "poll", Detail::FirstOf(&["question"])),
        ("checklist", "checklist", Detail::FirstOf(&["title"])),
        ("dice", "dice", Detail::All(&[&["emoji"], &["value"]])),
        ("game", "game", Detail::FirstOf(&["title"])),
        ("invoice", "invoice", Detail::FirstOf(&["title"])),
    ];
    let (kind, word, detail) = KINDS.into_iter().find(|(kind, ..)| !message[*kind].is_null())?;
    let media = &message[kind];
    let word = match (detail, detail.of(media)) {
        (_, detail) if detail.is_empty() => format!("[{word}]"),
        (Detail::Emoji, emoji) => format!("[{word} {emoji}]"),
        (_, detail) => format!("[{word}: {detail}]"),
    };
    Some((kind, word))
}

/// What of a piece of media is worth telling.
#[derive(Clone, Copy)]
enum Detail {
    None,
    /// The emoji of a sticker.
    Emoji,
    /// The first of these members that is there.
    FirstOf(&'static [&'static str]),
    /// These, with a comma between groups and a blank within one.
    All(&'static [&'static [&'static str]]),
}

impl Detail {
    /// In one line, which may be empty.
    fn of(self, media: &Value) -> String {
        let value = |name: &&str| match &media[*name] {
            Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let found = match self {
            Self::None => return String::new(),
            Self::Emoji => value(&"emoji").unwrap_or_default(),
            Self::FirstOf(names) => names.iter().find_map(value).unwrap_or_default(),
            Self::All(groups) => {
                let group = |names: &&[&str]| names.iter().filter_map(value).collect::<Vec<_>>().join(" ");
                groups.iter().map(group).filter(|group| !group.is_empty()).collect::<Vec<_>>().join(", ")
            }
        };
        text::truncate_plain(text::single_line(&found).trim(), MAX_DETAIL_CHARS).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Text and media type of a message with these members.
    fn said(message: Value) -> (String, Option<&'static str>) {
        let content = read(&message).unwrap_or_else(|| panic!("nothing in {message}"));
        (content.text, content.media_type)
    }

    #[test]
    fn text_is_taken_as_it_is() {
        assert_eq!(said(json!({"text": " /start\nx <b> "})), (" /start\nx <b> ".into(), None));
        assert_eq!(said(json!({"text": "a", "caption": "b", "photo": 5})).0, "a");
    }

    #[test]
    fn media_without_text_have_a_word() {
        let file = json!({"file_id": "A", "file_unique_id": "B"});
        for (kind, media, word) in [
            ("photo", json!([{"file_id": "AgAC_s"}]), "[photo]"),
            ("live_photo", json!({}), "[live photo]"),
            ("voice", json!({"duration": 3}), "[voice message]"),
            ("audio", json!({"title": "Song", "file_name": "a.mp3"}), "[audio: Song]"),
            ("audio", json!({"file_name": "a.mp3"}), "[audio: a.mp3]"),
            ("audio", file.clone(), "[audio]"),
            ("document", json!({"file_name": "report.pdf"}), "[document: report.pdf]"),
            ("document", json!({"file_name": "\u{202e}a\nb\u{0}.pdf"}), "[document: a b.pdf]"),
            ("document", json!({"file_name": 5}), "[document: 5]"),
            ("document", json!({"file_name": ["x"]}), "[document]"),
            ("document", file.clone(), "[document]"),
            ("video", file.clone(), "[video]"),
            ("video_note", file.clone(), "[video message]"),
            ("animation", file.clone(), "[animation]"),
            ("paid_media", json!({"star_count": 1}), "[paid media]"),
            ("sticker", json!({"emoji": "😀", "set_name": "s"}), "[sticker 😀]"),
            ("sticker", file.clone(), "[sticker]"),
            ("story", json!({"id": 1}), "[story]"),
            ("location", json!({"latitude": 52.52, "longitude": -13.405}), "[location: 52.52, -13.405]"),
            ("location", json!({}), "[location]"),
            ("venue", json!({"title": "Café", "address": "Main St 1", "location": {}}), "[venue: Café, Main St 1]"),
            (
                "contact",
                json!({"phone_number": "+123", "first_name": "Ana", "last_name": "Lee"}),
                "[contact: Ana Lee, +123]",
            ),
            ("contact", json!({"phone_number": "+123", "first_name": "Ana"}), "[contact: Ana, +123]"),
            ("poll", json!({"question": "Lunch?", "options": []}), "[poll: Lunch?]"),
            ("checklist", json!({"title": "To buy"}), "[checklist: To buy]"),
            ("dice", json!({"emoji": "🎲", "value": 4}), "[dice: 🎲, 4]"),
            ("game", json!({"title": "Chess"}), "[game: Chess]"),
            ("invoice", json!({"title": "Tea"}), "[invoice: Tea]"),
            ("photo", json!("odd"), "[photo]"),
        ] {
            assert_eq!(said(json!({ kind: media })), (word.into(), Some(kind)));
        }
    }

    #[test]
    fn media_that_are_told_twice_have_the_more_telling_word() {
        for (also, kind) in [("document", "animation"), ("photo", "live_photo"), ("location", "venue")] {
            assert_eq!(said(json!({ also: {"file_name": "a.gif"}, kind: {} })).1, Some(kind));
        }
    }

    #[test]
    fn a_caption_is_the_content_and_the_media_stay_known() {
        assert_eq!(said(json!({"photo": [], "caption": "see this"})), ("see this".into(), Some("photo")));
        assert_eq!(said(json!({"photo": [], "caption": ""})), ("[photo]".into(), Some("photo")));
    }

    #[test]
    fn a_long_detail_is_cut() {
        let long = said(json!({"document": {"file_name": "ä".repeat(1_000)}})).0;
        assert_eq!(long.chars().count(), "[document: ]".len() + MAX_DETAIL_CHARS);
    }

    #[test]
    fn service_messages_and_unknown_kinds_say_nothing() {
        for message in [
            json!({"new_chat_members": [{"id": 1}]}),
            json!({"left_chat_member": {"id": 1}}),
            json!({"pinned_message": {"text": "old", "photo": []}}),
            json!({"migrate_to_chat_id": -1_001_234_567_890_i64}),
            json!({"migrate_from_chat_id": -1}),
            json!({"new_chat_photo": []}),
            json!({"forum_topic_created": {"name": "x"}}),
            json!({"reply_to_message": {"text": "old"}}),
            json!({"hologram": {}}),
            json!({"text": ""}),
            json!({"text": 5, "photo": null, "rich_message": {"blocks": 5}}),
            json!({}),
            json!([]),
            json!("text"),
            Value::Null,
        ] {
            assert_eq!(read(&message), None, "{message}");
        }
    }
}
