//! Installing, changing and removing the chart.

use cluster::{Chart, Left, Namespace, PodStatus, Servers, eventually, helm, repository};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::discovery::Scope;
use kube::discovery::verbs;
use kube::{Api, Discovery};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn an_installed_chart_serves_and_leaves_nothing_behind() {
    let namespace = Namespace::new("install").await;
    let name = namespace.name();
    Servers::new("app").start(&namespace).await;
    let before = everything(&namespace).await.unwrap();

    let chart = Chart::pack().await;
    let values = json!({
        "config": app("LeastConnections"),
        "test": { "status": "200" },
        "metrics": { "dashboard": { "enabled": true } },
        "networkPolicy": { "enabled": true },
        "configMap": { "source": "Api" },
        "rbac": { "podAnnotation": true, "scope": "Cluster" },
    });
    let notes = chart.install(name, &values).await;
    assert!(
        notes.contains("kubectl -n outrigger-install edit configmap edge-outrigger"),
        "{notes}"
    );
    // A request through the Service, from a pod.
    helm(&["-n", name, "test", "edge", "--timeout", "60s"]).await.unwrap();

    // An upgrade reaches the pods that run: none restarts, and the new configuration is what they run.
    let pods = namespace.edge().names().await;
    let mut changed = values.clone();
    changed["config"] = app("RoundRobin");
    chart.upgrade(name, &changed).await;
    namespace.edge().until_algorithm("app", "RoundRobin").await;
    helm(&["-n", name, "rollback", "edge", "1", "--wait", "--timeout", "120s"]).await.unwrap();
    namespace.edge().until_algorithm("app", "LeastConnections").await;
    assert_eq!(namespace.edge().names().await, pods);
    helm(&["-n", name, "test", "edge", "--timeout", "60s"]).await.unwrap();

    let during = everything(&namespace).await.unwrap();
    for kind in ["Deployment", "Role", "ClusterRole", "ClusterRoleBinding"] {
        assert!(during.difference(&before).any(|(found, _)| found == kind), "{kind}: {during:?}");
    }
    helm(&["-n", name, "uninstall", "edge", "--wait"]).await.unwrap();
    eventually("everything to be gone", async || {
        let left: Vec<_> = everything(&namespace).await?.difference(&before).cloned().collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    namespace.end().await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn a_broken_configuration_is_refused_before_anything_is_changed() {
    let namespace = Namespace::new("broken").await;
    let name = namespace.name();
    let chart = Chart::pack().await;
    let broken = json!({ "config": app("LeastConection") });
    let said = chart.run(&["install", "edge"], name, &broken).await.unwrap_err();
    let job = namespace.kubectl(&["logs", "job/edge-outrigger-check"]).await;
    assert!(job.contains("LeastConection") && job.contains("did you mean"), "{job}");
    println!("helm install says:\n{said}");
    assert!(said.contains("LeastConection"), "{said}");
    assert!(namespace.edge().names().await.is_empty());
    let _ = helm(&["-n", name, "uninstall", "edge", "--wait"]).await;

    // The same for an upgrade: what runs goes on as it is.
    Servers::new("app").start(&namespace).await;
    chart.install(name, &json!({})).await;
    let before = namespace.edge().statuses().await.unwrap();
    let said = chart.run(&["upgrade", "edge"], name, &broken).await.unwrap_err();
    assert!(said.contains("LeastConection"), "{said}");
    let after = namespace.edge().statuses().await.unwrap();
    let told = |pods: &[PodStatus]| -> Vec<_> {
        pods.iter().map(|pod| (pod.pod.clone(), pod.status.generation)).collect()
    };
    assert_eq!((told(&before), before.len()), (told(&after), 2));
    namespace.end().await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn a_service_that_is_there_already_is_taken_over_with_its_address() {
    let namespace = Namespace::new("takeover").await;
    let name = namespace.name();
    // The Service of another ingress, without pods of ours.
    Servers::new("app").start(&namespace).await;
    Servers::new("old-ingress").start(&namespace).await;
    let services = namespace.api::<Service>();
    let address = async || services.get("old-ingress").await.unwrap().spec.unwrap().cluster_ip;
    let before = address().await;
    let chart = Chart::pack().await;
    let values = json!({
        "config": app("LeastConnections"),
        "test": { "status": "200" },
        "service": { "name": "old-ingress" },
    });
    let command = ["install", "--take-ownership", "--force-conflicts", "--wait", "edge"];
    chart.run(&command, name, &values).await.unwrap();
    assert_eq!(address().await, before);
    helm(&["-n", name, "test", "edge", "--timeout", "60s"]).await.unwrap();
    let selector = services.get("old-ingress").await.unwrap().spec.unwrap().selector.unwrap();
    assert_eq!(selector.get("app.kubernetes.io/instance").map(String::as_str), Some("edge"));
    namespace.end().await;
}

/// The namespaces of these tests admit what follows the Pod Security Standard `restricted`, and nothing else.
#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn pods_are_restricted() {
    let namespace = Namespace::new("restricted").await;
    let root = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "root" },
        "spec": { "containers": [{ "name": "root", "image": "root:1" }] },
    });
    let refused = cluster::apply(namespace.name(), &root.to_string()).await.unwrap_err();
    assert!(refused.contains("restricted"), "{refused}");
    // Port 80 without a capability; a DaemonSet; all that a chart can bring.
    let chart = Chart::pack().await;
    Servers::new("app").start(&namespace).await;
    let values = json!({
        "kind": "DaemonSet",
        "check": { "initContainer": true },
        "config": {
            "listeners": [{ "name": "http", "address": "0.0.0.0:80" }],
            "backends": [{ "name": "app", "endpoints": ["http://app"] }],
        },
        "test": { "status": "200" },
    });
    chart.install(namespace.name(), &values).await;
    helm(&["-n", namespace.name(), "test", "edge", "--timeout", "60s"]).await.unwrap();
    let pods = namespace.edge().list().await;
    assert!(!pods.is_empty());
    for pod in pods {
        let uid = |pod: &Pod| pod.spec.as_ref()?.security_context.as_ref()?.run_as_user;
        assert_eq!(uid(&pod), Some(65532));
    }
    namespace.end().await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn helm_finds_no_fault() {
    let chart = repository("charts/outrigger").display().to_string();
    let said = helm(&["lint", "--strict", &chart]).await.unwrap();
    assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{said}");
}

/// A configuration for the Service `app`.
fn app(algorithm: &str) -> Value {
    json!({ "backends": [{ "name": "app", "algorithm": algorithm, "endpoints": ["http://app"] }] })
}

/// All objects of the namespace, and those of the whole cluster that carry our name.
async fn everything(namespace: &Namespace) -> Result<BTreeSet<Left>, String> {
    let discovery = Discovery::new(namespace.client.clone()).run().await;
    let discovery = discovery.map_err(|error| error.to_string())?;
    let mut found = BTreeSet::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            // What comes and goes by itself, or is only another view.
            let is_ours = capabilities.supports_operation(verbs::LIST)
                && !["Event", "PodMetrics", "Lease"].contains(&resource.kind.as_str());
            if is_ours {
                let names = names(namespace, &resource, &capabilities.scope).await?;
                found.extend(names.into_iter().map(|name| (resource.kind.clone(), name)));
            }
        }
    }
    Ok(found)
}

async fn names(
    namespace: &Namespace,
    resource: &ApiResource,
    scope: &Scope,
) -> Result<Vec<String>, String> {
    let client = namespace.client.clone();
    let objects: Api<DynamicObject> = match scope {
        Scope::Namespaced => Api::namespaced_with(client, namespace.name(), resource),
        Scope::Cluster => Api::all_with(client, resource),
    };
    let listed = objects.list(&ListParams::default()).await;
    // What cannot be listed must not look like what is gone.
    let listed = listed.map_err(|error| format!("{}: {error}", resource.kind))?;
    let names = listed.items.into_iter().filter_map(|object| object.metadata.name);
    Ok(match scope {
        Scope::Namespaced => names.collect(),
        Scope::Cluster => names.filter(|name| name.contains("outrigger-install-")).collect(),
    })
}
