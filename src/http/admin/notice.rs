//! The line that says what was just done, carried through the redirect that follows.
//!
//! The URL carries a word of a list, never the text: a link that somebody made up says nothing of their own.

use serde::Serialize;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// A reply is sent again.
    Redriven,
    /// So many replies of a channel are sent again.
    ChannelRedriven(usize),
    /// The same, and there are more.
    ChannelRedrivenInPart(usize),
    /// A reply was given up.
    Dropped,
    /// So many sockets were closed.
    Disconnected(usize),
    /// A session was deleted.
    Deleted,
}

impl Done {
    /// The word and the number of this.
    fn parts(self) -> (&'static str, Option<usize>) {
        match self {
            Self::Redriven => ("redriven", None),
            Self::ChannelRedriven(count) => ("channel-redriven", Some(count)),
            Self::ChannelRedrivenInPart(count) => ("channel-redriven-in-part", Some(count)),
            Self::Dropped => ("dropped", None),
            Self::Disconnected(count) => ("disconnected", Some(count)),
            Self::Deleted => ("deleted", None),
        }
    }

    fn text(self) -> String {
        let replies = |count| if count == 1 { "1 reply".to_owned() } else { format!("{count} replies") };
        match self {
            Self::Redriven => "The reply is on its way again.".to_owned(),
            Self::ChannelRedriven(count) => format!("{} of the channel: on the way again.", replies(count)),
            Self::ChannelRedrivenInPart(count) => {
                format!(
                    "{} of the channel: on the way again. There are more: press the button once more.",
                    replies(count)
                )
            }
            Self::Dropped => "The reply was given up.".to_owned(),
            Self::Disconnected(1) => "1 socket was closed. Clients connect again by themselves.".to_owned(),
            Self::Disconnected(count) => format!("{count} sockets were closed. Clients connect again by themselves."),
            Self::Deleted => "The session was deleted with all it had.".to_owned(),
        }
    }

    /// Where to go, with this in the URL.
    pub(super) fn after(self, path: &str) -> String {
        let (word, count) = self.parts();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("notice", word);
        if let Some(count) = count {
            query.append_pair("count", &count.to_string());
        }
        format!("{path}{}{}", if path.contains('?') { '&' } else { '?' }, query.finish())
    }
}

/// The line, as a template shows it.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Notice {
    kind: &'static str,
    text: String,
}

impl Notice {
    /// Reads what [`Done::after`] wrote; `None` for anything else.
    pub(super) fn read(word: &str, count: Option<&str>) -> Option<Self> {
        let count = count.and_then(|count| count.parse().ok()).unwrap_or(0);
        let all = [
            Done::Redriven,
            Done::ChannelRedriven(count),
            Done::ChannelRedrivenInPart(count),
            Done::Dropped,
            Done::Disconnected(count),
            Done::Deleted,
        ];
        let done = all.into_iter().find(|done| done.parts().0 == word)?;
        Some(Self { kind: "done", text: done.text() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_survives_the_way_through_a_url() {
        for (done, path) in [(Done::Redriven, "/admin"), (Done::Disconnected(3), "/admin/sessions?q=a")] {
            let url = url::Url::parse("http://localhost").unwrap().join(&done.after(path)).unwrap();
            let get =
                |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
            let notice = Notice::read(&get("notice").unwrap(), get("count").as_deref()).unwrap();
            assert_eq!(notice.text, done.text());
        }
        assert_eq!(Notice::read("<b>", None), None);
    }
}
