//! Verdicts on a real HTTP/2 server.

use super::super::check;
use super::super::tests::backend_of;
use super::*;
use crate::backend::testing::{Ca, url};
use crate::endpoint::{Endpoint, Resolution};
use crate::model::{Probe, ProbeCheck, Scheme};
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// How the server answers: with a status, fields in the head, a message, and trailers.
#[derive(Clone, Default)]
struct Answer {
    head: Vec<(&'static str, &'static str)>,
    status: u16,
    body: Vec<u8>,
    trailers: Option<Vec<(&'static str, &'static str)>>,
}

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (name.parse().unwrap(), HeaderValue::from_static(value))
    };
    fields.iter().map(pair).collect()
}

/// Serves one connection; gives what the request asked: its path and its body.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer) -> (String, Vec<u8>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    let (head, mut body) = request.into_parts();
    let answering = async {
        let mut asked = Vec::new();
        while let Some(Ok(data)) = body.data().await {
            asked.extend_from_slice(&data);
        }
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(answer.status.max(200)).unwrap();
        *response.headers_mut() = map(&answer.head);
        let is_all = answer.body.is_empty() && answer.trailers.is_none();
        let mut stream = respond.send_response(response, is_all).unwrap();
        if !is_all {
            stream.send_data(answer.body.into(), answer.trailers.is_none()).unwrap();
        }
        if let Some(trailers) = &answer.trailers {
            stream.send_trailers(map(trailers)).unwrap();
        }
        asked
    };
    let rest = async { while connection.accept().await.is_some() {} };
    let (asked, ()) = tokio::join!(answering, rest);
    (head.uri.to_string(), asked)
}

fn probe(check: ProbeCheck) -> Probe {
    Probe { check, interval: Duration::from_secs(1), timeout: Duration::from_secs(20) }
}

fn grpc(service: &str) -> ProbeCheck {
    ProbeCheck::Grpc { service: service.into() }
}

/// Probes a server that answers so, in the clear.
async fn probed(check_: ProbeCheck, answer: Answer) -> (Result<(), String>, String, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = Endpoint::new(url(Scheme::Http, "shop.test", address), 1);
    endpoint.set_resolution(Resolution { addresses: vec![address], error: None });
    let backend = backend_of("http", "protocol: H2c", "");
    let server = async { serve(listener.accept().await.unwrap().0, answer).await };
    let probe = probe(check_);
    let (found, (uri, asked)) = tokio::join!(check(&backend, &endpoint, &probe), server);
    let uri = uri.replace(&format!(":{}", address.port()), "");
    (found.map(drop).map_err(|failure| failure.to_string()), uri, asked)
}

fn message(status: u8) -> Vec<u8> {
    vec![0, 0, 0, 0, 2, 8, status]
}

fn end(code: &'static str) -> Option<Vec<(&'static str, &'static str)>> {
    Some(vec![("grpc-status", code)])
}

#[tokio::test]
async fn a_service_that_serves_is_healthy() {
    for (service, expected) in [("", &b"\0\0\0\0\0"[..]), ("shop", b"\0\0\0\0\x06\x0a\x04shop")] {
        let answer = Answer { body: message(1), trailers: end("0"), ..Answer::default() };
        let (found, uri, asked) = probed(grpc(service), answer).await;
        assert_eq!((found, &*asked), (Ok(()), expected));
        assert_eq!(uri, "http://shop.test/grpc.health.v1.Health/Check");
    }
}

#[tokio::test]
async fn anything_else_is_told_in_words() {
    let at_end = |body: Vec<u8>, code| Answer { body, trailers: end(code), ..Answer::default() };
    let at_once = |head: Vec<_>| Answer { head, ..Answer::default() };
    for (answer, words) in [
        (at_end(message(2), "0"), "it is NOT_SERVING"),
        (at_end(message(3), "0"), "it knows no service \"shop\" (SERVICE_UNKNOWN)"),
        (at_end(vec![0; 5], "0"), "its health is UNKNOWN"),
        (at_end(message(9), "0"), "its health is 9, which is no known one"),
        (at_end(b"x".to_vec(), "0"), "the answer is not one of grpc.health.v1"),
        (
            at_once(vec![("grpc-status", "12")]),
            "the endpoint has no grpc.health.v1 (UNIMPLEMENTED)",
        ),
        (at_once(vec![("grpc-status", "5")]), "it knows no service \"shop\" (NOT_FOUND)"),
        (
            at_once(vec![("grpc-status", "14"), ("grpc-message", "too%20busy")]),
            "grpc-status 14: too busy",
        ),
        (at_once(vec![]), "the answer is not one of gRPC: it has no grpc-status"),
        (Answer { status: 404, ..Answer::default() }, "status 404 instead of an answer of gRPC"),
    ] {
        let (found, ..) = probed(grpc("shop"), answer).await;
        assert_eq!(found, Err(words.to_owned()));
    }
}

#[tokio::test]
async fn a_get_request_by_http2_is_judged_like_any_other() {
    let ask = |body: Option<&str>| ProbeCheck::Http {
        path: "/health?a".into(),
        host: None,
        statuses: vec![(200, 204)],
        body: body.map(Into::into),
    };
    let answer = |status| Answer { status, body: b"all is well".to_vec(), ..Answer::default() };
    let (found, uri, _) = probed(ask(Some("well")), answer(200)).await;
    assert_eq!((found, &*uri), (Ok(()), "http://shop.test/health?a"));
    let (found, ..) = probed(ask(None), answer(503)).await;
    assert_eq!(found, Err("status 503, expected 200-204".to_owned()));
    let (found, ..) = probed(ask(Some("ill")), answer(200)).await;
    assert!(found.unwrap_err().contains("do not contain"));
}

/// What a probe believes is what requests believe.
#[tokio::test]
async fn over_tls_only_an_endpoint_that_is_trusted_is_healthy() {
    let (ca, stranger) = (Ca::default(), Ca::default());
    for (trusted, words) in [(&ca, None), (&stranger, Some("not signed by a CA we trust"))] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint::new(url(Scheme::Https, "shop.test", address), 1);
        endpoint.set_resolution(Resolution { addresses: vec![address], error: None });
        let keys = "protocol: Http2, tls: { caFile: ca.crt }";
        let backend = backend_of("https", keys, &trusted.pem);
        let config = ca.server(ca.identity(&["shop.test"], (2000, 2100)), &["h2"], false);
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let server = async {
            let stream = listener.accept().await.unwrap().0;
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, Answer { body: message(1), trailers: end("0"), ..Answer::default() })
                    .await;
            }
        };
        let probe = probe(grpc(""));
        let (found, ()) = tokio::join!(check(&backend, &endpoint, &probe), server);
        match words {
            None => drop(found.unwrap()),
            Some(words) => assert!(found.unwrap_err().to_string().contains(words)),
        }
    }
}
