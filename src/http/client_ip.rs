//! Whose request it is, and under which address the caller reached the relay.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderMap};
use ipnet::IpNet;

use super::HttpSettings;
use super::request::header;

fn is_trusted(proxies: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|net| net.contains(&address))
}

/// The client's address: the peer's own, unless the peer is a trusted proxy; then the right-most address in
/// `X-Forwarded-For` that is not one. What cannot be read there ends the walk: nothing to its left can be believed.
pub fn client_ip(request: &HttpRequest, settings: &HttpSettings) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    Some(resolve(peer, request.headers(), &settings.trusted_proxies))
}

fn resolve(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(proxies, client) {
        return client;
    }
    let forwarded: Vec<&str> = headers
        .get_all("X-Forwarded-For")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for hop in forwarded.into_iter().rev() {
        let Some(address) = parse_hop(hop.trim()) else { break };
        client = address.to_canonical();
        if !is_trusted(proxies, client) {
            break;
        }
    }
    client
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    hop.parse::<IpAddr>()
        .or_else(|_| hop.parse::<std::net::SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

/// What starts the URLs that are given out: the configured base, else what the caller used to get here.
pub fn base_url(request: &HttpRequest, settings: &HttpSettings) -> String {
    if let Some(url) = &settings.public_url {
        return url.clone();
    }
    let headers = request.headers();
    let believed = request.peer_addr().is_some_and(|peer| is_trusted(&settings.trusted_proxies, peer.ip()));
    let forwarded = |name: &str| {
        let value = header(headers, name).filter(|_| believed)?;
        Some(value.split(',').next().unwrap_or_default().trim())
    };
    let scheme = match forwarded("X-Forwarded-Proto") {
        Some("https") => "https",
        _ => "http",
    };
    let host = forwarded("X-Forwarded-Host").or_else(|| header(headers, HOST));
    let host = host.filter(|host| is_host(host)).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// Whether the caller reached the relay over HTTPS, as far as a trusted proxy says so or the configured base, if the
/// caller used that.
pub fn is_https(request: &HttpRequest, settings: &HttpSettings) -> bool {
    let headers = request.headers();
    let believed = request.peer_addr().is_some_and(|peer| is_trusted(&settings.trusted_proxies, peer.ip()));
    if believed && let Some(scheme) = header(headers, "X-Forwarded-Proto") {
        return scheme.split(',').next().unwrap_or_default().trim().eq_ignore_ascii_case("https");
    }
    let host = header(headers, HOST).unwrap_or_default();
    let base = settings.public_url.as_deref().and_then(|url| url.strip_prefix("https://"));
    base.is_some_and(|base| base.split('/').next().unwrap_or_default().eq_ignore_ascii_case(host))
}

/// Whether a text can be a host with a port. Anything else would let a caller write into a URL.
fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    !text.is_empty() && text.len() <= 260 && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(value).unwrap());
        }
        resolve(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn a_stranger_cannot_choose_its_address() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn trusted_hops_are_walked_from_the_right() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7, 10.1.1.1", "10.2.2.2"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7, nonsense"]), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn only_a_host_gets_into_a_url() {
        for good in ["localhost:8787", "relay.example.org", "[::1]:80"] {
            assert!(is_host(good));
        }
        for bad in ["", "a/b", "a b", "a@b", "a?b", "a\"b", "a#b"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
