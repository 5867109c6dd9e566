use super::*;

fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

#[test]
fn nothing_needs_to_be_set() {
    let config = read(&[("PORT", ""), ("REDIS_URL", "  ")]).unwrap();
    assert_eq!((config.host.as_str(), config.port), ("0.0.0.0", 8787));
    assert!(matches!(config.store, StoreConfig::Embedded { .. }));
    assert_eq!(config.limits.webhook.to_string(), "60/1m");
    assert_eq!(config.sockets_per_session, 5);
}

#[test]
fn redis_needs_an_encryption_key() {
    let error = read(&[("REDIS_URL", "redis://localhost")]).unwrap_err();
    assert_eq!(error.name, "CHAOS_ENCRYPTION_KEY");
    let key = "00".repeat(32);
    assert!(read(&[("REDIS_URL", "redis://localhost"), ("CHAOS_ENCRYPTION_KEY", &key)]).is_ok());
}

#[test]
fn a_wrong_value_is_named_and_a_secret_is_not_repeated() {
    for (name, value) in [
        ("PORT", "70000"),
        ("CHAOS_RATE_REPLY", "often"),
        ("CHAOS_PUBLIC_URL", "relay.example.org"),
        ("CHAOS_PUBLIC_URL", "https://relay.example.org/?a=1"),
        ("CHAOS_TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("WS_MAX_CONN_PER_USER", "0"),
        ("CHAOS_RESPONSES_REQUIRE_TOKEN", "maybe"),
        ("CHAOS_DRAIN_SECONDS", "-1"),
        ("CHAOS_TELEGRAM_API_BASE", "api.telegram.org"),
        ("CHAOS_EMAIL_DOMAIN", "in example org"),
        ("CHAOS_DELIVERY_LEASE_SECONDS", "34"),
        ("CHAOS_DELIVERY_CALL_SECONDS", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ] {
        let error = read(&[(name, value)]).unwrap_err();
        assert_eq!(error.name, name);
        assert!(error.to_string().contains(value), "{error}");
    }
    for (name, value) in [
        ("CHAOS_ENCRYPTION_KEY", "s3cret"),
        ("REDIS_URL", "postgres://u:s3cret@host"),
        ("RESEND_API_KEY", "s3cret s3cret"),
        ("RESEND_WEBHOOK_SECRET", "whsec_AAAA,whsec_s3cret!"),
    ] {
        let error = read(&[(name, value)]).unwrap_err();
        assert_eq!(error.name, name);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[test]
fn what_is_in_force_is_listed_without_secrets() {
    let key = "ab".repeat(32);
    let config = read(&[
        ("REDIS_URL", "redis://user:s3cret@localhost:7000"),
        ("CHAOS_ENCRYPTION_KEY", &key),
        ("CHAOS_PUBLIC_URL", "https://relay.example.org/base/"),
        ("CHAOS_TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::1"),
    ])
    .unwrap();
    let listed = format!("{:?}", config.effective);
    assert!(!listed.contains("s3cret") && !listed.contains(&key));
    assert!(!format!("{config:?}").contains(&key));
    assert_eq!(config.public_url.as_deref(), Some("https://relay.example.org/base"));
    assert_eq!(config.trusted_proxies.len(), 2);
}

#[test]
fn a_lease_outlasts_the_longest_call() {
    let config = read(&[("CHAOS_DELIVERY_CALL_SECONDS", "45")]).unwrap();
    assert_eq!((config.delivery.call_timeout.as_secs(), config.delivery.lease.as_secs()), (45, 50));
    assert_eq!(read(&[]).unwrap().delivery.lease.as_secs(), 45);
    let error = read(&[("CHAOS_DELIVERY_CALL_SECONDS", "40"), ("CHAOS_DELIVERY_LEASE_SECONDS", "40")]).unwrap_err();
    assert_eq!(error.name, "CHAOS_DELIVERY_LEASE_SECONDS");
}

#[test]
fn mail_takes_several_signing_secrets() {
    let config = read(&[("RESEND_WEBHOOK_SECRET", "whsec_AAECAw==, whsec_BAUGBw==")]).unwrap();
    assert_eq!(config.email.webhook_secrets.len(), 2);
    assert!(!format!("{config:?}").contains("AAECAw"));
}

/// The settings of a Redis with TLS, and whatever else is given.
fn read_redis(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let key = "00".repeat(32);
    let mut all = vec![("REDIS_URL", "rediss://localhost"), ("CHAOS_ENCRYPTION_KEY", &key)];
    all.retain(|(name, _)| vars.iter().all(|(given, _)| given != name));
    all.extend(vars);
    read(&all)
}

#[test]
fn what_redis_needs_is_refused_where_it_would_have_no_effect_or_cannot_work() {
    let dir = tempfile::tempdir().unwrap();
    let no_pem = dir.path().join("no.pem");
    std::fs::write(&no_pem, "s3cret").unwrap();
    let no_pem = no_pem.to_str().unwrap();
    let sentinel = ("REDIS_URL", "redis+sentinel://localhost/main");
    let plain = ("REDIS_URL", "redis://localhost");
    for (vars, name) in [
        (&[("CHAOS_REDIS_CA", "/nowhere/ca.pem")][..], "CHAOS_REDIS_CA"),
        (&[("CHAOS_REDIS_CA", no_pem)], "CHAOS_REDIS_CA"),
        (&[("CHAOS_REDIS_CERT", no_pem)], "CHAOS_REDIS_CERT"),
        (&[("CHAOS_REDIS_KEY", no_pem)], "CHAOS_REDIS_KEY"),
        (&[("CHAOS_REDIS_CERT", no_pem), ("CHAOS_REDIS_KEY", no_pem)], "CHAOS_REDIS_CERT"),
        (&[plain, ("CHAOS_REDIS_CA", no_pem)], "CHAOS_REDIS_CA"),
        (&[plain, ("CHAOS_REDIS_SENTINEL_PASSWORD", "s3cret")], "CHAOS_REDIS_SENTINEL_PASSWORD"),
        (&[sentinel, ("CHAOS_REDIS_SENTINEL_USER", "ann")], "CHAOS_REDIS_SENTINEL_USER"),
        (&[("CHAOS_REDIS_WAIT_REPLICAS", "6")], "CHAOS_REDIS_WAIT_REPLICAS"),
        (&[("REDIS_URL", "rediss://:s3cret@localhost/#insecure")], "REDIS_URL"),
    ] {
        let error = read_redis(vars).unwrap_err();
        assert_eq!(error.name, name);
        let text = error.to_string();
        assert!(!text.contains("s3cret") && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn the_password_for_the_sentinels_is_listed_masked() {
    let config = read_redis(&[
        ("REDIS_URL", "redis+sentinel://ann:s3cret@localhost/main/1"),
        ("CHAOS_REDIS_SENTINEL_PASSWORD", "s3cret-too"),
        ("CHAOS_REDIS_WAIT_REPLICAS", "1"),
    ])
    .unwrap();
    let told = format!("{config:?}");
    assert!(!told.contains("s3cret") && told.contains("master main by sentinels localhost:26379"), "{told}");
}
