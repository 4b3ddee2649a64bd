//! What health probes find, as the log and `/status` tell it.

use crate::scene::config;
use e2e::{Connection, Outrigger, eventually};
use testserver::{Server, Step};

const PROBE: &str =
    "    healthProbe: { http: { path: /health }, interval: 20ms, minimumHealthy: SHARE }\n";

fn two(servers: [&Server; 2], minimum: &str) -> String {
    config("Random", &servers.map(Server::url), &PROBE.replace("SHARE", minimum))
}

fn fail(server: &Server) {
    server.script("/health", [Step::answer(500, "no")]);
}

fn times(outrigger: &Outrigger, text: &str) -> usize {
    outrigger.log().all().iter().filter(|line| line.contains(text)).count()
}

const PANIC: &str =
    "backend demo: too few endpoints are healthy, all count as healthy until more are";
const CALM: &str =
    "backend demo: enough endpoints are healthy, unhealthy ones get no traffic again";

#[tokio::test]
async fn every_transition_is_logged_with_its_reason_and_so_is_panic() {
    let (first, second) =
        (Server::builder().start().await.unwrap(), Server::builder().start().await.unwrap());
    let outrigger = Outrigger::start(&two([&first, &second], "0%")).await;
    let endpoint = |server: &Server| format!("endpoint {} of backend demo: ", server.url());
    let fell = "healthy → unhealthy: 3 probes in a row failed, the last with: status 500, expected 200-399";
    let rose = "unhealthy → healthy: 2 probes in a row passed";

    fail(&first);
    let line = outrigger.logged(&format!("{}{fell}", endpoint(&first))).await;
    assert!(line.contains("WARN"), "{line}");
    let status = outrigger.status().await;
    let told = status.backend("demo").endpoint(&first.url());
    assert_eq!((told.health.state.as_str(), told.eligible), ("unhealthy", false));
    assert!(told.health.reason.as_ref().is_some_and(|reason| reason.contains("status 500")));
    first.unscript("/health");
    let line = outrigger.logged(&format!("{}{rose}", endpoint(&first))).await;
    assert!(line.contains("INFO"), "{line}");
    assert_eq!(times(&outrigger, PANIC), 0);

    fail(&first);
    fail(&second);
    let line = outrigger.logged(PANIC).await;
    assert!(line.contains("WARN"), "{line}");
    outrigger.until("the panic", |status| status.backend("demo").panic).await;
    second.unscript("/health");
    let line = outrigger.logged(CALM).await;
    assert!(line.contains("INFO"), "{line}");
    outrigger.logged(&format!("{}{rose}", endpoint(&second))).await;
    outrigger.until("its end", |status| !status.backend("demo").panic).await;
    assert_eq!((times(&outrigger, PANIC), times(&outrigger, CALM)), (1, 1));
    outrigger.stop().await;
}

#[tokio::test]
async fn panic_that_an_edit_brings_or_ends_is_logged() {
    let (first, second) =
        (Server::builder().start().await.unwrap(), Server::builder().start().await.unwrap());
    fail(&first);
    let outrigger = Outrigger::start(&two([&first, &second], "0%")).await;
    outrigger
        .until("one endpoint to be unhealthy", |status| {
            status.backend("demo").endpoints[0].health.state == "unhealthy"
        })
        .await;
    assert_eq!(times(&outrigger, PANIC), 0);
    assert!(outrigger.reload(&two([&first, &second], "100%")).await.backend("demo").panic);
    outrigger.logged(PANIC).await;
    assert!(!outrigger.reload(&two([&first, &second], "10%")).await.backend("demo").panic);
    outrigger.logged(CALM).await;
    assert_eq!((times(&outrigger, PANIC), times(&outrigger, CALM)), (1, 1));
    outrigger.stop().await;
}

/// Requests find out before probes do, or where there are none: that is told when it begins and when it ends, not for each of them.
#[tokio::test]
async fn an_endpoint_that_takes_no_connection_is_told_once_and_once_more_when_it_is_back() {
    let endpoint = Server::builder().start().await.unwrap();
    let yaml = config("Random", &[endpoint.url()], "");
    let outrigger = Outrigger::start(&yaml).await;
    let ask = async || {
        let mut connection = Connection::open(outrigger.address()).await.unwrap();
        let request = http::Request::get("/").body(bytes::Bytes::new().into()).unwrap();
        connection.send(request).await.unwrap().status
    };
    endpoint.stop().await;
    for _ in 0..5 {
        assert_eq!(ask().await, 502);
    }
    let words = format!("endpoint {} of backend demo: ", endpoint.url().trim_end_matches('/'));
    let (away, back) = (
        format!("{words}passed over until a connect succeeds: "),
        format!("{words}a connect succeeded, it serves again"),
    );
    let line = outrigger.logged(&away).await;
    assert!(line.contains("WARN"), "{line}");
    endpoint.restart().unwrap();
    eventually("an answer", async || (ask().await == 200).then_some(())).await;
    ask().await;
    let line = outrigger.logged(&back).await;
    assert!(line.contains("INFO"), "{line}");
    let ended = outrigger.stop().await;
    let times = |words: &str| ended.log.matches(words).count();
    assert_eq!((times(&away), times(&back)), (1, 1), "{}", ended.log);
}
