//! Verdicts on real connections to a server that answers as told.

use super::*;
use crate::config::{self, Surroundings};
use crate::model::EndpointUrl;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Answers every connection with `answer`, piece by piece, and gives the requests' heads.
async fn server(answer: &[&[u8]]) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heads, received) = mpsc::channel(16);
    let answer: Vec<_> = answer.iter().map(|piece| piece.to_vec()).collect();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let _ = heads.try_send(String::from_utf8(head).unwrap());
            for (index, piece) in answer.iter().enumerate() {
                if index > 0 {
                    sleep(Duration::from_millis(5)).await;
                }
                let _ = stream.write_all(piece).await;
            }
        }
    });
    (address, received)
}

/// A backend with these keys; its endpoint is nobody's.
pub(super) fn backend_of(scheme: &str, keys: &str, ca: &str) -> Arc<Backend> {
    let text = format!(
        "listeners: [{{ name: a, address: '127.0.0.1:0' }}]\n\
         backends: [{{ name: b, endpoints: ['{scheme}://shop.test'], {keys} }}]\n"
    );
    let files = |_: &std::path::Path| Ok(ca.as_bytes().to_vec());
    let surroundings = Surroundings { files: &files, ..Surroundings::none() };
    let model = config::load(text.as_bytes(), "test", &surroundings).unwrap().model;
    Backend::compile(&model.backends[0], None, 1).unwrap()
}

fn backend(keys: &str) -> Arc<Backend> {
    backend_of("http", keys, "")
}

fn endpoint(addresses: &[SocketAddr]) -> Endpoint {
    let port = addresses.last().map_or(80, SocketAddr::port);
    let url = EndpointUrl {
        scheme: crate::model::Scheme::Http,
        host: "shop.test".into(),
        port,
        path: "/base".into(),
    };
    let endpoint = Endpoint::new(url, 1);
    endpoint.set_resolution(Resolution { addresses: addresses.to_vec(), error: None });
    endpoint
}

fn http(body: Option<&str>) -> Probe {
    let check = ProbeCheck::Http {
        path: "/health?full=1".into(),
        host: None,
        statuses: vec![(200, 204), (301, 301)],
        body: body.map(Into::into),
    };
    Probe { check, interval: Duration::from_secs(1), timeout: Duration::from_secs(20) }
}

/// An address that refuses: a listener had it and gave it back.
async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

async fn verdict(answer: &[&[u8]], body: Option<&str>) -> Result<(), String> {
    let (address, _heads) = server(answer).await;
    let result = check(&backend(""), &endpoint(&[address]), &http(body)).await;
    result.map(drop).map_err(|failure| failure.to_string())
}

#[tokio::test]
async fn a_probe_says_who_it_is_and_what_it_wants() {
    let (address, mut heads) = server(&[b"HTTP/1.1 204 No Content\r\n\r\n"]).await;
    check(&backend(""), &endpoint(&[address]), &http(None)).await.unwrap();
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("GET /base/health?full=1 HTTP/1.1\r\n"), "{head}");
    for field in [
        &format!("host: shop.test:{}", address.port()),
        "user-agent: outrigger-probe",
        "connection: close",
    ] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{field} in {head}");
    }
}

#[tokio::test]
async fn an_expected_status_passes_however_the_connection_ends() {
    for answer in [
        &[&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..]][..],
        &[b"HTTP/1.0 200 OK\r\n\r\nuntil the end"],
        &[b"HTTP/1.1 301 Moved\r\nContent-Length: 1000\r\n\r\ncut short"],
    ] {
        assert_eq!(verdict(answer, None).await, Ok(()));
    }
}

#[tokio::test]
async fn another_status_fails_and_says_what_was_expected() {
    let failure = verdict(&[b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"], None).await;
    assert_eq!(failure.unwrap_err(), "status 503, expected 200-204, 301");
}

#[tokio::test]
async fn a_text_is_found_across_pieces_and_missed_where_it_is_not() {
    let pieces = &[&b"HTTP/1.0 200 OK\r\n\r\n"[..], b"all is we", b"ll here"];
    assert_eq!(verdict(pieces, Some("well")).await, Ok(()));
    let failure = verdict(pieces, Some("ill")).await.unwrap_err();
    assert_eq!(failure, "the first 64 KiB of the body do not contain \"ill\"");
}

#[tokio::test]
async fn a_text_beyond_64_kib_is_not_found() {
    static FILLER: [u8; MAX_BODY - 2] = [b'.'; MAX_BODY - 2];
    let inside = &[&b"HTTP/1.0 200 OK\r\n\r\n"[..], &FILLER, b"ok"];
    assert_eq!(verdict(inside, Some("ok")).await, Ok(()));
    let beyond = &[&b"HTTP/1.0 200 OK\r\n\r\n"[..], &FILLER, b"..ok"];
    assert!(verdict(beyond, Some("ok")).await.is_err());
}

#[tokio::test]
async fn failures_are_told_in_words() {
    let closed = "the connection was closed before the answer was complete";
    assert_eq!(verdict(&[], None).await.unwrap_err(), closed);
    let failure = verdict(&[b"220 mail.test ESMTP\r\n"], None).await.unwrap_err();
    assert!(failure.starts_with("the answer is not HTTP: "), "{failure}");
    let failure =
        check(&backend(""), &endpoint(&[refusing().await]), &http(None)).await.unwrap_err();
    assert_eq!(failure.to_string(), "connection refused");
    let failure = check(&backend(""), &endpoint(&[]), &http(None)).await.unwrap_err();
    assert_eq!(failure.to_string(), "its host name has no address: not looked up yet");
}

#[tokio::test]
async fn an_answer_that_does_not_come_fails_in_time() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut probe = http(None);
    probe.timeout = Duration::from_millis(30);
    let endpoint = endpoint(&[listener.local_addr().unwrap()]);
    let failure = check(&backend(""), &endpoint, &probe).await.unwrap_err();
    assert_eq!(failure.to_string(), "no answer within 30ms");
}

#[tokio::test]
async fn every_address_is_tried_and_the_first_one_explains() {
    let (address, _heads) = server(&[b"HTTP/1.1 204 No Content\r\n\r\n"]).await;
    let refusing = refusing().await;
    check(&backend(""), &endpoint(&[refusing, address]), &http(None)).await.unwrap();
    let unreachable = SocketAddr::from(([255, 255, 255, 255], 1));
    let failure =
        check(&backend(""), &endpoint(&[refusing, unreachable]), &http(None)).await.unwrap_err();
    assert_eq!(failure.to_string(), "connection refused");
}

#[tokio::test]
async fn a_tcp_probe_wants_a_connection_and_nothing_else() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut probe = http(None);
    probe.check = ProbeCheck::Tcp;
    check(&backend(""), &endpoint(&[listener.local_addr().unwrap()]), &probe).await.unwrap();
    let failure = check(&backend(""), &endpoint(&[refusing().await]), &probe).await.unwrap_err();
    assert_eq!(failure.to_string(), "connection refused");
}

/// The time of a kept connection's answer, which traffic gets, has no connect in it.
#[tokio::test]
async fn latency_is_the_time_of_the_head_not_of_the_body() {
    static LATE_BODY: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n",
        b"l",
        b"a",
        b"t",
        b"e",
        b"b",
        b"o",
        b"d",
        b"y",
    ];
    let (address, _heads) = server(LATE_BODY).await;
    let started = Instant::now();
    let latency = check(&backend(""), &endpoint(&[address]), &http(None)).await.unwrap();
    assert!(started.elapsed() >= latency + Duration::from_millis(35), "{latency:?}");
}

/// What an endpoint speaks is known before the first upload to it.
#[tokio::test]
async fn a_probe_learns_whether_an_endpoint_speaks_http10() {
    for (version, is_http10) in [("1.0", true), ("1.1", false)] {
        let answer = format!("HTTP/{version} 200 OK\r\ncontent-length: 0\r\n\r\n");
        let (address, _heads) = server(&[answer.as_bytes()]).await;
        let endpoint = endpoint(&[address]);
        endpoint.set_speaks_http10(!is_http10);
        check(&backend(""), &endpoint, &http(None)).await.unwrap();
        assert_eq!(endpoint.speaks_http10(), is_http10);
    }
}

#[tokio::test]
async fn a_probe_says_that_it_is_nobodys_connection_where_the_endpoint_wants_to_know() {
    for (version, header) in
        [("V1", &b"PROXY UNKNOWN\r\n"[..]), ("V2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")]
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = endpoint(&[listener.local_addr().unwrap()]);
        let backend = backend(&format!("proxyProtocol: {version}"));
        let mut first = vec![0; header.len()];
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut first).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            stream.read_to_end(&mut Vec::new()).await
        };
        let probe = http(None);
        let (probed, _) = tokio::join!(check(&backend, &endpoint, &probe), server);
        probed.unwrap();
        assert_eq!(first, header);
    }
}
