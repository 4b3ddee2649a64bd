//! Handshakes with real servers: who is believed, and what the operator reads about the others.

use super::*;
use crate::backend::testing::{Ca, Identity, url};
use rustls::{ClientConfig, ServerConfig};
use std::future::poll_fn;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Accepted = tokio_rustls::server::TlsStream<TcpStream>;

const YEARS: (i32, i32) = (2000, 2100);
const KEY: Key = Key { endpoint: 1, ends: None, tls: None };

/// Connects to a server with `config` that is known as `host`.
async fn connect(
    config: ServerConfig,
    client: &Arc<ClientConfig>,
    host: &str,
    server_name: Option<&str>,
    http2: bool,
) -> (Result<Stream, ConnectError>, io::Result<Accepted>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        acceptor.accept(stream).await
    };
    let resolution = Resolution { addresses: vec![address], error: None };
    let dial = Dial {
        url: &url(Scheme::Https, host, address),
        resolution: &resolution,
        timeout: Some(Duration::from_secs(20)),
        security: Some(Security { config: client, server_name }),
        http2,
        introduction: None,
    };
    tokio::join!(dial.connect(), server)
}

/// What the operator reads when an endpoint of this `identity` is known as `host`.
async fn refusal(ca: &Ca, identity: Identity, host: &str) -> TlsFault {
    let config = ca.server(identity, &["http/1.1"], false);
    let (connected, server) =
        connect(config, &ca.client(None, "http/1.1"), host, None, false).await;
    assert!(server.is_err() || server.unwrap().read(&mut [0]).await.is_err(), "not a byte");
    fault(connected.unwrap_err())
}

fn fault(error: ConnectError) -> TlsFault {
    match error {
        ConnectError::Tls { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_verified_endpoint_is_spoken_to() {
    let ca = Ca::default();
    for (names, host, server_name) in [
        (["shop.test"], "shop.test", None),
        (["shop.test"], "127.0.0.1", Some("shop.test")),
        (["127.0.0.1"], "127.0.0.1", None),
        (["::1"], "[::1]", None),
    ] {
        let config = ca.server(ca.identity(&names, YEARS), &["h2", "http/1.1"], false);
        let client = ca.client(None, "http/1.1");
        let (stream, server) = connect(config, &client, host, server_name, false).await;
        let (mut stream, mut server) = (stream.unwrap(), server.unwrap());
        stream.write_all(b"ping").await.unwrap();
        stream.flush().await.unwrap();
        server.read_exact(&mut [0; 4]).await.unwrap();
        server.write_all(b"pong").await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"pong", "{host}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_the_one_gets_no_byte_and_the_operator_the_reason() {
    let ca = Ca::default();
    let certificate = |text: &str| TlsFault::Certificate(text.to_owned());
    let stranger = Ca::default().identity(&["shop.test"], YEARS);
    assert_eq!(
        refusal(&ca, stranger, "shop.test").await,
        certificate("its certificate is not signed by a CA we trust: set tls.caFile")
    );
    let other = ca.identity(&["other.test"], YEARS);
    assert_eq!(
        refusal(&ca, other, "shop.test").await,
        certificate(
            "its certificate is not for \"shop.test\" but for other.test: set tls.serverName"
        )
    );
    let expired = ca.identity(&["shop.test"], (2000, 2001));
    assert_eq!(
        refusal(&ca, expired, "shop.test").await,
        certificate("its certificate has expired")
    );
    let early = ca.identity(&["shop.test"], (2090, 2100));
    assert_eq!(
        refusal(&ca, early, "shop.test").await,
        certificate("its certificate is not valid yet")
    );
}

/// RFC 9112, section 9.8: who ends the TCP connection on the way could cut a response short.
#[tokio::test]
async fn a_connection_that_ends_without_a_closing_alert_is_broken() {
    let ca = Ca::default();
    for closes in [true, false] {
        let config = ca.server(ca.identity(&["shop.test"], YEARS), &["http/1.1"], false);
        let client = ca.client(None, "http/1.1");
        let (stream, server) = connect(config, &client, "shop.test", None, false).await;
        let mut server = server.unwrap();
        server.write_all(b"half").await.unwrap();
        match closes {
            true => server.shutdown().await.unwrap(),
            false => server.get_mut().0.shutdown().await.unwrap(),
        }
        let mut all = Vec::new();
        let read = stream.unwrap().read_to_end(&mut all).await;
        assert_eq!((&*all, read.is_ok()), (&b"half"[..], closes));
    }
}

#[tokio::test]
async fn the_protocol_is_the_one_that_was_agreed_upon() {
    let ca = Ca::default();
    let identity = || ca.identity(&["shop.test"], YEARS);
    let both = ca.server(identity(), &["h2", "http/1.1"], false);
    let (stream, _server) = connect(both, &ca.client(None, "h2"), "shop.test", None, true).await;
    assert!(matches!(stream.unwrap(), Stream::Tls(_)));
    for (server, wanted, http2, words) in [
        (&["http/1.1"][..], "h2", true, "does not speak the protocol we asked for"),
        (&[], "h2", true, "does not agree to speak HTTP/2"),
        (&["h2"], "http/1.1", false, "does not speak the protocol we asked for"),
    ] {
        let config = ca.server(identity(), server, false);
        let client = ca.client(None, wanted);
        let (stream, _server) = connect(config, &client, "shop.test", None, http2).await;
        let fault = fault(stream.unwrap_err()).to_string();
        assert!(fault.contains(words), "{server:?} {wanted}: {fault}");
    }
}

#[tokio::test]
async fn our_certificate_is_shown_to_who_asks_for_it() {
    let ca = Ca::default();
    let server = || ca.server(ca.identity(&["shop.test"], YEARS), &["http/1.1"], true);
    let ours = ca.identity(&["outrigger"], YEARS);
    let client = ca.client(Some(ours), "http/1.1");
    let (stream, accepted) = connect(server(), &client, "shop.test", None, false).await;
    stream.unwrap();
    assert!(accepted.unwrap().get_ref().1.peer_certificates().is_some());
    // In TLS 1.3 the server's refusal comes after our side is through.
    let (stream, accepted) =
        connect(server(), &ca.client(None, "http/1.1"), "shop.test", None, false).await;
    accepted.unwrap_err();
    stream.unwrap().read(&mut [0]).await.unwrap_err();
}

#[tokio::test]
async fn what_is_no_tls_is_told_in_words() {
    let ca = Ca::default();
    let client = ca.client(None, "http/1.1");
    for (answer, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "it may speak plain HTTP on this port"),
        (b"", "closed in the middle of the TLS handshake"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = vec![0; 4096];
            let _ = stream.read(&mut hello).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut hello).await;
        };
        let resolution = Resolution { addresses: vec![address], error: None };
        let dial = Dial {
            url: &url(Scheme::Https, "shop.test", address),
            resolution: &resolution,
            timeout: None,
            security: Some(Security { config: &client, server_name: None }),
            http2: false,
            introduction: None,
        };
        let (connected, ()) = tokio::join!(dial.connect(), server);
        let fault = fault(connected.unwrap_err()).to_string();
        assert!(fault.contains(words), "{fault}");
        // Without TLS an https endpoint is not spoken to at all.
        let dial = Dial { security: None, ..dial };
        let (connected, _) = tokio::join!(dial.connect(), listener.accept());
        fault_of_none(connected.unwrap_err());
    }
}

fn fault_of_none(error: ConnectError) {
    assert_eq!(fault(error), TlsFault::Protocol("there is no TLS set up for it".to_owned()));
}

#[tokio::test]
async fn the_handshake_counts_in_the_time_of_the_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let resolution = Resolution { addresses: vec![address], error: None };
    let timeout = Duration::from_millis(50);
    let dial = Dial {
        url: &url(Scheme::Https, "shop.test", address),
        resolution: &resolution,
        timeout: Some(timeout),
        security: Some(Security {
            config: &Ca::default().client(None, "http/1.1"),
            server_name: None,
        }),
        http2: false,
        introduction: None,
    };
    let error = dial.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::HandshakeTimedOut { after, .. } if after == timeout));
}

/// B7
#[tokio::test]
async fn an_idle_connection_is_used_after_tickets_and_not_after_data_or_its_end() {
    let ca = Ca::default();
    for (said, is_usable) in [(None, true), (Some(false), false), (Some(true), false)] {
        let config = ca.server(ca.identity(&["shop.test"], YEARS), &["http/1.1"], false);
        let client = ca.client(None, "http/1.1");
        let (stream, server) = connect(config, &client, "shop.test", None, false).await;
        let (stream, mut server) = (stream.unwrap(), server.unwrap());
        match said {
            None => server.flush().await.unwrap(),
            Some(false) => {
                server.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
                server.flush().await.unwrap();
            }
            Some(true) => server.shutdown().await.unwrap(),
        }
        // What was sent is here; the event loop may not know yet.
        stream.socket().peek(&mut [0]).await.unwrap();
        let mut connection = Connection::new(stream, None, KEY);
        let usable = connection.is_usable(Instant::now(), true);
        assert_eq!(usable, is_usable, "{said:?}");
        if usable {
            let Stream::Tls(stream) = &mut connection.stream else { panic!() };
            server.write_all(b"x").await.unwrap();
            server.flush().await.unwrap();
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await.unwrap();
            assert_eq!(buffer.filled(), b"x");
        }
    }
}

#[tokio::test]
async fn a_connection_grows_as_old_as_it_may_give_or_take_a_tenth() {
    let (now, age) = (Instant::now(), Duration::from_secs(1000));
    let ages: Vec<_> = (0..200).map(|_| expiry(Some(age), now).unwrap() - now).collect();
    assert!(ages.iter().all(|age| (900..=1100).contains(&age.as_secs())));
    assert!(
        ages.iter().any(|age| age.as_secs() < 950) && ages.iter().any(|age| age.as_secs() > 1050)
    );
    assert_eq!(expiry(None, now), None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut connection = Connection::new(Stream::Plain(stream), Some(now + age), KEY);
    assert!(connection.is_usable(now, true));
    assert!(!connection.is_usable(now + age, true));
}
