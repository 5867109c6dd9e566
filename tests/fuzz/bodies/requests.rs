//! What is read of a request besides its body: who sends it, under which address it came, its query and token. Six
//! parts: `X-Forwarded-For`, `X-Forwarded-Host`, `X-Forwarded-Proto`, `Host`, `Authorization`, query.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderValue;
use actix_web::test::TestRequest;
use chaos_relay::http::HttpSettings;
use chaos_relay::http::client_ip::{base_url, client_ip, is_https};
use chaos_relay::http::request::{Query, bearer, json_object};
use form_urlencoded::byte_serialize;
use ipnet::IpNet;

pub fn check(input: &[u8]) {
    let [forwarded_for, forwarded_host, forwarded_proto, host, authorization, query] = super::parts(input);
    let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a net"), "fd00::/8".parse().expect("a net")];
    let settings = HttpSettings { public_url: None, trusted_proxies: proxies.clone().into(), metrics_token: None };
    let query: String = byte_serialize(query).collect::<String>().replace("%26", "&").replace("%3D", "=");
    for peer in ["192.0.2.1:4711", "10.0.0.1:4711"] {
        let peer: SocketAddr = peer.parse().expect("an address");
        let mut request = TestRequest::get().uri(&format!("/messages?{query}")).peer_addr(peer);
        for (name, value) in [
            ("x-forwarded-for", forwarded_for),
            ("x-forwarded-host", forwarded_host),
            ("x-forwarded-proto", forwarded_proto),
            ("host", host),
            ("authorization", authorization),
        ] {
            for value in value.split(|byte| *byte == b'\n').filter_map(|value| HeaderValue::from_bytes(value).ok()) {
                request = request.append_header((name, value));
            }
        }
        let request = request.to_http_request();
        let is_trusted = |address: IpAddr| proxies.iter().any(|net| net.contains(&address));
        let client = client_ip(&request, &settings).expect("there is a peer");
        assert_eq!(client, client.to_canonical());
        if is_trusted(peer.ip()) {
            let said = super::text(forwarded_for);
            assert!(client == peer.ip() || !said.is_empty());
        } else {
            assert_eq!(client, peer.ip(), "a stranger chose its address");
        }
        let base = base_url(&request, &settings);
        let name = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://")).expect("it has a scheme");
        assert!((1..=260).contains(&name.len()));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)), "{name}");
        assert!(is_trusted(peer.ip()) || !is_https(&request, &settings), "a stranger's word is taken");
        if let Some(token) = bearer(request.headers()) {
            assert_eq!(token, token.trim());
        }
        let query = Query::of(&request);
        if let Ok(Some(number)) = query.number("limit", 1, 100) {
            assert!((1..=100).contains(&number));
        }
        assert!(query.get("since").is_some() || matches!(query.timestamp("since"), Ok(None)));
        assert!(query.get("token").is_none_or(|token| !token.is_empty()));
    }
    if let Ok(object) = json_object(input) {
        assert!(input.iter().filter(|byte| **byte == b'"').count() >= 2 * object.len());
    }
}
