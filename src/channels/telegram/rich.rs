//! The text of rich messages, which have blocks such as headings, lists and tables instead of one text.
//!
//! Source: core.telegram.org/bots/api#richmessage (Bot API 10.1).

use serde_json::Value;

/// Between the cells of a table's row.
const BETWEEN_CELLS: &str = " | ";

/// The text of `message`, a line for each block, without its looks; `None` when it has none.
pub(super) fn text(message: &Value) -> Option<String> {
    let mut lines = Vec::new();
    write_blocks(&message["blocks"], &mut lines);
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Appends the lines of some blocks, or of the items of a list. They nest as deep as the JSON does, which its
/// reader bounds.
fn write_blocks(blocks: &Value, lines: &mut Vec<String>) {
    for block in elements(blocks) {
        let first = lines.len();
        lines.extend([block, &block["summary"]].into_iter().filter_map(line));
        for row in elements(&block["cells"]) {
            let cells: Vec<_> = elements(row).map(|cell| line(cell).unwrap_or_default()).collect();
            lines.push(cells.join(BETWEEN_CELLS));
        }
        write_blocks(&block["items"], lines);
        write_blocks(&block["blocks"], lines);
        lines.extend([&block["caption"], &block["credit"]].into_iter().filter_map(line));
        if let (Some(label), Some(line)) = (block["label"].as_str(), lines.get_mut(first)) {
            line.insert_str(0, &format!("{label} "));
        }
    }
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The text within one block, unless there is none.
fn line(value: &Value) -> Option<String> {
    let mut text = String::new();
    write_inline(value, &mut text);
    (!text.is_empty()).then_some(text)
}

/// Appends a text: a string, several texts, or one with a look.
fn write_inline(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(parts) => parts.iter().for_each(|part| write_inline(part, out)),
        Value::Object(styled) => {
            // The last two are what an emoji of one's own and a formula have.
            let text = ["text", "alternative_text", "expression"].iter().find_map(|name| styled.get(*name));
            if let Some(text) = text {
                write_inline(text, out);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_block_is_a_line_of_its_text() {
        let message = json!({"blocks": [
            {"type": "heading", "size": 2, "text": "Plan"},
            {"type": "paragraph", "text": ["Buy ", {"type": "bold", "text": ["milk", {"type": "italic", "text": "!"}]},
                {"type": "custom_emoji", "custom_emoji_id": "5", "alternative_text": "🥛"}]},
            {"type": "divider"},
            {"type": "list", "items": [
                {"label": "1.", "blocks": [{"type": "paragraph", "text": "a"}, {"type": "paragraph", "text": "b"}]},
                {"label": "2.", "blocks": [{"type": "list", "items": [{"label": "•", "blocks": [{"text": "c"}]}]}]},
                {"label": "3.", "blocks": []}]},
            {"type": "table", "cells": [[{"text": "x"}, {"text": "y"}], [{"text": "1"}, {}]]},
            {"type": "details", "summary": "More", "blocks": [{"type": "pre", "text": "code\n  x"}]},
            {"type": "mathematical_expression", "expression": "a^2"},
            {"type": "photo", "photo": [], "caption": {"text": "A cat", "credit": "Ana"}},
        ]});
        let expected = "Plan\nBuy milk!🥛\n1. a\nb\n2. • c\nx | y\n1 | \nMore\ncode\n  x\na^2\nA cat";
        assert_eq!(text(&message).as_deref(), Some(expected));
    }

    #[test]
    fn a_message_without_text_has_none() {
        for message in
            [json!(null), json!("a"), json!({"blocks": "a"}), json!({"blocks": [{"type": "divider"}, 5, []]})]
        {
            assert_eq!(text(&message), None, "{message}");
        }
    }
}
