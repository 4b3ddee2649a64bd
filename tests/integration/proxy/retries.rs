//! Which failures are tried again, where, and how often.

use super::harness::{Config, Proxy, dead_port, eventually, received, server};
use std::time::Duration;
use testserver::{Server, Step};

async fn failing(step: Step) -> Server {
    let server = server().await;
    server.script("/echo", [Step::ReadBody, step]);
    server
}

/// Asks until both endpoints of a pair had their turn, and returns the statuses.
async fn ask_all(proxy: &Proxy, request: &str, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(proxy.ask(request).await.status);
    }
    statuses
}

const GET: &str = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
const PUT_CHUNKED: &str = "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                           4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n";

#[tokio::test]
async fn a_failed_connect_is_tried_elsewhere_whatever_the_method() {
    let good = server().await;
    let (_reserved, dead) = dead_port();
    for request in [GET, POST, PUT_CHUNKED] {
        let proxy = Config::to_urls(vec![dead.clone(), good.url()]).start();
        for _ in 0..4 {
            let answer = proxy.ask(request).await;
            assert_eq!(answer.status, 200);
            if request != GET {
                assert_eq!(answer.json()["body"]["text"], "body");
            }
        }
        // After one failed connect the endpoint is left alone; nothing was processed, so the budget is.
        assert_eq!(proxy.retries(), (1, 0));
        assert_eq!(proxy.backend().members()[0].endpoint.pass_overs_in_a_row(), 1);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_passed_over_comes_back_when_it_accepts_again() {
    let (one, two) = (server().await, server().await);
    let proxy = Proxy::before(&[&one, &two]);
    one.stop().await;
    for _ in 0..4 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    assert_eq!((one.counts().requests, two.counts().requests), (0, 4));
    one.restart().unwrap();
    // Its time is over by itself; until then the other is asked.
    while one.counts().requests == 0 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    assert_eq!(proxy.backend().members()[0].endpoint.pass_overs_in_a_row(), 0);
}

#[tokio::test]
async fn an_endpoint_that_is_passed_over_is_asked_when_there_is_no_other() {
    let (_reserved, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead]).retry("attempts: 1").start();
    for _ in 0..3 {
        assert_eq!(proxy.get("/").await.reason(), "connect_refused");
    }
    assert_eq!(proxy.retries(), (3, 0));
}

#[tokio::test]
async fn a_close_or_reset_before_the_head_is_tried_elsewhere_if_idempotent() {
    for step in [
        Step::Close,
        Step::Reset,
        // A part of a head is no head.
        Step::send("HTTP/1.1 200 O"),
    ] {
        let broken = failing(step.clone()).await;
        if matches!(step, Step::Send(_)) {
            broken.script("/echo", [Step::ReadBody, step, Step::Close]);
        }
        let good = server().await;
        let proxy = Proxy::before(&[&broken, &good]);
        assert_eq!(ask_all(&proxy, GET, 4).await, [200; 4]);
        let answer = proxy.ask(PUT_CHUNKED).await;
        assert_eq!(answer.json()["body"]["text"], "body");
        assert_eq!(answer.json()["trailers"], serde_json::json!([["x-sum", "1"]]));
        assert!(broken.counts().requests >= 2, "{broken:?}");
        assert_eq!(proxy.retries(), (broken.counts().requests, 0));
    }
}

#[tokio::test]
async fn a_post_that_may_have_been_processed_is_not_sent_twice() {
    for step in [Step::Close, Step::Reset] {
        let (broken, good) = (failing(step.clone()).await, failing(step).await);
        let proxy = Proxy::before(&[&broken, &good]);
        let answer = proxy.ask(POST).await;
        assert_eq!((answer.status, answer.reason()), (502, "connection_closed".to_owned()));
        assert_eq!(broken.counts().requests + good.counts().requests, 1);
        assert_eq!(proxy.retries(), (0, 0));
    }
}

#[tokio::test]
async fn an_answer_is_an_answer_whatever_its_status() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    assert_eq!(proxy.get("/status/503").await.status, 503);
    assert_eq!(server.counts().requests, 1);
}

#[tokio::test]
async fn a_body_up_to_64_kib_is_sent_again_and_a_larger_one_is_not() {
    for (size, is_kept) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let (broken, good) = (server().await, server().await);
        broken.script("/sink", [Step::ReadBody, Step::Close]);
        let proxy = Proxy::before(&[&broken, &good]);
        let body = String::from_utf8(testserver::pattern(size)).unwrap();
        let request =
            format!("PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{body}");
        let mut statuses = ask_all(&proxy, &request, 4).await;
        statuses.sort_unstable();
        let failed = broken.counts().requests;
        assert!(failed > 0);
        if is_kept {
            assert_eq!((statuses, proxy.retries()), (vec![200; 4], (failed, 0)));
        } else {
            assert_eq!((statuses, proxy.retries()), (vec![200, 200, 502, 502], (0, 0)));
        }
    }
}

/// However small its pieces are.
#[tokio::test]
async fn a_body_in_small_pieces_is_sent_again_as_it_was() {
    let (broken, good) = (failing(Step::Close).await, server().await);
    let proxy = Config::to(&[&broken, &good]).start();
    let (mut body, mut chunks) = (String::new(), String::new());
    for (number, size) in [1, 1, 1, 1000, 1024, 1025, 3, 5000, 1, 2, 0].into_iter().enumerate() {
        let piece = char::from(b'a' + number as u8).to_string().repeat(size);
        chunks += &format!("{size:x}\r\n{piece}\r\n");
        body += &piece;
    }
    let head = "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for answer in
        [proxy.ask(format!("{head}{chunks}")).await, proxy.ask(format!("{head}{chunks}")).await]
    {
        assert_eq!(answer.json()["body"]["text"], *body);
    }
    assert_eq!(proxy.retries(), (1, 0));
}

#[tokio::test]
async fn a_large_body_survives_a_failed_connect() {
    let good = server().await;
    let (_reserved, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead, good.url()]).start();
    let body = String::from_utf8(testserver::pattern(1 << 20)).unwrap();
    for _ in 0..2 {
        let answer = proxy.client().await.post("/sink", &body).await;
        assert_eq!(answer.json()["length"], 1 << 20);
        assert_eq!(answer.json()["pattern"], true);
    }
    assert_eq!(proxy.retries(), (1, 0));
}

#[tokio::test]
async fn attempts_are_counted_after_the_first_and_end() {
    for attempts in [0, 1, 3] {
        let (one, two) = (failing(Step::Close).await, failing(Step::Close).await);
        let proxy = Config::to(&[&one, &two]).retry(&format!("attempts: {attempts}")).start();
        let answer = proxy.ask(GET).await;
        assert_eq!((answer.status, answer.reason()), (502, "connection_closed".to_owned()));
        assert_eq!(one.counts().requests + two.counts().requests, attempts + 1);
        assert_eq!(proxy.retries(), (attempts, 0));
    }
}

/// K3: pods that end at once refuse one after the other, and may be more than the attempts.
#[tokio::test]
async fn refused_connects_do_not_use_up_the_attempts_while_an_endpoint_is_left() {
    let good = server().await;
    let (reserved, mut urls): (Vec<_>, Vec<_>) = (0..5).map(|_| dead_port()).unzip();
    urls.push(good.url());
    for request in [GET, POST] {
        let proxy = Config::to_urls(urls.clone()).retry("attempts: 1").start();
        assert_eq!(ask_all(&proxy, request, 6).await, [200; 6]);
    }
    let off = Config::to_urls(urls.clone()).retry("attempts: 0").start();
    assert_eq!(off.ask(GET).await.status, 502);
    // Where all refuse, each is asked once. Then it is known of all, and only the attempts are left: one of this request, one of the next.
    urls.pop();
    let proxy = Config::to_urls(urls).retry("attempts: 1").start();
    assert_eq!(ask_all(&proxy, GET, 2).await, [502; 2]);
    assert_eq!(proxy.retries(), (4 + 1 + 1, 0));
    drop(reserved);
}

#[tokio::test]
async fn only_the_conditions_named_are_retried() {
    let (_reserved, dead) = dead_port();
    let (broken, good) = (failing(Step::Close).await, server().await);
    let proxy = Config::to_urls(vec![dead, good.url()]).retry("conditions: [Reset]").start();
    assert_eq!(proxy.ask(GET).await.status, 502);
    assert_eq!(proxy.ask(GET).await.status, 200);
    let proxy = Config::to(&[&broken, &good]).retry("conditions: [ConnectFailure]").start();
    let mut statuses = ask_all(&proxy, GET, 2).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
}

#[tokio::test]
async fn another_endpoint_is_asked_first() {
    let broken = failing(Step::Close).await;
    let good = [server().await, server().await, server().await];
    let proxy = Config::to(&[&broken, &good[0], &good[1], &good[2]]).retry("attempts: 1").start();
    assert_eq!(ask_all(&proxy, GET, 20).await, [200; 20]);
    // A retry takes nobody's turn: the broken one has its quarter of first attempts, no more and no less.
    assert_eq!(broken.counts().requests, 5);
}

/// A retry that moved the round on would make every request meet the broken one of two first.
#[tokio::test]
async fn of_two_the_broken_one_is_met_by_every_other_request() {
    let (good, broken) = (server().await, failing(Step::Close).await);
    let proxy = Config::to(&[&good, &broken]).retry("attempts: 1").start();
    assert_eq!(ask_all(&proxy, GET, 20).await, [200; 20]);
    assert_eq!((broken.counts().requests, proxy.retries()), (10, (10, 0)));
}

/// Every endpoint fails: what clients ask for must not be multiplied.
#[tokio::test]
async fn retries_beyond_the_budget_are_refused() {
    let (one, two) = (failing(Step::Close).await, failing(Step::Close).await);
    // A floor of one per second over ten seconds, and nothing for the requests themselves.
    let proxy = Config::to(&[&one, &two])
        .retry("attempts: 1, budget: { ratio: 0%, minPerSecond: 1 }")
        .start();
    assert_eq!(ask_all(&proxy, GET, 15).await, [502; 15]);
    assert_eq!(proxy.retries(), (10, 5));
    assert_eq!(one.counts().requests + two.counts().requests, 25);
}

#[tokio::test]
async fn requests_earn_their_share_of_retries() {
    let (one, two) = (failing(Step::Close).await, failing(Step::Close).await);
    let proxy = Config::to(&[&one, &two])
        .retry("attempts: 1, budget: { ratio: 20%, minPerSecond: 0 }")
        .start();
    assert_eq!(ask_all(&proxy, GET, 20).await, [502; 20]);
    assert_eq!(proxy.retries(), (4, 16));
}

#[tokio::test]
async fn a_failed_connect_costs_no_budget() {
    let good = server().await;
    let (_reserved, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead, good.url()])
        .retry("budget: { ratio: 0%, minPerSecond: 0 }")
        .start();
    assert_eq!(ask_all(&proxy, POST, 4).await, [200; 4]);
    assert_eq!(proxy.retries(), (1, 0));
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_tried_elsewhere() {
    let (slow, good) = (server().await, server().await);
    slow.script("/echo", [Step::ReadBody, Step::Hold, Step::Close]);
    let proxy = Config::to(&[&slow, &good]).timeouts("attempt: 200ms").start();
    assert_eq!(ask_all(&proxy, GET, 2).await, [200; 2]);
    let abandoned = slow.counts().requests;
    assert!(abandoned > 0);
    assert_eq!(proxy.retries(), (abandoned, 0));
    eventually(&slow, |counts| counts.abandoned == abandoned && counts.in_flight == 0).await;
}

/// One of two endpoints comes and goes; clients see nothing of it.
#[tokio::test]
async fn a_restart_of_an_endpoint_is_seen_by_no_client() {
    let (one, two) = (server().await, server().await);
    let proxy = Proxy::before(&[&one, &two]);
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(proxy.client().await);
    }
    for round in 0..10 {
        let load = async {
            for client in &mut clients {
                for _ in 0..4 {
                    let answer = client.get("/?delay=1ms").await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            }
        };
        let restart = async {
            match round % 2 {
                0 => one.stop().await,
                _ => one.stop_by_reset().await,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            one.restart().unwrap();
        };
        tokio::join!(load, restart);
    }
    assert_eq!(proxy.retries().1, 0);
    assert!(received(&two).concat().contains("GET /?delay=1ms"));
}
