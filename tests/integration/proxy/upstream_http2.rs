//! Endpoints that speak HTTP/2: what they receive, and that nothing they may do with streams and connections loses a request.

use super::client::Client;
use super::harness::{Config, Proxy, until};
use super::http2_endpoint::{Http2Endpoint, Manner, answer, read, send};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use h2::Reason;
use http::{HeaderMap, HeaderValue, Method, Response, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

fn before(endpoints: &[&Http2Endpoint]) -> Config {
    Config::to_urls(endpoints.iter().map(|endpoint| endpoint.url()).collect()).keys("protocol: H2c")
}

#[tokio::test]
async fn a_request_of_http1_arrives_as_one_of_http2() {
    let endpoint = Http2Endpoint::start(Manner::default(), |request, respond| async move {
        let (head, mut body) = request.into_parts();
        let (data, trailers) = read(&mut body).await;
        let mut fields: Vec<_> = head.headers.iter().collect();
        fields.sort_by_key(|(name, _)| name.as_str());
        let text = format!(
            "{:?} {} {}\n{fields:?}\n{:?} {trailers:?}",
            head.version,
            head.method,
            head.uri,
            String::from_utf8_lossy(&data)
        );
        answer(respond, text).await;
    })
    .await;
    let proxy = before(&[&endpoint]).start();
    let response = proxy
        .ask(
            "POST /a/b?c HTTP/1.1\r\nHost: Shop.Example:81\r\nConnection: keep-alive, x-gone\r\nX-Gone: 1\r\n\
             Keep-Alive: timeout=5\r\nTE: trailers, gzip\r\nUpgrade: echo\r\nX-Forwarded-For: 9.9.9.9\r\n\
             Cookie: a=1; b=2\r\nX-Request-Id: id\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n",
        )
        .await;
    assert_eq!(response.status, 200);
    let expected = "HTTP/2.0 POST http://Shop.Example:81/a/b?c\n\
        [(\"cookie\", \"a=1; b=2\"), (\"te\", \"trailers\"), (\"via\", \"1.1 outrigger\"), \
        (\"x-forwarded-for\", \"127.0.0.1\"), (\"x-forwarded-host\", \"Shop.Example:81\"), \
        (\"x-forwarded-proto\", \"http\"), (\"x-request-id\", \"id\")]\n\
        \"body\" Some({\"x-sum\": \"1\"})";
    assert_eq!(response.text(), expected);
}

#[tokio::test]
async fn trailers_come_back_to_clients_that_take_them() {
    let endpoint = Http2Endpoint::start(Manner::default(), |_, mut respond| async move {
        let response = Response::builder().header("trailer", "grpc-status").body(()).unwrap();
        let mut stream = respond.send_response(response, false).unwrap();
        stream.send_data(Bytes::from_static(b"data"), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        stream.send_trailers(trailers).unwrap();
    })
    .await;
    let proxy = before(&[&endpoint]).start();
    let response = proxy.ask("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n").await;
    assert_eq!((response.text(), response.trailers.trim()), ("data", "grpc-status: 0"));
}

#[tokio::test]
async fn large_bodies_go_both_ways() {
    let endpoint = Http2Endpoint::start(Manner::default(), |mut request, respond| async move {
        let (data, _) = read(request.body_mut()).await;
        answer(respond, data).await;
    })
    .await;
    let proxy = before(&[&endpoint]).start();
    let body = testserver::pattern(3 << 20);
    let mut client = proxy.client().await;
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    client.send(head).await;
    client.send(&body).await;
    let response = client.answer().await;
    assert!(response.status == 200 && response.body == body);
}

/// Asks for `count` times at once, and gives the statuses.
async fn ask_at_once(proxy: &Proxy, request: &'static str, count: usize) -> Vec<u16> {
    let address = proxy.address;
    let asking: Vec<_> = (0..count)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = Client::to(address).await;
                client.send(request).await;
                client.answer().await.status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for asked in asking {
        statuses.push(asked.await.unwrap());
    }
    statuses
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

#[tokio::test]
async fn many_requests_share_a_connection_as_far_as_the_endpoint_allows() {
    for (max_streams, connections) in [(None, 1), (Some(4), 3)] {
        let all_here = Arc::new(Semaphore::new(0));
        let arrived = Arc::new(AtomicU64::new(0));
        let manner = Manner { max_streams, ..Manner::default() };
        let (here, count) = (Arc::clone(&all_here), Arc::clone(&arrived));
        let endpoint = Http2Endpoint::start(manner, move |_, respond| {
            let (here, count) = (Arc::clone(&here), Arc::clone(&count));
            async move {
                // None is answered before all of them are here.
                if count.fetch_add(1, Relaxed) == 11 {
                    here.add_permits(12);
                }
                here.acquire().await.unwrap().forget();
                answer(respond, "ok").await;
            }
        })
        .await;
        let proxy = before(&[&endpoint]).start();
        assert_eq!(ask_at_once(&proxy, GET, 12).await, [200; 12]);
        assert!(endpoint.connections() >= connections, "{}", endpoint.connections());
        if max_streams.is_none() {
            assert_eq!(endpoint.connections(), 1);
        }
        assert_eq!((endpoint.requests(), proxy.retries()), (12, (0, 0)));
    }
}

#[tokio::test]
async fn a_refused_stream_goes_elsewhere_whatever_the_method_and_costs_no_budget() {
    let refusing = Http2Endpoint::start(Manner::default(), |_, mut respond| async move {
        respond.send_reset(Reason::REFUSED_STREAM);
    })
    .await;
    let good = Http2Endpoint::start(Manner::default(), |_, respond| answer(respond, "ok")).await;
    let proxy =
        before(&[&refusing, &good]).retry("budget: { ratio: 0.0, minPerSecond: 0 }").start();
    for _ in 0..20 {
        assert_eq!(proxy.ask(POST).await.status, 200);
    }
    assert!(refusing.requests() > 0);
    assert_eq!(proxy.retries(), (refusing.requests(), 0));
}

#[tokio::test]
async fn a_post_whose_stream_was_reset_is_not_sent_twice() {
    let endpoint = Http2Endpoint::start(Manner::default(), |_, mut respond| async move {
        respond.send_reset(Reason::INTERNAL_ERROR);
    })
    .await;
    let proxy = before(&[&endpoint]).start();
    let response = proxy.ask(POST).await;
    assert_eq!((response.status, response.reason()), (502, "connection_closed".to_owned()));
    assert_eq!(endpoint.requests(), 1);
}

/// B8: an endpoint that closes its connections again and again loses nothing, not even what must not be sent twice.
#[tokio::test]
async fn a_goaway_under_load_loses_no_request() {
    let manner = Manner { requests_per_connection: Some(7), ..Manner::default() };
    let endpoint = Http2Endpoint::start(manner, |_, respond| answer(respond, "ok")).await;
    let proxy = before(&[&endpoint]).start();
    let address = proxy.address;
    let clients: Vec<_> = (0..8)
        .map(|number| {
            tokio::spawn(async move {
                let mut client = Client::to(address).await;
                for _ in 0..50 {
                    client.send(if number % 2 == 0 { GET } else { POST }).await;
                    let response = client.answer().await;
                    assert_eq!(response.status, 200, "{response:?}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert!(endpoint.connections() > 10, "{}", endpoint.connections());
}

/// K3
#[tokio::test]
async fn a_restart_under_load_fails_no_idempotent_request() {
    let new = || Http2Endpoint::start(Manner::default(), |_, respond| answer(respond, "ok"));
    let (mut one, two) = (new().await, new().await);
    let proxy = before(&[&one, &two]).start();
    let address = proxy.address;
    let done = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                let mut client = Client::to(address).await;
                while done.load(Relaxed) < 5 {
                    let response = client.get("/").await;
                    assert_eq!(response.status, 200, "{response:?}");
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let before = one.requests() + two.requests();
        one.restart().await;
        until(|| one.requests() + two.requests() >= before + 100, "requests after a restart").await;
        done.fetch_add(1, Relaxed);
    }
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_websocket_goes_by_extended_connect() {
    let manner = Manner { tunnels: true, ..Manner::default() };
    let endpoint = Http2Endpoint::start(manner, |request, mut respond| async move {
        let protocol = request.extensions().get::<h2::ext::Protocol>().unwrap();
        assert_eq!((protocol.as_str(), request.method()), ("websocket", &Method::CONNECT));
        assert_eq!(request.version(), Version::HTTP_2);
        assert!(!request.headers().contains_key("sec-websocket-key"));
        assert_eq!(request.headers()["sec-websocket-version"], "13");
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        // What comes is masked, so that it cannot be echoed: a message of our own goes back.
        let mut body = request.into_body();
        body.data().await.unwrap().unwrap();
        send(&mut stream, Bytes::from_static(b"\x82\x05hello"), false).await.unwrap();
        send(&mut stream, Bytes::from_static(b"\x88\0"), true).await.unwrap();
        while body.data().await.is_some() {}
    })
    .await;
    let proxy = before(&[&endpoint]).start();
    let stream = proxy.client().await.stream;
    let (mut socket, response) =
        tokio_tungstenite::client_async("ws://a.example/ws", stream).await.unwrap();
    assert_eq!(response.status(), 101);
    socket.send(Message::binary(&b"ping"[..])).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::binary(&b"hello"[..]));
    assert!(socket.next().await.unwrap().unwrap().is_close());
    drop(socket);
    proxy.ended(1).await;
}

#[tokio::test]
async fn a_websocket_is_refused_with_the_reason_where_the_endpoint_takes_none() {
    let endpoint =
        Http2Endpoint::start(Manner::default(), |_, respond| answer(respond, "ok")).await;
    let proxy = before(&[&endpoint]).start();
    let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let response = proxy.ask(ask).await;
    assert_eq!((response.status, response.reason()), (502, "upgrade_unsupported".to_owned()));
    assert_eq!(endpoint.requests(), 0);
}

#[tokio::test]
async fn an_endpoint_that_speaks_no_http2_is_one_that_cannot_be_connected_to() {
    let server = super::harness::server().await;
    let proxy = Config::to(&[&server]).keys("protocol: H2c").retry("attempts: 0").start();
    let response = proxy.get("/").await;
    assert_eq!((response.status, response.reason()), (502, "http2_failed".to_owned()));
}

#[tokio::test]
async fn a_100_and_other_interim_responses_reach_the_client() {
    let endpoint = Http2Endpoint::start(Manner::default(), |mut request, mut respond| async move {
        let interim = |status: u16| Response::builder().status(status).body(()).unwrap();
        respond.send_informational(interim(103)).unwrap();
        respond.send_informational(interim(100)).unwrap();
        let (data, _) = read(request.body_mut()).await;
        answer(respond, data).await;
    })
    .await;
    let proxy = before(&[&endpoint]).start();
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    let heads = [client.head().await, client.head().await];
    assert!(heads[0].starts_with("HTTP/1.1 103 ") && heads[1].starts_with("HTTP/1.1 100 "));
    client.send("body").await;
    assert_eq!(client.answer().await.text(), "body");
}

/// B8
#[tokio::test]
async fn an_old_connection_takes_no_further_requests() {
    let endpoint =
        Http2Endpoint::start(Manner::default(), |_, respond| answer(respond, "ok")).await;
    let proxy = before(&[&endpoint]).timeouts("maxConnectionAge: 200ms").start();
    let mut client = proxy.client().await;
    let started = tokio::time::Instant::now();
    while endpoint.connections() < 3 {
        assert_eq!(client.get("/").await.status, 200);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(started.elapsed() >= Duration::from_millis(2 * 180), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_connection_that_nobody_verified_is_not_used_when_somebody_should() {
    let of = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let endpoints = of("a.example");
    let key = rustls::pki_types::PrivateKeyDer::try_from(endpoints.signing_key.serialize_der());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![endpoints.cert.der().clone()], key.unwrap())
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let manner = Manner { tls: Some(tls), ..Manner::default() };
    let endpoint = Http2Endpoint::start(manner, |_, respond| answer(respond, "ok")).await;
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), of("b.example").cert.pem()).unwrap();
    let before = |tls: &str| {
        Config::to_urls(vec![endpoint.url()]).keys(&format!("protocol: Http2\n  tls: {{ {tls} }}"))
    };
    let proxy = before("insecureSkipVerify: true").start();
    assert_eq!(proxy.get("/").await.status, 200);
    proxy.reload(&before(&format!("caFile: '{}'", ca.path().display()))).await;
    assert_eq!(proxy.get("/").await.status, 502);
    assert_eq!(endpoint.requests(), 1);
}

/// A machine that is gone without a word answers nobody, and TCP notices late.
#[tokio::test]
async fn a_connection_on_which_nobody_is_answered_takes_no_more_requests() {
    let endpoint = Http2Endpoint::start(Manner::default(), |request, respond| async move {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        answer(respond, "ok").await;
    })
    .await;
    let proxy = before(&[&endpoint]).timeouts("request: 200ms").retry("attempts: 0").start();
    assert_eq!(proxy.get("/").await.status, 200);
    assert_eq!(proxy.get("/never").await.status, 504);
    assert_eq!(proxy.get("/").await.status, 200);
    assert_eq!(endpoint.connections(), 2);
    // Others' answers say that it lives.
    let (slow, quick) = tokio::join!(proxy.get("/never"), async {
        while endpoint.requests() < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        proxy.get("/").await
    });
    assert_eq!((slow.status, quick.status), (504, 200));
    assert_eq!(proxy.get("/").await.status, 200);
    assert_eq!(endpoint.connections(), 2);
}
