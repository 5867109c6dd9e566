//! Updates of any shape at all.

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "update_id",
            "message",
            "edited_message",
            "callback_query",
            "from",
            "chat",
            "id",
            "type",
            "text",
            "caption",
            "photo",
            "document",
            "file_name",
            "location",
            "contact",
            "rich_message",
            "blocks",
            "cells",
            "items",
            "label",
            "message_id",
            "message_thread_id",
            "is_topic_message",
            "is_bot",
            "sender_chat",
            "data",
        ])
        .prop_map(str::to_owned),
        ".{0,4}",
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Every place in `value`, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(number, value)| places(value, &format!("{at}/{number}"), found));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_ignored(body in prop::collection::vec(any::<u8>(), 0..64)) {
        parse_bytes(&body);
    }

    #[test]
    fn any_json_is_read_or_ignored(update in any_json()) {
        parse_bytes(update.to_string().as_bytes());
    }

    #[test]
    fn an_update_with_anything_in_one_place_is_read_or_ignored(
        base in 0..3_usize, place: prop::sample::Index, odd in any_json(),
    ) {
        let mut update = [private_message(), topic_photo(), button()][base].clone();
        let mut found = Vec::new();
        places(&update, "", &mut found);
        let place = place.get(&found);
        *update.pointer_mut(place).unwrap() = odd;
        if let Event::Said(inbound) = parse_bytes(update.to_string().as_bytes()) {
            prop_assert!(!inbound.content.is_empty() && !inbound.from.is_empty());
            prop_assert!(inbound.metadata["chatId"].is_i64() && inbound.sender.is_i64());
            prop_assert_eq!(&inbound.conversation.chat, &inbound.metadata["chatId"].to_string());
        }
    }
}
