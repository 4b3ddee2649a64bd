//! Load from a pod of the cluster, which goes on whatever becomes of the API server.

use crate::wait::eventually;
use crate::{Namespace, images};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// The port on which the load tells how it goes.
const CONTROL: u16 = 9000;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests per second.
    pub rate: u32,
    /// Connections, which are kept for as long as the other side keeps them.
    pub connections: u32,
    /// The part of the requests that are POSTs, 1 being all.
    pub posts: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { rate: 500, connections: 20, posts: 0.1 }
    }
}

/// Load that goes on until it is stopped.
pub struct Load {
    namespace: Namespace,
    pod: String,
}

/// What came of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Requests that were begun.
    pub sent: u64,
    /// Those that got a whole answer with a status of 2xx.
    pub ok: u64,
    /// The others.
    pub failed: Failed,
    /// Answers by status.
    pub statuses: BTreeMap<String, u64>,
    /// Answers by the test server that gave them.
    pub servers: BTreeMap<String, u64>,
    /// Connections that were opened.
    pub opened: u64,
    /// The first failures.
    pub failures: Vec<serde_json::Value>,
    /// The same by the second, counted from the start.
    pub seconds: Vec<Second>,
    /// How long answers took, in milliseconds, if there were any.
    pub latency_ms: BTreeMap<String, Option<f64>>,
}

/// Requests that failed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Failed {
    /// GETs of which no response head of an endpoint came, so that they could have been sent again.
    pub idempotent_no_head: u64,
    /// GETs that were cut in the middle of the answer.
    pub idempotent_after_head: u64,
    /// POSTs.
    pub other: u64,
}

/// A second of a load.
#[derive(Clone, Debug, Deserialize)]
pub struct Second {
    /// Which one, counted from 0.
    pub at: u64,
    /// Requests that ended well in it.
    pub ok: u64,
    /// Requests that failed in it.
    pub failed: u64,
    /// Answers by the test server that gave them.
    pub servers: BTreeMap<String, u64>,
}

impl Load {
    /// Puts load on `url` from a pod of `namespace`, and waits until it is answered.
    ///
    /// # Panics
    /// The pod does not start.
    pub async fn start(namespace: &Namespace, url: &str, options: &Options) -> Self {
        let pod = "load".to_owned();
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": pod, "labels": { "app": pod } },
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": false,
                "securityContext": restricted(),
                // Pods are ready before the nodes lead a new Service to them.
                "initContainers": [{
                    "name": "until-answered",
                    "image": images().busybox,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", "until wget -q -O /dev/null \"$0\"; do sleep 0.1; done", url],
                    "securityContext": confined(),
                }],
                "containers": [{
                    "name": pod,
                    "image": images().testserver,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/load"],
                    "args": [
                        "--rate", options.rate.to_string(),
                        "--connections", options.connections.to_string(),
                        "--post-share", options.posts.to_string(),
                        "--control", format!("0.0.0.0:{CONTROL}"),
                        url,
                    ],
                    "securityContext": confined(),
                }],
            },
        });
        namespace.apply(&manifest.to_string()).await;
        let load = Self { namespace: namespace.clone(), pod };
        load.wait_for(u64::from(options.rate)).await;
        load
    }

    /// How it goes.
    ///
    /// # Errors
    /// When the pod does not tell.
    pub async fn report(&self) -> Result<Report, String> {
        self.told("GET", "/report").await
    }

    /// Waits until so many requests in all have ended.
    ///
    /// # Panics
    /// They do not end.
    pub async fn wait_for(&self, requests: u64) -> Report {
        eventually(&format!("{requests} requests"), async || {
            let report = self.report().await?;
            let ended = report.ok + report.failed.total();
            if ended >= requests { Ok(report) } else { Err(format!("{ended} have ended")) }
        })
        .await
    }

    /// Waits until so many more requests have ended.
    ///
    /// # Panics
    /// They do not end.
    pub async fn wait_for_more(&self, requests: u64) -> Report {
        let report = self.wait_for(0).await;
        self.wait_for(report.ok + report.failed.total() + requests).await
    }

    /// Begins no more requests, waits for the ends of those in flight, and says what came of all.
    ///
    /// # Panics
    /// The pod does not tell.
    pub async fn stop(self) -> Report {
        eventually("the report", async || self.told("POST", "/stop").await).await
    }

    async fn told(&self, method: &str, path: &str) -> Result<Report, String> {
        let said = self.namespace.ask(&self.pod, CONTROL, method, path).await?;
        serde_json::from_str(&said.text).map_err(|error| format!("{error}: {}", said.text))
    }
}

impl Failed {
    /// All of them.
    pub fn total(self) -> u64 {
        self.idempotent_no_head + self.idempotent_after_head + self.other
    }
}

impl Report {
    /// # Panics
    /// A request failed; says how. Or hardly any was sent.
    pub fn assert_none_failed(&self) {
        assert!(self.sent > 1000, "only {} requests were sent", self.sent);
        let failed = self.failed.total();
        assert_eq!(failed, 0, "{failed} of {} requests failed: {:#?}", self.sent, self.failures);
    }

    /// The answers by server between two seconds of the load.
    pub fn servers_between(&self, from: u64, to: u64) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for second in self.seconds.iter().filter(|second| (from..to).contains(&second.at)) {
            for (server, count) in &second.servers {
                *sums.entry(server.clone()).or_default() += count;
            }
        }
        sums
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let Self { sent, ok, failed, opened, latency_ms, .. } = self;
        let Failed { idempotent_no_head, idempotent_after_head, other } = failed;
        format!(
            "{sent} requests on {opened} connections, {ok} well; failed: {idempotent_no_head} GETs without a response head, \
             {idempotent_after_head} GETs with one, {other} POSTs; latency in ms {latency_ms:?}"
        )
    }
}

/// The security context of a pod that a restricted namespace admits.
pub(crate) fn restricted() -> serde_json::Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": { "type": "RuntimeDefault" },
    })
}

/// The same for a container.
pub(crate) fn confined() -> serde_json::Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    })
}
