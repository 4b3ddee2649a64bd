//! S1, S3, S4: clients and endpoints that mean harm, byte for byte. What the other side receives is taken apart by a reader that
//! forgives nothing (`reader`), on all its connections: whole messages that can be read in one way, or none.

#[path = "attack/claims.rs"]
mod claims;
#[path = "attack/flood.rs"]
mod flood;
#[path = "attack/framing.rs"]
mod framing;
#[path = "attack/heads.rs"]
mod heads;
#[path = "attack/hidden.rs"]
mod hidden;
#[path = "attack/reader.rs"]
mod reader;
#[path = "attack/responses.rs"]
mod responses;

use super::harness::{Config, Proxy, server};
use futures_util::future::join_all;
use reader::{Message, status};
use testserver::Server;
use tokio::io::AsyncWriteExt;

/// What must come of some bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    /// An error, and nothing arrives.
    BeRefused,
    /// One request arrives, with this body.
    Arrive(&'static str),
    /// Either of these: readers may differ in whether it is valid, but not in what it says.
    BeClear(&'static str),
    /// A request may arrive, but never its end.
    BeCut,
}
use Must::{Arrive, BeClear, BeCut, BeRefused};

/// Bytes, and what must come of them. `{it}` in them stands for a target of their own; a request for `/smuggled` in them
/// must never be seen by anybody.
type Vectors = Vec<(Vec<u8>, Must)>;

/// A request with these fields and these bytes behind its head.
fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST {{it}} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}").into_bytes()
}

/// A request with these chunks.
fn chunked(chunks: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked", chunks)
}

/// A request with a field more.
fn with_field(field: &str) -> Vec<u8> {
    format!("GET {{it}} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n").into_bytes()
}

/// A request with this first line.
fn with_line(line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: a\r\n\r\n").into_bytes()
}

/// A request that hides in something.
const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends vectors at the same time, each on its own connection with a good request behind it, and a good request of somebody
/// else after each. All share one worker, and so its connections to the endpoint. Gives the requests that arrived of each.
async fn attack(vectors: Vectors) -> Vec<Option<Message>> {
    let server = server().await;
    let proxy = Config::to(&[&server])
        .limits("headerTimeout: 1s, bodyTimeout: 1s, idleTimeout: 1s")
        .start();
    for (at, some) in vectors.chunks(16).enumerate() {
        let some = some
            .iter()
            .enumerate()
            .map(|(i, (bytes, must))| one(&proxy, 16 * at + i, bytes, *must));
        join_all(some).await;
    }
    arrived(&server, &vectors)
}

fn target(number: usize, who: &str) -> String {
    format!("/echo?{who}={number}.")
}

/// Sends a vector, and checks what the clients see of it.
async fn one(proxy: &Proxy, number: usize, bytes: &[u8], must: Must) {
    let context = || format!("{must:?}: {:.300}", bytes.escape_ascii().to_string());
    let [it, behind, victim] = ["it", "behind", "victim"].map(|who| target(number, who));
    let method = if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    let behind_it = format!("GET {behind} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut client = proxy.client().await;
    // It may be answered, and the connection closed, before it has been sent.
    let _ = client.stream.write_all(&named(bytes, &it)).await;
    let _ = client.stream.write_all(behind_it.as_bytes()).await;
    let (answers, _) = client.rest().await;
    let (answers, is_cut) = reader::responses(&answers, &[method, "GET", "GET"]);
    assert!(!is_cut, "{}", context());
    let finals: Vec<_> = answers.iter().filter(|answer| status(&answer.line) >= 200).collect();
    let first = finals.first().map_or(0, |answer| status(&answer.line));
    let is_right = match must {
        BeRefused => (400..500).contains(&first) || first == 501,
        Arrive(_) => first == 200,
        BeClear(_) => [200, 400, 501].contains(&first),
        BeCut => [0, 400, 408].contains(&first),
    };
    let lines: Vec<_> = answers.iter().map(|answer| &answer.line).collect();
    assert!(is_right, "{}: {lines:?}", context());
    for (answer, target) in finals.iter().zip([&it, &behind]) {
        if status(&answer.line) == 200 && !(method == "HEAD" && *target == it) {
            let echo: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(echo["target"], **target, "{}", context());
        }
    }
    let answer = proxy.get(&victim).await;
    assert_eq!((answer.status, &answer.json()["target"]), (200, &victim.into()), "{}", context());
}

fn named(bytes: &[u8], it: &str) -> Vec<u8> {
    match bytes.windows(4).position(|four| four == b"{it}") {
        Some(at) => [&bytes[..at], it.as_bytes(), &bytes[at + 4..]].concat(),
        None => bytes.to_vec(),
    }
}

/// The requests that arrived of each vector: checks that each did as it must, and that nothing else did.
fn arrived(server: &Server, vectors: &Vectors) -> Vec<Option<Message>> {
    let mut whole = Vec::new();
    let mut cut = 0;
    for connection in server.received() {
        let (requests, is_cut) = reader::requests(&connection);
        whole.extend(requests);
        cut += usize::from(is_cut);
    }
    let of = |target: String| {
        let requests: Vec<_> = whole.iter().filter(|one| one.target() == target).collect();
        assert!(requests.len() <= 1, "{requests:?}");
        requests.first().map(|request| (*request).clone())
    };
    let mut expected = 0;
    let mut all = Vec::new();
    for (number, (bytes, must)) in vectors.iter().enumerate() {
        let context = || format!("{must:?}: {:.300}", bytes.escape_ascii().to_string());
        let [it, behind, victim] = ["it", "behind", "victim"].map(|who| of(target(number, who)));
        assert!(victim.is_some(), "{}", context());
        let body = it.as_ref().map(|it| String::from_utf8_lossy(&it.body).into_owned());
        match must {
            BeRefused | BeCut => assert_eq!(it, None, "{}", context()),
            Arrive(wanted) => assert_eq!(body.as_deref(), Some(*wanted), "{}", context()),
            BeClear(wanted) => assert!(body.is_none_or(|body| body == *wanted), "{}", context()),
        }
        expected += [&it, &behind, &victim].into_iter().flatten().count();
        all.push(it);
    }
    let lines: Vec<_> = whole.iter().map(|request| &request.line).collect();
    assert_eq!(whole.len(), expected, "something else arrived: {lines:#?}");
    assert!(cut <= vectors.iter().filter(|(_, must)| *must == BeCut).count());
    all
}
