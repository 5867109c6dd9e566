//! Cleaning and cutting of the text that passes through the relay.
//!
//! Text comes from strangers and is read by language models and by people, so whatever a reader
//! would not see is taken out before it is stored: markup, control characters and the invisible
//! characters that carry hidden instructions. What stays is the sender's text byte for byte;
//! nothing is decoded, escaped or rewritten.

mod elements;
mod hidden;
mod json;
mod markup;
mod pass;
mod sanitise;
mod truncate;

pub use hidden::{single_line, strip_hidden};
pub use json::sanitise_json;
pub use sanitise::sanitise;
pub use truncate::{MAX_CONTENT_BYTES, Truncated, truncate, truncate_plain};
