//! Which requests are traced although the share leaves them out: those that failed, were tried again or were slow.

use crate::traces::{get, told, traced};
use e2e::{Answer, Collector, Connection, Otlp, Outrigger, Span};
use serde_json::{Value, json};
use testserver::{Server, Step};

/// Slower than `SLOWER_THAN`, which nothing else here is, even on a machine that is busy.
const SLOW: &str = "/?delay=2200ms";
const SLOWER_THAN: &str = "2s";
const FAILED: &str = "/status/500";
/// 503 of the first endpoint, which is tried again, and 200 of the second.
const TRIED_AGAIN: &str = "/sometimes";

struct Scene {
    endpoints: [Server; 2],
    collector: Collector,
    outrigger: Outrigger,
}

impl Scene {
    /// A process that traces nothing by chance, and keeps what `keep` says.
    async fn start(keep: &str) -> Self {
        let endpoints = [
            Server::builder().name("one").start().await.unwrap(),
            Server::builder().name("two").start().await.unwrap(),
        ];
        endpoints[0].script(TRIED_AGAIN, [Step::answer(503, "no")]);
        endpoints[1].script(TRIED_AGAIN, [Step::answer(200, "yes")]);
        let collector = Collector::start().await;
        let more = format!("    sample: 0%\n    keep: {keep}\n");
        let urls: Vec<_> = endpoints.iter().map(Server::url).collect();
        let yaml = traced(Otlp::Grpc, &collector.endpoint(Otlp::Grpc), &more, &urls);
        Self { endpoints, collector, outrigger: Outrigger::start(&yaml).await }
    }

    /// A GET of whom nobody has traced yet.
    async fn ask(&self, path: &str) -> Answer {
        let mut connection = Connection::open(self.outrigger.address()).await.unwrap();
        let request = http::Request::get(path).body(bytes::Bytes::new().into()).unwrap();
        connection.send(request).await.unwrap()
    }

    /// One request of each kind, with the flags of a caller or without a caller.
    async fn ask_each(&self, caller: Option<&str>) {
        let ask = async |path: &str| match caller {
            Some(flags) => get(&self.outrigger, path, flags).await,
            None => self.ask(path).await,
        };
        assert_eq!(ask(FAILED).await.status, 500);
        assert_eq!(ask(SLOW).await.status, 200);
        // Whose turn it is nobody knows; the one that had a 503 was tried again.
        let [one, _] = &self.endpoints;
        let before = one.requests_to(TRIED_AGAIN);
        while one.requests_to(TRIED_AGAIN) == before {
            assert_eq!(ask(TRIED_AGAIN).await.status, 200);
        }
    }

    /// The spans of requests once that of `path` is there, before which all others were handed over.
    async fn until(&self, path: &str) -> Vec<Span> {
        let has_come = |spans: &[Span]| {
            let servers: Vec<_> = servers(spans).cloned().collect();
            servers.iter().any(|span| span.get("url.path") == path).then_some(servers)
        };
        self.collector.until(path, has_come).await
    }
}

fn servers(spans: &[Span]) -> impl Iterator<Item = &Span> {
    spans.iter().filter(|span| span.kind == "SERVER")
}

/// O1, O2
#[tokio::test]
async fn what_failed_was_tried_again_or_was_slow_is_kept_and_nothing_else() {
    let scene = Scene::start(&format!("{{ slowerThan: {SLOWER_THAN} }}")).await;
    let ordinary = scene.ask("/echo").await;
    let passed_on = told(&ordinary, "traceparent");
    // The trace's id is random, which level 2 of Trace Context says by a flag.
    assert!(passed_on.ends_with("-02"), "endpoints are told what was decided: {passed_on}");
    scene.ask_each(None).await;
    // Nobody may have been slow but the one that was asked to be.
    let kept = scene.until(TRIED_AGAIN).await;
    let mut paths: Vec<_> =
        kept.iter().map(|span| span.get("url.path").as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/", TRIED_AGAIN, FAILED], "{kept:#?}");
    let spans = scene.collector.spans();
    for span in &kept {
        assert_eq!(span.get("outrigger.sampled_late"), true, "{span:#?}");
        let attempts: Vec<_> = spans.iter().filter(|other| other.parent == span.id).collect();
        let tried_again = span.get("url.path") == TRIED_AGAIN;
        assert_eq!(attempts.len(), if tried_again { 2 } else { 1 }, "{attempts:#?}");
        assert!(attempts.iter().all(|attempt| attempt.trace == span.trace), "{attempts:#?}");
        assert_eq!(span.is_error, span.get("url.path") == FAILED, "{span:#?}");
    }
    scene.outrigger.stop().await;
}

#[tokio::test]
async fn nothing_is_kept_where_the_configuration_keeps_nothing() {
    let scene = Scene::start("{ errors: false, retries: false, slowerThan: 0s }").await;
    scene.ask_each(None).await;
    // A caller's trace is followed whatever the share, and comes last.
    get(&scene.outrigger, "/echo", "01").await;
    let kept = scene.until("/echo").await;
    assert_eq!(kept.len(), 1, "{kept:#?}");
    assert_eq!(kept[0].get("outrigger.sampled_late"), &Value::Null);
    scene.outrigger.stop().await;
}

/// O1: a caller that decided against a trace would get pieces of one.
#[tokio::test]
async fn a_callers_decision_against_a_trace_is_not_overruled_by_what_became_of_the_request() {
    let scene = Scene::start(&format!("{{ slowerThan: {SLOWER_THAN} }}")).await;
    scene.ask_each(Some("00")).await;
    get(&scene.outrigger, "/echo", "01").await;
    let kept = scene.until("/echo").await;
    let paths: Vec<_> = kept.iter().map(|span| span.get("url.path").clone()).collect();
    assert_eq!(paths, [json!("/echo")], "{kept:#?}");
    scene.outrigger.stop().await;
}
