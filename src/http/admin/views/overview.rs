//! The state of the deployment on one page.

use serde::Serialize;

use super::chart::chart;
use super::entry::LineView;
use super::format::{Badge, Instant, Tone, counted, duration, link, number, took};
use super::text::line;
use super::{Page, page};
use crate::services::operator::overview::{Overview, Recent};
use crate::store::operator::{Counter, Counts, DeliveryState, ReplicaStatus};

/// Minutes that are called the last hour, the one under way included.
const HOUR: usize = 60;
/// A store that takes longer for this page, in milliseconds, makes people wait.
const SLOW_STORE_MS: u128 = 250;
/// Characters of a recent message that are shown. Part of the wire contract.
const SNIPPET_CHARS: usize = 100;

#[derive(Serialize)]
struct Replica {
    id: String,
    host: String,
    version: String,
    uptime: String,
    sockets: String,
    heartbeat: Instant,
    state: Badge,
    /// It answered this request.
    is_self: bool,
}

#[derive(Serialize)]
struct Flow {
    minute: String,
    hour: String,
}

#[derive(Serialize)]
struct Waiting {
    word: &'static str,
    count: String,
    href: String,
    is_any: bool,
}

#[derive(Serialize)]
struct RecentLine {
    line: LineView,
    user: String,
    channel: String,
    href: String,
    channel_href: String,
}

/// The state of the deployment.
pub(in crate::http::admin) fn overview(overview: &Overview) -> Page {
    let pulse = &overview.pulse;
    let now = pulse.minutes.last().map(|minute| minute.counts).unwrap_or_default();
    let mut hour = Counts::default();
    let last_hour = &pulse.minutes[pulse.minutes.len().saturating_sub(HOUR)..];
    last_hour.iter().for_each(|minute| hour.add_all(&minute.counts));
    let flow = |counter: Counter| Flow { minute: number(now.get(counter)), hour: number(hour.get(counter)) };

    let mut page = page("admin/overview.html");
    let context = &mut page.context;
    context.insert("state", &state(overview, &hour));
    context.insert("took", &took(overview.store_time));
    context.insert("kind", overview.store);
    context.insert("uptime", &duration(u64::try_from(overview.uptime.as_millis()).unwrap_or(u64::MAX)));
    context.insert("sessions", &number(pulse.sessions));
    context.insert("sockets", &number(overview.sockets));
    context.insert("received", &flow(Counter::MessagesIn));
    context.insert("sent", &flow(Counter::RepliesOut));
    context.insert("delivered", &flow(Counter::Delivered));
    context.insert("limited", &flow(Counter::RateLimited));
    context.insert("unauthorized", &flow(Counter::Unauthorized));
    context.insert("waiting", &DeliveryState::ALL.map(|state| waiting(overview, state)));
    context.insert("replicas", &pulse.replicas.iter().map(|status| replica(status, overview)).collect::<Vec<_>>());
    context.insert("chart", &chart(last_hour));
    context.insert("recent", &overview.recent.iter().map(recent).collect::<Vec<_>>());
    page
}

/// In a sentence: what an operator should look at, or that there is nothing.
fn state(overview: &Overview, hour: &Counts) -> Badge {
    let replicas = &overview.pulse.replicas;
    let failed = hour.get(Counter::Failed);
    let draining = replicas.iter().filter(|status| status.info.is_draining).count();
    if overview.store_time.as_millis() >= SLOW_STORE_MS {
        return Badge::new(Tone::Bad, format!("The store is slow: it took {}.", took(overview.store_time)));
    }
    if replicas.is_empty() {
        return Badge::new(Tone::Wait, "No heartbeat of a replica has arrived yet.");
    }
    let alive = if replicas.len() == 1 {
        "1 replica is alive".to_owned()
    } else {
        format!("{} replicas are alive", number(replicas.len() as u64))
    };
    if failed > 0 {
        let replies = if failed == 1 { "1 reply".to_owned() } else { format!("{} replies", number(failed)) };
        return Badge::new(Tone::Bad, format!("{replies} failed for good in the last hour; {alive}."));
    }
    if draining > 0 {
        return Badge::new(Tone::Wait, format!("{alive}, {} of them draining.", number(draining as u64)));
    }
    Badge::new(Tone::Good, format!("All is well: {alive}, and no reply failed in the last hour."))
}

fn waiting(overview: &Overview, state: DeliveryState) -> Waiting {
    let counts = &overview.deliveries;
    let count = match state {
        DeliveryState::Pending => counts.pending,
        DeliveryState::Retrying => counts.retrying,
        DeliveryState::Failed => counts.failed,
    };
    let href = link("/admin/deliveries", &[("state", state.as_str())]);
    Waiting { word: state.as_str(), count: number(count), href, is_any: count > 0 }
}

fn replica(status: &ReplicaStatus, overview: &Overview) -> Replica {
    let info = &status.info;
    let state = if info.is_draining { Badge::new(Tone::Wait, "draining") } else { Badge::new(Tone::Good, "alive") };
    Replica {
        id: line(&info.id),
        host: line(&info.host),
        version: line(&info.version),
        uptime: duration(info.uptime),
        sockets: counted(info.sockets, "socket"),
        heartbeat: status.heartbeat.into(),
        state,
        is_self: info.id == overview.replica,
    }
}

fn recent(recent: &Recent) -> RecentLine {
    let user = recent.pointer.user.to_string();
    let href = format!("/admin/sessions/{user}");
    let channel = recent.pointer.channel.to_string();
    RecentLine {
        line: LineView::new(&recent.entry, SNIPPET_CHARS),
        channel_href: link(&href, &[("channel", &channel)]),
        user,
        channel,
        href,
    }
}
