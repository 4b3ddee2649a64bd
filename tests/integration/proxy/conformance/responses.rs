//! Answers: interim and final, their status lines, dates and bodies (RFC 9110, sections 6.6.1 and 15; RFC 9112, section 4).

use super::super::client::Client;
use super::super::harness::{Config, Proxy, server};
use super::{answered, answered_to, values};
use std::time::Duration;
use testserver::Step;
use tokio::net::TcpSocket;

const FINAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: x\r\n\r\nok";

#[tokio::test]
async fn interim_answers_arrive_before_the_final_one() {
    let bytes = answered(format!(
        "HTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 103 Whatever\r\nLink: </a>; rel=preload\r\nLink: </b>\r\nConnection: X-Mine\r\nX-Mine: 1\r\n\
         Keep-Alive: x\r\nContent-Length: 9\r\n\r\n\
         HTTP/1.1 199 \r\n\r\n{FINAL}"
    ))
    .await;
    assert_eq!(
        bytes,
        "HTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\nlink: </b>\r\n\r\n\
         HTTP/1.1 199 \r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: x\r\nconnection: close\r\n\r\nok"
    );
}

#[tokio::test]
async fn an_interim_answer_does_not_wait_for_the_final_one() {
    let server = server().await;
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    server.script("/it", [Step::send(hints), Step::Hold, Step::send(FINAL)]);
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for _ in 0..2 {
        server.hold();
        client.send("GET /it HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.head().await, hints);
        server.release();
        assert_eq!(client.answer().await.text(), "ok");
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_interim_answer() {
    let bytes = answered_to(
        "GET /it HTTP/1.0\r\n\r\n",
        format!("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n{FINAL}"),
    )
    .await;
    assert!(bytes.starts_with("HTTP/1.0 200 OK\r\n") && bytes.ends_with("\r\n\r\nok"), "{bytes}");
}

#[tokio::test]
async fn a_100_is_for_those_who_wait_for_it() {
    let bytes = answered(format!("HTTP/1.1 100 Continue\r\n\r\n{FINAL}")).await;
    assert!(bytes.starts_with("HTTP/1.1 200 OK\r\n"), "{bytes}");
    let server = server().await;
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    server.script("/it", [Step::send([hints, go_on].concat()), Step::ReadBody, Step::send(FINAL)]);
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client
        .send("POST /it HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await;
    assert_eq!((client.head().await, client.head().await), (hints.to_owned(), go_on.to_owned()));
    client.send("hi").await;
    assert_eq!(client.answer().await.text(), "ok");
}

/// hyper takes the next request as soon as the one before is read to its end and answered, though of the answer the end may
/// still wait for a client that does not read.
#[tokio::test]
async fn an_interim_answer_never_lands_inside_of_the_answer_before() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let ask = async |size: usize| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        let early = [head.into_bytes(), testserver::pattern(size)].concat();
        let target = format!("/early/{size}");
        server.script(&*target, [Step::send(early), Step::Linger]);
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut client = Client::around(socket.connect(proxy.address).await.unwrap());
        // The endpoint wants no body, which is here all the same.
        client
            .send(format!(
                "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n\
                 bodyGET /early-hints HTTP/1.1\r\nHost: a\r\n\r\n"
            ))
            .await;
        // Time itself is meant: what can be written is.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(client.answer().await.body == testserver::pattern(size), "{size}");
        let mut answer = client.answer().await;
        if answer.status == 103 {
            answer = client.answer().await;
        }
        assert_eq!((answer.status, answer.text()), (200, "twenty-four bytes long.\n"), "{size}");
    };
    // How much the kernel holds differs: of one of these the end waits in this process.
    let sizes: Vec<usize> = (200_000..4_000_000).step_by(400_000).collect();
    futures_util::future::join_all(sizes.into_iter().map(ask)).await;
}

#[tokio::test]
async fn an_answer_without_a_date_gets_one_and_no_other_is_changed() {
    let bytes = answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(values(&bytes, "date").len(), 1, "{bytes}");
    assert!(is_date(values(&bytes, "date")[0]), "{bytes}");
    let old = "Sat, 29 Oct 1994 19:43:31 GMT";
    let bytes =
        answered(format!("HTTP/1.1 200 OK\r\nDate: {old}\r\nContent-Length: 0\r\n\r\n")).await;
    assert_eq!(values(&bytes, "date"), [old]);
}

#[tokio::test]
async fn our_own_answers_have_a_date() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("headerTimeout: 50ms").start();
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHo", 408),
    ] {
        let answer = proxy.ask(request).await;
        assert_eq!(answer.status, status, "{request}");
        assert!(answer.field("date").is_some_and(is_date), "{}", answer.head);
    }
}

/// Whether it is a date of this day, or of the last if that has just ended.
fn is_date(text: &str) -> bool {
    let day = |time: jiff::Timestamp| time.strftime("%a, %d %b %Y ").to_string();
    let now = jiff::Timestamp::now();
    let days = [day(now), day(now - jiff::SignedDuration::from_mins(1))];
    text.len() == 29 && text.ends_with(" GMT") && days.iter().any(|day| text.starts_with(day))
}

#[tokio::test]
async fn a_reason_phrase_is_passed_on() {
    for (line, expected) in [
        ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.1 200 All is well (really)", "HTTP/1.1 200 All is well (really)\r\n"),
        ("HTTP/1.1 404 Gone fishing", "HTTP/1.1 404 Gone fishing\r\n"),
        ("HTTP/1.1 599 Of our own", "HTTP/1.1 599 Of our own\r\n"),
        ("HTTP/1.1 599 ", "HTTP/1.1 599 \r\n"),
        // The phrase and even the space before it are often missing: the usual one does no harm.
        ("HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.1 404", "HTTP/1.1 404 Not Found\r\n"),
        // What is no ASCII is no reason to fail.
        ("HTTP/1.1 599 gr\u{fc}n", "HTTP/1.1 599 \r\n"),
    ] {
        let latin: Vec<u8> = line.chars().map(|char| char as u8).collect();
        let bytes = answered([&latin, &b"\r\nContent-Length: 0\r\n\r\n"[..]].concat()).await;
        assert!(bytes.starts_with(expected), "{line}: {bytes}");
    }
}

#[tokio::test]
async fn every_status_of_three_digits_is_passed_on_and_no_other() {
    for status in [200, 207, 299, 300, 399, 418, 451, 499, 511, 599, 600, 999] {
        let bytes = answered(format!("HTTP/1.1 {status} \r\nContent-Length: 2\r\n\r\nok")).await;
        assert!(bytes.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {bytes}");
        assert!(bytes.ends_with("\r\n\r\nok"), "{status}: {bytes}");
    }
    for status in ["099", "20", "2000", "2xx", "-20", ""] {
        let bytes = answered(format!("HTTP/1.1 {status} OK\r\nContent-Length: 2\r\n\r\nok")).await;
        assert!(bytes.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{status}: {bytes}");
    }
}

#[tokio::test]
async fn an_answer_of_http_1_0_goes_on_as_http_1_1() {
    let bytes = answered("HTTP/1.0 200 OK\r\n\r\nok").await;
    assert!(bytes.starts_with("HTTP/1.1 200 OK\r\n"), "{bytes}");
    assert!(bytes.ends_with("\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "{bytes}");
}

#[tokio::test]
async fn an_answer_of_a_version_that_we_do_not_speak_is_a_502() {
    for version in ["HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/0.9", "ICY"] {
        let bytes = answered(format!("{version} 200 OK\r\nContent-Length: 2\r\n\r\nok")).await;
        assert!(bytes.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{version}: {bytes}");
    }
}

#[tokio::test]
async fn answers_without_a_body_have_no_framing_that_promises_one() {
    for (status, framing) in [
        (204, "Content-Length: 0\r\n"),
        (204, "Content-Length: 5\r\n"),
        (204, "Transfer-Encoding: chunked\r\n"),
        (304, "Transfer-Encoding: chunked\r\n"),
    ] {
        let bytes = answered(format!("HTTP/1.1 {status} x\r\n{framing}\r\n")).await;
        assert_eq!(values(&bytes, "transfer-encoding"), Vec::<&str>::new(), "{bytes}");
        assert_eq!(values(&bytes, "content-length"), Vec::<&str>::new(), "{bytes}");
        assert!(bytes.ends_with("\r\n\r\n"), "{bytes}");
    }
}

#[tokio::test]
async fn an_encoded_body_is_passed_on_byte_for_byte() {
    let body: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3000\r\n\r\n";
    let bytes = answered([head.as_bytes(), &body].concat()).await;
    assert_eq!(values(&bytes, "content-encoding"), ["gzip"]);
    let latin: String = body.iter().map(|byte| char::from(*byte)).collect();
    assert!(bytes.ends_with(&latin) && !bytes.contains("chunked"));
}

#[tokio::test]
async fn an_answer_with_too_many_fields_is_a_502() {
    for (fields, status) in [(128, "200 OK"), (129, "502 Bad Gateway")] {
        let more: String = (1..fields).map(|number| format!("X-{number}: {number}\r\n")).collect();
        let bytes = answered(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{more}\r\n")).await;
        assert!(bytes.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{fields}: {bytes}");
    }
}

/// An endpoint of HTTP/1.0 sends no 100: the client gets it at once, from us.
#[tokio::test]
async fn nobody_waits_for_the_100_of_http_1_0() {
    let server = server().await;
    let proxy = Config::to(&[&server]).start();
    let mut client = proxy.client().await;
    client.get("/http10?keepalive").await;
    let started = tokio::time::Instant::now();
    client
        .send("POST /no-continue HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(started.elapsed() < Duration::from_millis(900), "it was waited for");
    client.send("hi").await;
    assert_eq!(client.answer().await.status, 200);
}
