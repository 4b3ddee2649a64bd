//! The endpoints of a Service come and go while a configuration runs.

use super::*;
use crate::kubernetes::testing::FakeApi;
use serde_json::Value;

const SERVED: &str = "
listeners: [{ name: http, address: '127.0.0.1:1' }]
backends: [{ name: web, service: { namespace: shop, name: web, port: http } }]
";

const SLICES: &str = "namespaces/shop/endpointslices";

fn put(api: &FakeApi, addresses: &[&str]) {
    let endpoint = |address: &&str| json!({ "addresses": [address], "zone": "a" });
    let slice = json!({
        "metadata": { "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "endpoints": addresses.iter().map(endpoint).collect::<Value>(),
        "ports": [{ "name": "http", "port": 8080 }],
    });
    api.put(SLICES, "web-1", slice);
}

impl Running {
    async fn with_service(api: &FakeApi) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("config.yaml"), SERVED).unwrap();
        Self::in_folder(folder, &Connection::plain(api.address()))
    }

    fn hosts(&self) -> Vec<String> {
        let snapshot = self.store.load();
        let members = snapshot.backends[0].members().iter();
        members.map(|member| member.endpoint.url().host.to_string()).collect()
    }

    async fn until_hosts(&self, hosts: &[&str]) {
        self.until(&format!("{hosts:?}"), |running| running.hosts() == hosts).await;
    }
}

/// K3
#[tokio::test]
async fn endpoints_that_stay_keep_their_state_and_nobody_takes_it_for_an_edit() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, &["10.0.0.1"]);
        let running = Running::with_service(&api).await;
        running.until_hosts(&["10.0.0.1"]).await;
        let before = running.store.load();
        let kept = Arc::clone(&before.backends[0].members()[0].endpoint);
        let request = kept.begin();
        put(&api, &["10.0.0.2", "10.0.0.1"]);
        running.until_hosts(&["10.0.0.1", "10.0.0.2"]).await;
        let after = running.store.load();
        assert!(Arc::ptr_eq(&kept, &after.backends[0].members()[0].endpoint));
        assert_eq!(kept.in_flight(), 1);
        drop(request);
        assert_eq!(after.model.backends[0].endpoints[0].zone.as_deref(), Some("a"));
        assert_eq!((after.generation, &after.config_hash), (1, &before.config_hash));
        assert_eq!(running.source.counts(), (0, 0, 0));
        assert_eq!(running.source.history.list(), []);
        let (events, _) = running.outlets.events.since(0);
        let last = events.last().unwrap();
        assert_eq!(last.kind, EventKind::Endpoints);
        assert_eq!(last.text, "backend web: endpoint http://10.0.0.2:8080 added");
        let many: Vec<_> = (1..=102).map(|pod| format!("10.0.0.{pod}")).collect();
        put(&api, &many.iter().map(String::as_str).collect::<Vec<_>>());
        running.until("all", |running| running.hosts().len() == 102).await;
        let (events, _) = running.outlets.events.since(0);
        let text = &events.last().unwrap().text;
        assert!(text.ends_with("0.0.22:8080 added; and 80 more"), "{text}");
    })
    .await;
}

/// K3: each change is a snapshot to compile, and wakes every connection.
#[tokio::test]
async fn a_rollout_of_many_pods_is_few_snapshots() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, &["10.0.0.1"]);
        let running = Running::with_service(&api).await;
        running.until_hosts(&["10.0.0.1"]).await;
        let (before, _) = running.outlets.events.since(0);
        let (began, mut last) = (Instant::now(), String::new());
        for pod in 0..200 {
            last = format!("10.0.1.{pod}");
            put(&api, &["10.0.0.1", &last]);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        running.until_hosts(&["10.0.0.1", &last]).await;
        let (after, _) = running.outlets.events.since(0);
        let (snapshots, took) = (after.len() - before.len(), began.elapsed());
        assert!(snapshots as u128 <= took.as_millis() / 50 + 2, "{snapshots} within {took:?}");
        assert!(snapshots > 3, "it is not waited for the end: {snapshots} within {took:?}");
    })
    .await;
}

#[tokio::test]
async fn an_edit_changes_what_it_says_and_no_endpoint_of_a_service() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, &["10.0.0.1"]);
        let running = Running::with_service(&api).await;
        running.until_hosts(&["10.0.0.1"]).await;
        running.write("config.yaml", &format!("# a comment\n{SERVED}"));
        running.until("the look", |running| running.source.counts() == (0, 0, 1)).await;
        assert_eq!(running.store.load().generation, 1);
        running.write(
            "config.yaml",
            &SERVED.replace("name: web, service", "name: web, algorithm: Random, service"),
        );
        running.until("the edit", |running| running.store.load().generation == 2).await;
        assert_eq!(running.hosts(), ["10.0.0.1"], "they were there from the beginning");
        let reloads = running.source.history.list();
        assert_eq!(reloads[0].changes, ["backend web: algorithm RoundRobin → Random"]);
    })
    .await;
}

#[tokio::test]
async fn a_service_that_an_edit_brings_has_its_endpoints_when_the_edit_runs() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, &["10.0.0.1"]);
        let folder = TempDir::new().unwrap();
        let listed = SERVED.replace(
            "service: { namespace: shop, name: web, port: http }",
            "endpoints: ['http://127.0.0.1:9']",
        );
        fs::write(folder.path().join("config.yaml"), &listed).unwrap();
        let running = Running::in_folder(folder, &Connection::plain(api.address()));
        running.write("config.yaml", SERVED);
        running.until("the edit", |running| running.store.load().generation == 2).await;
        assert_eq!(running.hosts(), ["10.0.0.1"]);
        running.write("config.yaml", &listed);
        running.until("the edit", |running| running.store.load().generation == 3).await;
        assert_eq!(running.hosts(), ["127.0.0.1"]);
    })
    .await;
}

/// Because its namespace is mistyped, say, or no Role is for it.
#[tokio::test]
async fn a_backend_keeps_its_endpoints_until_those_of_the_service_that_an_edit_brings_are_known() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, &["10.0.0.1"]);
        api.refuse(Some((403, "Forbidden")));
        let folder = TempDir::new().unwrap();
        let listed = SERVED.replace(
            "service: { namespace: shop, name: web, port: http }",
            "endpoints: ['http://127.0.0.1:9']",
        );
        fs::write(folder.path().join("config.yaml"), &listed).unwrap();
        let running = Running::in_folder(folder, &Connection::plain(api.address()));
        running.write("config.yaml", SERVED);
        running.until("the edit", |running| running.store.load().generation == 2).await;
        assert_eq!(running.hosts(), ["127.0.0.1"]);
        running.write("config.yaml", &SERVED.replace("port: http", "port: http, scheme: Https"));
        running.until("the edit", |running| running.store.load().generation == 3).await;
        assert_eq!(running.hosts(), ["127.0.0.1"]);
        running.write("config.yaml", SERVED);
        running.until("the edit", |running| running.store.load().generation == 4).await;
        api.refuse(None);
        running.until_hosts(&["10.0.0.1"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_service_without_pods_leaves_a_backend_without_endpoints_until_there_are_some() {
    local(async {
        let api = FakeApi::start().await;
        put(&api, &["10.0.0.1"]);
        let running = Running::with_service(&api).await;
        running.until_hosts(&["10.0.0.1"]).await;
        put(&api, &[]);
        running.until_hosts(&[]).await;
        let backend = Arc::clone(&running.store.load().backends[0]);
        let ask = crate::backend::Ask {
            now: crate::clock::Nanos::now(),
            hash: None,
            pinned: None,
            tried: &[],
        };
        let mut rng = fastrand::Rng::with_seed(1);
        assert!(backend.pick(&ask, &mut rng, &mut ()).is_none());
        put(&api, &["10.0.0.9"]);
        running.until_hosts(&["10.0.0.9"]).await;
    })
    .await;
}
