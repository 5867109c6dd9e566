//! Reading one `Authentication-Results` header (RFC 8601 §2.2).

/// Longest header that is read, in bytes. Hosts write well below 2 KiB.
const MAX_BYTES: usize = 16 * 1024;
/// Longest verdict, in bytes; the registered ones have at most 9.
const MAX_VERDICT_BYTES: usize = 32;

/// One header: whose it is, and what it says.
#[derive(Debug)]
pub(super) struct AuthenticationResults {
    host: String,
    results: Vec<MethodResult>,
}

/// What one method found.
#[derive(Debug)]
pub(super) struct MethodResult {
    method: String,
    verdict: String,
    properties: Vec<(String, String)>,
}

impl MethodResult {
    /// The verdict, in lower case.
    pub(super) fn verdict(&self) -> &str {
        &self.verdict
    }

    /// A property such as `header.from`; the name in lower case.
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl AuthenticationResults {
    /// Reads the value of a header; `None` when its comments or quotes do not end, for then nobody knows what
    /// is said and what is quoted.
    ///
    /// More is taken than the grammar allows, since hosts write more: Amazon adds `client-ip=…` without a type
    /// and `envelope-from=…` where a method should stand.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let tokens = tokens(text)?;
        let mut statements = tokens.split(|token| *token == Token::Semicolon);
        // The version that may follow the name is 1, and there is no other.
        let host = match statements.next()? {
            [Token::Text(host), ..] => host.to_ascii_lowercase(),
            _ => return None,
        };
        Some(Self { host, results: statements.filter_map(read_result).collect() })
    }

    /// Whether the host of this name says this.
    pub(super) fn is_by(&self, host: &str) -> bool {
        self.host == host
    }

    /// Every result of a method.
    pub(super) fn results_of(&self, method: &str) -> impl Iterator<Item = &MethodResult> {
        self.results.iter().filter(move |result| result.method == method)
    }

    /// The verdict of a method, in lower case. There may be several signatures of which one that passes is
    /// enough; of anything else there is one result, and of two that differ neither is believed.
    pub(super) fn verdict(&self, method: &str) -> Option<&str> {
        let verdicts: Vec<&str> = self.results_of(method).map(MethodResult::verdict).collect();
        let first = *verdicts.first()?;
        let agree = verdicts.iter().all(|verdict| *verdict == first);
        match method {
            "dkim" => verdicts.iter().find(|verdict| **verdict == "pass").or(Some(&first)).copied(),
            _ => agree.then_some(first),
        }
    }
}

/// `method[/version]=verdict` and the properties behind it.
fn read_result(statement: &[Token]) -> Option<MethodResult> {
    let mut pairs = Pairs { rest: statement };
    let (method, verdict) = pairs.next()?;
    let is_keyword = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if verdict.is_empty() || verdict.len() > MAX_VERDICT_BYTES || !verdict.bytes().all(is_keyword) {
        return None;
    }
    let method = method.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let properties = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    Some(MethodResult { method, verdict: verdict.to_ascii_lowercase(), properties })
}

/// Pairs of a name and a value; names may be written in pieces (`header . from`).
struct Pairs<'a> {
    rest: &'a [Token],
}

impl Iterator for Pairs<'_> {
    type Item = (String, String);

    fn next(&mut self) -> Option<Self::Item> {
        let equals = self.rest.iter().position(|token| *token == Token::Equals)?;
        // What follows the last value up to the name is no name: names have no blanks but around `.` and `/`.
        let name = name_before(&self.rest[..equals]);
        let value = self.rest.get(equals + 1).and_then(Token::text).unwrap_or_default().to_owned();
        self.rest = self.rest.get(equals + 2..).unwrap_or_default();
        // Padding of base64 is a part of the value.
        while let [Token::Equals, rest @ ..] = self.rest {
            self.rest = rest;
        }
        Some((name, value))
    }
}

fn name_before(tokens: &[Token]) -> String {
    let mut name = String::new();
    for piece in tokens.iter().rev().map_while(Token::text) {
        let joins = name.is_empty() || name.starts_with(['.', '/']) || piece.ends_with(['.', '/']);
        if !joins {
            break;
        }
        name.insert_str(0, piece);
    }
    name
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word or a quoted string, whose quotes and escapes are resolved.
    Text(String),
    Equals,
    Semicolon,
}

impl Token {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The tokens of a structured header (RFC 5322 §3.2), comments left out. A quoted string that touches a word is
/// one text with it, as in `"a; b"@example.com`.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => word = Some(word.unwrap_or_default() + &quoted(&mut chars)?),
            '(' | ';' | '=' => {
                tokens.extend(word.take().map(Token::Text));
                match c {
                    '(' => skip_comment(&mut chars)?,
                    ';' => tokens.push(Token::Semicolon),
                    _ => tokens.push(Token::Equals),
                }
            }
            _ if c.is_whitespace() => tokens.extend(word.take().map(Token::Text)),
            _ => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.map(Token::Text));
    Some(tokens)
}

fn quoted(chars: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut content = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(content),
            '\\' => content.push(chars.next()?),
            c => content.push(c),
        }
    }
}

fn skip_comment(chars: &mut impl Iterator<Item = char>) -> Option<()> {
    let mut depth = 1_usize;
    while depth > 0 {
        match chars.next()? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => drop(chars.next()?),
            _ => {}
        }
    }
    Some(())
}
