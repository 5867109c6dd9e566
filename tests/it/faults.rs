//! Everything that can break, broken on purpose while many use the relay: what is acknowledged is received, once and in
//! order, every request is answered, and all is well again in time.
//!
//! Without more words a few faults are tried; `tests/run faults` tries all, and prints what each did.

mod breaking;
mod failover;
pub mod scene;
mod session;
mod table;
mod talk;
mod watch;

use std::time::Duration;

use scene::Size;

/// Says that all faults are wanted. Set by `tests/run faults`.
const ALL: &str = "FAULTS";

fn all_are_wanted() -> bool {
    std::env::var_os(ALL).is_some_and(|value| value == "all")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_nothing_acknowledged_is_lost_or_out_of_order_and_all_is_well_again_in_time() {
    if all_are_wanted() {
        breaking::everything(Size { sessions: 50, pause: Duration::from_millis(600) }).await;
    } else {
        breaking::a_few(Size { sessions: 20, pause: Duration::from_millis(400) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute: `tests/run faults` runs it"]
async fn whichever_redis_is_the_master_nothing_acknowledged_is_lost_or_out_of_order() {
    failover::everything(Size { sessions: 50, pause: Duration::from_millis(600) }).await;
}
