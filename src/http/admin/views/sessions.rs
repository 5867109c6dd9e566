//! The list of sessions, a session, and the question whether to delete it.

use serde::Serialize;

use super::channel::ChannelView;
use super::entry::EntryView;
use super::format::{Instant, counted, link, number};
use super::text::{line, visible};
use super::{Page, page};
use crate::domain::ids::UserId;
use crate::http::admin::cursors;
use crate::services::operator::sessions::SessionPage;
use crate::store::operator::{
    HistoryQuery, OpenSocket, ReplicaStatus, SessionList, SessionOrder, SessionQuery, SessionSummary,
};

const PATH: &str = "/admin/sessions";
/// Channels of a session that its line in the list names.
const LISTED_CHANNELS: usize = 5;
/// Channels that the page of a session shows at once; the others unfold.
const SHOWN_CHANNELS: usize = 12;
/// Characters of a user's id that stand for it in a title, and that are typed to delete the session.
const SHORT_CHARS: usize = 8;

/// A replica that holds sockets.
#[derive(Serialize)]
struct Place {
    /// How many.
    sockets: String,
    /// Empty if it is not known.
    replica: String,
    host: String,
    since: Instant,
}

#[derive(Serialize)]
struct Row {
    user: String,
    href: String,
    created: Instant,
    last_seen: Instant,
    channels: Vec<ChannelView>,
    /// Channels beyond those.
    more_channels: Option<String>,
    places: Vec<Place>,
}

/// Which of the sessions a page shows.
#[derive(Serialize)]
struct Found {
    /// `51–100 of 100,000`
    range: String,
    first: Option<String>,
    next: Option<String>,
}

fn path(user: &UserId) -> String {
    format!("{PATH}/{user}")
}

/// The sockets of a session by replica, in the order of their oldest.
fn places(sockets: &[OpenSocket], replicas: &[ReplicaStatus]) -> Vec<Place> {
    let mut groups: Vec<(&OpenSocket, u64)> = Vec::new();
    for socket in sockets {
        match groups.iter_mut().find(|(first, _)| first.replica == socket.replica) {
            Some((_, many)) => *many += 1,
            None => groups.push((socket, 1)),
        }
    }
    let host = |id: &str| replicas.iter().find(|status| status.info.id == id).map(|status| line(&status.info.host));
    let place = |(first, many): (&OpenSocket, u64)| Place {
        sockets: number(many),
        replica: line(&first.replica),
        host: host(&first.replica).unwrap_or_default(),
        since: first.since.into(),
    };
    groups.into_iter().map(place).collect()
}

fn row(session: &SessionSummary, replicas: &[ReplicaStatus]) -> Row {
    let shown = session.channels.iter().take(LISTED_CHANNELS);
    let more = session.channels.len().saturating_sub(LISTED_CHANNELS);
    Row {
        user: session.user.to_string(),
        href: path(&session.user),
        created: session.created.into(),
        last_seen: session.last_seen.into(),
        channels: shown.map(|channel| ChannelView::new(channel, &session.user)).collect(),
        more_channels: (more > 0).then(|| counted(more as u64, "more channel")),
        places: places(&session.sockets, replicas),
    }
}

/// A page of sessions. `replicas` are those that are alive, for the names of those that hold sockets.
pub(in crate::http::admin) fn sessions(
    list: &SessionList,
    query: &SessionQuery<'_>,
    replicas: &[ReplicaStatus],
) -> Page {
    let search = query.search.unwrap_or_default();
    let order = match query.order {
        SessionOrder::LastSeen => "seen",
        SessionOrder::Created => "created",
    };
    let first = if query.oldest_first { "old" } else { "new" };
    let go = |cursor: &str| link(PATH, &[("q", search), ("order", order), ("first", first), ("cursor", cursor)]);
    let here = list.sessions.len() as u64;
    let total = number(list.total);
    let range = if query.search.is_some() {
        let more = if list.next.is_some() { ", more follow" } else { "" };
        format!("{} found{more}, of {total}", number(here))
    } else if here == 0 {
        format!("0 of {total}")
    } else {
        // The list may have shrunk between the reading of the two numbers.
        let last = list.skipped.saturating_add(here);
        let total = number(list.total.max(last));
        format!("{}–{} of {total}", number(list.skipped.saturating_add(1)), number(last))
    };
    let found = Found {
        range,
        first: query.after.map(|_| go("")),
        next: list.next.as_ref().map(|next| go(&cursors::write_list(next))),
    };
    let mut page = page("admin/sessions.html");
    page.context.insert("search", &visible(search));
    page.context.insert("order", order);
    page.context.insert("first", first);
    page.context.insert("is_first", &query.after.is_none());
    page.context.insert("found", &found);
    page.context.insert("rows", &list.sessions.iter().map(|session| row(session, replicas)).collect::<Vec<_>>());
    page
}

/// A session with what was said in it.
pub(in crate::http::admin) fn session(
    session: &SessionPage,
    query: &HistoryQuery<'_>,
    replicas: &[ReplicaStatus],
) -> Page {
    let summary = &session.summary;
    let own_path = path(&summary.user);
    let direction = query.direction.map(|direction| direction.as_str()).unwrap_or_default();
    let channel = query.channel.map(|channel| channel.as_str()).unwrap_or_default();
    let go = |cursor: &str| link(&own_path, &[("direction", direction), ("channel", channel), ("cursor", cursor)]);
    let entries = session.history.entries.iter();
    let reply =
        |entry: &crate::store::operator::HistoryEntry| entry.record.id().and_then(|id| session.replies.get(&id));
    let name_of = |id: &str| {
        let channel = summary.channels.iter().find(|channel| channel.id.as_str() == id)?;
        channel.name.as_deref().filter(|name| !name.is_empty())
    };
    let entries: Vec<_> = entries.map(|entry| EntryView::new(entry, reply(entry), name_of)).collect();
    let channels: Vec<_> = summary.channels.iter().map(|channel| ChannelView::new(channel, &summary.user)).collect();
    // A filter by a channel that is gone by now stays among the choices.
    let is_known = summary.channels.iter().any(|known| known.id.as_str() == channel);
    let (shown, folded) = channels.split_at(channels.len().min(SHOWN_CHANNELS));

    let mut page = page("admin/session.html");
    let context = &mut page.context;
    insert_summary(context, summary, replicas);
    context.insert("direction", direction);
    context.insert("channel", channel);
    context.insert("lost_channel", &(!channel.is_empty() && !is_known));
    context.insert("channels", &channels);
    context.insert("shown", shown);
    context.insert("folded", folded);
    context.insert("folded_count", &counted(folded.len() as u64, "more channel"));
    context.insert("entries", &entries);
    context.insert("is_filtered", &(query.direction.is_some() || query.channel.is_some()));
    context.insert("unfiltered", &own_path);
    context.insert("is_first", &query.before.is_none());
    context.insert("first", &query.before.map(|_| go("")));
    context.insert("next", &session.history.next.as_ref().map(|next| go(&cursors::write_history(next))));
    page
}

fn insert_summary(context: &mut tera::Context, session: &SessionSummary, replicas: &[ReplicaStatus]) {
    let user = session.user.to_string();
    context.insert("short", &user[..SHORT_CHARS]);
    context.insert("user", &user);
    context.insert("href", &path(&session.user));
    context.insert("created", &Instant::from(session.created));
    context.insert("last_seen", &Instant::from(session.last_seen));
    context.insert("has_public_key", &session.has_public_key);
    context.insert("places", &places(&session.sockets, replicas));
    context.insert("sockets", &counted(session.sockets.len() as u64, "socket"));
    context.insert("channel_count", &counted(session.channels.len() as u64, "channel"));
}

/// The question whether to delete a session.
pub(in crate::http::admin) fn confirm_deletion(session: &SessionSummary) -> Page {
    let mut page = page("admin/delete_session.html");
    insert_summary(&mut page.context, session, &[]);
    page
}
