//! What RFC 9110 and RFC 9112 ask of who stands between client and server, byte for byte on both sides.
//! `docs/conformance.md` says which of these tests holds which requirement.

#[path = "conformance/connection.rs"]
mod connection;
#[path = "conformance/fields.rs"]
mod fields;
#[path = "conformance/framing.rs"]
mod framing;
#[path = "conformance/responses.rs"]
mod responses;
#[path = "conformance/target.rs"]
mod target;

use super::client::Answer;
use super::harness::{Proxy, received, server};
use testserver::Step;

/// The answer to a request, and all that the endpoint received.
async fn forward(request: impl AsRef<[u8]>) -> (Answer, String) {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let answer = proxy.ask(request).await;
    (answer, received(&server).concat())
}

/// All bytes that a client of HTTP/1.1 gets when the endpoint answers with these.
async fn answered(response: impl AsRef<[u8]>) -> String {
    answered_to("GET /it HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", response).await
}

/// All bytes that come for a request for `/it`, the last of its connection, when the endpoint answers with these.
async fn answered_to(request: &str, response: impl AsRef<[u8]>) -> String {
    let server = server().await;
    server.script("/it", [Step::ReadBody, Step::send(response.as_ref().to_vec()), Step::Close]);
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send(request).await;
    let (bytes, _) = client.rest().await;
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The values of a field in a head, in order.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let head = head.split("\r\n\r\n").next().unwrap_or_default();
    let fields = head.split("\r\n").filter_map(|line| line.split_once(": "));
    fields.filter(|(n, _)| *n == name).map(|(_, value)| value).collect()
}
