//! The text that passes through the relay: cleaning and cutting it, and giving it the form of a platform.
//!
//! Text comes from strangers and is read by language models and by people, so whatever a reader
//! would not see is taken out before it is stored: markup, control characters and the invisible
//! characters that carry hidden instructions. What cleaning leaves is the sender's text byte for byte;
//! nothing is decoded, escaped or rewritten. Splitting and rendering are for what goes out again.

mod compact;
mod elements;
mod fence;
mod hidden;
mod json;
mod json_string;
mod layout;
mod markdown;
mod markup;
mod pass;
mod sanitise;
mod slack;
mod split;
mod truncate;

pub use compact::{CompactJson, compact_clean_json};
pub use hidden::{single_line, strip_hidden};
pub use json::{MAX_NESTING, is_nested_deeper, sanitise_json};
pub use json_string::write_json_string;
pub use markdown::{to_slack_mrkdwn, to_telegram_html};
pub use sanitise::sanitise;
pub use slack::from_slack_mrkdwn;
pub use split::{Limit, Unit, split};
pub use truncate::{MAX_CONTENT_BYTES, Truncated, preview, truncate, truncate_plain};
