//! 100 (Continue): the client's body is asked for when the endpoint asks for it.

use super::client::Client;
use super::harness::{Proxy, received, server};

const BODY: &str = "abcdefghij";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

async fn expecting(proxy: &Proxy, target: &str) -> Client {
    let mut client = proxy.client().await;
    client
        .send(format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
        ))
        .await;
    client
}

#[tokio::test]
async fn the_body_is_asked_for_when_the_endpoint_does() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = expecting(&proxy, "/echo?hold").await;
    server.wait_for_requests(1).await;
    assert!(received(&server)[0].contains("expect: 100-continue\r\n"));
    // The endpoint has the head and says nothing: neither may we.
    let nothing = client.stream.try_read(&mut [0]);
    assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    server.release();
    assert_eq!(client.head().await, CONTINUE);
    client.send(BODY).await;
    let answer = client.answer().await;
    assert_eq!(answer.json()["body"]["text"], BODY);
    // The connection lives on.
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn an_endpoint_that_never_asks_gets_the_body_after_a_bounded_wait() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = expecting(&proxy, "/no-continue").await;
    assert_eq!(client.head().await, CONTINUE);
    client.send(BODY).await;
    assert_eq!(client.answer().await.status, 200);
    assert!(received(&server)[0].ends_with(BODY));
}

#[tokio::test]
async fn a_final_answer_instead_of_a_100_arrives_without_the_body() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = expecting(&proxy, "/reject").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 413);
    assert!(received(&server)[0].ends_with("\r\n\r\n"), "{:?}", received(&server));
    // Whether the client sends its body now nobody knows: this is the connection's end.
    client.is_closed().await;
}

#[tokio::test]
async fn a_request_without_a_body_waits_for_nothing() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let answer = proxy
        .ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_retry_does_not_ask_twice() {
    let (broken, good) = (server().await, server().await);
    let close = [testserver::Step::ReadBody, testserver::Step::Close];
    broken.script("/echo", close.to_vec());
    let proxy = Proxy::before(&[&broken, &good]);
    let mut client = proxy.client().await;
    client
        .send("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.head().await, CONTINUE);
    client.send(BODY).await;
    assert_eq!(client.answer().await.json()["body"]["text"], BODY);
}
