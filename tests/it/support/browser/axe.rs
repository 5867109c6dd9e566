//! axe-core: what keeps people with impairments from using a page, as far as a program can tell.

use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use super::Browser;

/// The same version stands in tests/run.
const VERSION: &str = "4.14.1";

static SOURCE: LazyLock<String> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/axe-core-{VERSION}/axe.min.js"));
    let source = std::fs::read_to_string(&path);
    source.unwrap_or_else(|error| panic!("run tests/run once, it fetches axe-core to {}: {error}", path.display()))
});

/// axe takes a page without a background for white, but a browser paints the canvas of the colour scheme.
const PAINT: &str = "
    const transparent = element => getComputedStyle(element).backgroundColor === 'rgba(0, 0, 0, 0)';
    if (transparent(document.documentElement) && transparent(document.body))
        document.documentElement.style.backgroundColor = 'Canvas';
";

/// Without JavaScript a page's timers do not run, and axe waits by them for its next turn. It sets long ones too, to
/// give up on what takes too long; those need not come.
const TIMERS: &str = "window.setTimeout = (run, delay = 0) => { if (delay < 100) Promise.resolve().then(run); };";

const RUN: &str = "return axe.run(document, {resultTypes: ['violations']}).then(results => results.violations)";

/// What axe has against the page: the rule, how bad it is, where, and what would help.
pub async fn violations(browser: &Browser) -> Vec<String> {
    let timers = if browser.options.javascript { "" } else { TIMERS };
    let found = browser.script(&format!("{timers}\n{PAINT}\n{}\n{RUN}", *SOURCE), &[]).await;
    let rules = found.as_array().unwrap_or_else(|| panic!("axe gives a list, not {found}"));
    rules.iter().flat_map(|rule| rule["nodes"].as_array().unwrap().iter().map(move |node| line(rule, node))).collect()
}

fn line(rule: &Value, node: &Value) -> String {
    let targets: Vec<_> = node["target"].as_array().unwrap().iter().map(Value::to_string).collect();
    let summary: Vec<_> = node["failureSummary"].as_str().unwrap_or_default().lines().map(str::trim).collect();
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    format!("{} ({}) at {}: {}", text(&rule["id"]), text(&node["impact"]), targets.join(" "), summary.join(" "))
}

/// Makes sure that axe has nothing against the page.
pub async fn assert_accessible(browser: &Browser) {
    let violations = violations(browser).await;
    assert!(violations.is_empty(), "with {:?} axe finds: {violations:#?}", browser.options);
}
