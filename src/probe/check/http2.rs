//! Probes by HTTP/2: a GET request, or a call of gRPC's health service.
//!
//! Source: RFC 9113; the gRPC health checking protocol (`grpc.health.v1`); gRPC over HTTP/2.

use super::{Failure, judge};
use crate::backend::http2::connection::shake_hands;
use crate::model::EndpointUrl;
use crate::tls::Stream;
use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Limited};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The largest answer of a health service that is read, in bytes: it has seven.
const MAX_MESSAGE: usize = 4096;

/// What `ServingStatus` says when requests are served.
const SERVING: u8 = 1;

/// Sends a GET request and judges the answer; gives the time to its head.
pub(super) async fn get(
    stream: Stream,
    request: Request<()>,
    statuses: &[(u16, u16)],
    text: Option<&Arc<str>>,
) -> Result<Duration, Failure> {
    exchange(stream, request, Bytes::new(), async |response| {
        let (head, body) = response.into_parts();
        judge(head.status, Received(body), statuses, text, broken).await
    })
    .await
}

/// Asks `grpc.health.v1.Health/Check` for `service`; gives the time to the answer's head.
pub(super) async fn grpc(
    stream: Stream,
    url: &EndpointUrl,
    service: &str,
) -> Result<Duration, Failure> {
    let (scheme, authority) = (url.scheme.as_str(), url.authority());
    let path = format!("{}/grpc.health.v1.Health/Check", url.path);
    let request = Request::post(format!("{scheme}://{authority}{path}"))
        .header(header::USER_AGENT, "outrigger-probe")
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(())
        .map_err(super::invalid)?;
    exchange(stream, request, question(service), async |response| {
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            let status = head.status.as_u16();
            return Err(Failure::Grpc(format!("status {status} instead of an answer of gRPC")));
        }
        // What has no message has its status in the head.
        if head.headers.contains_key("grpc-status") {
            return verdict(&head.headers, &[], service);
        }
        let body = Limited::new(Received(body), MAX_MESSAGE);
        let body = body.collect().await.map_err(|error| Failure::Broken(error.to_string()))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        verdict(&trailers, &body.to_bytes(), service)
    })
    .await
}

/// Sends a request on a new connection, and gives the time to the answer's head if `judge` finds it good.
async fn exchange(
    stream: Stream,
    request: Request<()>,
    body: Bytes,
    judge: impl AsyncFnOnce(Response<RecvStream>) -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    let (mut sender, driver) = shake_hands(stream).await.map_err(Failure::Connect)?;
    let answer = async move {
        let started = Instant::now();
        let (response, mut sending) =
            sender.send_request(request, body.is_empty()).map_err(broken)?;
        if !body.is_empty() {
            sending.send_data(body, true).map_err(broken)?;
        }
        let response = response.await.map_err(broken)?;
        let latency = started.elapsed();
        judge(response).await.map(|()| latency)
    };
    let (mut driver, mut answer) = (pin!(driver), pin!(answer));
    tokio::select! {
        biased;
        verdict = &mut answer => return verdict,
        _ = &mut driver => {}
    }
    // The endpoint closed; what came before that is still to be judged.
    answer.await
}

/// The message with a `HealthCheckRequest`: field 1 is the service.
fn question(service: &str) -> Bytes {
    let mut request = Vec::new();
    if !service.is_empty() {
        request.push(0x0a);
        put_varint(service.len(), &mut request);
        request.extend_from_slice(service.as_bytes());
    }
    let mut message = vec![0];
    message.extend_from_slice(&(request.len() as u32).to_be_bytes());
    message.extend_from_slice(&request);
    message.into()
}

fn put_varint(mut value: usize, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// What the end of a call, and the message before it, say of the service.
fn verdict(end: &HeaderMap, message: &[u8], service: &str) -> Result<(), Failure> {
    let text = |name| end.get(name).and_then(|value| value.to_str().ok());
    let failed = |what: String| Err(Failure::Grpc(what));
    let Some(code) = text("grpc-status") else {
        return failed("the answer is not one of gRPC: it has no grpc-status".to_owned());
    };
    match code {
        "0" => {}
        "5" => return failed(format!("it knows no service {service:?} (NOT_FOUND)")),
        "12" => return failed("the endpoint has no grpc.health.v1 (UNIMPLEMENTED)".to_owned()),
        code => {
            let why = text("grpc-message").map(|why| {
                let why = percent_encoding::percent_decode_str(why).decode_utf8_lossy();
                format!(": {why}")
            });
            return failed(format!("grpc-status {code}{}", why.unwrap_or_default()));
        }
    }
    // A flag, four bytes of length, and the message: field 1 is the status, and one that is 0 is left out.
    let status = match message {
        [0, 0, 0, 0, 0] => 0,
        [0, 0, 0, 0, 2, 0x08, status] => *status,
        _ => return failed("the answer is not one of grpc.health.v1".to_owned()),
    };
    match status {
        SERVING => Ok(()),
        0 => failed("its health is UNKNOWN".to_owned()),
        2 => failed("it is NOT_SERVING".to_owned()),
        3 => failed(format!("it knows no service {service:?} (SERVICE_UNKNOWN)")),
        other => failed(format!("its health is {other}, which is no known one")),
    }
}

/// A response's body.
struct Received(RecvStream);

impl Body for Received {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(data) = ready!(self.0.poll_data(cx)) {
            let data = data?;
            let _ = self.0.flow_control().release_capacity(data.len());
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(self.0.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

fn broken(error: h2::Error) -> Failure {
    Failure::Broken(match error.get_io() {
        Some(io) => super::in_words(io),
        None => error.to_string(),
    })
}

#[cfg(test)]
mod tests;
