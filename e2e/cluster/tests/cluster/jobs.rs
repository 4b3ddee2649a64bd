//! K5: Jobs complete beside a sidecar.

use cluster::{Namespace, Servers, manifest};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn a_job_with_a_native_sidecar_completes() {
    let namespace = Namespace::new("native-job").await;
    completes(&namespace, "native-sidecar-job.yaml", "report").await;
    let pod = &finished(&namespace, "report").await;
    let status = pod.status.as_ref().unwrap();
    let sidecar = &status.init_container_statuses.as_ref().unwrap()[0];
    let application = &status.container_statuses.as_ref().unwrap()[0];
    let (sidecar, application) = (ended(sidecar), ended(application));
    // It was told to end when the application had ended, and had nothing to wait for.
    let waited = sidecar.1 - application.1;
    println!("native sidecar: exit code {}, {waited} s after the application", sidecar.0);
    assert_eq!((sidecar.0, application.0), (0, 0));
    assert!(waited <= 3, "{waited} s");
    namespace.end().await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn a_job_with_a_classic_sidecar_completes() {
    let namespace = Namespace::new("classic-job").await;
    completes(&namespace, "classic-sidecar-job.yaml", "classic-report").await;
    let pod = &finished(&namespace, "classic-report").await;
    for container in pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap() {
        assert_eq!(ended(container).0, 0, "{}", container.name);
    }
    namespace.end().await;
}

/// Runs the Job of a manifest, which asks a Service `shop`, to its end.
async fn completes(namespace: &Namespace, file: &str, job: &str) {
    Servers::new("shop").start(namespace).await;
    namespace.apply(&manifest(file)).await;
    let job = format!("job/{job}");
    namespace.kubectl(&["wait", "--for=condition=complete", &job, "--timeout=120s"]).await;
    let said = namespace.kubectl(&["logs", &job, "-c", "app"]).await;
    assert!(said.contains("{\"message\":\"ok\"}"), "{said}");
}

async fn finished(namespace: &Namespace, app: &str) -> Pod {
    let mut pods = namespace.pods(&format!("app={app}")).await;
    assert_eq!(pods.len(), 1, "one try was enough");
    pods.remove(0)
}

/// With which code, and when, in seconds since 1970.
fn ended(container: &ContainerStatus) -> (i32, i64) {
    let state = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    let state = state.unwrap_or_else(|| panic!("{} has not ended: {container:?}", container.name));
    (state.exit_code, state.finished_at.as_ref().expect("a time").0.as_second())
}
