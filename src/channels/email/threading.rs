//! How mails hang together: message ids, the chain of references and the subject of an answer (RFC 5322 §3.6.4).

/// Longest message id that is used, in octets. Two of them fit into a header with room to spare.
const MAX_ID_OCTETS: usize = 400;
/// Longest `References` that goes out, in octets: with its name it stays below the 998 of a line (RFC 5322 §2.1.1),
/// so that it is right whether or not it is folded on the way.
pub(super) const MAX_SENT_OCTETS: usize = 900;
/// Longest `references` in a message's metadata, in octets: some forty ids.
pub(super) const MAX_KEPT_OCTETS: usize = 4096;

/// What an answer's subject begins with.
const REPLY_PREFIX: &str = "Re: ";
/// What people's mail programs put before the subject of an answer: English, German, Swedish, Norwegian,
/// Finnish, Dutch, Portuguese and Italian.
const REPLY_WORDS: [&str; 7] = ["re", "aw", "sv", "vs", "antw", "res", "rif"];
/// The subject of an answer to a mail without one.
const NO_SUBJECT: &str = "Re: your message";

/// The message ids in a header, each `<left@right>` of visible ASCII; whatever else stands there is passed over.
pub(super) fn message_ids(text: &str) -> impl Iterator<Item = &str> {
    let in_brackets = |piece| -> Option<&str> { Some(&piece[str::rfind(piece, '<')?..]) };
    text.split_inclusive('>').filter_map(in_brackets).filter(|id| is_message_id(id))
}

fn is_message_id(id: &str) -> bool {
    let is_visible = id.len() <= MAX_ID_OCTETS && id.bytes().all(|byte| byte.is_ascii_graphic());
    let sides = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).and_then(|id| id.split_once('@'));
    is_visible && sides.is_some_and(|(left, right)| !left.is_empty() && !right.is_empty())
}

/// `ids` as one header value of at most `max` octets. The first id names the thread and the last ones its newest
/// mails, so what is too much goes from behind the first.
pub(super) fn chain<'a>(ids: impl IntoIterator<Item = &'a str>, max: usize) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for id in ids {
        if kept.last() != Some(&id) {
            kept.push(id);
        }
    }
    let Some((first, rest)) = kept.split_first() else { return String::new() };
    let mut octets = first.len();
    let fits = |id: &&&str| {
        octets += 1 + id.len();
        octets <= max
    };
    let newest = rest.iter().rev().take_while(fits).count();
    let mut chain = (*first).to_owned();
    for id in &rest[rest.len() - newest..] {
        chain.push(' ');
        chain.push_str(id);
    }
    chain
}

/// The subject of an answer: `Re: ` once, whatever stood before the subject already.
pub(super) fn reply_subject(subject: &str) -> String {
    let mut bare = subject.trim();
    while let Some(rest) = without_reply_prefix(bare) {
        bare = rest;
    }
    if bare.is_empty() { NO_SUBJECT.to_owned() } else { format!("{REPLY_PREFIX}{bare}") }
}

/// What follows a prefix such as `Re:`, `AW:`, `RE :` or `Re[2]:`.
fn without_reply_prefix(subject: &str) -> Option<&str> {
    // The full-width colon is what Chinese and Japanese mail programs write.
    let (prefix, rest) = subject.split_once([':', '：'])?;
    let word = prefix.trim_end();
    let word = match word.split_once('[') {
        None => word,
        Some((word, count)) => {
            let digits = count.strip_suffix(']')?;
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            word
        }
    };
    REPLY_WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)).then(|| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(text: &str) -> Vec<&str> {
        message_ids(text).collect()
    }

    #[test]
    fn ids_are_found_among_whatever_else_stands_there() {
        for (text, found) in [
            ("<a@b>", vec!["<a@b>"]),
            ("<a@b> <c@d>\r\n\t<e@f>", vec!["<a@b>", "<c@d>", "<e@f>"]),
            ("<a@b><c@d>,<e@[1.2.3.4]>", vec!["<a@b>", "<c@d>", "<e@[1.2.3.4]>"]),
            ("Your message of Monday <a@b> (comment)", vec!["<a@b>"]),
            ("<<a@b>", vec!["<a@b>"]),
            ("<no-at> <@b> <a@> <a b@c> <a@b\r\n> <ä@b> <a@b", vec![]),
            ("<a\r\nBcc:@b>", vec![]),
            ("a@b", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(ids(text), found, "{text:?}");
        }
        let long = |length: usize| format!("<{}@b>", "a".repeat(length - 4));
        assert_eq!(ids(&long(400)).len(), 1);
        assert_eq!(ids(&long(401)).len(), 0);
    }

    #[test]
    fn a_chain_that_is_too_long_keeps_the_first_id_and_the_newest() {
        let ids: Vec<String> = (0..100).map(|n| format!("<{n:03}@mail.example.com>")).collect();
        let cut = chain(ids.iter().map(String::as_str), 900);
        assert!(cut.len() <= 900 && cut.len() > 870, "{}", cut.len());
        let kept: Vec<&str> = cut.split(' ').collect();
        assert_eq!(kept[0], ids[0]);
        assert_eq!(kept[1..], ids[100 - (kept.len() - 1)..]);
        assert_eq!(chain(["<a@b>", "<c@d>", "<c@d>"], 900), "<a@b> <c@d>");
        assert_eq!(chain([], 900), "");
    }

    #[test]
    fn two_ids_of_the_greatest_length_both_stay() {
        let (first, last) = (format!("<{}@a>", "x".repeat(396)), format!("<{}@b>", "x".repeat(396)));
        assert_eq!(chain([first.as_str(), "<c@d>", last.as_str()], 900), format!("{first} <c@d> {last}"));
        let middle = format!("<{}@c>", "x".repeat(396));
        assert_eq!(chain([first.as_str(), middle.as_str(), last.as_str()], 900), format!("{first} {last}"));
    }

    #[test]
    fn an_answer_has_one_prefix() {
        for (subject, answer) in [
            ("hello", "Re: hello"),
            ("Re: hello", "Re: hello"),
            ("RE : hello", "Re: hello"),
            ("re:hello", "Re: hello"),
            ("AW: hello", "Re: hello"),
            ("Sv: Re: AW: hello", "Re: hello"),
            ("Re[12]: hello", "Re: hello"),
            ("Re：你好", "Re: 你好"),
            ("Fwd: Re: hello", "Re: Fwd: Re: hello"),
            ("Re[x]: hello", "Re: Re[x]: hello"),
            ("Regarding: hello", "Re: Regarding: hello"),
            ("re-entry: now", "Re: re-entry: now"),
            ("Antwerp: now", "Re: Antwerp: now"),
            ("", "Re: your message"),
            ("  ", "Re: your message"),
            ("Re: ", "Re: your message"),
            ("Re: re:", "Re: your message"),
        ] {
            assert_eq!(reply_subject(subject), answer, "{subject:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_ids_that_are_safe_in_a_header(text in "[<>@a \r\n\"(),é]{0,60}") {
            for id in message_ids(&text) {
                prop_assert!(id.starts_with('<') && id.ends_with('>') && id.contains('@'));
                prop_assert!(id.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }

        #[test]
        fn a_chain_is_never_too_long(lengths in proptest::collection::vec(5_usize..400, 0..40)) {
            let ids: Vec<String> = lengths.iter().map(|length| format!("<{}@b>", "a".repeat(length - 4))).collect();
            let cut = chain(ids.iter().map(String::as_str), MAX_SENT_OCTETS);
            prop_assert!(cut.len() <= MAX_SENT_OCTETS);
            prop_assert_eq!(cut.is_empty(), ids.is_empty());
        }

        #[test]
        fn answering_an_answer_changes_nothing(subject in ".{0,40}") {
            let once = reply_subject(&subject);
            prop_assert_eq!(reply_subject(&once), once);
        }
    }
}
