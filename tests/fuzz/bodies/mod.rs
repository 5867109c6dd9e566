//! What has to hold for any input, whoever made it up.
//!
//! One file for each kind of input; its `check` panics where a promise is broken. The fuzzer calls these with what
//! it invents, and the ordinary tests with every input of `corpus`.

pub mod addresses;
pub mod answers;
mod calls;
pub mod configuration;
pub mod cursors;
pub mod discord;
pub mod email;
pub mod frames;
pub mod markdown;
mod messages;
pub mod requests;
pub mod sanitise;
pub mod settings;
pub mod signatures;
pub mod slack;
pub mod socket;
pub mod split;
pub mod telegram;
pub mod webhook;

/// A check by the name of its corpus.
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// The check. Panics where a promise is broken.
    pub check: fn(&[u8]),
}

/// Every check there is.
pub const TARGETS: [Target; 17] = [
    Target { name: "addresses", check: addresses::check },
    Target { name: "answers", check: answers::check },
    Target { name: "configuration", check: configuration::check },
    Target { name: "cursors", check: cursors::check },
    Target { name: "discord", check: discord::check },
    Target { name: "email", check: email::check },
    Target { name: "frames", check: frames::check },
    Target { name: "markdown", check: markdown::check },
    Target { name: "requests", check: requests::check },
    Target { name: "sanitise", check: sanitise::check },
    Target { name: "settings", check: settings::check },
    Target { name: "signatures", check: signatures::check },
    Target { name: "slack", check: slack::check },
    Target { name: "socket", check: socket::check },
    Target { name: "split", check: split::check },
    Target { name: "telegram", check: telegram::check },
    Target { name: "webhook", check: webhook::check },
];

/// The parts of an input, which bytes of 0 separate; the last one takes what is left, and missing ones are empty.
fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut parts = input.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Bytes as text, with a sign in place of what is none.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
