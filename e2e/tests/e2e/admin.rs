//! The admin port of a process that serves.

use crate::edit::one_backend;
use bytes::Bytes;
use e2e::{Connection, Outrigger, PORTS, eventually, in_time};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use std::time::Duration;
use testserver::Server;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A stream of events.
struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    async fn of(outrigger: &Outrigger) -> Self {
        let mut stream = TcpStream::connect(outrigger.admin()).await.unwrap();
        let head =
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut events = Self(BufReader::new(stream).lines());
        assert_eq!(events.next().await.unwrap()["pid"], outrigger.pid());
        events
    }

    /// The data of the next event; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        while let Ok(Some(line)) = in_time("an event", self.0.next_line()).await {
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
        None
    }

    /// The next event of this kind.
    async fn of_kind(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await.expect("the stream ended");
            if event["kind"] == kind {
                return event;
            }
        }
    }
}

/// Asks for a change; gives status and body.
async fn change(outrigger: &Outrigger, method: Method, path: &str, body: &str) -> (u16, String) {
    let mut connection = Connection::open(outrigger.admin()).await.unwrap();
    let request = Request::builder().method(method).uri(path).header("x-outrigger-admin", "yes");
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let answer = connection.send(request.body(body).unwrap()).await.unwrap();
    (answer.status, answer.text())
}

async fn told(outrigger: &Outrigger, path: &str) -> Value {
    serde_json::from_slice(&outrigger.ask(path).await.unwrap().body).unwrap()
}

#[tokio::test]
async fn who_looks_on_hears_of_an_edit_within_a_second_and_of_a_mistake() {
    let server = Server::builder().name("one").start().await.unwrap();
    let outrigger = Outrigger::start(&one_backend(PORTS, &server)).await;
    let mut events = Events::of(&outrigger).await;
    let edited = Instant::now();
    let other = one_backend(PORTS, &server).replace("demo,", "demo, algorithm: Random,");
    outrigger.write(&other);
    let event = events.of_kind("reload").await;
    let took = edited.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let line = outrigger.logged("reload: generation 2: ").await;
    assert!(line.ends_with(event["text"].as_str().unwrap()), "{line} is not {event}");
    outrigger.write("backends: 7");
    let event = events.of_kind("reload").await;
    assert!(event["text"].as_str().unwrap().starts_with("reload refused; generation 2"), "{event}");
    let reloads = told(&outrigger, "/api/v1/reloads").await;
    let short = |at: usize| {
        let reload = &reloads["reloads"][at];
        (reload["outcome"].clone(), reload["generation"].clone(), reload["cause"].clone())
    };
    assert_eq!(short(0), (json!("refused"), json!(2), json!("file")));
    assert_eq!(short(1), (json!("accepted"), json!(2), json!("file")));
    assert_eq!(short(2), (json!("accepted"), json!(1), json!("start")));
    assert!(reloads["reloads"][0]["errors"].to_string().contains("backends"), "{reloads}");
    outrigger.signal(e2e::Signal::HUP);
    events.of_kind("reload").await;
    assert_eq!(told(&outrigger, "/api/v1/reloads").await["reloads"][0]["cause"], "signal");
    outrigger.stop().await;
}

/// B4
#[tokio::test]
async fn an_endpoint_that_goes_and_comes_back_has_a_history_that_says_why() {
    let server = Server::builder().name("one").start().await.unwrap();
    let dead = e2e::free_port();
    let yaml = format!(
        "{PORTS}backends: [{{ name: demo, endpoints: [{}, http://127.0.0.1:{dead}] }}]\n",
        server.url()
    );
    let outrigger = Outrigger::start(&yaml).await;
    let mut events = Events::of(&outrigger).await;
    for _ in 0..4 {
        let mut connection = Connection::open(outrigger.address()).await.unwrap();
        assert_eq!(connection.get("/health").await.unwrap().status, 200);
    }
    let event = events.of_kind("passOver").await;
    assert_eq!(event["endpoint"], format!("http://127.0.0.1:{dead}"));
    let one = || async { told(&outrigger, "/api/v1/endpoints?backend=demo").await[1].clone() };
    let change = one().await["history"][0].clone();
    assert_eq!((&change["from"], &change["to"]), (&json!("serving"), &json!("passed over")));
    assert!(change["reason"].as_str().unwrap().contains("refused"), "{change}");
    let _back =
        Server::builder().name("two").address(format!("127.0.0.1:{dead}")).start().await.unwrap();
    eventually("the endpoint that serves again", async || {
        let mut connection = Connection::open(outrigger.address()).await.unwrap();
        connection.get("/health").await.unwrap();
        let history = one().await["history"].clone();
        (history[1]["to"] == "serving").then_some(())
    })
    .await;
    outrigger.stop().await;
}

#[tokio::test]
async fn a_changed_log_level_changes_what_is_logged() {
    let server = Server::builder().name("one").start().await.unwrap();
    let outrigger = Outrigger::start(&one_backend(PORTS, &server)).await;
    let answer = change(&outrigger, Method::PUT, "/log-level", "warn").await;
    assert_eq!(answer, (204, String::new()));
    outrigger
        .reload(&one_backend(PORTS, &server).replace("demo,", "demo, algorithm: Random,"))
        .await;
    let answer = change(&outrigger, Method::PUT, "/log-level", "info").await;
    assert_eq!(answer, (204, String::new()));
    outrigger.logged("log level warn → info").await;
    outrigger.reload(&one_backend(PORTS, &server)).await;
    outrigger.logged("reload: generation 3: ").await;
    let all = outrigger.log().all();
    assert!(!all.iter().any(|line| line.contains("reload: generation 2: ")), "{all:#?}");
    outrigger.stop().await;
}

#[tokio::test]
async fn a_process_that_is_asked_to_quit_ends_well_though_somebody_looks_on() {
    let server = Server::builder().name("one").start().await.unwrap();
    let top = format!("{PORTS}shutdown: {{ drainDelay: 0s }}\n");
    let outrigger = Outrigger::start(&one_backend(&top, &server)).await;
    let mut events = Events::of(&outrigger).await;
    let asked = Instant::now();
    let answer = change(&outrigger, Method::POST, "/quitquitquit", "").await;
    assert_eq!(answer, (202, "stopping\n".into()));
    while events.next().await.is_some() {}
    let ended = outrigger.ended().await;
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.log);
    // Far below the drain timeout of 30 s, for which nobody waits because of a stream.
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}
