//! Tokens that must not be shown where a platform, or what stands before it, repeats what it was asked.

use super::{slack, telegram::Telegram};

/// `words` without anything that has the form of a bot's token: of Telegram, where it is part of the URL, of Slack, or
/// of Discord. A token is known by its form where it stands as a word of its own.
pub(super) fn without_tokens(words: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
    let mut safe = String::with_capacity(words.len());
    for piece in words.split_inclusive(|c| !is_part(c)) {
        let word = piece.trim_end_matches(|c| !is_part(c) || matches!(c, ':' | '.'));
        if is_token(word.strip_prefix("bot").unwrap_or(word)) {
            safe.push('…');
            safe.push_str(&piece[word.len()..]);
        } else {
            safe.push_str(piece);
        }
    }
    safe
}

fn is_token(word: &str) -> bool {
    let has_slacks_form = slack::is_token(word) && word.contains('-');
    Telegram::is_token(word) || has_slacks_form || has_discords_form(word)
}

/// The application's id in base64, an instant, and a digest, with full stops between. Source: discord-api-docs
/// `developers/reference.mdx`, whose examples have 24 or more, 6, and 27 or more characters.
fn has_discords_form(word: &str) -> bool {
    let mut parts = word.split('.').map(str::len);
    let long = |part: Option<usize>, least| part.is_some_and(|length| length >= least);
    long(parts.next(), 20) && long(parts.next(), 5) && long(parts.next(), 20) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_form_of_a_token_goes_and_the_words_around_it_stay() {
        let discord = ["MTIzNDU2Nzg5MDEyMzQ1Njc4OQ", "GbKx1a", "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345678"].join(".");
        let slack = ["xoxb", "123456789012", "aBcDeFgHiJkL"].join("-");
        for (words, shown) in [
            ("no /bot7000000001:t0ken_t0ken_t0ken/getMe here", "no /…/getMe here"),
            ("7000000001:t0ken_t0ken_t0ken: not found", "…: not found"),
            (&format!("Bot {discord} is unknown."), "Bot … is unknown."),
            (&format!("(Bearer {slack})"), "(Bearer …)"),
            (
                "components.0.components.0.custom_id: at 10:30, xoxo",
                "components.0.components.0.custom_id: at 10:30, xoxo",
            ),
            ("", ""),
        ] {
            assert_eq!(without_tokens(words), shown, "{words}");
        }
    }
}
