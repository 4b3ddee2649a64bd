//! The API server is away.

use crate::rollout::{follows, knows};
use cluster::{Chart, Load, Namespace, Options, Outage, Servers, eventually, is_own};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn no_request_fails_while_the_api_server_is_away_and_what_was_missed_is_caught_up() {
    if !is_own() {
        return eprintln!("skipped: the cluster of KUBECONFIG is not ours to stop");
    }
    let namespace = Namespace::new("outage").await;
    Servers::new("web").start(&namespace).await;
    let mut values = follows(&namespace);
    values["configMap"] = serde_json::json!({ "source": "Api" });
    Chart::pack().await.install(namespace.name(), &values).await;
    let load = Load::start(&namespace, "http://edge-outrigger/", &Options::default()).await;
    let before = load.report().await.unwrap();

    let outage = Outage::of("kube-apiserver").await;
    // Time itself is what this is about.
    tokio::time::sleep(Duration::from_secs(30)).await;
    outage.end().await;

    let during = load.wait_for(0).await;
    assert!(during.sent > before.sent + 30 * 400, "{} {}", before.sent, during.sent);
    // How long the cluster's own controllers take to come back is their affair.
    namespace.kubectl(&["scale", "deployment/web", "--replicas=4"]).await;
    namespace.rolled_out("deployment/web").await;
    let begun = Instant::now();
    knows(&namespace, 4).await;
    println!("outage: new endpoints were known {:?} after they were ready", begun.elapsed());
    let edge = namespace.edge();
    for pod in edge.names().await {
        let errors = edge.metric(
            &pod,
            "outrigger_kubernetes_watch_errors_total{resource=\"endpointslices\",reason=\"unreachable\"}",
        );
        assert!(errors.await.unwrap() >= 1.0, "{pod} has counted nothing");
        eventually("the watch to stand again", async || {
            let age = "outrigger_kubernetes_watch_age_seconds{resource=\"endpointslices\"}";
            match edge.metric(&pod, age).await? {
                0.0 => Ok(()),
                age => Err(age.to_string()),
            }
        })
        .await;
    }
    load.wait_for_more(500).await;
    let report = load.stop().await;
    println!("outage: {}", report.line());
    report.assert_none_failed();
    assert_eq!(report.servers.len(), 4, "{:?}", report.servers);
    namespace.end().await;
}
