//! Clients that behave: none of their requests may fail, whatever is edited and whoever misbehaves meanwhile.
//!
//! Each function is one conversation. It counts its requests as they go well, and ends with the first that does not.

use super::clients::Client;
use super::wire::{Reply, Wire};
use crate::client::{Answer, Connection};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request};
use http_body_util::Full;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

type Result<T = ()> = std::result::Result<T, String>;

/// The largest body.
const MOST: usize = 4 << 20;

/// What endpoints send, and check in what they get.
pub static PATTERN: LazyLock<Bytes> = LazyLock::new(|| testserver::pattern(MOST).into());

/// What `/` answers.
const OK: &[u8] = br#"{"message":"ok"}"#;

pub async fn small(client: &mut Client) -> Result {
    let mut connection = Connection::open(client.scene.outrigger.address()).await?;
    for _ in 0..client.rng.u32(1..3000) {
        let answer = ok(connection.get("/").await?)?;
        same(&answer.body, OK)?;
        client.well(OK.len());
        if client.scene.is_stopping() {
            break;
        }
    }
    Ok(())
}

pub async fn new_connection(client: &mut Client) -> Result {
    let mut connection = Connection::open(client.scene.outrigger.address()).await?;
    same(&ok(connection.get("/").await?)?.body, OK)?;
    client.well(OK.len());
    pause(client, 10).await;
    Ok(())
}

pub async fn download(client: &mut Client) -> Result {
    let mut connection = Connection::open(client.scene.outrigger.address()).await?;
    for _ in 0..client.rng.u32(1..20) {
        let length = client.length(MOST);
        let framing = if client.rng.bool() { "" } else { "?chunked" };
        let answer = ok(connection.get(&format!("/bytes/{length}{framing}")).await?)?;
        same(&answer.body, &PATTERN[..length])?;
        client.well(length);
        pause(client, 20).await;
    }
    Ok(())
}

pub async fn upload(client: &mut Client) -> Result {
    let mut connection = Connection::open(client.scene.outrigger.address()).await?;
    for _ in 0..client.rng.u32(1..20) {
        let length = client.length(MOST);
        let request = Request::builder().method(Method::POST).uri("/sink");
        let request = request.body(Full::new(PATTERN.slice(..length))).expect("a request");
        arrived(&ok(connection.send(request).await?)?.body, length)?;
        client.well(length);
        pause(client, 20).await;
    }
    Ok(())
}

pub async fn chunked(client: &mut Client) -> Result {
    let mut wire = Wire::open(client.scene.outrigger.address()).await?;
    for _ in 0..client.rng.u32(1..20) {
        wire.send(b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        let (length, mut sent) = (client.length(MOST / 4), 0);
        while sent < length {
            let size = client.length(256 * 1024).clamp(1, length - sent);
            let head = format!("{size:x}\r\n");
            wire.send(&[head.as_bytes(), &PATTERN[sent..sent + size], b"\r\n"].concat()).await?;
            sent += size;
        }
        wire.send(b"0\r\n\r\n").await?;
        arrived(&wire.reply().await?.ok()?.body, length)?;
        client.well(length);
    }
    Ok(())
}

pub async fn pipelined(client: &mut Client) -> Result {
    let mut wire = Wire::open(client.scene.outrigger.address()).await?;
    for _ in 0..client.rng.u32(1..50) {
        let lengths: Vec<_> = (0..client.rng.u32(2..20)).map(|_| client.length(20_000)).collect();
        let get = |length| format!("GET /bytes/{length} HTTP/1.1\r\nHost: a\r\n\r\n");
        wire.send(lengths.iter().map(get).collect::<String>().as_bytes()).await?;
        for length in lengths {
            same(&wire.reply().await?.ok()?.body, &PATTERN[..length])?;
            client.well(length);
        }
        pause(client, 20).await;
    }
    Ok(())
}

pub async fn websocket(client: &mut Client) -> Result {
    let stream = TcpStream::connect(client.scene.outrigger.address()).await.map_err(words)?;
    let (mut socket, _) =
        tokio_tungstenite::client_async("ws://soak.test/ws", stream).await.map_err(words)?;
    let end = Instant::now() + client.scene.longest().mul_f64(client.rng.f64());
    loop {
        let length = client.length(64 * 1024);
        let message = Message::Binary(PATTERN.slice(..length));
        socket.send(message.clone()).await.map_err(words)?;
        match socket.next().await {
            Some(Ok(back)) if back == message => client.well(length),
            other => return Err(format!("not the message of {length} bytes: {}", short(&other))),
        }
        if Instant::now() > end || client.scene.is_stopping() {
            break;
        }
        pause(client, 100).await;
    }
    socket.close(None).await.map_err(words)?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

pub async fn events(client: &mut Client) -> Result {
    // Not so often that timers, which are rounded up to milliseconds, make it twice as long.
    let every = client.rng.u64(10..200);
    let longest = client.scene.longest().mul_f64(client.rng.f64());
    let pieces = longest.as_millis() as u64 / every + 1;
    let mut connection = Connection::open(client.scene.outrigger.address()).await?;
    let answer = connection.get(&format!("/trickle?pieces={pieces}&every={every}ms")).await?;
    let expected: String = (1..=pieces).map(|number| format!("data: {number}\n\n")).collect();
    same(&ok(answer)?.body, expected.as_bytes())?;
    client.well(expected.len());
    Ok(())
}

pub async fn head(client: &mut Client) -> Result {
    let mut wire = Wire::open(client.scene.outrigger.address()).await?;
    for _ in 0..client.rng.u32(1..50) {
        let length = client.length(MOST);
        wire.send(format!("HEAD /bytes/{length} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await?;
        let said = wire.head().await?.ok()?;
        same(said.field("content-length").as_bytes(), length.to_string().as_bytes())?;
        client.well(0);
        // A body behind it would be taken for this one's head.
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await?;
        same(&wire.reply().await?.ok()?.body, OK)?;
        client.well(OK.len());
        pause(client, 20).await;
    }
    Ok(())
}

pub async fn affinity(client: &mut Client) -> Result {
    let address = client.scene.outrigger.address();
    let get = async |cookie: &str| -> Result<Reply> {
        let mut wire = Wire::open(address).await?;
        let cookie = if cookie.is_empty() { "" } else { &format!("Cookie: {cookie}\r\n") };
        wire.send(format!("GET / HTTP/1.1\r\nHost: affine.test\r\n{cookie}\r\n").as_bytes())
            .await?;
        wire.reply().await?.ok()
    };
    let first = get("").await?;
    client.well(first.body.len());
    let cookie = first.field("set-cookie").split(';').next().unwrap_or("").to_owned();
    for _ in 0..client.rng.u32(1..20) {
        let again = get(&cookie).await?;
        same(again.field("x-test-server").as_bytes(), first.field("x-test-server").as_bytes())?;
        client.well(again.body.len());
        pause(client, 20).await;
    }
    Ok(())
}

pub async fn hashed(client: &mut Client) -> Result {
    let mut homes = BTreeMap::new();
    let mut connection = Connection::open(client.scene.outrigger.address()).await?;
    for _ in 0..300 {
        let user = client.rng.u8(..);
        let request = Request::builder().uri("/").header("host", "hashed.test");
        let request =
            request.header("x-user", u16::from(user)).body(Full::default()).expect("a request");
        let answer = ok(connection.send(request).await?)?;
        let home = homes.entry(user).or_insert_with(|| answer.server().to_owned());
        same(answer.server().as_bytes(), home.as_bytes())?;
        client.well(answer.body.len());
        pause(client, 5).await;
        if client.scene.is_stopping() {
            break;
        }
    }
    Ok(())
}

pub async fn moving(client: &mut Client) -> Result {
    let (address, moves) = client.scene.moving();
    let mut connection = match Connection::open(address).await {
        Ok(connection) => connection,
        // It moves, or has moved since we asked where it is.
        Err(_) if moves % 2 == 1 || client.scene.moving().1 != moves => {
            sleep(Duration::from_millis(5)).await;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for _ in 0..client.rng.u32(1..300) {
        same(&ok(connection.get("/").await?)?.body, OK)?;
        client.well(OK.len());
        pause(client, 10).await;
    }
    Ok(())
}

pub async fn restarting(client: &mut Client) -> Result {
    let mut connection = Connection::open(client.scene.outrigger.address()).await?;
    for _ in 0..client.rng.u32(1..500) {
        let request = Request::builder().uri("/").header("host", "restarting.test");
        let answer = connection.send(request.body(Full::default()).expect("a request")).await?;
        same(&ok(answer)?.body, OK)?;
        client.well(OK.len());
        pause(client, 4).await;
    }
    Ok(())
}

pub async fn slow(client: &mut Client) -> Result {
    let mut wire = Wire::open(client.scene.outrigger.address()).await?;
    let length = client.length(MOST / 4);
    // Neither so fast that nobody notices, nor so slow that the listener's limits count.
    let each = client.scene.longest().mul_f64(client.rng.f64() / 40.0);
    match client.rng.u32(0..3) {
        0 => {
            let head = format!("GET /bytes/{length} HTTP/1.1\r\nHost: slow.test\r\n\r\n");
            for piece in head.as_bytes().chunks(8) {
                wire.send(piece).await?;
                sleep(each).await;
            }
            same(&wire.reply().await?.ok()?.body, &PATTERN[..length])?;
        }
        1 => {
            let head =
                format!("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            wire.send(head.as_bytes()).await?;
            for piece in PATTERN[..length].chunks(length / 10 + 1) {
                sleep(each).await;
                wire.send(piece).await?;
            }
            arrived(&wire.reply().await?.ok()?.body, length)?;
        }
        _ => {
            wire.send(format!("GET /bytes/{length} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
                .await?;
            let (head, mut body) = (wire.head().await?.ok()?, Vec::new());
            same(head.field("content-length").as_bytes(), length.to_string().as_bytes())?;
            while body.len() < length {
                let piece = wire.read(length / 10 + 1).await?;
                if piece.is_empty() {
                    return Err(format!("{} of {length} bytes, read slowly", body.len()));
                }
                body.extend(piece);
                sleep(each / 4).await;
            }
            same(&body, &PATTERN[..length])?;
        }
    }
    client.well(length);
    Ok(())
}

/// Up to so many milliseconds of nothing.
async fn pause(client: &mut Client, most: u64) {
    sleep(Duration::from_millis(client.rng.u64(0..=most))).await;
}

fn ok(answer: Answer) -> Result<Answer> {
    if answer.status == 200 {
        Ok(answer)
    } else {
        Err(format!("{}: {}", answer.status, answer.text()))
    }
}

/// What `/sink` says when it got the pattern and nothing else.
fn arrived(answer: &[u8], length: usize) -> Result {
    let said: serde_json::Value = serde_json::from_slice(answer).map_err(words)?;
    let intact = said["length"] == length && said["pattern"] == true;
    if intact { Ok(()) } else { Err(format!("{length} bytes were sent, but: {said}")) }
}

fn same(found: &[u8], expected: &[u8]) -> Result {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    let rest =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 40)]).into_owned();
    Err(format!(
        "{} bytes for {}, which differ from byte {at}: {:?} for {:?}",
        found.len(),
        expected.len(),
        rest(found),
        rest(expected)
    ))
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn short(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take(200).collect()
}
