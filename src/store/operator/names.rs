//! The names by which a session is found: its user's id, and the ids, names and bots of its channels.
//!
//! They are listed in a form in which beginnings compare, whatever their case. The records say which names a
//! session has; a list that names more is put right by whoever reads it.

use crate::domain::channel::Channel;
use crate::domain::connection::Connection;
use crate::domain::ids::UserId;

use super::SessionSummary;

/// Longest name that is listed, in bytes; of a longer one the beginning counts. Longer than any address.
const MAX_NAME_BYTES: usize = 256;

/// A name in the form in which it is listed. It has no control characters, so that they can separate names.
fn folded(name: &str) -> String {
    let mut folded: String =
        // One character at a time: in context a letter's small form may depend on what follows it.
        name.chars().filter(|c| !c.is_control()).flat_map(char::to_lowercase).collect();
    while folded.len() > MAX_NAME_BYTES {
        folded.pop();
    }
    folded
}

/// What the listed names must start with for a search; `None` when no name can be found by it.
pub(in crate::store) fn prefix(search: &str) -> Option<String> {
    (!search.contains(char::is_control)).then(|| folded(search))
}

/// The names of a channel as they are listed, in order and each once.
pub(in crate::store) fn of_channel(channel: &Channel) -> Vec<String> {
    let mut names = vec![folded(channel.id.as_str())];
    names.extend(channel.name.as_deref().map(folded));
    names.extend(channel.connection.iter().flat_map(Connection::names).map(|name| folded(&name)));
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names
}

/// The names of a user, whatever channels there are.
pub(in crate::store) fn of_user(user: &UserId) -> String {
    user.to_string()
}

/// The first of the session's names that starts with this: the one under which a search shows it.
pub(in crate::store) fn first_with(session: &SessionSummary, prefix: &str) -> Option<String> {
    let names = session.channels.iter().flat_map(of_channel).chain([of_user(&session.user)]);
    names.filter(|name| name.starts_with(prefix)).min()
}

/// Whether the session has this name.
pub(in crate::store) fn has(session: &SessionSummary, name: &str) -> bool {
    of_user(&session.user) == name
        || session.channels.iter().any(|channel| of_channel(channel).iter().any(|own| own == name))
}

/// A place in a search, as a cursor's entry: the name and the user whose it is.
pub(in crate::store) fn entry(name: &str, user: &str) -> String {
    format!("{name} {user}")
}

/// Reads it back. A text that is none stands for the place where it would be.
pub(in crate::store) fn name_and_user(entry: &str) -> (&str, &str) {
    entry.rsplit_once(' ').unwrap_or((entry, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for (name, search) in [("Ärger", "äR"), ("ΟΔΟΣ ΑΒ", "οδοσ"), ("a\u{1f980}B", "A\u{1f980}b"), ("[x]*", "[X")]
        {
            assert!(folded(name).starts_with(&prefix(search).unwrap()), "{name}");
        }
        assert_eq!(prefix("a\0"), None, "no name has control characters");
        assert_eq!(folded("a\0\nb"), "ab");
    }

    #[test]
    fn of_a_long_name_the_beginning_counts() {
        let long = "\u{fc}".repeat(200);
        assert_eq!(folded(&long).len(), MAX_NAME_BYTES);
        assert_eq!(folded(&long), prefix(&long).unwrap());
        assert!(folded(&format!("x{long}")).len() < MAX_NAME_BYTES, "cut between two characters");
    }

    #[test]
    fn an_entry_reads_back() {
        for name in ["a b", "", "x"] {
            assert_eq!(name_and_user(&entry(name, "user")), (name, "user"));
        }
        assert_eq!(name_and_user("odd"), ("odd", ""));
    }
}
