//! The chart of the last hour: what came in stands above the line, what went out hangs below it.
//!
//! The picture holds bars only and is stretched to the width of the page; its labels are text beside it, which stays
//! as large as all other text. The numbers are in a table as well.

use std::fmt::Write as _;

use serde::Serialize;

use super::format::{Instant, number};
use crate::store::operator::{Counter, Counts, Minute};

/// Width of a minute in the picture's own units, the gap to the next included.
const MINUTE: usize = 10;
const BAR: usize = 8;
/// Height of the bars above the line, and of those below it.
const HALF: u64 = 100;
/// Height of the lane for refusals at the bottom, with the gap above it.
const LANE: u64 = 14;
const MARK: u64 = 8;
/// The lowest end of the scale, so that a single message does not fill it.
const LEAST_SCALE: u64 = 4;

/// The chart and what stands around it.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    /// The picture.
    svg: String,
    /// The end of the scale, upwards and downwards.
    scale: String,
    /// What the picture shows, in a sentence.
    summary: String,
    has_refusals: bool,
    /// The numbers, the newest minute first.
    rows: Vec<Row>,
}

/// The numbers of a minute.
#[derive(Debug, Serialize)]
struct Row {
    at: Instant,
    received: String,
    sent: String,
    delivered: String,
    retried: String,
    failed: String,
    refused: String,
}

/// Requests that were refused.
fn refused(counts: &Counts) -> u64 {
    counts.get(Counter::RateLimited).saturating_add(counts.get(Counter::Unauthorized))
}

/// Draws these minutes, the oldest first.
pub(super) fn chart(minutes: &[Minute]) -> Chart {
    let of = |counter: Counter| move |minute: &Minute| minute.counts.get(counter);
    let (received, sent) = (of(Counter::MessagesIn), of(Counter::RepliesOut));
    let most = minutes.iter().map(|minute| received(minute).max(sent(minute))).max().unwrap_or_default();
    let scale = scale(most);
    let total = |number: &dyn Fn(&Minute) -> u64| minutes.iter().map(number).fold(0, u64::saturating_add);
    let all_refused = total(&|minute| refused(&minute.counts));
    let summary = format!(
        "{} in and {} out within {} minutes, at most {} a minute in one direction; {} refused.",
        number(total(&received)),
        number(total(&sent)),
        minutes.len(),
        number(most),
        number(all_refused)
    );
    Chart {
        svg: svg(minutes, scale, &summary),
        scale: number(scale),
        summary,
        has_refusals: all_refused > 0,
        rows: minutes.iter().rev().map(row).collect(),
    }
}

/// The next of 1, 2, 5, 10, 20, 50… that is not below `most`.
fn scale(most: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for step in [1, 2, 5] {
            let end = power.saturating_mul(step);
            if end >= most.max(LEAST_SCALE) {
                return end;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// The height of a bar; what is not nothing can be seen.
fn height(number: u64, scale: u64) -> u64 {
    let height = u128::from(number) * u128::from(HALF) / u128::from(scale.max(1));
    // At most `HALF`, since no number is beyond the scale.
    let height = u64::try_from(height).unwrap_or(HALF).min(HALF);
    if number > 0 { height.max(1) } else { 0 }
}

fn svg(minutes: &[Minute], scale: u64, summary: &str) -> String {
    let (mut above, mut below, mut marks, mut hints) = (String::new(), String::new(), String::new(), String::new());
    let full = 2 * HALF + LANE;
    for (n, minute) in minutes.iter().enumerate() {
        let x = n * MINUTE;
        let (received, sent) = (minute.counts.get(Counter::MessagesIn), minute.counts.get(Counter::RepliesOut));
        let refused = refused(&minute.counts);
        let (up, down) = (height(received, scale), height(sent, scale));
        if up > 0 {
            push(&mut above, format_args!("M{x} {HALF}v-{up}h{BAR}v{up}z"));
        }
        if down > 0 {
            push(&mut below, format_args!("M{x} {HALF}v{down}h{BAR}v-{down}z"));
        }
        if refused > 0 {
            push(&mut marks, format_args!("M{x} {full}v-{MARK}h{BAR}v{MARK}z"));
        }
        if received > 0 || sent > 0 || refused > 0 {
            let clock = &minute.start.to_string()[11..16];
            let (received, sent, refused) = (number(received), number(sent), number(refused));
            let text = format_args!("{clock} UTC: {received} in, {sent} out, {refused} refused").to_string();
            push(
                &mut hints,
                format_args!(r#"<rect x="{x}" width="{MINUTE}" height="{full}"><title>{text}</title></rect>"#),
            );
        }
    }
    let width = minutes.len().max(1) * MINUTE;
    format!(
        r#"<svg class="chart" viewBox="0 0 {width} {full}" preserveAspectRatio="none" role="img" aria-labelledby="chart-title chart-summary"><title id="chart-title">Messages in and out, minute by minute</title><desc id="chart-summary">{summary}</desc><path class="grid" d="M0 0H{width}M0 {quarter}H{width}M0 {three}H{width}M0 {bottom}H{width}"/><path class="in" d="{above}"/><path class="out" d="{below}"/><path class="refused" d="{marks}"/><path class="axis" d="M0 {HALF}H{width}"/><g class="hints">{hints}</g></svg>"#,
        quarter = HALF / 2,
        three = HALF + HALF / 2,
        bottom = 2 * HALF,
    )
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a String takes all that is written");
}

fn row(minute: &Minute) -> Row {
    let shown = |counter: Counter| number(minute.counts.get(counter));
    Row {
        at: minute.start.into(),
        received: shown(Counter::MessagesIn),
        sent: shown(Counter::RepliesOut),
        delivered: shown(Counter::Delivered),
        retried: shown(Counter::Retried),
        failed: shown(Counter::Failed),
        refused: number(refused(&minute.counts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::Timestamp;
    use crate::store::operator::MINUTES_KEPT;

    fn minutes(counts: impl Fn(usize) -> [u64; 7]) -> Vec<Minute> {
        let minute =
            |n: usize| Minute { start: Timestamp::from_millis(n as u64 * 60_000), counts: Counts::new(counts(n)) };
        (0..MINUTES_KEPT).map(minute).collect()
    }

    #[test]
    fn an_hour_without_anything_has_no_bars() {
        for drawn in [chart(&minutes(|_| [0; 7])), chart(&[])] {
            assert!(drawn.svg.contains(r#"class="in" d="""#) && drawn.svg.contains(r#"class="out" d="""#));
            assert!(!drawn.svg.contains("<rect") && !drawn.has_refusals);
            assert_eq!(drawn.scale, "5");
        }
    }

    #[test]
    fn a_spike_fills_the_scale_and_the_least_can_still_be_seen() {
        let drawn = chart(&minutes(|n| match n {
            30 => [1000, 1, 0, 0, 0, 0, 3],
            _ => [0; 7],
        }));
        assert_eq!(drawn.scale, "1,000");
        assert!(drawn.svg.contains(r#"class="in" d="M300 100v-100h8v100z""#), "{}", drawn.svg);
        assert!(drawn.svg.contains(r#"class="out" d="M300 100v1h8v-1z""#));
        assert!(drawn.svg.contains("<title>00:30 UTC: 1,000 in, 1 out, 3 refused</title>"));
        assert!(drawn.has_refusals);
        assert_eq!(drawn.rows.len(), MINUTES_KEPT);
        assert_eq!(drawn.rows[MINUTES_KEPT - 1 - 30].received, "1,000");
    }

    #[test]
    fn no_number_is_too_large() {
        let drawn = chart(&minutes(|_| [u64::MAX; 7]));
        assert_eq!(drawn.scale, "18,446,744,073,709,551,615");
        assert!(drawn.svg.contains("v-100h8v100z"));
        let ends = [0, 4, 5, 6, 11, 21, 51, 99_999].map(scale);
        assert_eq!(ends, [5, 5, 5, 10, 20, 50, 100, 100_000]);
    }
}
