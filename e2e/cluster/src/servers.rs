//! Test servers as an application of the cluster.

use crate::load::{confined, restricted};
use crate::{Namespace, images};
use serde_json::json;

/// A Deployment of test servers and a Service before it, on port 80 (`http`).
#[derive(Clone, Debug)]
pub struct Servers {
    name: String,
    replicas: u32,
    arguments: Vec<String>,
    port: u16,
    named: String,
}

impl Servers {
    /// Two of them; each says the name of its pod in `x-test-server`. They end at once when they are told to.
    pub fn new(name: &str) -> Self {
        let (name, named) = (name.to_owned(), "$(POD_NAME)".to_owned());
        Self { name, replicas: 2, arguments: Vec::new(), port: 8080, named }
    }

    /// So many.
    pub fn replicas(self, replicas: u32) -> Self {
        Self { replicas, ..self }
    }

    /// They listen on this port, which is what they are called in answers.
    pub fn named_by_port(self, port: u16) -> Self {
        Self { port, named: port.to_string(), ..self }
    }

    /// With further arguments.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Applies them, without waiting for anything.
    ///
    /// # Panics
    /// They are refused.
    pub async fn apply(&self, namespace: &Namespace) {
        let Self { name, replicas, arguments, port, named } = self;
        let mut all =
            vec!["--port".to_owned(), port.to_string(), "--host".to_owned(), "0.0.0.0".to_owned()];
        all.extend(["--name".to_owned(), named.clone()]);
        all.extend(arguments.iter().cloned());
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": name },
            "spec": {
                "replicas": replicas,
                "selector": { "matchLabels": { "app": name } },
                "template": {
                    "metadata": { "labels": { "app": name } },
                    "spec": {
                        "terminationGracePeriodSeconds": 10,
                        "automountServiceAccountToken": false,
                        "securityContext": restricted(),
                        "containers": [{
                            "name": "server",
                            "image": images().testserver,
                            "imagePullPolicy": "IfNotPresent",
                            "args": all,
                            "env": [{ "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
                            "ports": [{ "name": "http", "containerPort": port }],
                            "readinessProbe": { "httpGet": { "path": "/health", "port": "http" }, "periodSeconds": 1 },
                            "securityContext": confined(),
                        }],
                    },
                },
            },
        });
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name },
            "spec": {
                "selector": { "app": name },
                "ports": [{ "name": "http", "port": 80, "targetPort": "http" }],
            },
        });
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": [deployment, service] });
        namespace.apply(&list.to_string()).await;
    }

    /// Applies them, and waits until all are ready.
    ///
    /// # Panics
    /// They are refused, or do not start.
    pub async fn start(&self, namespace: &Namespace) {
        self.apply(namespace).await;
        namespace.rolled_out(&format!("deployment/{}", self.name)).await;
    }
}
