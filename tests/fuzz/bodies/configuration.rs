//! Settings: lines of `NAME=value`. A value of a secret that holds [`MARK`] must not be shown anywhere.

use std::collections::HashMap;

use chaos_relay::config::{Config, StoreConfig};
use url::Url;

/// What tells a secret from what else a line shows.
const MARK: &str = "s3cret";

/// Files that the settings name are read, so these stay unset: what is in them is none of an input's business.
const FILES: [&str; 3] = ["CHAOS_REDIS_CA", "CHAOS_REDIS_CERT", "CHAOS_REDIS_KEY"];

/// Variables whose value is a secret.
const SECRETS: [&str; 7] = [
    "CHAOS_ADMIN_KEY",
    "CHAOS_ENCRYPTION_KEY",
    "CHAOS_METRICS_TOKEN",
    "CHAOS_REDIS_SENTINEL_PASSWORD",
    "REDIS_URL",
    "RESEND_API_KEY",
    "RESEND_WEBHOOK_SECRET",
];

pub fn check(input: &[u8]) {
    let input = super::text(input);
    let set: HashMap<&str, &str> = input.split('\n').filter_map(|line| line.split_once('=')).collect();
    let is_open = |name: &str| {
        let value = set.get(name).copied().unwrap_or_default();
        let open = if name == "REDIS_URL" { server(value) } else { value };
        (name == "REDIS_URL" || !SECRETS.contains(&name)) && open.to_lowercase().contains(MARK)
    };
    match Config::read(|name| set.get(name).filter(|_| !FILES.contains(&name)).map(|value| (*value).to_owned())) {
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with(error.name) && line.contains(", but must be "), "{line}");
            assert!(!line.contains('\n'), "more than a line: {line:?}");
            assert!(
                !line.contains(MARK) || (error.name != "REDIS_URL" && is_open(error.name)),
                "a secret is shown: {line}"
            );
        }
        Ok(config) => check_config(&config, is_open),
    }
}

/// What a URL of Redis says besides credentials.
fn server(url: &str) -> &str {
    let rest = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    rest.split_once('?').map_or(rest, |(server, _)| server)
}

fn check_config(config: &Config, is_open: impl Fn(&str) -> bool) {
    for variable in &config.effective {
        assert!(!variable.value.contains(MARK) || is_open(variable.name), "{variable:?}");
    }
    let all_closed = config.effective.iter().all(|variable| !is_open(variable.name));
    assert!(!all_closed || is_open("HOSTNAME") || !format!("{config:?}").contains(MARK), "{config:?}");
    let bases =
        [&config.api_bases.telegram, &config.api_bases.discord, &config.api_bases.slack, &config.api_bases.resend];
    for base in bases.into_iter().chain(&config.public_url) {
        let url = Url::parse(base).expect("a base is a URL");
        assert!(matches!(url.scheme(), "http" | "https") && url.has_host() && !base.ends_with('/'), "{base}");
        assert!(url.query().is_none() && url.fragment().is_none() && url.username().is_empty());
        assert!(Url::parse(&format!("{base}/path")).is_ok_and(|below| below.path().ends_with("/path")));
    }
    assert!((1..=1000).contains(&config.sockets_per_session));
    assert!(config.drain.as_secs() <= 3600);
    assert!(config.delivery.lease > config.delivery.call_timeout);
    assert!(matches!(config.store, StoreConfig::Embedded { .. }) || config.encryption.is_some());
    let limits = &config.limits;
    for limit in [limits.register, limits.webhook, limits.messages, limits.reply, limits.admin_login] {
        assert!(limit.count() >= 1 && !limit.window().is_zero());
    }
}
