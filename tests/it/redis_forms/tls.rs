//! TLS with an authority of one's own, and with certificates of clients.

use super::{run, tour};
use crate::support::certificates::Authority;
use crate::support::free_port;
use crate::support::redis::RedisServer;
use crate::support::relay::Setup;

fn server(authority: &Authority, asks_clients: bool) -> RedisServer {
    let port = free_port();
    let mut arguments = authority.server_arguments(port, asks_clients);
    arguments.extend(["--save", "", "--appendonly", "no"].map(str::to_owned));
    RedisServer::with_access(port, arguments, &authority.cli_arguments())
}

fn setup(server: &RedisServer) -> Setup {
    Setup::on(&format!("rediss://127.0.0.1:{}", server.port()), "chaos:")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_when_it_is_named_and_no_other() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = server(&authority, false);
    let setup = setup(&server);
    tour(&setup.clone().with("CHAOS_REDIS_CA", &authority.text("ca.pem"))).await;
    for setup in [setup.clone(), setup.clone().with("CHAOS_REDIS_CA", &other.text("ca.pem"))] {
        let (is_well, said) = run(&setup, "check");
        assert!(!is_well && said.contains("certificate"), "{said}");
    }
    // Under a name that its certificate does not have, the server is not believed either.
    let elsewhere = setup.with("REDIS_URL", &format!("rediss://127.0.0.2:{}", server.port()));
    let (is_well, _) = run(&elsewhere.with("CHAOS_REDIS_CA", &authority.text("ca.pem")), "check");
    assert!(!is_well);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let authority = Authority::new();
    let server = server(&authority, true);
    let trusting = setup(&server).with("CHAOS_REDIS_CA", &authority.text("ca.pem"));
    let (is_well, said) = run(&trusting, "check");
    assert!(!is_well, "{said}");
    let showing = trusting.with("CHAOS_REDIS_CERT", &authority.text("client.pem"));
    tour(&showing.clone().with("CHAOS_REDIS_KEY", &authority.text("client.key"))).await;

    // A key that belongs to another certificate stops the start.
    let (is_well, said) = run(&showing.with("CHAOS_REDIS_KEY", &authority.text("server.key")), "serve");
    assert!(!is_well && said.lines().count() == 1 && said.contains("CHAOS_REDIS_KEY"), "{said}");
}
