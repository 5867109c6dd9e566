//! A replica that is killed.

use super::crowd::{Crowd, Promise};
use crate::support::balancer::Deployment;
use crate::support::relay::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_dies_takes_nothing_with_it_but_the_requests_it_had_under_way() {
    let Deployment { front, setups, mut replicas } = Deployment::start(Setup::on_redis()).await;
    let crowd = Crowd::gather(&front, 4, Promise::UnderWayMayFail).await;
    let accident = async {
        crowd.goes_on().await;
        replicas[0].kill();
        front.misses(0).await;
        crowd.goes_on().await;
        replicas[0] = front.welcomes(0, &setups[0]).await;
        crowd.goes_on().await;
        crowd.end();
    };
    let (story, ()) = tokio::join!(crowd.live(&front), accident);
    let broken = story.closed.iter().filter(|(_, code)| *code == 1006).count();
    assert_eq!(broken, story.closed.len());
    assert!((1..8).contains(&broken), "{broken} of 8 sockets were on the replica");
    // Nobody has more than one request under way, and what comes after goes elsewhere at once.
    assert!(story.failures.iter().all(|failures| *failures <= 1), "{:?}", story.failures);
}
