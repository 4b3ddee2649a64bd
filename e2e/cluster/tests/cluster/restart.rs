//! K4: Outrigger itself is restarted.

use crate::rollout::follows;
use cluster::{Chart, Load, Namespace, Options, Servers};

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn no_request_fails_while_outrigger_is_restarted() {
    let namespace = Namespace::new("restart").await;
    Servers::new("web").start(&namespace).await;
    Chart::pack().await.install(namespace.name(), &follows(&namespace)).await;
    let before = namespace.edge().names().await;
    let load = Load::start(&namespace, "http://edge-outrigger/", &Options::default()).await;
    namespace.kubectl(&["rollout", "restart", "deployment/edge-outrigger"]).await;
    namespace.rolled_out("deployment/edge-outrigger").await;
    // The old ones serve for drainDelay more, then they close their connections.
    namespace.edge().gone(&before).await;
    let after = namespace.edge().names().await;
    assert!(after.len() == 2 && after.iter().all(|pod| !before.contains(pod)), "{after:?}");
    load.wait_for_more(1000).await;
    let report = load.stop().await;
    println!("restart: {}", report.line());
    report.assert_none_failed();
    // Every connection was given up once at least.
    assert!(report.opened > 20, "{}", report.line());
    namespace.end().await;
}
