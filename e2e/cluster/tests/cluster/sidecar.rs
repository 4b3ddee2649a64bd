//! Sidecars in the pods of an application.

use cluster::{Load, Namespace, Options, Pods, Servers, eventually, manifest};
use serde_json::{Value, json};

/// The most memory that an idle sidecar may have, in bytes.
const IDLE: f64 = 20.0 * 1024.0 * 1024.0;

/// Service → sidecar → application, and a rollout of it under load.
#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn a_native_sidecar_serves_before_its_application_and_ends_after_it() {
    let namespace = Namespace::new("sidecar").await;
    namespace.apply(&manifest("native-sidecar.yaml")).await;
    namespace.rolled_out("deployment/shop").await;
    let load =
        Load::start(&namespace, "http://shop/", &Options { rate: 200, ..Options::default() }).await;
    let pods = Pods::new(&namespace, "app=shop");
    let before = pods.names().await;
    namespace.kubectl(&["rollout", "restart", "deployment/shop"]).await;
    namespace.rolled_out("deployment/shop").await;
    pods.gone(&before).await;
    load.wait_for_more(500).await;
    let report = load.stop().await;
    println!("sidecar: {}", report.line());
    report.assert_none_failed();
    namespace.end().await;
}

/// An application that is told of ports of `localhost`.
#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn an_application_calls_others_by_ports_of_localhost() {
    let namespace = Namespace::new("localhost").await;
    for name in ["shop", "stock-a", "stock-b"] {
        Servers::new(name).replicas(1).start(&namespace).await;
    }
    namespace.apply(&manifest("localhost-port.yaml")).await;
    namespace.rolled_out("deployment/web").await;
    let pod = namespace.pods("app=web").await.remove(0).metadata.name.unwrap();
    let mut asked = Vec::new();
    for port in [8001, 8002] {
        // The pod's loopback, which is where the application calls.
        let said = namespace.ask(&pod, port, "GET", "/").await.unwrap();
        asked.push((said.status, said.text));
    }
    assert_eq!(asked, vec![(200, "{\"message\":\"ok\"}".to_owned()); 2]);
    namespace.end().await;
}

/// The configuration of the demo, in a sidecar that has nothing to do.
#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn an_idle_sidecar_is_small() {
    let namespace = Namespace::new("idle").await;
    let text = std::fs::read_to_string(cluster::repository("config.yaml")).unwrap();
    let text = format!("{text}\nprobes: {{ address: 0.0.0.0:9901 }}\n");
    let mut manifests = cluster::documents(&manifest("native-sidecar.yaml"));
    manifests[0]["data"]["config.yaml"] = json!(text);
    // The eight servers are its application.
    let spec = &mut manifests[1]["spec"];
    spec["replicas"] = json!(1);
    spec["template"]["spec"]["containers"][0]["args"] = json!(["--fleet"]);
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": manifests });
    namespace.apply(&list.to_string()).await;
    namespace.rolled_out("deployment/shop").await;
    let pods = Pods::new(&namespace, "app=shop");
    let pod = pods.names().await.remove(0);
    let known = eventually("all latencies to be known", async || {
        let status = pods.statuses().await?.remove(0).status;
        let endpoints = status.backend("demo").endpoints.clone();
        let known = endpoints.iter().filter(|endpoint| endpoint.latency_ms.is_some()).count();
        if known == 8 { Ok(known) } else { Err(format!("{known} are known")) }
    })
    .await;
    let memory = pods.metric(&pod, "process_resident_memory_bytes").await.unwrap();
    println!("idle sidecar with {known} endpoints: {:.1} MiB", memory / 1024.0 / 1024.0);
    assert!(memory < IDLE, "{memory}");
    namespace.end().await;
}

/// The named template, in a chart that has ours as a dependency.
#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn another_chart_takes_the_sidecar_with_one_line() {
    let namespace = Namespace::new("shop").await;
    let folder = tempfile::tempdir().unwrap();
    copy(&cluster::repository("tests/integration/chart/shop"), folder.path());
    let dependency = folder.path().join("charts/outrigger");
    copy(&cluster::repository("charts/outrigger"), &dependency);
    // It is of an application that the cluster does not have.
    std::fs::remove_file(folder.path().join("templates/job.yaml")).unwrap();
    let images = cluster::images();
    let (repository, tag) = images.outrigger.rsplit_once(':').unwrap();
    let values: Value = json!({
        "image": images.testserver,
        "outrigger": { "image": { "repository": repository, "tag": tag } },
    });
    let file = folder.path().join("tests-values.json");
    std::fs::write(&file, values.to_string()).unwrap();
    let (chart, file) = (folder.path().display().to_string(), file.display().to_string());
    let arguments = [
        "-n",
        namespace.name(),
        "install",
        "--wait",
        "--timeout",
        "120s",
        "shop",
        &chart,
        "--values",
        &file,
    ];
    cluster::helm(&arguments).await.unwrap();
    let load =
        Load::start(&namespace, "http://shop/", &Options { rate: 200, ..Options::default() }).await;
    let report = load.wait_for_more(1000).await;
    report.assert_none_failed();
    namespace.end().await;
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
