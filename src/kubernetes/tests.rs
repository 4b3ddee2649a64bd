//! Services followed on an API server that forgets, refuses, breaks off and is away.

use super::testing::FakeApi;
use super::*;
use crate::config;
use crate::lifecycle::Lifecycle;
use crate::model::Model;
use crate::telemetry::metrics::{self, Value};
use serde_json::{Value as Json, json};
use std::time::Duration;

const SLICES: &str = "namespaces/shop/endpointslices";
const SERVICES: &str = "namespaces/shop/services";

/// A model whose only backend has its endpoints from the Service shop/web.
pub(super) fn model(port: &str) -> Model {
    let text = format!(
        "
listeners: [{{ name: http, address: '127.0.0.1:1' }}]
backends: [{{ name: web, service: {{ namespace: shop, name: web, port: {port} }} }}]
"
    );
    let surroundings = config::Surroundings::none();
    config::load(text.as_bytes(), "config.yaml", &surroundings).unwrap().model
}

/// An EndpointSlice of `service` with ready endpoints.
fn slice(service: &str, addresses: &[&str]) -> Json {
    let endpoint = |address: &&str| json!({ "addresses": [address] });
    json!({
        "metadata": { "labels": { "kubernetes.io/service-name": service } },
        "addressType": "IPv4",
        "endpoints": addresses.iter().map(endpoint).collect::<Json>(),
        "ports": [{ "name": "http", "port": 8080 }],
    })
}

/// A discovery on an API server.
struct Followed {
    api: FakeApi,
    connection: Connection,
    discovery: Discovery,
    model: Model,
}

impl Followed {
    async fn start(port: &str, first: &[&str]) -> Self {
        let api = FakeApi::start().await;
        api.put(SLICES, "web-1", slice("web", first));
        api.put(SLICES, "api-1", slice("api", &["10.9.9.9"]));
        let connection = Connection::plain(api.address());
        let mut discovery = Discovery::new(connection.clone(), None);
        let model = model(port);
        discovery.follow(&[&model]);
        Self { api, connection, discovery, model }
    }

    fn fill(&mut self) -> Vec<String> {
        self.discovery.take(&mut self.model);
        let endpoints = self.model.backends[0].endpoints.iter();
        endpoints.map(|endpoint| endpoint.url.host.to_string()).collect()
    }

    /// Waits until the backend's endpoints are at `hosts`.
    async fn until(&mut self, hosts: &[&str]) {
        let mut last = self.fill();
        let until = async {
            while last != hosts {
                self.discovery.changed().await;
                last = self.fill();
            }
        };
        // Beyond all that is waited for here, also where the clock is the test's.
        let ended = tokio::time::timeout(Duration::from_secs(120), until).await;
        assert!(ended.is_ok(), "{hosts:?} never came, there are {last:?}");
    }

    fn lists(&self) -> usize {
        self.api.requests().iter().filter(|asked| !asked.contains("watch=")).count()
    }

    fn age(&self) -> f64 {
        let samples = self.connection.watches().samples();
        let mut ages = samples.iter().filter(|sample| sample.metric == &metrics::WATCH_AGE);
        match ages.next().unwrap().value {
            Value::Number(age) => age,
            Value::Durations(_) => unreachable!("it is a gauge"),
        }
    }

    fn errors(&self, reason: Reason) -> u64 {
        self.connection.watches().errors(Resource::EndpointSlices, reason)
    }

    async fn until_counted(&self, reason: Reason, at_least: u64) {
        for _ in 0..2000 {
            if self.errors(reason) >= at_least {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{reason:?} was counted {} times", self.errors(reason));
    }
}

/// K3
#[tokio::test]
async fn endpoints_of_all_slices_come_and_go_with_the_changes_of_a_watch() {
    let mut followed = Followed::start("http", &["10.0.0.1"]).await;
    followed.until(&["10.0.0.1"]).await;
    followed.api.put(SLICES, "web-2", slice("web", &["10.0.0.3", "10.0.0.1"]));
    followed.until(&["10.0.0.1", "10.0.0.3"]).await;
    followed.api.put(SLICES, "web-1", slice("web", &["10.0.0.2"]));
    followed.until(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
    followed.api.delete(SLICES, "web-2");
    followed.until(&["10.0.0.2"]).await;
    followed.api.put(SLICES, "web-1", slice("web", &[]));
    followed.until(&[]).await;
    assert_eq!(followed.lists(), 1, "{:?}", followed.api.requests());
}

#[tokio::test]
async fn a_watch_that_breaks_goes_on_where_it_was() {
    let mut followed = Followed::start("http", &["10.0.0.1"]).await;
    followed.until(&["10.0.0.1"]).await;
    for round in 1..4 {
        followed.api.cut();
        let host = format!("10.0.0.{round}");
        followed.api.put(SLICES, "web-1", slice("web", &[&host]));
        followed.until(&[&host]).await;
    }
    assert_eq!(followed.lists(), 1, "{:?}", followed.api.requests());
}

#[tokio::test]
async fn what_the_api_server_has_forgotten_is_listed_anew_and_what_is_gone_by_then_is_gone() {
    let mut followed = Followed::start("http", &["10.0.0.1"]).await;
    followed.until(&["10.0.0.1"]).await;
    followed.api.put(SLICES, "web-2", slice("web", &["10.0.0.2"]));
    followed.until(&["10.0.0.1", "10.0.0.2"]).await;
    followed.api.go_away(true);
    followed.api.put_unseen(SLICES, "web-1", None);
    followed.api.put_unseen(SLICES, "web-2", Some(slice("web", &["10.0.0.3"])));
    followed.api.go_away(false);
    followed.until(&["10.0.0.3"]).await;
    assert!(followed.errors(Reason::Expired) >= 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_kept_while_the_api_server_is_away_or_refuses_and_mended_after() {
    let mut followed = Followed::start("http", &["10.0.0.1"]).await;
    followed.until(&["10.0.0.1"]).await;
    followed.api.go_away(true);
    followed.until_counted(Reason::Unreachable, 2).await;
    assert_eq!(followed.fill(), ["10.0.0.1"]);
    followed.api.refuse(Some((403, "Forbidden")));
    followed.api.go_away(false);
    followed.until_counted(Reason::Forbidden, 2).await;
    assert_eq!(followed.fill(), ["10.0.0.1"]);
    followed.api.refuse(Some((500, "InternalError")));
    followed.until_counted(Reason::Unavailable, 1).await;
    followed.api.refuse(None);
    followed.api.put(SLICES, "web-1", slice("web", &["10.0.0.7"]));
    followed.until(&["10.0.0.7"]).await;
}

/// Lists of a thousand of us are the last that an API server needs that has just come back.
#[tokio::test(start_paused = true)]
async fn what_an_api_server_cannot_tell_at_the_moment_is_not_listed_anew() {
    let mut followed = Followed::start("http", &["10.0.0.1"]).await;
    followed.until(&["10.0.0.1"]).await;
    for (code, reason, counted) in [
        (429, "TooManyRequests", Reason::Unavailable),
        (503, "ServiceUnavailable", Reason::Unavailable),
        (401, "Unauthorized", Reason::Unauthorized),
    ] {
        let before = followed.errors(counted);
        followed.api.refuse(Some((code, reason)));
        followed.api.cut();
        followed.until_counted(counted, before + 1).await;
        assert_eq!(followed.fill(), ["10.0.0.1"]);
    }
    followed.api.refuse(None);
    followed.api.put(SLICES, "web-1", slice("web", &["10.0.0.7"]));
    followed.until(&["10.0.0.7"]).await;
    assert_eq!(followed.lists(), 1, "{:?}", followed.api.requests());
}

/// Such as a version from the time before the API server's data were restored from a backup.
#[tokio::test(start_paused = true)]
async fn what_the_api_server_cannot_go_on_from_is_listed_anew_after_a_while() {
    let mut followed = Followed::start("http", &["10.0.0.1"]).await;
    followed.until(&["10.0.0.1"]).await;
    followed.api.refuse_watches((504, "Timeout"));
    followed.api.put_unseen(SLICES, "web-1", Some(slice("web", &["10.0.0.7"])));
    followed.until(&["10.0.0.7"]).await;
    assert!(followed.lists() > 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_watch_lists_have_to_do() {
    let mut followed = Followed::start("http", &["10.0.0.1"]).await;
    followed.until(&["10.0.0.1"]).await;
    followed.api.refuse_watches((403, "Forbidden"));
    followed.until_counted(Reason::Forbidden, 1).await;
    followed.api.put(SLICES, "web-1", slice("web", &["10.0.0.2"]));
    followed.until(&["10.0.0.2"]).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(followed.age() < 6.0, "each list is news: {}", followed.age());
}

#[tokio::test]
async fn readiness_waits_for_the_first_list_and_for_nothing_else() {
    let lifecycle = Lifecycle::new();
    let gate = lifecycle.hold_ready("endpoints from Kubernetes");
    let mut followed = Followed::start("http", &["10.0.0.1"]).await;
    followed.api.refuse(Some((403, "Forbidden")));
    followed.discovery = Discovery::new(followed.connection.clone(), Some(gate));
    followed.discovery.follow(&[&followed.model]);
    followed.until_counted(Reason::Forbidden, 1).await;
    followed.discovery.settle(Duration::from_millis(1)).await;
    assert_eq!(followed.fill(), [""; 0]);
    followed.discovery.in_use();
    assert!(!lifecycle.ready());
    assert_eq!(lifecycle.held_by(), ["endpoints from Kubernetes"]);
    followed.api.refuse(None);
    followed.until(&["10.0.0.1"]).await;
    assert!(!lifecycle.ready(), "they are not in use yet");
    followed.discovery.in_use();
    assert!(lifecycle.ready());
}

#[tokio::test]
async fn a_port_by_number_is_looked_up_in_the_service_and_follows_its_name() {
    let mut followed = Followed::start("80", &["10.0.0.1"]).await;
    let service =
        |name: &str| json!({ "metadata": {}, "spec": { "ports": [{ "name": name, "port": 80 }] } });
    followed.discovery.settle(Duration::from_secs(20)).await;
    assert_eq!(followed.fill(), [""; 0], "there is no such Service");
    followed.api.put(SERVICES, "web", service("http"));
    followed.until(&["10.0.0.1"]).await;
    followed.api.put(SERVICES, "web", service("other"));
    followed.until(&[]).await;
}

#[tokio::test]
async fn a_service_that_no_model_names_any_more_is_not_watched() {
    let mut followed = Followed::start("http", &["10.0.0.1"]).await;
    followed.until(&["10.0.0.1"]).await;
    assert!(!followed.connection.watches().samples().is_empty());
    followed.discovery.follow(&[]);
    for _ in 0..2000 {
        if followed.connection.watches().samples().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(followed.connection.watches().samples(), []);
    assert_eq!(followed.fill(), ["10.0.0.1"], "what it has it keeps");
    followed.model = model("http");
    assert_eq!(followed.fill(), [""; 0]);
}
