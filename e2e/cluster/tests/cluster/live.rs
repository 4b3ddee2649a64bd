//! The configuration is live: an edit of the ConfigMap counts while requests are served.

use cluster::{
    Chart, Line, Load, Namespace, Options, PATIENCE, Report, Servers, eventually, images, log,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The servers of the scene: 8081 and 8082 take four seconds.
const PORTS: [u16; 8] = [8081, 8082, 8083, 8085, 8086, 8087, 8088, 8089];

/// An edit counts within this time once it can be known.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(1);

/// The scene in a cluster: eight servers as pods, Outrigger before them, and load.
struct Scene {
    namespace: Namespace,
    load: Load,
    before: Report,
}

impl Scene {
    async fn start(name: &str, source: &str) -> Self {
        let namespace = Namespace::new(name).await;
        for port in PORTS {
            let delay = if port < 8083 { "4s" } else { "0s" };
            let servers = Servers::new(&server(port)).replicas(1).named_by_port(port);
            servers.arguments(&["--delay", delay]).apply(&namespace).await;
        }
        for port in PORTS {
            namespace.rolled_out(&format!("deployment/{}", server(port))).await;
        }
        let values = json!({
            "config": serde_json::from_str::<Value>(&config("LeastConnections")).unwrap(),
            "configMap": { "source": source },
            "rbac": { "podAnnotation": true },
            // Says when kubelet has changed the folder: its link leads elsewhere.
            "extraContainers": [{
                "name": "onlooker",
                "image": images().busybox,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", "old=; while :; do now=$(readlink /config/..data); [ \"$now\" = \"$old\" ] || echo \"$now\"; old=$now; usleep 10000; done"],
                "volumeMounts": [{ "name": "outrigger-config", "mountPath": "/config", "readOnly": true }],
                "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } },
            }],
        });
        let mut values = values;
        if source == "Api" {
            // There is no folder.
            values["extraContainers"] = json!([]);
        }
        Chart::pack().await.install(namespace.name(), &values).await;
        let options = Options { rate: 200, connections: 40, posts: 0.0 };
        let load = Load::start(&namespace, "http://edge-outrigger/", &options).await;
        // The slow servers have been hit, and their latency is known.
        let before = load.wait_for_more(2000).await;
        Self { namespace, load, before }
    }

    async fn patch(&self, text: &str) -> Timestamp {
        let maps = self.namespace.api::<ConfigMap>();
        let patch = Patch::Merge(json!({ "data": { "config.yaml": text } }));
        let at = Timestamp::now();
        maps.patch("edge-outrigger", &PatchParams::default(), &patch).await.unwrap();
        at
    }

    async fn runs(&self, algorithm: &str) {
        self.namespace.edge().until_algorithm("demo", algorithm).await;
    }

    /// Edits the ConfigMap and waits until the edit runs, with all that was known of the endpoints; gives the time of the edit.
    async fn switch(&self) -> Timestamp {
        let before = self.counted().await;
        let edited = self.patch(&config("LeastResponseTime")).await;
        // Where kubelet looks once a minute: it looks at a pod that has changed.
        self.namespace.kubectl(&["annotate", "pods", "--all", "--overwrite", "touched=1"]).await;
        self.runs("LeastResponseTime").await;
        let after = self.counted().await;
        for (key, before) in before {
            assert!(after[&key] >= before, "{key:?} was forgotten");
        }
        edited
    }

    /// How many requests each pod has counted for each endpoint.
    async fn counted(&self) -> BTreeMap<(String, String), u64> {
        let statuses = self.namespace.edge().statuses().await.unwrap();
        let mut counted = BTreeMap::new();
        for pod in statuses {
            for endpoint in &pod.status.backend("demo").endpoints {
                let key = (pod.pod.clone(), endpoint.url.clone());
                assert!(endpoint.latency_ms.is_some(), "{key:?}: {endpoint:?}");
                counted.insert(key, endpoint.requests_total);
            }
        }
        counted
    }

    /// Ends the load after some seconds more, in which the slow servers get nothing new, and says how requests were distributed.
    async fn end(self, what: &str, delays: &[SignedDuration]) {
        let switched = self.load.wait_for(0).await;
        self.load.wait_for_more(3000).await;
        let report = self.load.stop().await;
        report.assert_none_failed();
        let last = report.seconds.last().unwrap().at;
        let first = switched.seconds.last().unwrap().at;
        let slow = |servers: &BTreeMap<String, u64>| -> u64 {
            ["8081", "8082"].iter().filter_map(|port| servers.get(*port)).sum()
        };
        let before = self.before.servers.clone();
        // Requests that were in flight at the switch take up to 4 s.
        let after = report.servers_between(first + 6, last);
        println!("{what}: {}", report.line());
        println!("{what}: LeastConnections: {before:?}");
        println!("{what}: LeastResponseTime: {after:?}");
        let told: Vec<_> = delays.iter().map(SignedDuration::as_millis).collect();
        println!("{what}: an edit counted after {told:?} ms");
        assert!(slow(&before) > 0, "{before:?}");
        let (slow, all) = (slow(&after), after.values().sum::<u64>());
        assert!(all > 500 && slow * 200 <= all, "{slow} of {all}: {after:?}");
        assert!(delays.len() == 2 && delays.iter().all(|delay| *delay <= AT_ONCE), "{delays:?}");
        self.namespace.end().await;
    }
}

fn server(port: u16) -> String {
    format!("server-{port}")
}

fn config(algorithm: &str) -> String {
    let endpoints: Vec<_> = PORTS.map(|port| format!("http://{}", server(port))).into();
    let config = json!({
        "admin": { "address": "127.0.0.1:9900" },
        "probes": { "address": "0.0.0.0:9901" },
        "listeners": [{ "name": "http", "address": "0.0.0.0:8080" }],
        "backends": [{
            "name": "demo",
            "algorithm": algorithm,
            "endpoints": endpoints,
            "healthProbe": { "http": { "path": "/health" } },
            "latencyProbe": { "http": { "path": "/" }, "interval": "1s", "timeout": "5s" },
        }],
    });
    config.to_string()
}

/// K1: kubelet swaps the link `..data`.
#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn an_edit_counts_within_a_second_after_it_has_reached_the_volume() {
    let scene = Scene::start("volume", "Volume").await;
    scene.switch().await;
    let mut delays = Vec::new();
    for pod in scene.namespace.edge().names().await {
        let swapped = last(&scene.namespace, &pod, "onlooker", "..20").await;
        let applied = last(&scene.namespace, &pod, "outrigger", "reload: generation 2").await;
        delays.push(applied.at.duration_since(swapped.at));
    }
    scene.end("volume", &delays).await;
}

/// K2: by the API, kubelet's minute does not count.
#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn an_edit_counts_within_a_second_when_it_is_read_by_the_api() {
    let scene = Scene::start("api", "Api").await;
    let edited = scene.switch().await;
    let mut delays = Vec::new();
    for pod in scene.namespace.edge().names().await {
        let applied = last(&scene.namespace, &pod, "outrigger", "reload: generation 2").await;
        delays.push(applied.at.duration_since(edited));
    }
    scene.end("API", &delays).await;
}

/// A broken edit changes nothing, and is seen wherever somebody may look.
#[tokio::test]
#[ignore = "needs a cluster: make test-cluster"]
async fn a_broken_edit_changes_nothing_and_is_seen_everywhere() {
    let scene = Scene::start("mistake", "Api").await;
    scene.patch(&config("LeastConection")).await;
    let edge = scene.namespace.edge();
    let pods = eventually("the refusal in /status", async || {
        let statuses = edge.statuses().await?;
        let all = statuses.iter().all(|pod| pod.status.refused.is_some());
        if all { Ok(statuses) } else { Err(format!("{statuses:?}")) }
    })
    .await;
    assert_eq!(pods.len(), 2);
    for pod in &pods {
        let status = &pod.status;
        assert_eq!((status.generation, status.config_in_sync, status.ready), (1, false, true));
        assert_eq!(status.backend("demo").algorithm, "LeastConnections");
        let refused = status.refused.as_ref().unwrap();
        assert!(refused.errors.to_string().contains("LeastConection"), "{refused:?}");
        assert_eq!(edge.metric(&pod.pod, "outrigger_config_in_sync").await, Ok(0.0));
        let refusals = edge.metric(&pod.pod, "outrigger_reloads_total{result=\"refused\"}").await;
        assert_eq!(refusals, Ok(1.0));
        let said = last(&scene.namespace, &pod.pod, "outrigger", "LeastConection").await;
        assert!(said.text.contains("did you mean"), "{}", said.text);
        let note = event(&scene.namespace, &pod.pod, "ConfigRefused").await;
        assert!(note.contains("LeastConection"), "{note}");
    }
    // And the next good one is taken.
    scene.patch(&config("RoundRobin")).await;
    scene.runs("RoundRobin").await;
    let mut hashes = Vec::new();
    for pod in edge.list().await {
        let name = pod.metadata.name.unwrap();
        let note = event(&scene.namespace, &name, "ConfigApplied").await;
        assert!(note.contains("generation 2"), "{note}");
        let status = &edge.statuses().await.unwrap()[0].status;
        hashes.push(status.config_hash.clone());
        assert!(note.contains(&status.config_hash), "{note}");
        let info = format!("outrigger_config_info{{hash=\"{}\"}}", status.config_hash);
        assert_eq!(edge.metric(&name, &info).await, Ok(1.0));
        eventually("the annotation", async || {
            let pods = edge.list().await;
            let found = pods.iter().find(|pod| pod.metadata.name.as_ref() == Some(&name)).unwrap();
            let annotations = found.metadata.annotations.clone().unwrap_or_default();
            let hash = annotations.get("outrigger/config-hash").cloned();
            if hash.as_ref() == Some(&status.config_hash) {
                Ok(())
            } else {
                Err(format!("{hash:?}"))
            }
        })
        .await;
    }
    assert!(hashes.len() == 2 && hashes[0] == hashes[1], "all replicas run the same: {hashes:?}");
    scene.load.wait_for_more(500).await;
    let report = scene.load.stop().await;
    println!("broken edit: {}", report.line());
    report.assert_none_failed();
    scene.namespace.end().await;
}

/// The last line of a container's log that contains `text`, which comes at the latest soon.
async fn last(namespace: &Namespace, pod: &str, container: &str, text: &str) -> Line {
    eventually(&format!("{text} in the log of {pod}, for at most {PATIENCE:?}"), async || {
        let lines = log(namespace, pod, container).await?;
        let found = lines.iter().rev().find(|line| line.text.contains(text)).cloned();
        found.ok_or_else(|| format!("{:?}", lines.last()))
    })
    .await
}

/// The note of the newest Event on a pod with this reason.
async fn event(namespace: &Namespace, pod: &str, reason: &str) -> String {
    eventually(&format!("the Event {reason} of {pod}"), async || {
        let events = namespace.api::<Event>().list(&ListParams::default()).await;
        let events = events.map_err(|error| error.to_string())?.items;
        let about = |event: &Event| {
            let regarding =
                event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
            regarding == Some(pod) && event.reason.as_deref() == Some(reason)
        };
        let newest = events
            .iter()
            .filter(|event| about(event))
            .max_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        newest
            .and_then(|event| event.note.clone())
            .ok_or_else(|| format!("{} events", events.len()))
    })
    .await
}
