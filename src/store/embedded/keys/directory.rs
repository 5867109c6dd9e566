//! Keys of the directory: what lists sessions by time and by name.

use super::NUL;
use crate::domain::ids::{ChannelId, UserId};

/// Key of the number of sessions that are listed.
pub(in crate::store::embedded) const LISTED: &[u8] = b"w";
/// Start of the keys that list sessions by their last use.
pub(in crate::store::embedded) const BY_USE: &[u8] = b"ws";
/// Start of the keys that list sessions by their creation.
pub(in crate::store::embedded) const BY_CREATION: &[u8] = b"wc";
/// Start of the keys that list names by which sessions are found.
pub(in crate::store::embedded) const BY_NAME: &[u8] = b"wn";

/// Key that lists a session in a list that is sorted by time, in milliseconds.
pub(in crate::store::embedded) fn listed(list: &[u8], at: u64, user: &str) -> Vec<u8> {
    [list, &at.to_be_bytes(), user.as_bytes()].concat()
}

/// Time and user in the key of an entry of such a list.
pub(in crate::store::embedded) fn listed_user(list: &[u8], key: &[u8]) -> Option<(u64, UserId)> {
    let (at, user) = key.strip_prefix(list)?.split_first_chunk()?;
    Some((u64::from_be_bytes(*at), std::str::from_utf8(user).ok()?.parse().ok()?))
}

/// Start of the keys that list a name as this user's.
pub(in crate::store::embedded) fn name_of(name: &str, user: &str) -> Vec<u8> {
    [BY_NAME, name.as_bytes(), NUL, user.as_bytes(), NUL].concat()
}

/// Key that lists a name, as the user's own or as that of a channel.
pub(in crate::store::embedded) fn name(name: &str, user: &UserId, channel: Option<&ChannelId>) -> Vec<u8> {
    [&name_of(name, &user.to_string()), channel.map_or("", ChannelId::as_str).as_bytes()].concat()
}

/// The name and the user in such a key.
pub(in crate::store::embedded) fn named_user(key: &[u8]) -> Option<(&str, UserId)> {
    let mut parts = std::str::from_utf8(key.strip_prefix(BY_NAME)?).ok()?.split('\0');
    Some((parts.next()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lists_a_session_leads_back_to_it() {
        let (user, channel): (_, ChannelId) = (UserId::random(), "c".parse().unwrap());
        assert_eq!(listed_user(BY_USE, &listed(BY_USE, 7, &user.to_string())), Some((7, user)));
        for channel in [None, Some(&channel)] {
            let key = name("a name", &user, channel);
            assert_eq!(named_user(&key), Some(("a name", user)));
            assert!(key.starts_with(&name_of("a name", &user.to_string())));
        }
        assert!(listed(BY_USE, 255, "x") < listed(BY_USE, 256, "a"));
        assert_eq!(named_user(b"wn?"), None);
        assert_eq!(listed_user(BY_USE, b"ws?"), None);
    }
}
