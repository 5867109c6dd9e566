//! A master that Sentinels know.

use super::{run, tour};
use crate::support::certificates::Authority;
use crate::support::relay::Setup;
use crate::support::secrets;
use crate::support::sentinel::{NAME, SENTINEL_PASSWORD, SERVER_PASSWORD, SentinelGroup};

#[tokio::test(flavor = "multi_thread")]
async fn the_master_is_found_though_a_sentinel_is_away() {
    let group = SentinelGroup::start().await;
    let setup = Setup::on(&group.url(), "chaos:");
    tour(&setup).await;
    let (is_well, said) = run(&setup, "check");
    assert!(is_well && said.contains("master main by sentinels"), "{said}");

    let other_name = setup.clone().with("REDIS_URL", &group.url().replace(NAME, "another"));
    let (is_well, said) = run(&other_name, "check");
    assert!(!is_well && said.contains("No such master"), "{said}");
    // A server is no Sentinel, and says so.
    let no_sentinel = setup.with("REDIS_URL", &format!("redis+sentinel://127.0.0.1:{}/{NAME}", group.master_port()));
    let (is_well, said) = run(&no_sentinel, "check");
    assert!(!is_well && said.contains("no Sentinel names the master"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_and_servers_have_their_own_passwords_and_all_speak_tls() {
    for secret in [SERVER_PASSWORD, SENTINEL_PASSWORD] {
        secrets::note(secret);
    }
    let authority = Authority::new();
    let group = SentinelGroup::locked(&authority).await;
    let url = format!("rediss+sentinel://:{SERVER_PASSWORD}@{}/{NAME}", group.hosts());
    let setup = Setup::on(&url, "chaos:")
        .with("CHAOS_REDIS_CA", &authority.text("ca.pem"))
        .with("CHAOS_REDIS_CERT", &authority.text("client.pem"))
        .with("CHAOS_REDIS_KEY", &authority.text("client.key"));
    let (is_well, said) = run(&setup, "check");
    assert!(!is_well && said.contains("no Sentinel names the master"), "{said}");
    let setup = setup.with("CHAOS_REDIS_SENTINEL_PASSWORD", SENTINEL_PASSWORD);
    tour(&setup).await;
    let (is_well, said) = run(&setup, "check");
    assert!(is_well, "{said}");
}
