//! K3: pods of the application come and go while requests are sent to them.

use cluster::{Chart, Load, Namespace, Options, Report, Servers};
use serde_json::{Value, json};

/// Values for an Outrigger that follows the Service `web` of `namespace`.
pub fn follows(namespace: &Namespace) -> Value {
    let service = json!({ "namespace": namespace.name(), "name": "web", "port": "http" });
    json!({ "config": { "backends": [{ "name": "web", "service": service }] } })
}

/// Waits until each pod of Outrigger knows of so many endpoints.
pub async fn knows(namespace: &Namespace, count: usize) {
    namespace.edge().until(count, |status| status.backend("web").endpoints.len()).await;
}

/// Rolling restart, 2 → 6 → 2, and deletion of pods, at 500 requests per second.
async fn comings_and_goings(name: &str, arguments: &[&str]) -> Report {
    let namespace = Namespace::new(name).await;
    Servers::new("web").arguments(arguments).start(&namespace).await;
    Chart::pack().await.install(namespace.name(), &follows(&namespace)).await;
    let load = Load::start(&namespace, "http://edge-outrigger/", &Options::default()).await;

    namespace.kubectl(&["rollout", "restart", "deployment/web"]).await;
    namespace.rolled_out("deployment/web").await;
    knows(&namespace, 2).await;
    load.wait_for_more(500).await;

    namespace.kubectl(&["scale", "deployment/web", "--replicas=6"]).await;
    namespace.rolled_out("deployment/web").await;
    knows(&namespace, 6).await;
    load.wait_for_more(500).await;
    namespace.kubectl(&["scale", "deployment/web", "--replicas=2"]).await;
    knows(&namespace, 2).await;
    load.wait_for_more(500).await;

    for pod in namespace.pods("app=web").await {
        let pod = pod.metadata.name.unwrap();
        namespace.kubectl(&["delete", "pod", &pod, "--wait=true"]).await;
        namespace.rolled_out("deployment/web").await;
    }
    knows(&namespace, 2).await;
    load.wait_for_more(500).await;
    let report = load.stop().await;
    println!("{name}: {}", report.line());
    assert!(report.servers.len() >= 10, "{:?}", report.servers);
    // At less than this pace, requests hardly meet a pod that is about to end.
    let seconds = report.seconds.last().unwrap().at;
    assert!(report.sent >= seconds * 450, "{} requests in {seconds} s", report.sent);
    namespace.end().await;
    report
}

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn no_request_fails_while_pods_that_serve_for_a_second_more_come_and_go() {
    comings_and_goings("rollout", &["--linger", "1s"]).await.assert_none_failed();
}

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn no_request_that_can_be_sent_again_fails_though_pods_end_at_once() {
    let report = comings_and_goings("abrupt", &[]).await;
    assert!(report.sent > 1000);
    assert_eq!(report.failed.idempotent_no_head, 0, "{:#?}", report.failures);
}
