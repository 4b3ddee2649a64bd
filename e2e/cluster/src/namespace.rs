//! Namespaces in which pods must be restricted, one for each test.

use crate::forward::{self, Said};
use crate::kubectl::said;
use crate::wait::eventually;
use crate::{Pods, apply};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{self as core, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::process::Command;
use std::sync::Arc;

/// Marks the namespaces of the tests. No other one is ever deleted.
const MARK: &str = "outrigger-tests";

/// What was left behind: kind and name.
pub type Left = (String, String);

/// A namespace of a test. It goes with [`Namespace::end`], and what is in it is shown when the test fails.
#[derive(Clone)]
pub struct Namespace {
    /// What talks to the API server.
    pub client: Client,
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
}

impl Namespace {
    /// Makes an empty one, called after `test`; what an earlier run left is deleted first. Pods in it must follow the Pod
    /// Security Standard `restricted`.
    ///
    /// # Panics
    /// The cluster does not let us, or there is one of this name that is not a test's.
    pub async fn new(test: &str) -> Self {
        let client = Client::try_default().await.unwrap_or_else(|error| {
            panic!(
                "no cluster: {error}; `make test-cluster` starts one, or takes that of KUBECONFIG"
            )
        });
        let name = format!("outrigger-{test}");
        let namespaces: Api<core::Namespace> = Api::all(client.clone());
        gone(&namespaces, &name).await;
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": { "pod-security.kubernetes.io/enforce": "restricted", MARK: "true" },
            },
        });
        let namespace = serde_json::from_value(namespace).expect("a namespace");
        namespaces.create(&PostParams::default(), &namespace).await.expect("may make namespaces");
        let this = Self { client, shared: Arc::new(Shared { name }) };
        // Without it no pod is admitted.
        let accounts: Api<core::ServiceAccount> = this.api();
        eventually("the default account", async || {
            accounts.get("default").await.map_err(|error| error.to_string())
        })
        .await;
        this
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The objects of a kind in it.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + DeserializeOwned,
    {
        Api::namespaced(self.client.clone(), self.name())
    }

    /// Applies a manifest.
    ///
    /// # Panics
    /// It is refused.
    pub async fn apply(&self, manifest: &str) {
        let applied = apply(self.name(), manifest).await;
        applied.unwrap_or_else(|error| panic!("kubectl apply: {error}\n{manifest}"));
    }

    /// What kubectl says of this namespace.
    ///
    /// # Panics
    /// It fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        crate::kubectl(&[&["-n", self.name()], arguments].concat()).await
    }

    /// Waits until the pods of `what`, such as `deployment/web`, are those that it wants, and ready.
    ///
    /// # Panics
    /// They do not become so.
    pub async fn rolled_out(&self, what: &str) {
        self.kubectl(&["rollout", "status", what, "--timeout=150s"]).await;
    }

    /// Asks `port` of a pod, on the pod's own loopback.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn ask(
        &self,
        pod: &str,
        port: u16,
        method: &str,
        path: &str,
    ) -> Result<Said, String> {
        forward::ask(&self.api(), pod, port, method, path).await
    }

    /// The pods of Outrigger that the release `edge` has.
    pub fn edge(&self) -> Pods {
        Pods::new(self, "app.kubernetes.io/instance=edge,app.kubernetes.io/component=load-balancer")
    }

    /// The pods with these labels that are not about to end, by name.
    ///
    /// # Panics
    /// The API server does not tell.
    pub async fn pods(&self, labels: &str) -> Vec<Pod> {
        let found = self.api::<Pod>().list(&ListParams::default().labels(labels)).await;
        let mut pods = found.expect("may list pods").items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        pods.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        pods
    }

    /// Deletes it, without waiting for its end.
    ///
    /// # Panics
    /// The API server does not let us.
    pub async fn end(self) {
        let namespaces: Api<core::Namespace> = Api::all(self.client.clone());
        let deleted = namespaces.delete(self.name(), &DeleteParams::default()).await;
        deleted.expect("may delete namespaces");
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let show = |arguments: &[&str]| {
            let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
            let mut command = Command::new(program);
            command.args(["-n", &self.name, "--request-timeout=10s"]).args(arguments);
            let (Ok(text) | Err(text)) = said(&mut command, None);
            eprintln!("--- kubectl {}\n{text}", arguments.join(" "));
        };
        show(&["get", "pods,jobs,services,endpointslices", "-o", "wide"]);
        show(&["get", "events", "--sort-by=.lastTimestamp"]);
        show(&["logs", "-l", "app.kubernetes.io/component=load-balancer", "--tail=60", "--prefix"]);
    }
}

/// Deletes the namespace, if there is one, and waits until it is gone.
async fn gone(namespaces: &Api<core::Namespace>, name: &str) {
    eventually(&format!("the end of an earlier namespace {name}"), async || {
        match namespaces.get_opt(name).await {
            Ok(None) => Ok(()),
            Ok(Some(found)) => {
                let labels = found.metadata.labels.iter().flatten();
                assert!(
                    labels.into_iter().any(|(label, _)| label == MARK),
                    "there is a namespace {name} that no test has made; if it may go: kubectl delete namespace {name}"
                );
                if found.metadata.deletion_timestamp.is_none() {
                    let _ = namespaces.delete(name, &DeleteParams::default()).await;
                }
                Err(format!("{:?}", found.status))
            }
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}
