//! Who may come in, and over a socket of this machine.

use super::{run, tour};
use crate::support::redis::RedisServer;
use crate::support::relay::Setup;
use crate::support::{eventually, free_port, secrets};

const PASSWORD: &str = "p@ss/w:rd%25 #1?";
const ENCODED: &str = "p%40ss%2Fw%3Ard%2525%20%231%3F";
const WRONG: &str = "not-the-password";

/// A server that knows one user, who may touch the relay's own keys only.
fn server_with_user() -> RedisServer {
    secrets::note(PASSWORD);
    secrets::note(ENCODED);
    secrets::note(WRONG);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.acl");
    let digest = sha256(PASSWORD);
    let users = format!(
        "user default off\n\
         user relay on #{digest} ~chaos:* &chaos:* +@all -@admin -@dangerous +info\n"
    );
    std::fs::write(&file, users).unwrap();
    let arguments = ["--save", "", "--appendonly", "no", "--aclfile", file.to_str().unwrap()];
    let access = ["--no-auth-warning", "--user", "relay", "-a", PASSWORD].map(str::to_owned);
    RedisServer::with_access(free_port(), arguments.map(str::to_owned).to_vec(), &access)
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_touch_only_the_relays_keys_is_enough() {
    let server = server_with_user();
    let setup = Setup::on(&format!("redis://relay:{ENCODED}@127.0.0.1:{}", server.port()), "chaos:");
    tour(&setup).await;
    let (is_well, said) = run(&setup, "check");
    assert!(is_well && said.contains("(credentials masked)"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_not_repeated() {
    let server = server_with_user();
    let setup = Setup::on(&format!("redis://relay:{WRONG}@127.0.0.1:{}", server.port()), "chaos:");
    let (is_well, said) = run(&setup, "check");
    assert!(!is_well && said.contains("invalid username-password pair"), "{said}");
    let replica = setup.start_unready();
    eventually("the log says why", || async { replica.log().contains("invalid username-password pair").then_some(()) })
        .await;
    assert!(!replica.is_ready().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_this_machine_does_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock");
    let path = path.to_str().unwrap();
    secrets::note(PASSWORD);
    let arguments = ["--save", "", "--appendonly", "no", "--unixsocket", path, "--requirepass", PASSWORD];
    let access = ["--no-auth-warning", "-a", PASSWORD].map(str::to_owned);
    let server = RedisServer::with_access(free_port(), arguments.map(str::to_owned).to_vec(), &access);
    let setup = Setup::on(&format!("unix://{path}?db=3&pass={ENCODED}"), "chaos:");
    tour(&setup).await;
    assert!(server.cli(&["-n", "3", "DBSIZE"]).parse::<u32>().unwrap() > 0);
    let (is_well, said) = run(&setup, "check");
    assert!(is_well, "{said}");
}
