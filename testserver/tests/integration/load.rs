use std::time::Duration;

use serde_json::{Value, json};
use testserver::Server;
use testserver::load::{Load, Settings, Target};
use tokio::time::timeout;

use crate::client::{PATIENCE, eventually};

/// So many requests to a path, all GETs, as fast as one connection takes them.
fn settings(server: &Server, path: &str, requests: u64) -> Settings {
    Settings {
        target: Target::parse(&format!("{}{path}", server.url())).unwrap(),
        rate: 100_000.0,
        connections: 1,
        post_share: 0.0,
        requests: Some(requests),
        timeout: PATIENCE,
    }
}

async fn server() -> Server {
    Server::builder().name("a").start().await.unwrap()
}

async fn report(settings: Settings) -> Value {
    let load = Load::start(settings);
    timeout(PATIENCE, load.ended()).await.expect("the load does not end");
    let report = load.report();
    let failed: u64 = ["idempotent_no_head", "idempotent_after_head", "other"]
        .map(|class| report["failed"][class].as_u64().unwrap())
        .iter()
        .sum();
    assert_eq!(report["sent"].as_u64().unwrap(), report["ok"].as_u64().unwrap() + failed);
    assert_eq!(load.is_success(), failed == 0);
    report
}

/// The counts of failed requests: GETs without head, GETs after it, POSTs.
fn failed(report: &Value) -> [u64; 3] {
    ["idempotent_no_head", "idempotent_after_head", "other"]
        .map(|class| report["failed"][class].as_u64().unwrap())
}

#[tokio::test]
async fn every_request_is_sent_once_and_counted_once() {
    let server = server().await;
    let settings = Settings { connections: 7, post_share: 0.3, ..settings(&server, "/echo", 1000) };
    let report = report(settings).await;
    let counts = server.counts();
    assert_eq!((counts.requests, counts.connections), (1000, 7));
    assert_eq!((&report["sent"], &report["ok"]), (&json!(1000), &json!(1000)));
    assert_eq!(failed(&report), [0, 0, 0]);
    assert_eq!(report["opened"], 7);
    assert_eq!(report["statuses"], json!({ "200": 1000 }));
    assert_eq!(report["servers"], json!({ "a": 1000 }));
    assert_eq!(report["failures"], json!([]));
    let seconds = report["seconds"].as_array().unwrap();
    assert_eq!(seconds.iter().map(|second| second["ok"].as_u64().unwrap()).sum::<u64>(), 1000);
    assert!(seconds.iter().enumerate().all(|(at, second)| second["at"] == at), "{seconds:?}");
    assert!(report["latency_ms"]["p50"].as_f64() <= report["latency_ms"]["max"].as_f64());
}

#[tokio::test]
async fn gets_and_posts_are_whole_requests_with_the_asked_host() {
    let server = Server::builder().record().start().await.unwrap();
    for share in [0.0, 1.0] {
        let mut settings = settings(&server, "/a?b=c", 1);
        settings.post_share = share;
        settings.target = settings.target.with_host("shop.test:81");
        report(settings).await;
    }
    let received = server.received().into_iter().map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(
        received.collect::<Vec<_>>(),
        [
            "GET /a?b=c HTTP/1.1\r\nHost: shop.test:81\r\nUser-Agent: load\r\n\r\n",
            "POST /a?b=c HTTP/1.1\r\nHost: shop.test:81\r\nUser-Agent: load\r\n\
             Content-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"message\":\"hello\"}",
        ]
    );
}

#[tokio::test]
async fn a_failure_is_classed_by_how_far_its_answer_came() {
    let server = server().await;
    for (path, get, said) in [
        ("/close?at=request", [3, 0, 0], "closed before any byte of an answer"),
        ("/close?at=before-head", [3, 0, 0], "closed before any byte of an answer"),
        ("/close?at=before-head&reset", [3, 0, 0], "reset before any byte of an answer"),
        ("/close?at=mid-head", [3, 0, 0], "closed within the head of the answer"),
        ("/close?at=after-head", [0, 3, 0], "closed within the body of the answer"),
        ("/close?at=mid-body", [0, 3, 0], "closed within the body of the answer"),
        ("/close?at=mid-chunk", [0, 3, 0], "closed within the body of the answer"),
        ("/malformed/status-line", [3, 0, 0], "malformed"),
        ("/malformed/length-and-chunked", [3, 0, 0], "both given"),
        ("/malformed/bad-chunk", [0, 3, 0], "not a hexadecimal number"),
        ("/malformed/not-http", [3, 0, 0], "malformed"),
        ("/status/404", [0, 3, 0], "answered 404"),
        ("/status/503", [0, 3, 0], "answered 503"),
    ] {
        for (post_share, expected) in [(0.0, get), (1.0, [0, 0, 3])] {
            let report = report(Settings { post_share, ..settings(&server, path, 3) }).await;
            assert_eq!(failed(&report), expected, "{path}: {report}");
            for failure in report["failures"].as_array().unwrap() {
                // A body that is not read turns a close into a reset.
                let what = failure["what"].as_str().unwrap();
                assert!(
                    what.contains(said) || path == "/close?at=request" && what.contains("reset"),
                    "{path}: {what}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_failure_is_told_with_what_came_of_its_answer() {
    let server = server().await;
    let report = report(settings(&server, "/status/500", 60)).await;
    let failures = report["failures"].as_array().unwrap();
    assert_eq!((failed(&report), failures.len()), ([0, 60, 0], 50));
    let mut first = failures[0].clone();
    let at: jiff::Timestamp = first["at"].take().as_str().unwrap().parse().unwrap();
    assert!(at.duration_since(report["started"].as_str().unwrap().parse().unwrap()).is_positive());
    assert_eq!(
        first,
        json!({ "at": null, "method": "GET", "what": "answered 500", "status": 500,
                "server": "a", "body": r#"{"status":500}"# })
    );
    // A status is no reason to give up the connection.
    assert_eq!(report["opened"], 1);
}

#[tokio::test]
async fn answers_of_every_framing_are_read_to_their_end() {
    let server = server().await;
    for (path, opened) in [
        ("/bytes/100000", 1),
        ("/bytes/100000?chunked", 1),
        ("/bytes/100000?close", 5),
        ("/trailers", 1),
        ("/early-hints", 1),
        ("/status/204", 1),
        ("/http10", 5),
        ("/http10?keepalive", 1),
    ] {
        let report = report(settings(&server, path, 5)).await;
        assert_eq!((&report["ok"], &report["opened"]), (&json!(5), &json!(opened)), "{path}");
    }
}

#[tokio::test]
async fn connection_close_is_obeyed() {
    let server = server().await;
    let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    // It would be heard if more came: the connection stays open.
    server.script("/leave", [testserver::Step::ReadBody, testserver::Step::send(answer)]);
    let report = report(settings(&server, "/leave", 20)).await;
    assert_eq!((&report["ok"], &report["opened"]), (&json!(20), &json!(20)));
    assert_eq!(server.counts().connections, 20);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let server = server().await;
    for path in ["/close-idle?after=0s", "/close-idle?after=0s&reset"] {
        // Time for the close to come between two requests.
        let settings = Settings { rate: 5.0, ..settings(&server, path, 3) };
        let report = report(settings).await;
        assert_eq!((&report["ok"], &report["opened"]), (&json!(3), &json!(3)), "{path}: {report}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_is_closed_before_it_is_needed() {
    let server = server().await;
    let load = Load::start(Settings { rate: 0.001, ..settings(&server, "/health", 2) });
    eventually(&server, |counts| counts.requests == 1 && counts.in_flight == 0).await;
    eventually(&server, |counts| counts.open_connections == 1).await;
    server.close_connections();
    // Lingers for its client's close, and would be reset only after that.
    eventually(&server, |counts| counts.open_connections == 0).await;
    load.stop().await;
    assert_eq!((&load.report()["sent"], load.is_success()), (&json!(1), false));
}

#[tokio::test]
async fn a_close_that_meets_the_request_is_a_failure_and_not_tried_again() {
    let server = server().await;
    // Every second request finds the connection kept, and closed only then.
    let report = report(settings(&server, "/close-next", 10)).await;
    assert_eq!((&report["ok"], failed(&report)), (&json!(5), [5, 0, 0]));
    let what = report["failures"][0]["what"].as_str().unwrap();
    assert!(what.ends_with("on a connection kept after request 1"), "{what}");
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_each_request_once() {
    let server = server().await;
    server.stop().await;
    let report = report(Settings { connections: 4, ..settings(&server, "/", 30) }).await;
    assert_eq!((failed(&report), &report["opened"]), ([30, 0, 0], &json!(0)));
    assert!(report["failures"][0]["what"].as_str().unwrap().starts_with("cannot connect: "));
    assert_eq!((&report["statuses"], &report["latency_ms"]["p50"]), (&json!({}), &Value::Null));
}

#[tokio::test]
async fn a_request_that_takes_too_long_has_failed() {
    let server = server().await;
    for (path, expected) in [("/hold", [2, 0, 0]), ("/hold-body", [0, 2, 0])] {
        let timeout = Duration::from_millis(30);
        let report = report(Settings { timeout, ..settings(&server, path, 2) }).await;
        assert_eq!(failed(&report), expected, "{report}");
        assert_eq!(report["failures"][0]["what"], "no whole answer within 30ms");
    }
    eventually(&server, |counts| counts.open_connections == 0).await;
}

#[tokio::test]
async fn a_stop_waits_for_what_is_in_flight_and_sends_nothing_more() {
    let server = server().await;
    let settings = Settings { connections: 3, requests: None, ..settings(&server, "/hold", 1) };
    let load = Load::start(settings);
    server.wait_for_in_flight(3).await;
    let stop = load.stop();
    tokio::pin!(stop);
    tokio::select! {
        biased;
        () = &mut stop => panic!("it did not wait"),
        () = server.wait_for_in_flight(3) => {}
    }
    assert_eq!((&load.report()["sent"], &load.report()["ok"]), (&json!(3), &json!(0)));
    server.release();
    timeout(PATIENCE, stop).await.unwrap();
    assert_eq!((&load.report()["sent"], &load.report()["ok"]), (&json!(3), &json!(3)));
    eventually(&server, |counts| counts.open_connections == 0).await;
    assert_eq!(server.counts().requests, 3);
}

#[tokio::test]
async fn what_is_due_while_all_connections_are_busy_is_sent_late_and_not_dropped() {
    let server = server().await;
    let load = Load::start(Settings { connections: 2, ..settings(&server, "/hold", 50) });
    server.wait_for_in_flight(2).await;
    // All fifty are due by now, or soon.
    server.release();
    timeout(PATIENCE, load.ended()).await.unwrap();
    assert_eq!((&load.report()["ok"], &load.report()["opened"]), (&json!(50), &json!(2)));
    assert_eq!((server.counts().requests, server.counts().max_in_flight), (50, 2));
}

#[tokio::test]
async fn no_request_is_sent_before_it_is_due() {
    let server = server().await;
    let begun = tokio::time::Instant::now();
    // The last is due after 49 hundredths of a second.
    report(Settings { rate: 100.0, connections: 5, ..settings(&server, "/health", 50) }).await;
    assert!(begun.elapsed() >= Duration::from_millis(490), "{:?}", begun.elapsed());
}
