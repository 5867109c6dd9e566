//! Which store, and how Redis is reached.

use super::{ConfigError, StoreConfig, Variables, wrong, wrong_secret};
use crate::store::redis::{InvalidPem, RedisCertificates, RedisTarget};

/// The most replicas of Redis that a write can be made to wait for.
const MAX_COPIES: u64 = 5;

const URL: &str = "REDIS_URL";
const CA: &str = "CHAOS_REDIS_CA";
const CERTIFICATE: &str = "CHAOS_REDIS_CERT";
const KEY: &str = "CHAOS_REDIS_KEY";
const SENTINEL_USER: &str = "CHAOS_REDIS_SENTINEL_USER";
const SENTINEL_PASSWORD: &str = "CHAOS_REDIS_SENTINEL_PASSWORD";

pub(super) fn read_store(vars: &mut Variables<'_>) -> Result<StoreConfig, ConfigError> {
    let Some(url) = vars.raw(URL) else {
        vars.note(URL, "", false);
        let dir = vars.text("CHAOS_DATA_DIR", "data");
        return Ok(StoreConfig::Embedded { dir: dir.into() });
    };
    let target = RedisTarget::parse(&url).map_err(|error| wrong_secret(URL, &error))?;
    vars.note(URL, format!("{} (credentials masked)", target.describe()), true);
    let prefix = vars.text("CHAOS_REDIS_PREFIX", "chaos:");
    if prefix.contains(['{', '}']) || prefix.len() > 64 {
        return Err(wrong("CHAOS_REDIS_PREFIX", &prefix, &"at most 64 characters without braces"));
    }
    let target = with_certificates(vars, target)?;
    let target = with_sentinel_credentials(vars, target)?;
    let copies = vars.within("CHAOS_REDIS_WAIT_REPLICAS", "0", 0, MAX_COPIES)?;
    let target = target.with_copies(u8::try_from(copies).expect("it is within its bounds"));
    Ok(StoreConfig::Redis { target, prefix })
}

/// A certificate that nobody would check is a setting that deceives, so without TLS there must be none.
fn with_certificates(vars: &mut Variables<'_>, target: RedisTarget) -> Result<RedisTarget, ConfigError> {
    let paths = [CA, CERTIFICATE, KEY].map(|name| (name, vars.optional(name)));
    if let Some((name, path)) = paths.iter().find_map(|(name, path)| Some((*name, path.as_ref()?))) {
        if !target.is_tls() {
            return Err(wrong(name, path, &"unset, unless REDIS_URL says rediss:// or rediss+…"));
        }
    } else {
        return Ok(target);
    }
    let [(_, ca), (_, certificate), (_, key)] = paths;
    let authorities = match &ca {
        Some(path) => Some(read_pem(CA, path, "certificates", RedisCertificates::check_authorities)?),
        None => None,
    };
    let identity = match (&certificate, &key) {
        (Some(certificate), Some(key)) => {
            let shown = read_pem(CERTIFICATE, certificate, "a certificate", RedisCertificates::check_certificate)?;
            let of_it = |key: &[u8]| RedisCertificates::check_key(&shown, key);
            let key = read_pem(KEY, key, "the private key of CHAOS_REDIS_CERT", of_it)?;
            Some((shown, key))
        }
        (Some(certificate), None) => return Err(wrong(CERTIFICATE, certificate, &"set together with CHAOS_REDIS_KEY")),
        (None, Some(key)) => return Err(wrong(KEY, key, &"set together with CHAOS_REDIS_CERT")),
        (None, None) => None,
    };
    Ok(target.with_certificates(RedisCertificates::new(authorities, identity)))
}

fn read_pem(
    name: &'static str,
    path: &str,
    content: &str,
    check: impl Fn(&[u8]) -> Result<(), InvalidPem>,
) -> Result<Vec<u8>, ConfigError> {
    let expected = |cause: String| wrong(name, path, &format!("the path of a PEM file with {content} ({cause})"));
    let pem = std::fs::read(path).map_err(|error| expected(error.to_string()))?;
    check(&pem).map_err(|error| expected(error.to_string()))?;
    Ok(pem)
}

fn with_sentinel_credentials(vars: &mut Variables<'_>, target: RedisTarget) -> Result<RedisTarget, ConfigError> {
    const EXPECTED: &str = "unset, unless REDIS_URL says redis+sentinel:// or rediss+sentinel://";
    let user = vars.optional(SENTINEL_USER);
    let password = vars.secret(SENTINEL_PASSWORD);
    match (user, password) {
        (Some(user), _) if !target.is_sentinel() => Err(wrong(SENTINEL_USER, &user, &EXPECTED)),
        (None, Some(_)) if !target.is_sentinel() => Err(wrong_secret(SENTINEL_PASSWORD, &EXPECTED)),
        (Some(user), None) => Err(wrong(SENTINEL_USER, &user, &"set together with CHAOS_REDIS_SENTINEL_PASSWORD")),
        (user, Some(password)) => Ok(target.with_sentinel_credentials(user.as_deref(), &password)),
        (None, None) => Ok(target),
    }
}
