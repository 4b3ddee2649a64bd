//! Services as backends: the rights that this takes, and the mode that takes none.

use crate::rollout::{follows, knows};
use cluster::{Chart, Load, Namespace, Options, Servers, eventually, log};
use serde_json::json;

/// Not ready before the endpoints are known; refused once and said once; and no restart when the right comes.
#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn pods_without_the_right_to_follow_a_service_wait_for_it() {
    let namespace = Namespace::new("rights").await;
    Servers::new("web").start(&namespace).await;
    let (chart, mut values) = (Chart::pack().await, follows(&namespace));
    values["rbac"] = json!({ "create": false });
    chart.run(&["install", "edge"], namespace.name(), &values).await.unwrap();
    let edge = namespace.edge();
    let waiting = eventually("both pods to be refused", async || {
        let statuses = edge.statuses().await?;
        for pod in &statuses {
            let refusals = "outrigger_kubernetes_watch_errors_total{resource=\"endpointslices\",reason=\"forbidden\"}";
            let refused = edge.metric(&pod.pod, refusals).await?;
            if refused < 3.0 || pod.status.ready {
                return Err(format!("{} was refused {refused} times", pod.pod));
            }
        }
        if statuses.len() == 2 { Ok(statuses) } else { Err(format!("{statuses:?}")) }
    })
    .await;
    for pod in &waiting {
        assert_eq!(pod.status.not_ready, ["waiting for the endpoints from Kubernetes"]);
        let lines = log(&namespace, &pod.pod, "outrigger").await.unwrap();
        let told = lines.iter().filter(|line| line.text.contains("cannot be followed")).count();
        assert_eq!(told, 1, "{lines:#?}");
    }
    values["rbac"] = json!({});
    chart.upgrade(namespace.name(), &values).await;
    knows(&namespace, 2).await;
    let names: Vec<_> = waiting.into_iter().map(|pod| pod.pod).collect();
    assert_eq!(edge.names().await, names);
    namespace.end().await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn kubernetes_chooses_the_pod_where_that_is_wanted() {
    let namespace = Namespace::new("cluster-ip").await;
    Servers::new("web").start(&namespace).await;
    let service =
        json!({ "namespace": namespace.name(), "name": "web", "port": 80, "mode": "ClusterIP" });
    let values = json!({
        "config": { "backends": [{ "name": "web", "service": service }] },
        "rbac": { "create": false },
    });
    Chart::pack().await.install(namespace.name(), &values).await;
    let load = Load::start(&namespace, "http://edge-outrigger/", &Options::default()).await;
    load.wait_for_more(1000).await;
    let report = load.stop().await;
    report.assert_none_failed();
    assert_eq!(report.servers.len(), 2, "{:?}", report.servers);
    knows(&namespace, 1).await;
    namespace.end().await;
}
