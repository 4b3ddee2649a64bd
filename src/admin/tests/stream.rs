//! Server-sent events: what a browser or `curl -N` hears.

use super::*;
use crate::admin::server::{Limits, Port};
use crate::admin::status_texts::{DISTANCE, StatusTexts};
use crate::telemetry::events::{EventKind, Happened, KEPT};
use std::sync::atomic::AtomicUsize;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

/// A stream of events that a client reads.
struct Stream {
    reader: BufReader<TcpStream>,
}

/// One message of a stream.
#[derive(Debug, Default, PartialEq)]
struct Message {
    id: Option<u64>,
    event: String,
    data: Value,
}

impl Stream {
    /// Opens a stream; gives the head of the answer, too.
    async fn open(address: SocketAddr, query: &str, fields: &str) -> (String, Self) {
        Self::open_on(TcpStream::connect(address).await.unwrap(), query, fields).await
    }

    async fn open_on(mut stream: TcpStream, query: &str, fields: &str) -> (String, Self) {
        let address = stream.peer_addr().unwrap();
        let head = format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{fields}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).await.unwrap() > 0, "{head}");
        }
        (head, Self { reader })
    }

    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Message> {
        let mut message = Message::default();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).await.unwrap_or(0) == 0 {
                return None;
            }
            // Chunks begin with their size and end with an empty line of their own.
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => message.id = Some(id.parse().unwrap()),
                Some(("event", event)) => message.event = event.to_owned(),
                Some(("data", data)) => {
                    message.data = serde_json::from_str(data).unwrap();
                    return Some(message);
                }
                // The last chunk.
                None if line == "0\r\n" => return None,
                _ => {}
            }
        }
    }

    async fn soon(&mut self) -> Message {
        let next = tokio::time::timeout(Duration::from_secs(10), self.next());
        next.await.expect("nothing came").expect("the stream ended")
    }

    /// Waits until the server ends it.
    async fn ends(mut self) {
        let end = async { while self.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(10), end).await.expect("it does not end");
    }
}

fn say(context: &AdminContext, text: &str) {
    context.outlets.events.publish(Happened::to_process(EventKind::Reload, text));
}

#[tokio::test]
async fn a_stream_says_who_speaks_and_tells_of_what_happens_from_then_on() {
    let (context, _guard) = context();
    say(&context, "before");
    let server = start(loopback(), context.clone()).unwrap();
    let (head, mut stream) = Stream::open(server.address(), "", "").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    let hello = stream.soon().await;
    let expected = json!({
        "startedAt": crate::telemetry::rfc3339(context.started_at),
        "pid": std::process::id(),
    });
    assert_eq!((hello.event.as_str(), hello.data), ("hello", expected));
    let backend: Arc<str> = "demo".into();
    let url = "http://127.0.0.1:8081";
    let text = "two\nlines";
    context.outlets.events.publish(Happened::to_endpoint(EventKind::Health, &backend, &url, text));
    let told = stream.soon().await;
    assert_eq!((told.id, told.event.as_str()), (Some(2), "change"));
    assert!(told.data["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(told.data["kind"], "health");
    assert_eq!((&told.data["backend"], &told.data["endpoint"]), (&json!("demo"), &json!(url)));
    assert_eq!(told.data["text"], "two\nlines");
}

#[tokio::test]
async fn a_client_that_comes_back_hears_what_it_missed_and_how_much_is_lost() {
    let (context, _guard) = context();
    for number in 1..=KEPT + 10 {
        say(&context, &number.to_string());
    }
    let server = start(loopback(), context.clone()).unwrap();
    let last = KEPT as u64 + 8;
    let (_, mut stream) =
        Stream::open(server.address(), "", &format!("Last-Event-ID: {last}\r\n")).await;
    assert_eq!(stream.soon().await.event, "hello");
    assert_eq!(stream.soon().await.id, Some(last + 1));
    assert_eq!(stream.soon().await.id, Some(last + 2));
    let (_, mut stream) = Stream::open(server.address(), "?after=4", "").await;
    assert_eq!(stream.soon().await.event, "hello");
    let missed = stream.soon().await;
    assert_eq!((missed.event.as_str(), &missed.data), ("missed", &json!({ "count": 6 })));
    assert_eq!(stream.soon().await.id, Some(11));
    // The process was started anew, and has not had that many.
    let (_, mut stream) = Stream::open(server.address(), "", "Last-Event-ID: 9999\r\n").await;
    assert_eq!(stream.soon().await.event, "hello");
    assert_eq!(stream.soon().await.event, "missed");
    assert_eq!(stream.soon().await.id, Some(11));
}

/// What a socket of the tests may hold, so that it does not depend on the machine how much that is.
const HELD: u32 = 64 << 10;

/// A port whose sockets hold little. Those that are accepted are like the one that listens.
fn start_small(context: &AdminContext, limits: Limits) -> AdminServer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(HELD).unwrap();
    socket.bind(loopback()).unwrap();
    let listener: TcpListener = socket.listen(16).unwrap();
    AdminServer::serve(Port::Admin, listener, Arc::new(context.clone()), limits).unwrap()
}

/// A client whose socket holds little, too.
async fn connect_small(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(HELD).unwrap();
    socket.connect(address).await.unwrap()
}

/// Says more than sockets, the queue and the channel hold together.
async fn say_much(context: &AdminContext) {
    let long = "x".repeat(HELD as usize);
    for _ in 0..400 {
        say(context, &long);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_told_how_much_it_missed_and_the_stream_goes_on() {
    let (context, _guard) = context();
    let server = start_small(&context, Limits::ORDINARY);
    let client = connect_small(server.address()).await;
    let (_, mut stream) = Stream::open_on(client, "", "").await;
    assert_eq!(stream.soon().await.event, "hello");
    say_much(&context).await;
    say(&context, "last");
    let (mut told, mut missed) = (0, 0);
    loop {
        let message = stream.soon().await;
        match message.event.as_str() {
            "missed" => missed += message.data["count"].as_u64().unwrap(),
            _ => told += 1,
        }
        if message.data["text"] == "last" {
            break;
        }
    }
    assert!(missed > 0, "nothing was missed");
    assert_eq!(told + missed, 401);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go_and_its_place_is_free() {
    let (context, _guard) = context();
    let limits = Limits { connections: 1, stalled: Duration::from_millis(200) };
    let server = start_small(&context, limits);
    let client = connect_small(server.address()).await;
    let (_, _unread) = Stream::open_on(client, "", "").await;
    say_much(&context).await;
    let next = tokio::time::timeout(Duration::from_secs(10), get(server.address(), "/livez"));
    assert_eq!(next.await.expect("its connection is held").0, 200);
}

/// The stream itself ends with the port; what it was in the middle of writing does not.
#[tokio::test]
async fn a_client_that_reads_nothing_does_not_keep_a_port_that_closed() {
    let (context, _guard) = context();
    let stalled = Duration::from_millis(200);
    let server = start_small(&context, Limits { stalled, ..Limits::ORDINARY });
    let client = connect_small(server.address()).await;
    let (_, _unread) = Stream::open_on(client, "", "").await;
    say_much(&context).await;
    let tasks = tokio::runtime::Handle::current().metrics();
    assert!(tasks.num_alive_tasks() > 0);
    drop(server);
    let end = async {
        while tasks.num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), end).await.expect("a task goes on");
}

#[tokio::test]
async fn the_status_is_told_at_intervals_and_after_a_change() {
    let (context, _guard) = context();
    let server = start(loopback(), context.clone()).unwrap();
    let (_, mut stream) = Stream::open(server.address(), "?status=250ms", "").await;
    assert_eq!(stream.soon().await.event, "hello");
    for _ in 0..2 {
        let status = stream.soon().await;
        assert_eq!((status.event.as_str(), &status.data["generation"]), ("status", &json!(1)));
    }
    let (_, mut stream) = Stream::open(server.address(), "?status=60s", "").await;
    assert_eq!(stream.soon().await.event, "hello");
    assert_eq!(stream.soon().await.event, "status");
    context.store.swap(compile(CONFIG, Some(&context.store.load())));
    say(&context, "one");
    say(&context, "two");
    assert_eq!(stream.soon().await.event, "change");
    assert_eq!(stream.soon().await.event, "change");
    let status = stream.soon().await;
    assert_eq!((status.event.as_str(), &status.data["generation"]), ("status", &json!(2)));
}

/// The probers run on the same thread.
#[tokio::test]
async fn many_streams_and_changes_cost_no_more_statuses_than_one() {
    let (mut context, _guard) = context();
    let made = Arc::new(AtomicUsize::new(0));
    let (count, listeners) = (Arc::clone(&made), Arc::clone(&context.listeners));
    context.listeners = Arc::new(move || {
        count.fetch_add(1, Relaxed);
        listeners()
    });
    let server = start(loopback(), context.clone()).unwrap();
    let begin = Instant::now();
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(Stream::open(server.address(), "?status=250ms", "").await.1);
    }
    for number in 0..10 {
        say(&context, &number.to_string());
        for stream in &mut streams {
            while stream.soon().await.event != "change" {}
        }
    }
    for stream in &mut streams {
        for _ in 0..3 {
            assert_eq!(stream.soon().await.event, "status");
        }
    }
    let at_most = begin.elapsed().as_millis() / DISTANCE.as_millis() + 1;
    let made = made.load(Relaxed);
    assert!(made as u128 <= at_most, "{made} in the time for {at_most}");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_in_a_status_within_a_quarter_of_a_second_and_no_text_is_sent_twice() {
    let (context, _guard) = context();
    let texts = StatusTexts::default();
    let first = texts.newer(&context, None, 0).unwrap();
    let soonest = first.at + Duration::from_millis(250);
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(texts.newer(&context, None, 0).unwrap().text, first.text, "another stream's");
    assert_eq!(texts.newer(&context, Some(first.at), 0).unwrap_err(), soonest);
    context.store.swap(compile(CONFIG, Some(&context.store.load())));
    say(&context, "changed");
    assert_eq!(texts.newer(&context, None, 1).unwrap_err(), soonest);
    tokio::time::advance(Duration::from_millis(50)).await;
    let next = texts.newer(&context, Some(first.at), 1).unwrap();
    assert!(String::from_utf8_lossy(&next.text).contains("\"generation\":2"), "{next:?}");
    assert_eq!(texts.newer(&context, None, 1).unwrap().at, next.at, "one for all");
}

#[tokio::test]
async fn a_stream_ends_at_once_with_the_port_and_with_the_process() {
    let (context, _guard) = context();
    let server = start(loopback(), context.clone()).unwrap();
    let (_, mut stream) = Stream::open(server.address(), "", "").await;
    assert_eq!(stream.soon().await.event, "hello");
    drop(server);
    stream.ends().await;
    let server = start(loopback(), context.clone()).unwrap();
    let (_, mut stream) = Stream::open(server.address(), "?status=1s", "").await;
    assert_eq!(stream.soon().await.event, "hello");
    context.lifecycle.end_now();
    stream.ends().await;
}

#[tokio::test]
async fn there_are_only_so_many_streams_and_one_that_ends_makes_room() {
    let (context, _guard) = context();
    let server = start(loopback(), context.clone()).unwrap();
    let mut streams = Vec::new();
    for _ in 0..crate::admin::stream::MAX_STREAMS {
        let (head, stream) = Stream::open(server.address(), "", "").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        streams.push(stream);
    }
    let head = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n",
        server.address()
    );
    let (code, body) = split(&raw(server.address(), &head).await);
    assert!(code == 503 && body.contains("32 streams are open already"), "{code} {body}");
    streams.pop();
    for _ in 0..1000 {
        let (head, _) = Stream::open(server.address(), "", "").await;
        if head.starts_with("HTTP/1.1 200") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("there is no room though a stream has ended");
}

#[tokio::test]
async fn without_the_wish_for_a_stream_there_is_a_list() {
    let (context, _guard) = context();
    for text in ["one", "two", "three"] {
        say(&context, text);
    }
    let started_at = context.started_at;
    let server = start(loopback(), context).unwrap();
    let texts = async |query: &str| {
        let (code, body) = get(server.address(), &format!("/api/v1/events{query}")).await;
        assert_eq!(code, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let events = body["events"].as_array().unwrap();
        events.iter().map(|event| event["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts("").await, ["one", "two", "three"]);
    assert_eq!(texts("?after=2").await, ["three"]);
    assert_eq!(texts("?after=3").await, [""; 0]);
    // The process was started anew, and has not had that many.
    assert_eq!(texts("?after=9").await, ["one", "two", "three"]);
    let (_, body) = get(server.address(), "/api/v1/events").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["startedAt"], crate::telemetry::rfc3339(started_at));
    assert_eq!(body["pid"], std::process::id());
    for query in ["?after=x", "?status=10ms", "?status=2m", "?status=soon", "?since=1"] {
        let (code, body) = get(server.address(), &format!("/api/v1/events{query}")).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(code == 400 && body["error"].is_string(), "{query}: {body}");
    }
}
