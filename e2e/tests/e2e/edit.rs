//! What the tests of reloads and of the end have in common.

use e2e::{Connection, Outrigger, eventually};
use std::net::SocketAddr;
use testserver::Server;

/// A configuration with one backend, and `top` before it.
pub fn one_backend(top: &str, server: &Server) -> String {
    format!("{top}backends: [{{ name: demo, endpoints: [{}] }}]\n", server.url())
}

/// A request that the server holds until it is released.
pub async fn held(address: SocketAddr, server: &Server) -> tokio::task::JoinHandle<e2e::Answer> {
    let before = server.counts().in_flight;
    let mut connection = Connection::open(address).await.unwrap();
    let task = tokio::spawn(async move { connection.get("/hold").await.unwrap() });
    eventually("the held request", async || (server.counts().in_flight > before).then_some(()))
        .await;
    task
}

/// Waits until the other side has closed.
pub async fn until_closed(what: &str, connection: &Connection) {
    eventually(what, async || (!connection.is_open()).then_some(())).await;
}

/// # Panics
/// A request is not answered well.
pub async fn serves(address: SocketAddr) {
    let mut connection = Connection::open(address).await.unwrap();
    let answer = connection.get("/health").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The value of a metric without labels.
pub async fn metric(outrigger: &Outrigger, name: &str) -> String {
    let text = outrigger.ask("/metrics").await.unwrap().text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{text}")).to_owned()
}
