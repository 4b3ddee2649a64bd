//! Pods of Outrigger, and what they say.

use crate::{Namespace, Said, eventually};
use e2e::Status;
use k8s_openapi::api::core::v1::Pod;
use std::fmt::Debug;

/// Where a pod tells people everything: on its loopback.
const ADMIN: u16 = 9900;

/// Where a pod tells kubelet and Prometheus.
const PROBES: u16 = 9901;

/// The pods with certain labels.
#[derive(Clone)]
pub struct Pods {
    namespace: Namespace,
    labels: String,
}

/// What a pod says of itself.
#[derive(Clone, Debug)]
pub struct PodStatus {
    /// Its name.
    pub pod: String,
    /// Its `/status`.
    pub status: Status,
}

impl Pods {
    /// Those of `namespace` with `labels`, in the form that kubectl takes.
    pub fn new(namespace: &Namespace, labels: &str) -> Self {
        Self { namespace: namespace.clone(), labels: labels.to_owned() }
    }

    /// Those that are not about to end.
    ///
    /// # Panics
    /// The API server does not tell.
    pub async fn list(&self) -> Vec<Pod> {
        self.namespace.pods(&self.labels).await
    }

    /// Their names.
    ///
    /// # Panics
    /// The API server does not tell.
    pub async fn names(&self) -> Vec<String> {
        self.list().await.into_iter().filter_map(|pod| pod.metadata.name).collect()
    }

    /// Waits until those of these names are gone.
    ///
    /// # Panics
    /// They stay.
    pub async fn gone(&self, names: &[String]) {
        for name in names {
            let pod = format!("pod/{name}");
            self.namespace.kubectl(&["wait", "--for=delete", &pod, "--timeout=90s"]).await;
        }
    }

    /// `/status` of each.
    ///
    /// # Errors
    /// When one does not tell.
    pub async fn statuses(&self) -> Result<Vec<PodStatus>, String> {
        let mut statuses = Vec::new();
        for pod in self.names().await {
            let said = self.ask(&pod, ADMIN, "/status").await?;
            let status = serde_json::from_str(&said.text);
            let status = status.map_err(|error| format!("{error}: {}", said.text))?;
            statuses.push(PodStatus { pod, status });
        }
        Ok(statuses)
    }

    /// Waits until what `told` takes from `/status` is `wanted` in each pod.
    ///
    /// # Panics
    /// It does not become so.
    pub async fn until<T: Debug + PartialEq>(&self, wanted: T, told: impl Fn(&Status) -> T) {
        eventually(&format!("{wanted:?} in all pods"), async || {
            let statuses = self.statuses().await?;
            let found: Vec<_> = statuses.iter().map(|pod| told(&pod.status)).collect();
            let all = !found.is_empty() && found.iter().all(|found| *found == wanted);
            if all { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }

    /// Waits until the algorithm of a backend is this one in each pod.
    ///
    /// # Panics
    /// It does not become so.
    pub async fn until_algorithm(&self, backend: &str, algorithm: &str) {
        self.until(algorithm.to_owned(), |status| status.backend(backend).algorithm.clone()).await;
    }

    /// The value of a series of `/metrics` of `pod`, named as it is there, labels included.
    ///
    /// # Errors
    /// When the pod does not tell, or has no such series.
    pub async fn metric(&self, pod: &str, series: &str) -> Result<f64, String> {
        let said = self.ask(pod, PROBES, "/metrics").await?;
        let found = said.text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = found.ok_or_else(|| format!("no {series} in {}", said.text))?;
        value.parse().map_err(|error| format!("{series} {value}: {error}"))
    }

    async fn ask(&self, pod: &str, port: u16, path: &str) -> Result<Said, String> {
        self.namespace.ask(pod, port, "GET", path).await
    }
}
