//! The place of a step in a trace, as services tell it each other. Source: W3C Trace Context, `traceparent`.

use std::fmt;
use std::str::FromStr;

/// Bytes of the text form of version 0.
const TEXT_BYTES: usize = 55;

/// A step of a trace: what continues it names it as its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// Which trace. Never zero.
    pub trace: [u8; 16],
    /// Which of its steps. Never zero.
    pub span: [u8; 8],
    /// Whether whoever began the trace wants it recorded.
    pub is_sampled: bool,
}

/// A text that is no `traceparent`. Whoever sent it is treated as if it had sent none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTraceParent;

/// Hexadecimal digits in lower case, as the source demands, and not all of them zero.
fn id<const N: usize>(text: &str) -> Result<[u8; N], InvalidTraceParent> {
    let mut bytes = [0; N];
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) || hex::decode_to_slice(text, &mut bytes).is_err() {
        return Err(InvalidTraceParent);
    }
    if bytes == [0; N] { Err(InvalidTraceParent) } else { Ok(bytes) }
}

fn byte(text: &str) -> Result<u8, InvalidTraceParent> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if !text.bytes().all(is_hex) {
        return Err(InvalidTraceParent);
    }
    u8::from_str_radix(text, 16).map_err(|_| InvalidTraceParent)
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Reads `<version>-<trace>-<span>-<flags>`. A later version may say more behind that.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let (known, more) = text.split_at_checked(TEXT_BYTES).ok_or(InvalidTraceParent)?;
        let mut fields = known.split('-');
        let mut field = |len: usize| fields.next().filter(|field| field.len() == len).ok_or(InvalidTraceParent);
        let version = byte(field(2)?)?;
        let (trace, span, flags) = (id(field(32)?)?, id(field(16)?)?, byte(field(2)?)?);
        let may_follow = if version == 0 { more.is_empty() } else { more.is_empty() || more.starts_with('-') };
        if version == u8::MAX || !may_follow {
            return Err(InvalidTraceParent);
        }
        Ok(Self { trace, span, is_sampled: flags & 1 == 1 })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{}-{}-{flags:02x}", hex::encode(self.trace), hex::encode(self.span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_text_reads_back_as_it_was_written() {
        let parent: TraceParent = TEXT.parse().unwrap();
        assert_eq!((parent.to_string().as_str(), parent.is_sampled, parent.span[0]), (TEXT, true, 0xb7));
        let unwanted: TraceParent = TEXT.replace("-01", "-00").parse().unwrap();
        assert_eq!(unwanted, TraceParent { is_sampled: false, ..parent });
    }

    #[test]
    fn other_flags_and_what_later_versions_add_change_nothing() {
        let parent = TEXT.parse::<TraceParent>();
        for text in [TEXT.replace("-01", "-ff"), TEXT.replace("00-", "01-"), TEXT.replace("00-", "cc-") + "-what"] {
            assert_eq!(text.parse(), parent, "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_none() {
        let cut = &TEXT[..TEXT.len() - 1];
        for text in [
            "",
            cut,
            &(TEXT.to_owned() + "-more"),
            &(TEXT.to_owned() + "0"),
            &TEXT.replace("00-", "ff-"),
            &TEXT.replace("00-", "+0-"),
            &TEXT.to_uppercase(),
            &TEXT.replace('-', "_"),
            &TEXT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &TEXT.replace("b7ad6b7169203331", &"0".repeat(16)),
            &TEXT.replace("0af7", "\u{e4}\u{e4}"),
            &TEXT.replace("-01", "-0g"),
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(InvalidTraceParent), "{text}");
        }
    }
}
