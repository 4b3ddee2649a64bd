//! Exchanges with a real HTTP/2 server that does as told.

use super::connection::{Connection, Place};
use super::connections::{Connections, Found};
use super::*;
use crate::backend::connection::{ConnectError, Dial};
use crate::backend::testing::url;
use crate::endpoint::Resolution;
use crate::model::Scheme;
use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::Response;
use http_body_util::{Empty, Full, StreamBody};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

type Server = server::Connection<TcpStream, Bytes>;
type Respond = SendResponse<Bytes>;

/// A connection to a server that `builder` makes.
async fn pair(builder: &server::Builder) -> (Connection, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = async { builder.handshake(listener.accept().await.unwrap().0).await.unwrap() };
    let resolution = Resolution { addresses: vec![address], error: None };
    let dial = dial(&resolution);
    let (connected, mut server) = tokio::join!(dial.connect_http2(), async {
        let mut server = accept.await;
        // Its SETTINGS go out with its first turn.
        turn(&mut server).await;
        server
    });
    let (sender, driver) = connected.unwrap();
    tokio::spawn(driver);
    // The acknowledgement, so that it is not taken for a request later.
    turn(&mut server).await;
    (Connection::new(sender, None, Instant::now(), None), server)
}

/// Gives the server a turn.
async fn turn(server: &mut Server) {
    poll_fn(|cx| {
        let _ = server.poll_accept(cx);
        Poll::Ready(())
    })
    .await;
}

fn dial(resolution: &Resolution) -> Dial<'_> {
    let address = resolution.addresses[0];
    Dial {
        url: Box::leak(Box::new(url(Scheme::Http, "shop.test", address))),
        resolution,
        timeout: Some(Duration::from_secs(20)),
        security: None,
        http2: true,
        introduction: None,
    }
}

fn request<B>(method: Method, framing: Framing, body: B) -> Request<B> {
    let head = http::Request::builder().method(method).uri("http://shop.test/a?b");
    let head = head.body(()).unwrap();
    Request { head, framing, body, hold_body: false, switch: None }
}

fn get(place: Place) -> Exchange<Empty<Bytes>> {
    Exchange::new(place, request(Method::GET, Framing::Empty, Empty::new()))
}

async fn head<B>(exchange: &mut Exchange<B>) -> Result<Head, ExchangeError>
where
    B: Body<Data = Bytes> + Unpin,
{
    poll_fn(|cx| exchange.poll_head(cx)).await
}

/// The rest of the response: its data, its trailers, and how it ended.
async fn rest<B>(exchange: &mut Exchange<B>) -> (Vec<u8>, Option<HeaderMap>, Option<ExchangeError>)
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut data, mut trailers) = (Vec::new(), None);
    while let Some(frame) = poll_fn(|cx| exchange.poll_body(cx)).await {
        match frame.map(Frame::into_data) {
            Ok(Ok(piece)) => data.extend_from_slice(&piece),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            Err(error) => return (data, trailers, Some(error)),
        }
    }
    (data, trailers, None)
}

/// Serves what comes, each request by `answer`, as long as the connection lives.
fn serve<F, A>(mut server: Server, answer: F) -> tokio::task::JoinHandle<()>
where
    F: Fn(http::Request<h2::RecvStream>, Respond) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while let Some(Ok((request, respond))) = server.accept().await {
            tokio::spawn(answer(request, respond));
        }
    })
}

fn ok() -> Response<()> {
    Response::new(())
}

/// Reads all of a request's body, giving room for more as it does.
async fn read(body: &mut h2::RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    all
}

async fn send_all(stream: &mut h2::SendStream<Bytes>, mut data: Bytes, end: bool) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        let part = data.split_to(room.min(data.len()));
        stream.send_data(part, end && data.is_empty()).unwrap();
    }
}

#[tokio::test]
async fn heads_large_bodies_and_trailers_go_both_ways() {
    static BODY: [u8; 3_000_000] = [b'x'; 3_000_000];
    let (connection, server) = pair(&server::Builder::new()).await;
    let served = serve(server, |request, mut respond| async move {
        let (parts, mut body) = request.into_parts();
        assert_eq!(parts.uri, "http://shop.test/a?b");
        assert_eq!(read(&mut body).await, BODY);
        assert_eq!(body.trailers().await.unwrap().unwrap()["x-sum"], "1");
        let mut stream = respond.send_response(ok(), false).unwrap();
        send_all(&mut stream, Bytes::from_static(&BODY), false).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("content-type", HeaderValue::from_static("is/none"));
        stream.send_trailers(trailers).unwrap();
    });
    let pieces: Vec<_> = BODY
        .chunks(100_000)
        .map(|piece| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(piece))))
        .chain([Ok(Frame::trailers(
            [("x-sum".parse().unwrap(), "1".parse().unwrap())].into_iter().collect(),
        ))])
        .collect();
    let body = StreamBody::new(tokio_stream(pieces));
    let place = connection.place().unwrap();
    let mut exchange = Exchange::new(place, request(Method::POST, Framing::Chunked, body));
    assert!(!exchange.may_be_processed());
    let got = head(&mut exchange).await.unwrap();
    assert_eq!((got.status, got.framing), (StatusCode::OK, Framing::Chunked));
    assert!(exchange.is_sent() && exchange.may_be_processed());
    let (data, trailers, error) = rest(&mut exchange).await;
    assert!(data == BODY && error.is_none() && exchange.is_complete());
    // What belongs into a head does not come in behind it.
    assert_eq!(trailers.unwrap().into_iter().count(), 1);
    drop((exchange, connection));
    // With the connection's last handle it closes.
    served.await.unwrap();
}

/// A stream of what is there.
fn tokio_stream<T>(items: Vec<T>) -> impl futures_util::Stream<Item = T> + Unpin {
    futures_util::stream::iter(items)
}

#[tokio::test]
async fn a_small_response_is_here_whole() {
    let (connection, server) = pair(&server::Builder::new()).await;
    serve(server, |_, mut respond| async move {
        let response = Response::builder().header("content-length", 2).body(()).unwrap();
        let mut stream = respond.send_response(response, false).unwrap();
        stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
    });
    let mut exchange = get(connection.place().unwrap());
    let got = head(&mut exchange).await.unwrap();
    assert_eq!((got.framing, exchange.remaining()), (Framing::Length(2), Some(2)));
    // Head and body come in one piece nearly always; if not, the body streams.
    match exchange.take_whole_body() {
        Some(body) => assert_eq!(body, "ok"),
        None => assert_eq!(rest(&mut exchange).await.0, b"ok"),
    }
    assert!(exchange.is_complete());
}

#[tokio::test]
async fn interim_responses_are_kept_and_a_100_lets_the_body_go() {
    let (connection, server) = pair(&server::Builder::new()).await;
    serve(server, |mut request, mut respond| async move {
        let interim = |status: u16, value: &'static str| {
            Response::builder().status(status).header("link", value).body(()).unwrap()
        };
        respond.send_informational(interim(103, "</a>")).unwrap();
        respond.send_informational(interim(100, "")).unwrap();
        assert_eq!(read(request.body_mut()).await, b"body");
        respond.send_response(ok(), true).unwrap();
    });
    let place = connection.place().unwrap();
    let body = Full::new(Bytes::from_static(b"body"));
    let mut sent = request(Method::POST, Framing::Length(4), body);
    sent.hold_body = true;
    let mut exchange = Exchange::new(place, sent);
    assert_eq!(head(&mut exchange).await.unwrap().status, StatusCode::OK);
    let interim = exchange.take_interim();
    assert_eq!(interim.len(), 1);
    assert_eq!(
        (interim[0].0, &interim[0].1["link"]),
        (StatusCode::EARLY_HINTS, &HeaderValue::from_static("</a>"))
    );
    assert!(exchange.take_interim().is_empty());
    assert_eq!(exchange.take_whole_body().unwrap(), "");
}

#[tokio::test]
async fn a_response_that_has_no_body_has_none() {
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204), (Method::GET, 304)] {
        let (connection, server) = pair(&server::Builder::new()).await;
        serve(server, move |_, mut respond| async move {
            let response = Response::builder().status(status);
            let response = match status {
                204 => response,
                _ => response.header("content-length", 5),
            };
            respond.send_response(response.body(()).unwrap(), true).unwrap();
        });
        let place = connection.place().unwrap();
        let mut exchange =
            Exchange::new(place, request(method, Framing::Empty, Empty::<Bytes>::new()));
        let got = head(&mut exchange).await.unwrap();
        assert_eq!((got.status.as_u16(), got.framing), (status, Framing::Empty));
        assert!(exchange.is_complete());
    }
}

/// What is wrong with a response of these fields and this body, if anything is.
async fn fault(fields: &'static [(&'static str, String)], body: &'static [u8]) -> ExchangeError {
    let (connection, server) = pair(&server::Builder::new()).await;
    serve(server, move |_, mut respond| async move {
        let mut response = ok();
        for (name, value) in fields {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        let mut stream = respond.send_response(response, false).unwrap();
        stream.send_data(Bytes::from_static(body), true).unwrap();
    });
    let mut exchange = get(connection.place().unwrap());
    match head(&mut exchange).await {
        Ok(_) => rest(&mut exchange).await.2.expect("something is wrong"),
        Err(error) => error,
    }
}

fn leak(fields: &[(&'static str, String)]) -> &'static [(&'static str, String)] {
    Box::leak(fields.to_vec().into_boxed_slice())
}

#[tokio::test]
async fn a_malformed_response_is_refused() {
    let field = |name, value: &str| leak(&[(name, value.to_owned())]);
    for (fields, body) in
        [(field("content-length", "3"), &b"ok"[..]), (field("content-length", "1"), b"ok")]
    {
        let error = fault(fields, body).await;
        assert!(
            matches!(error, ExchangeError::BodyCut(_) | ExchangeError::Malformed(_)),
            "{error}"
        );
    }
    let error = fault(field("content-length", "x"), b"ok").await;
    assert!(matches!(error, ExchangeError::Malformed(_)), "{error}");
    let error = fault(field("x-large", &"x".repeat(70_000)), b"ok").await;
    assert!(error.to_string().contains("larger than 64 KiB"), "{error}");
}

/// A server of which every frame is written by hand: it sends SETTINGS, waits for so many requests, sends `frames`, and reads on.
async fn by_hand(requests: u8, frames: Vec<u8>) -> Connection {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolution = Resolution { addresses: vec![listener.local_addr().unwrap()], error: None };
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // SETTINGS, empty; and the acknowledgement of theirs.
        stream.write_all(b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0").await.unwrap();
        let mut received = Vec::new();
        // HEADERS of the last stream, whose number is 2n - 1: type 1 after its length of three bytes.
        let last = [0, 0, 0, 2 * requests - 1];
        while !received.windows(6).any(|window| window[0] == 1 && window[2..] == last) {
            stream.read_buf(&mut received).await.unwrap();
        }
        stream.write_all(&frames).await.unwrap();
        let _ = stream.read_to_end(&mut received).await;
    });
    let (sender, driver) = dial(&resolution).connect_http2().await.unwrap();
    tokio::spawn(driver);
    Connection::new(sender, None, Instant::now(), None)
}

/// The frame with a whole response on stream 1: its status 200, and a literal field.
fn response_frame(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0x88, 0x00, name.len() as u8];
    block.extend_from_slice(name.as_bytes());
    block.push(value.len() as u8);
    block.extend_from_slice(value.as_bytes());
    [&[0, 0, block.len() as u8, 1, 0x05, 0, 0, 0, 1][..], &block].concat()
}

/// S1: nothing of HTTP/1's framing comes out of HTTP/2 (RFC 9113, section 8.2.2). h2's own server would not send these.
#[tokio::test]
async fn fields_of_a_connection_are_refused() {
    for (name, value, is_refused) in [
        ("connection", "close", true),
        ("transfer-encoding", "chunked", true),
        ("keep-alive", "timeout=5", true),
        ("upgrade", "x", true),
        ("x-connection", "close", false),
    ] {
        let connection = by_hand(1, response_frame(name, value)).await;
        match head(&mut get(connection.place().unwrap())).await {
            Ok(_) => assert!(!is_refused, "{name}"),
            Err(error) => assert!(is_refused && matches!(error, ExchangeError::Malformed(_))),
        }
    }
}

#[tokio::test]
async fn a_refused_stream_was_not_processed_and_one_that_was_reset_may_have_been() {
    for (reason, is_processed) in [(Reason::REFUSED_STREAM, false), (Reason::INTERNAL_ERROR, true)]
    {
        let (connection, server) = pair(&server::Builder::new()).await;
        serve(server, move |_, mut respond| async move { respond.send_reset(reason) });
        let mut exchange = get(connection.place().unwrap());
        let error = head(&mut exchange).await.unwrap_err();
        assert_eq!(exchange.may_be_processed(), is_processed);
        match error {
            ExchangeError::Unprocessed(Unprocessed::Refused) => assert!(!is_processed),
            ExchangeError::NoResponse(Some(error)) => {
                assert!(is_processed && error.to_string().contains("INTERNAL_ERROR"), "{error}");
            }
            other => panic!("{other}"),
        }
    }
}

/// B7
#[tokio::test]
async fn after_a_goaway_what_was_taken_ends_and_the_rest_was_not_processed() {
    // GOAWAY: the last stream is 1, NO_ERROR.
    let goaway = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0";
    let frames = [&goaway[..], &response_frame("x", "y")].concat();
    let mut connection = by_hand(2, frames).await;
    let mut taken = get(connection.place().unwrap());
    let mut late = get(connection.place().unwrap());
    let (first, second) = tokio::join!(head(&mut taken), head(&mut late));
    assert_eq!(first.unwrap().headers["x"], "y");
    let second = second.unwrap_err();
    assert!(matches!(second, ExchangeError::Unprocessed(Unprocessed::GoneAway)), "{second}");
    assert!(taken.may_be_processed() && !late.may_be_processed());
    assert!(!connection.is_usable(Instant::now()));
    // A stream that is not even begun was not processed either.
    let mut never = get(connection.place().unwrap());
    let error = head(&mut never).await.unwrap_err();
    assert!(matches!(error, ExchangeError::Unprocessed(Unprocessed::GoneAway)), "{error}");
}

#[tokio::test]
async fn an_answer_in_the_middle_of_an_upload_is_an_answer() {
    let (connection, server) = pair(&server::Builder::new()).await;
    serve(server, |_, mut respond| async move {
        let response = Response::builder().status(413).body(()).unwrap();
        let mut stream = respond.send_response(response, false).unwrap();
        stream.send_data(Bytes::from_static(b"too much"), true).unwrap();
        // h2 resets with NO_ERROR now, for nobody reads the request.
    });
    let place = connection.place().unwrap();
    let body = Full::new(Bytes::from_static(&[0; 1_000_000]));
    let mut exchange =
        Exchange::new(place, request(Method::POST, Framing::Length(1_000_000), body));
    assert_eq!(head(&mut exchange).await.unwrap().status, StatusCode::PAYLOAD_TOO_LARGE);
    let (data, _, error) = rest(&mut exchange).await;
    assert!(data == b"too much" && error.is_none(), "{error:?}");
    assert!(!exchange.is_sent());
}

/// A body that counts what is asked of it.
struct Counted(usize);

impl Body for Counted {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0 += 10_000;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 10_000])))))
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_read_holds_the_upload_back() {
    let (connection, mut server) = pair(&server::Builder::new()).await;
    let place = connection.place().unwrap();
    let mut exchange = Exchange::new(place, request(Method::POST, Framing::Chunked, Counted(0)));
    let mut taken = None;
    // Until nothing has moved for a while.
    let quiet = Duration::from_millis(100);
    let mut before = usize::MAX;
    while before != exchange.body().0 {
        before = exchange.body().0;
        let turn = async {
            tokio::select! {
                _ = head(&mut exchange) => panic!("there is no answer"),
                Some(Ok(request)) = server.accept() => request,
            }
        };
        if let Ok(request) = tokio::time::timeout(quiet, turn).await {
            taken = Some(request);
        }
    }
    // The initial window of 65,535, our own buffer of 64 KiB, and a piece.
    assert!(taken.is_some() && before <= 65_535 + 64 * 1024 + 10_000, "{before}");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_response_back_and_no_other() {
    let (connection, server) = pair(&server::Builder::new()).await;
    let (sent, mut counts) = tokio::sync::mpsc::unbounded_channel();
    serve(server, move |_, mut respond| {
        let sent = sent.clone();
        async move {
            let mut stream = respond.send_response(ok(), false).unwrap();
            for _ in 0..50 {
                send_all(&mut stream, Bytes::from_static(&[0; 10_000]), false).await;
                let _ = sent.send(10_000);
            }
            stream.send_data(Bytes::new(), true).unwrap();
        }
    });
    let mut stuck: Vec<_> = (0..20).map(|_| get(connection.place().unwrap())).collect();
    for exchange in &mut stuck {
        head(exchange).await.unwrap();
    }
    let mut total = 0;
    while let Ok(Some(size)) = tokio::time::timeout(Duration::from_millis(100), counts.recv()).await
    {
        total += size;
    }
    assert!(total <= 20 * 256 * 1024, "{total}");
    let mut other = get(connection.place().unwrap());
    head(&mut other).await.unwrap();
    let (data, _, error) = rest(&mut other).await;
    assert!(data.len() == 500_000 && error.is_none());
    for exchange in &mut stuck {
        assert_eq!(rest(exchange).await.0.len(), 500_000);
    }
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_each_ends_on_its_own() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut builder = server::Builder::new();
    builder.enable_connect_protocol();
    let (connection, server) = pair(&builder).await;
    serve(server, |request, mut respond| async move {
        let protocol = request.extensions().get::<h2::ext::Protocol>().unwrap();
        assert_eq!((protocol.as_str(), request.method()), ("websocket", &Method::CONNECT));
        let mut stream = respond.send_response(ok(), false).unwrap();
        let all = read(&mut request.into_body()).await;
        send_all(&mut stream, all.into(), true).await;
    });
    let place = connection.place().unwrap();
    assert!(place.allows_tunnels());
    let mut sent = request(Method::CONNECT, Framing::Empty, Empty::<Bytes>::new());
    sent.head.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let accept = Some(HeaderValue::from_static("accepted"));
    sent.switch = Some(Switch { protocol: HeaderValue::from_static("WebSocket"), accept });
    let mut exchange = Exchange::new(place, sent);
    let got = head(&mut exchange).await.unwrap();
    assert_eq!(got.status, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(got.headers["upgrade"], "WebSocket");
    assert_eq!(got.headers["sec-websocket-accept"], "accepted");
    let mut tunnel = exchange.into_tunnel();
    let message = vec![7; 200_000];
    let (mut reader, mut writer) = tokio::io::split(&mut tunnel);
    let mut echo = Vec::new();
    let (written, read) = tokio::join!(
        async {
            writer.write_all(&message).await?;
            writer.shutdown().await
        },
        reader.read_to_end(&mut echo)
    );
    written.unwrap();
    read.unwrap();
    assert!(echo == message);
}

#[tokio::test]
async fn a_connection_takes_no_more_streams_than_the_endpoint_allows_and_none_when_it_is_old() {
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(2);
    let (mut connection, _server) = pair(&builder).await;
    let (one, two) = (connection.place().unwrap(), connection.place().unwrap());
    assert!(connection.place().is_none() && connection.limit() == 2);
    assert!(!one.is_reused && two.is_reused, "the second joins one that is used");
    assert!(!one.allows_tunnels());
    assert_eq!(connection.idle_since(), None);
    drop(one);
    assert!(connection.place().is_some());
    drop(two);
    assert!(connection.idle_since().is_some());
    assert!(connection.is_usable(Instant::now()));
    let (connection, _server) = pair(&builder).await;
    drop(connection);
}

/// No herd of connects when many requests come at once.
#[tokio::test]
async fn requests_that_come_meanwhile_share_a_connect() {
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(3);
    let (mut connections, now) = (Connections::default(), Instant::now());
    let Found::Begin(connecting) = connections.find(now) else { panic!() };
    for _ in 0..4 {
        assert!(matches!(connections.find(now), Found::Connecting(_)));
    }
    let (connection, _server) = pair(&builder).await;
    connections.connected(&connecting, Ok(connection));
    // Those who waited have their places before anybody else; there are three of these, and five waited.
    assert!(matches!(connections.find(now), Found::Begin(_)));
    let mut places = VecDeque::new();
    while let Some(place) = connecting.place().await.unwrap() {
        places.push_back(place);
    }
    assert_eq!(places.len(), 3);
    // The endpoint's limit is known by now: three wait for a connect, the fourth begins another.
    assert!(matches!(connections.find(now), Found::Connecting(_)));
    assert!(matches!(connections.find(now), Found::Connecting(_)));
    assert!(matches!(connections.find(now), Found::Begin(_)));
    places.pop_front();
    assert!(matches!(connections.find(now), Found::Place(_)));
    drop(places);
    connections.sweep(Instant::now() + Duration::from_secs(59));
    assert_eq!(connections.len(), 1);
    connections.sweep(Instant::now() + Duration::from_secs(61));
    assert_eq!(connections.len(), 0);
}

#[tokio::test]
async fn all_who_wait_hear_why_there_is_no_connection() {
    let (mut connections, now) = (Connections::default(), Instant::now());
    let Found::Begin(connecting) = connections.find(now) else { panic!() };
    let Found::Connecting(same) = connections.find(now) else { panic!() };
    let error = ConnectError::NoAddress("gone".to_owned());
    let ended = async { connections.connected(&connecting, Err(error)) };
    let (one, two, ()) = tokio::join!(connecting.place(), same.place(), ended);
    for error in [one.unwrap_err(), two.unwrap_err()] {
        assert!(error.to_string().ends_with("gone"), "{error}");
    }
    assert!(connections.is_empty());
}

#[tokio::test]
async fn an_endpoint_that_speaks_no_http2_is_found_out_when_it_is_connected_to() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for (answer, words) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
            "is not HTTP/2: set protocol",
        ),
        (b"", "closed the connection"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let resolution =
            Resolution { addresses: vec![listener.local_addr().unwrap()], error: None };
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 24]).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        let dial = dial(&resolution);
        let (connected, ()) = tokio::join!(dial.connect_http2(), server);
        match connected {
            Err(ConnectError::Http2 { reason, .. }) => assert!(reason.contains(words), "{reason}"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_was_promised_is_not_sent_as_if_it_were_whole() {
    let (connection, server) = pair(&server::Builder::new()).await;
    serve(server, |request, respond| async move {
        let _ = (request.into_body().data().await, respond);
    });
    for promised in [3, 5] {
        let place = connection.place().unwrap();
        let body = Full::new(Bytes::from_static(b"body"));
        let mut exchange =
            Exchange::new(place, request(Method::POST, Framing::Length(promised), body));
        let error = head(&mut exchange).await.unwrap_err();
        assert!(matches!(error, ExchangeError::RequestBody), "{promised}: {error}");
    }
}
