//! One-time codes by which the owner of a channel shows which account on the platform is theirs.

use std::fmt;

use super::digest::Digest;
use super::timestamp::Timestamp;

/// How long a code is good after it was issued, in milliseconds: 24 hours.
pub const LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// Characters of a code.
const LEN: usize = 8;

/// What codes are made of. Of characters that look alike one is left or none (0 O Q, 1 I L, 2 Z, 5 S, 6 G,
/// 8 B, U V), and without vowels a code never spells a word, nor does a greeting have a code's form.
const ALPHABET: &[u8; 23] = b"CDFHJKMNPRTVWXY23456789";

/// Random bytes from here on are drawn again: the largest multiple of the alphabet's length among the values
/// of a byte, without which some characters would be likelier than others.
const UNBIASED: usize = 256 / ALPHABET.len() * ALPHABET.len();

/// A pairing code in its normal form: eight characters, upper case.
///
/// It has 23^8 values, 36 bits. At the 50 wrong tries an hour that a channel allows, all of a code's life
/// gives a guesser a chance of one in 65 million. It is a secret until it is used, so it does not print itself.
#[derive(Clone)]
pub struct PairingCode(String);

impl PairingCode {
    /// A new random code.
    pub fn generate() -> Self {
        let mut code = String::with_capacity(LEN);
        while code.len() < LEN {
            let mut bytes = [0_u8; LEN];
            getrandom::fill(&mut bytes).expect("the system's random generator works");
            let fair = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < UNBIASED);
            let drawn = fair.map(|byte| char::from(ALPHABET[byte % ALPHABET.len()]));
            code.extend(drawn.take(LEN - code.len()));
        }
        Self(code)
    }

    /// Reads a code as a person writes it, in either case and with blanks around it; `None` when the text
    /// does not have a code's form.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // Measured first: a message may be long, and is not copied to find that out.
        if text.len() != LEN {
            return None;
        }
        let code = text.to_ascii_uppercase();
        code.bytes().all(|byte| ALPHABET.contains(&byte)).then_some(Self(code))
    }

    /// The code as text, to be shown to the owner of the channel and to nobody else.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is stored instead of the code, so that a look at the store does not show it. Whoever takes a copy
    /// away can try all values within minutes; against that only the short life helps.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(…)")
    }
}

/// Whether a code issued at `issued` is still good at `now`. One from the future, by another replica's clock, is.
pub fn is_live(issued: Timestamp, now: Timestamp) -> bool {
    now.millis().saturating_sub(issued.millis()) < LIFE_MS
}

/// A try to pair.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What was given as the code; `None` when it does not have the form of one and can only be wrong.
    pub code: Option<PairingCode>,
    /// Whether it came with a command rather than as a bare code.
    pub is_command: bool,
}

impl Attempt {
    /// The try of somebody who gave `argument` to a pairing command.
    pub fn by_command(argument: &str) -> Self {
        Self { code: PairingCode::parse(argument), is_command: true }
    }

    /// Whether this is the code whose digest was stored at `issued`, and is still good. Takes the same time
    /// for every wrong code.
    pub fn opens(&self, stored: &Digest, issued: Timestamp, now: Timestamp) -> bool {
        let matches = self.code.as_ref().is_some_and(|code| code.digest() == *stored);
        matches && is_live(issued, now)
    }
}

/// How people speak to the bot on a platform.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner<'a> {
    /// Whether `pair` counts without its slash, as on Slack, where commands belong to the workspace.
    pub bare_word: bool,
    /// The bot's user name, without `@`. A command for another bot (`/pair@other`) is then not for this one;
    /// without a name every command is.
    pub bot: Option<&'a str>,
}

/// What a stranger's text wants.
#[derive(Clone, Debug)]
pub enum Request {
    /// To pair, with this.
    Attempt(Attempt),
    /// To know how to pair: `/start`, which Telegram sends when a chat is opened, or `/pair` without a code.
    AskedHow,
}

/// Reads `text` as a request to pair; `None` when it is ordinary talk.
///
/// `/pair <code>`, `/start <code>`, `/pair@bot <code>` and a bare code are tries. The case and surrounding
/// blanks do not matter. Never to be asked about the text of somebody who is paired already.
pub fn recognise(text: &str, manner: Manner<'_>) -> Option<Request> {
    let text = text.trim();
    let (word, argument) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let argument = argument.trim();
    if is_command(word, manner.bot) || (manner.bare_word && says_pair(word, argument)) {
        return Some(match argument {
            "" => Request::AskedHow,
            argument => Request::Attempt(Attempt::by_command(argument)),
        });
    }
    let code = PairingCode::parse(text)?;
    Some(Request::Attempt(Attempt { code: Some(code), is_command: false }))
}

fn is_command(word: &str, bot: Option<&str>) -> bool {
    let Some(command) = word.strip_prefix('/') else { return false };
    let (command, addressed) = match command.split_once('@') {
        Some((command, name)) => (command, bot.is_none_or(|bot| bot.eq_ignore_ascii_case(name))),
        None => (command, true),
    };
    addressed && ["pair", "start"].iter().any(|known| command.eq_ignore_ascii_case(known))
}

/// Whether it is the word `pair` with at most one more: "pair of shoes" is talk and costs nobody a try.
fn says_pair(word: &str, argument: &str) -> bool {
    word.eq_ignore_ascii_case("pair") && !argument.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const SLACK: Manner<'static> = Manner { bare_word: true, bot: None };
    const TELEGRAM: Manner<'static> = Manner { bare_word: false, bot: Some("Helper_bot") };

    /// The code (or `-` for one without a code's form) and whether it was a command; `None` when it is no try.
    fn tried(text: &str, manner: Manner<'_>) -> Option<(String, bool)> {
        match recognise(text, manner)? {
            Request::Attempt(Attempt { code, is_command }) => {
                Some((code.map_or("-".into(), |code| code.0), is_command))
            }
            Request::AskedHow => None,
        }
    }

    fn asks_how(text: &str, manner: Manner<'_>) -> bool {
        matches!(recognise(text, manner), Some(Request::AskedHow))
    }

    #[test]
    fn a_code_is_eight_unambiguous_characters_and_never_the_same() {
        let codes: HashSet<_> = (0..1000).map(|_| PairingCode::generate().0).collect();
        assert_eq!(codes.len(), 1000);
        assert!(codes.iter().all(|code| code.len() == 8));
        let used: HashSet<_> = codes.iter().flat_map(|code| code.bytes()).collect();
        assert_eq!(used, ALPHABET.iter().copied().collect());
        assert!(b"0O1ILAEU".iter().all(|ambiguous| !used.contains(ambiguous)));
        assert_eq!(UNBIASED, 253);
    }

    #[test]
    fn a_code_is_read_in_either_case_with_blanks_around_it() {
        for same in ["CDFH2345", "cdfh2345", " CdFh2345\n", "\u{a0}cdfh2345\t"] {
            assert_eq!(PairingCode::parse(same).unwrap().as_str(), "CDFH2345", "{same:?}");
        }
        for other in ["", "CDFH234", "CDFH23456", "CDFH 345", "CDFH-345", "CDFH2340", "ÄÄÄÄ", "strength", "password"]
        {
            assert!(PairingCode::parse(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_command_with_anything_after_it_is_a_try() {
        let code = Some(("CDFH2345".to_owned(), true));
        for text in [
            "/pair CDFH2345",
            "/start cdfh2345",
            " /PAIR  cdfh2345 ",
            "/pair\ncdfh2345",
            "/pair@helper_bot CDFH2345",
            "/start@Helper_bot CDFH2345",
        ] {
            assert_eq!(tried(text, TELEGRAM), code, "{text:?}");
        }
        for text in ["/pair nonsense", "/start ref_42", "/pair CDFH2345 please", "/pair CDFH 2345"] {
            assert_eq!(tried(text, TELEGRAM), Some(("-".to_owned(), true)), "{text:?}");
        }
    }

    #[test]
    fn a_bare_code_is_a_try_without_a_command() {
        assert_eq!(tried(" cdfh2345 ", TELEGRAM), Some(("CDFH2345".to_owned(), false)));
        assert_eq!(tried("cdfh2345", SLACK), Some(("CDFH2345".to_owned(), false)));
    }

    #[test]
    fn a_command_without_a_code_asks_how_to_pair() {
        for text in ["/start", "/pair", " /Start ", "/start@helper_bot"] {
            assert!(asks_how(text, TELEGRAM), "{text:?}");
        }
        assert!(asks_how("pair", SLACK));
        assert!(!asks_how("pair", TELEGRAM));
    }

    #[test]
    fn the_bare_word_counts_where_the_platform_says_so() {
        assert_eq!(tried("pair CDFH2345", SLACK), Some(("CDFH2345".to_owned(), true)));
        assert_eq!(tried("Pair nonsense", SLACK), Some(("-".to_owned(), true)));
        assert!(recognise("pair CDFH2345", TELEGRAM).is_none());
        assert!(recognise("pair of shoes", SLACK).is_none());
        assert!(recognise("start CDFH2345", SLACK).is_none());
    }

    #[test]
    fn ordinary_talk_and_commands_for_others_are_no_request() {
        for text in ["", "hello", "/help", "/pairing CDFH2345", "/ pair", "what is /pair CDFH2345", "CDFH2345 please"] {
            assert!(recognise(text, TELEGRAM).is_none(), "{text:?}");
        }
        assert!(recognise("/pair@other_bot CDFH2345", TELEGRAM).is_none());
        assert!(recognise("/pair@other_bot CDFH2345", SLACK).is_some());
    }

    #[test]
    fn a_code_opens_for_a_day() {
        let code = PairingCode::generate();
        let issued = Timestamp::from_millis(1_768_473_000_000);
        let after = |millis| Timestamp::from_millis(issued.millis() + millis);
        let right = Attempt::by_command(&code.as_str().to_lowercase());
        assert!(right.opens(&code.digest(), issued, issued));
        assert!(right.opens(&code.digest(), issued, after(LIFE_MS - 1)));
        assert!(!right.opens(&code.digest(), issued, after(LIFE_MS)));
        assert!(right.opens(&code.digest(), after(5_000), issued));
        assert!(!right.opens(&PairingCode::generate().digest(), issued, issued));
        assert!(!Attempt::by_command("nonsense").opens(&code.digest(), issued, issued));
    }

    #[test]
    fn a_code_does_not_print_itself() {
        let attempt = Attempt::by_command("CDFH2345");
        assert!(!format!("{attempt:?}").contains("CDFH2345"));
    }

    proptest! {
        #[test]
        fn every_code_opens_however_it_is_written(lower: bool, before in "[ \t\n]{0,3}", command in "(/pair |/start |)") {
            let code = PairingCode::generate();
            let written = if lower { code.as_str().to_lowercase() } else { code.as_str().to_owned() };
            let request = recognise(&format!("{before}{command}{written}{before}"), Manner::default());
            let Some(Request::Attempt(attempt)) = request else { panic!("not a try") };
            prop_assert!(attempt.opens(&code.digest(), Timestamp::EPOCH, Timestamp::EPOCH));
            prop_assert_eq!(attempt.is_command, !command.is_empty());
        }

        #[test]
        fn any_text_is_read_or_passed_over(text in ".*", bare_word: bool) {
            let _ = recognise(&text, Manner { bare_word, bot: Some("bot") });
        }
    }
}
