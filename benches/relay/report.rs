//! What a run found, as a table for people and as JSON.

use serde_json::{Value, json};

/// One figure, with a value for each run and, where it has one, its floor in the same run.
pub struct Row {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
    /// What the floor is, and its values.
    floor: Option<(&'static str, Vec<f64>)>,
    target: Option<Target>,
}

/// What a figure should come to, in the median of its runs.
#[derive(Clone, Copy)]
pub enum Target {
    /// At most so many times the floor.
    RatioAtMost(f64),
    /// At least so many times the floor.
    RatioAtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Row {
    /// A figure without values yet.
    pub fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, values: Vec::new(), floor: None, target: None }
    }

    /// The same with what its floor is.
    pub fn beside(mut self, floor: &'static str) -> Self {
        self.floor = Some((floor, Vec::new()));
        self
    }

    /// The same with what it should come to.
    pub fn aims_at(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Adds a run of a figure that has no floor.
    pub fn add(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Adds a run with its floor.
    pub fn add_beside(&mut self, value: f64, floor: f64) {
        self.values.push(value);
        if let Some((_, floors)) = &mut self.floor {
            floors.push(floor);
        }
    }

    fn ratios(&self) -> Option<Vec<f64>> {
        let (_, floors) = self.floor.as_ref()?;
        Some(self.values.iter().zip(floors).map(|(value, floor)| value / floor).collect())
    }

    fn is_met(&self) -> Option<bool> {
        let ratio = self.ratios().map(|ratios| Spread::of(&ratios).median);
        let value = Spread::of(&self.values).median;
        Some(match self.target? {
            Target::RatioAtMost(most) => ratio? <= most,
            Target::RatioAtLeast(least) => ratio? >= least,
            Target::AtMost(most) => value <= most,
        })
    }

    fn cells(&self) -> [String; 5] {
        let values = Spread::of(&self.values);
        let value = format!("{} {}", values.text(), self.unit).trim_end().to_owned();
        let floor = self.floor.as_ref().map_or(String::new(), |(what, floors)| {
            format!("{} {} ({what})", number(Spread::of(floors).median), self.unit)
        });
        let ratio = self.ratios().map_or(String::new(), |ratios| Spread::of(&ratios).text());
        let target = self.target.map_or(String::new(), |target| {
            let is_met = if self.is_met() == Some(true) { "met" } else { "MISSED" };
            format!("{} {is_met}", target.text())
        });
        [self.name.clone(), value, floor, ratio, target]
    }

    fn to_json(&self) -> Value {
        let mut row = json!({"name": self.name, "unit": self.unit, "value": Spread::of(&self.values).to_json()});
        if let (Some((what, floors)), Some(ratios)) = (&self.floor, self.ratios()) {
            row["floor"] = Spread::of(floors).to_json();
            row["floor"]["is"] = json!(what);
            row["ratio"] = Spread::of(&ratios).to_json();
        }
        if let (Some(target), Some(is_met)) = (self.target, self.is_met()) {
            row["target"] = json!({"is": target.text(), "met": is_met});
        }
        row
    }
}

impl Target {
    fn text(self) -> String {
        match self {
            Self::RatioAtMost(most) => format!("≤ {} ×", number(most)),
            Self::RatioAtLeast(least) => format!("≥ {} ×", number(least)),
            Self::AtMost(most) => format!("≤ {}", number(most)),
        }
    }
}

/// The middle and the ends of some values.
struct Spread {
    median: f64,
    min: f64,
    max: f64,
    count: usize,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
        let count = sorted.len();
        let median = (at(count.saturating_sub(1) / 2) + at(count / 2)) / 2.0;
        Self { median, min: at(0), max: at(count.saturating_sub(1)), count }
    }

    fn text(&self) -> String {
        if self.count < 2 {
            return number(self.median);
        }
        format!("{} ({}–{})", number(self.median), number(self.min), number(self.max))
    }

    fn to_json(&self) -> Value {
        json!({"median": self.median, "min": self.min, "max": self.max, "runs": self.count})
    }
}

/// A number with three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// What stands above the columns.
const HEADINGS: [&str; 5] = ["figure", "median (min–max)", "floor", "ratio (min–max)", "target"];

/// The table as Markdown, padded so that it can be read as it is.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let widths: [usize; 5] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
    lines.insert(1, widths.map(|width| "-".repeat(width)));
    let mut table = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(widths) {
            table.push_str(&format!("| {cell:width$} "));
        }
        table.push_str("|\n");
    }
    table
}

/// Everything as JSON: medians and ends, not rounded.
pub fn to_json(rows: &[Row]) -> Value {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let figures: Vec<_> = rows.iter().map(Row::to_json).collect();
    json!({"version": env!("CARGO_PKG_VERSION"), "processors": processors, "figures": figures})
}
