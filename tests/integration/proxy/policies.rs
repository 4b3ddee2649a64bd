//! What a route sets over the policies of its listener and backends, and answers that are a reason to try again.

use super::harness::{Config, Proxy, eventually, received, server};
use testserver::{Server, Step};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const PUT: &str = "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
const POST: &str = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

#[tokio::test]
async fn a_route_sets_its_own_limit_for_bodies() {
    for (listeners, routes, allowed, refused) in [
        ("maxBodyBytes: 10", "20", 20, Some(21)),
        ("maxBodyBytes: 10", "0", 5000, None),
        ("", "20", 20, Some(21)),
    ] {
        let server = server().await;
        let proxy = Config::to(&[&server])
            .limits(listeners)
            .routes(&format!("{{ name: all, maxBodyBytes: {routes}, backends: [test] }}"))
            .start();
        for (size, expected) in [(Some(allowed), 200), (refused, 413)] {
            let Some(size) = size else { continue };
            let body = "x".repeat(size);
            let answer = proxy.client().await.post("/sink", &body).await;
            assert_eq!(answer.status, expected, "{size} bytes, {routes}");
            let chunked = format!(
                "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
            );
            let answer = proxy.ask(chunked).await;
            assert_eq!(answer.status, expected, "{size} bytes in chunks, {routes}");
            if expected == 413 {
                assert_eq!(answer.reason(), "body_too_large");
            }
        }
    }
}

#[tokio::test]
async fn a_route_sets_its_own_timeouts_and_retries() {
    let (one, two) = (server().await, server().await);
    for server in [&one, &two] {
        server.script("/gone", [Step::ReadBody, Step::Close]);
    }
    let proxy = Config::to(&[&one, &two])
        .timeouts("request: 1m")
        .retry("attempts: 2")
        .routes(
            "{ name: quick, matches: [{ path: { prefix: /hold } }], timeouts: { request: 100ms }, backends: [test] }, \
             { name: once, matches: [{ path: { prefix: /gone } }], retry: { attempts: 0 }, backends: [test] }, \
             { name: rest, backends: [test] }",
        )
        .start();
    assert_eq!(proxy.get("/hold").await.reason(), "request_timeout");
    assert_eq!(proxy.get("/gone").await.reason(), "connection_closed");
    assert_eq!(one.requests_to("/gone") + two.requests_to("/gone"), 1);
}

/// Two servers of which the first answers `/x` with these steps and the second with 200.
async fn pair(steps: impl Into<std::sync::Arc<[Step]>>, retry: &str) -> (Server, Server, Proxy) {
    let (bad, good) = (server().await, server().await);
    bad.script("/x", steps);
    good.script("/x", [Step::ReadBody, Step::answer(200, "good")]);
    let proxy = Config::to(&[&bad, &good]).retry(retry).start();
    (bad, good, proxy)
}

#[tokio::test]
async fn an_answer_of_a_listed_status_is_tried_elsewhere() {
    let steps = [Step::ReadBody, Step::answer(503, "bad")];
    let (bad, good, proxy) = pair(steps, "statuses: [502-504]").await;
    for request in [GET, PUT, GET, PUT] {
        let answer = proxy.ask(request).await;
        assert_eq!((answer.status, answer.text()), (200, "good"));
    }
    let failed = bad.counts().requests;
    assert_eq!((failed, good.counts().requests, proxy.retries()), (2, 4, (2, 0)));
    // The whole body went to each, and answers that were whole kept their connection.
    assert_eq!(received(&good).concat().matches("\r\n\r\nbody").count(), 2);
    assert_eq!((bad.counts().connections, good.counts().connections), (1, 1));
    // What failed counts as failed: its quick answer must not make it look fast.
    assert_eq!(proxy.backend().members()[0].endpoint.requests().totals().iter().sum::<u64>(), 0);
}

/// The rest of an answer that nobody wants is not waited for, and its connection not used again.
#[tokio::test]
async fn a_long_answer_of_a_listed_status_is_dropped_with_its_connection() {
    let head = "HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nonly a part";
    let steps = [Step::ReadBody, Step::send(head), Step::Hold];
    let (bad, _good, proxy) = pair(steps, "statuses: [503]").await;
    for _ in 0..4 {
        assert_eq!(proxy.ask(GET).await.text(), "good");
    }
    let counts = eventually(&bad, |counts| counts.abandoned == 2 && counts.in_flight == 0).await;
    assert_eq!((counts.requests, counts.connections), (2, 2));
}

#[tokio::test]
async fn a_request_that_must_not_be_sent_twice_keeps_its_answer() {
    let steps = [Step::ReadBody, Step::answer(503, "bad")];
    let (bad, _good, proxy) = pair(steps, "statuses: [503]").await;
    let mut statuses = vec![proxy.ask(POST).await.status, proxy.ask(POST).await.status];
    statuses.sort_unstable();
    assert_eq!((statuses, bad.counts().requests, proxy.retries()), (vec![200, 503], 1, (0, 0)));
}

/// An answer before the end of a body that is too large to be sent again.
#[tokio::test]
async fn a_body_that_is_gone_keeps_its_answer() {
    let head = "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad";
    for (size, expected) in [(64 * 1024, 200), (64 * 1024 + 1, 503)] {
        let (bad, _good, proxy) = pair([Step::ReadBody, Step::send(head)], "statuses: [503]").await;
        let body = "x".repeat(size);
        let request = format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{body}");
        while bad.counts().requests == 0 {
            let answer = proxy.ask(&request).await;
            let asked = if bad.counts().requests == 0 { 200 } else { expected };
            assert_eq!(answer.status, asked, "{size}");
        }
    }
}

#[tokio::test]
async fn the_last_answer_is_the_clients_when_no_try_is_left() {
    for (retry, asked, counted) in [
        ("statuses: [503], attempts: 2", 3, (2, 0)),
        ("statuses: [503], attempts: 0", 1, (0, 0)),
        ("statuses: [500, 502], attempts: 2", 1, (0, 0)),
        ("statuses: [503], attempts: 2, budget: { ratio: 0%, minPerSecond: 0 }", 1, (0, 1)),
    ] {
        let (one, two) = (server().await, server().await);
        for server in [&one, &two] {
            server.script(
                "/x",
                [Step::send(
                    "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy",
                )],
            );
        }
        let proxy = Config::to(&[&one, &two]).retry(retry).start();
        let answer = proxy.ask(GET).await;
        assert_eq!(
            (answer.status, answer.text(), answer.field("retry-after")),
            (503, "busy", Some("7"))
        );
        assert_eq!(one.counts().requests + two.counts().requests, asked, "{retry}");
        assert_eq!(proxy.retries(), counted, "{retry}");
    }
}

/// An early answer in the middle of an upload: what came of the body is sent again, and the rest behind it.
#[tokio::test]
async fn an_answer_in_the_middle_of_an_upload_is_tried_elsewhere() {
    let steps = [Step::ReadBytes(4), Step::answer(503, "bad"), Step::Linger];
    let (bad, good, proxy) = pair(steps, "statuses: [503]").await;
    good.script("/x", [Step::ReadBody, Step::answer(200, "good")]);
    while bad.counts().requests == 0 {
        let mut client = proxy.client().await;
        client.send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst").await;
        let before = good.counts().requests;
        good.wait_for_requests(before + 1).await;
        client.send("later").await;
        assert_eq!(client.answer().await.text(), "good");
    }
    assert!(received(&good).concat().ends_with("\r\n\r\nfirstlater"));
}

/// An answer that is there is worth more than a try that can only end with the request's time.
#[tokio::test]
async fn an_answer_is_kept_when_there_is_no_time_to_ask_the_same_endpoint_again() {
    let one = server().await;
    one.script("/x", [Step::ReadBody, Step::answer(503, "bad")]);
    // The pauses before an endpoint is asked again grow until one does not fit.
    let proxy = Config::to(&[&one])
        .timeouts("request: 700ms")
        .retry("attempts: 10, statuses: [503], budget: { ratio: 100%, minPerSecond: 100 }")
        .start();
    for request in [GET, PUT] {
        let answer = proxy.ask(request).await;
        assert_eq!((answer.status, answer.text()), (503, "bad"));
    }
}
