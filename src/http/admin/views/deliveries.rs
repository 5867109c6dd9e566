//! Replies that are not delivered.

use serde::Serialize;

use super::entry::DeliveryView;
use super::format::{Instant, link, number, platform};
use super::{Page, page};
use crate::domain::channel::ChannelKind;
use crate::http::admin::cursors;
use crate::services::operator::deliveries::DeliveriesQuery;
use crate::store::operator::{DeliveryCounts, DeliveryEntry, DeliveryPage, DeliveryState};

const PATH: &str = "/admin/deliveries";

/// A list of replies that can be opened.
#[derive(Serialize)]
struct Tab {
    name: &'static str,
    count: String,
    href: String,
    is_open: bool,
}

/// A platform to choose.
#[derive(Serialize)]
struct Choice {
    word: &'static str,
    name: &'static str,
    is_chosen: bool,
}

#[derive(Serialize)]
struct Row {
    response: String,
    /// Where its forms go.
    href: String,
    platform_word: &'static str,
    platform: &'static str,
    user: String,
    user_href: String,
    channel: String,
    channel_href: String,
    at: Instant,
    delivery: DeliveryView,
}

fn title(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "Pending",
        DeliveryState::Retrying => "Retrying",
        DeliveryState::Failed => "Failed",
    }
}

fn row(entry: &DeliveryEntry) -> Row {
    let user_href = format!("/admin/sessions/{}", entry.user);
    Row {
        response: entry.response.to_string(),
        href: format!("{PATH}/{}", entry.response),
        platform_word: entry.kind.as_str(),
        platform: platform(entry.kind),
        user: entry.user.to_string(),
        channel: entry.channel.to_string(),
        channel_href: link(&user_href, &[("channel", entry.channel.as_str())]),
        user_href,
        at: entry.at.into(),
        delivery: (&entry.state).into(),
    }
}

/// A page of replies that are not delivered.
pub(in crate::http::admin) fn deliveries(
    counts: &DeliveryCounts,
    found: &DeliveryPage,
    query: &DeliveriesQuery<'_>,
) -> Page {
    let kind = query.kind.map(|kind| kind.as_str()).unwrap_or_default();
    let tab = |state: DeliveryState| {
        let count = match state {
            DeliveryState::Pending => counts.pending,
            DeliveryState::Retrying => counts.retrying,
            DeliveryState::Failed => counts.failed,
        };
        let href = link(PATH, &[("state", state.as_str()), ("platform", kind)]);
        Tab { name: title(state), count: number(count), href, is_open: state == query.state }
    };
    let choice = |known: crate::domain::channel::ChannelKind| Choice {
        word: known.as_str(),
        name: platform(known),
        is_chosen: query.kind == Some(known),
    };
    let go = |cursor: &str| link(PATH, &[("state", query.state.as_str()), ("platform", kind), ("cursor", cursor)]);
    let when = match query.state {
        DeliveryState::Pending => "Accepted",
        DeliveryState::Retrying => "Next try",
        DeliveryState::Failed => "Failed",
    };
    let send = match query.state {
        DeliveryState::Pending => "Send now",
        DeliveryState::Retrying => "Try now",
        DeliveryState::Failed => "Send again",
    };
    let mut page = page("admin/deliveries.html");
    let context = &mut page.context;
    context.insert("state", query.state.as_str());
    context.insert("title", title(query.state));
    context.insert("tabs", &DeliveryState::ALL.map(tab));
    context.insert("platforms", &ChannelKind::PLATFORMS.map(choice));
    context.insert("platform", &query.kind.map(platform));
    context.insert("when", when);
    context.insert("send", send);
    context.insert("rows", &found.entries.iter().map(row).collect::<Vec<_>>());
    context.insert("is_first", &query.after.is_none());
    context.insert("first", &query.after.map(|_| go("")));
    context.insert("next", &found.next.as_ref().map(|next| go(&cursors::write_list(next))));
    page
}
