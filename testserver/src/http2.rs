//! A connection of HTTP/2 (RFC 9113), by the h2 library: the behaviours that are not about HTTP/1.1's bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::counters::InFlight;
use crate::request::latin1;
use crate::server::Shared;
use crate::stream::Stream;
use crate::{parse_duration, pattern};

/// What the streams of a connection share.
#[derive(Clone)]
struct Context {
    shared: Arc<Shared>,
    /// The number of the connection, counted from 1.
    number: u64,
    tls: Option<Value>,
    go_away: Arc<Notify>,
}

/// Why an answer did not come to its end.
enum Failed {
    /// The request asks for what there is not: answered with 400.
    Asked(String),
    /// The stream is done for.
    Stream,
}

impl From<String> for Failed {
    fn from(asked: String) -> Self {
        Self::Asked(asked)
    }
}

impl From<h2::Error> for Failed {
    fn from(_: h2::Error) -> Self {
        Self::Stream
    }
}

/// Answers requests until the client goes.
pub(crate) async fn serve(stream: Stream, shared: Arc<Shared>, number: u64) {
    let tls = stream.tls();
    let go_away = Arc::new(Notify::new());
    let mut builder = h2::server::Builder::new();
    if let Some(streams) = shared.max_streams {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    let mut draining = shared.draining.subscribe();
    let mut goes_away = false;
    let context = Context { shared, number, tls, go_away: Arc::clone(&go_away) };
    // Dropped with the connection, as its streams are then of no use.
    let mut streams = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let number = u64::from(u32::from(respond.stream_id()).div_ceil(2));
                    streams.spawn(answer(context.clone(), number, request, respond));
                }
                Some(Err(_)) | None => return,
            },
            () = go_away.notified() => connection.graceful_shutdown(),
            _ = draining.wait_for(|draining| *draining), if !goes_away => {
                goes_away = true;
                connection.graceful_shutdown();
            }
            Some(_) = streams.join_next() => {}
        }
    }
}

async fn answer(
    context: Context,
    number: u64,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let (head, body) = request.into_parts();
    let in_flight = InFlight::new(&context.shared.counters, head.uri.path());
    let mut exchange = Exchange { context, number, head, body, respond };
    let done = exchange.choose().await;
    let done = match done {
        Err(Failed::Asked(wrong)) => exchange.say(400, &json!({ "message": wrong })).await,
        done => done,
    };
    if done.is_err() {
        exchange.context.shared.counters.abandon();
    }
    drop(in_flight);
}

struct Exchange {
    context: Context,
    number: u64,
    head: http::request::Parts,
    body: RecvStream,
    respond: SendResponse<Bytes>,
}

impl Exchange {
    async fn choose(&mut self) -> Result<(), Failed> {
        let delay = self.duration_of("delay", Duration::ZERO)?;
        if !delay.is_zero() {
            self.wait(sleep(delay)).await?;
        }
        if self.parameter("hold").is_some() {
            self.held().await?;
        }
        let path = self.head.uri.path().to_owned();
        let name = path.strip_prefix('/').unwrap_or("-");
        let (first, rest) = name.split_once('/').unwrap_or((name, ""));
        match (first, rest) {
            ("", "") => {
                self.read_body(|_| {}).await?;
                self.wait(sleep(self.context.shared.delay())).await?;
                self.say(200, &json!({ "message": "ok" })).await
            }
            ("health", "") => self.say(200, &json!({ "message": "ok" })).await,
            ("hold", "") => {
                self.held().await?;
                self.say(200, &json!({ "message": "ok" })).await
            }
            ("echo", "") => self.echo().await,
            ("sink", "") => self.sink().await,
            ("status", code) => {
                let code = code.parse().map_err(|_| format!("'{code}' is not a status"))?;
                self.read_body(|_| {}).await?;
                self.say(code, &json!({ "status": code })).await
            }
            ("bytes", length) => {
                let length =
                    length.parse().map_err(|_| format!("'{length}' is not a number of bytes"))?;
                self.bytes(length).await
            }
            ("trickle", "") => self.trickle().await,
            ("trailers", "") => self.trailers().await,
            ("reset", code) => {
                let code: u32 = code.parse().map_err(|_| format!("'{code}' is not a code"))?;
                self.respond.send_reset(Reason::from(code));
                Ok(())
            }
            ("go-away", "") => {
                self.context.go_away.notify_one();
                self.say(200, &json!({ "message": "ok" })).await
            }
            _ => {
                let answer = json!({ "message": "no such behaviour over HTTP/2" });
                self.say(404, &answer).await
            }
        }
    }

    async fn echo(&mut self) -> Result<(), Failed> {
        let mut body = Vec::new();
        let trailers = self.read_body(|piece| body.extend_from_slice(piece)).await?;
        let answer = json!({
            "server": self.context.shared.name,
            "connection": self.context.number,
            "request": self.number,
            "method": self.head.method.as_str(),
            "target": self.head.uri.path_and_query().map(ToString::to_string),
            "scheme": self.head.uri.scheme_str(),
            "authority": self.head.uri.authority().map(ToString::to_string),
            "version": "HTTP/2.0",
            "headers": fields(&self.head.headers),
            "body": { "length": body.len(), "text": String::from_utf8_lossy(&body) },
            "trailers": trailers,
            "tls": self.context.tls,
        });
        self.say(200, &answer).await
    }

    async fn sink(&mut self) -> Result<(), Failed> {
        let (mut length, mut intact) = (0, true);
        let trailers = self
            .read_body(|piece| {
                for &byte in piece {
                    intact &= byte == b'a' + (length % 26) as u8;
                    length += 1;
                }
            })
            .await?;
        let answer = json!({ "length": length, "pattern": intact, "trailers": trailers });
        self.say(200, &answer).await
    }

    async fn bytes(&mut self, mut left: usize) -> Result<(), Failed> {
        /// A whole number of periods near 64 KiB.
        const BLOCK: usize = 26 * 2520;
        self.read_body(|_| {}).await?;
        let head = self.response(200).header("content-length", left);
        let head = head.body(()).map_err(|error| error.to_string())?;
        let mut stream = self.respond.send_response(head, left == 0)?;
        let block = Bytes::from(pattern(left.min(BLOCK)));
        while left > 0 {
            let piece = block.slice(..left.min(BLOCK));
            left -= piece.len();
            send(&mut stream, piece, left == 0).await?;
        }
        Ok(())
    }

    async fn trickle(&mut self) -> Result<(), Failed> {
        let pieces = self.parameter("pieces").and_then(|text| text.parse().ok()).unwrap_or(5);
        let every = self.duration_of("every", Duration::from_millis(100))?;
        self.read_body(|_| {}).await?;
        let head = self.response(200).header("content-type", "text/event-stream");
        let head = head.body(()).map_err(|error| error.to_string())?;
        let mut stream = self.respond.send_response(head, false)?;
        let pieces: u64 = if pieces == 0 { u64::MAX } else { pieces };
        for number in 1..=pieces {
            if number > 1 {
                self.wait(sleep(every)).await?;
            }
            send(&mut stream, format!("data: {number}\n\n").into(), false).await?;
        }
        Ok(stream.send_data(Bytes::new(), true)?)
    }

    async fn trailers(&mut self) -> Result<(), Failed> {
        self.read_body(|_| {}).await?;
        let head = self.response(200).header("content-type", "text/plain");
        let head = head.body(()).map_err(|error| error.to_string())?;
        let mut stream = self.respond.send_response(head, false)?;
        send(&mut stream, Bytes::from_static(b"with trailers\n"), false).await?;
        let trailers = [("x-checksum", "42"), ("x-pieces", "2")];
        let trailers = trailers.into_iter().filter_map(|(name, value)| {
            Some((name.parse::<http::HeaderName>().ok()?, value.parse().ok()?))
        });
        Ok(stream.send_trailers(trailers.collect())?)
    }

    fn response(&self, status: u16) -> http::response::Builder {
        Response::builder().status(status).header("x-test-server", &self.context.shared.name)
    }

    /// Sends a JSON answer.
    async fn say(&mut self, status: u16, body: &Value) -> Result<(), Failed> {
        let body = Bytes::from(body.to_string());
        let head = self.response(status).header("content-type", "application/json");
        let Ok(head) = head.header("content-length", body.len()).body(()) else {
            self.respond.send_reset(Reason::INTERNAL_ERROR);
            return Err(Failed::Stream);
        };
        let is_head = self.head.method == http::Method::HEAD || matches!(status, 204 | 304);
        let mut stream = self.respond.send_response(head, is_head)?;
        if is_head { Ok(()) } else { send(&mut stream, body, true).await }
    }

    /// Reads the body to its end and gives the trailers.
    async fn read_body(
        &mut self,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<Vec<(String, String)>, Failed> {
        while let Some(piece) = self.body.data().await {
            let piece = piece?;
            sink(&piece);
            self.body.flow_control().release_capacity(piece.len())?;
        }
        Ok(self.body.trailers().await?.map(|trailers| fields(&trailers)).unwrap_or_default())
    }

    /// Waits for something, or until the client resets the stream, which is an error.
    async fn wait(&mut self, event: impl Future<Output = ()>) -> Result<(), Failed> {
        tokio::select! {
            () = event => Ok(()),
            _ = std::future::poll_fn(|context| self.respond.poll_reset(context)) => {
                Err(Failed::Stream)
            }
        }
    }

    async fn held(&mut self) -> Result<(), Failed> {
        let mut released = self.context.shared.released.subscribe();
        // An error means that the server is gone; then the connection ends anyway.
        self.wait(async move { drop(released.wait_for(|released| *released).await) }).await
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.head.uri.query()?.split('&');
        let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find_map(|(found, value)| (found == name).then_some(value))
    }

    fn duration_of(&self, name: &str, otherwise: Duration) -> Result<Duration, String> {
        self.parameter(name).map_or(Ok(otherwise), parse_duration)
    }
}

/// Sends a piece of a body as the client's windows allow.
async fn send(stream: &mut SendStream<Bytes>, mut piece: Bytes, last: bool) -> Result<(), Failed> {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        let free = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let free = free.ok_or(Failed::Stream)??;
        let part = piece.split_to(free.min(piece.len()));
        stream.send_data(part, last && piece.is_empty())?;
    }
    Ok(())
}

fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), latin1(value.as_bytes())))
        .collect()
}
