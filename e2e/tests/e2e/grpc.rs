//! gRPC through the process, with a real client and real servers.

use crate::scene::config;
use crate::secure::{self, HOST};
use e2e::grpc::{GrpcClient, GrpcServer, SERVICE, all, word};
use e2e::{Authority, Connection, Dial, Outrigger, Tls, eventually, in_time};
use std::collections::BTreeMap;
use std::time::Duration;
use testserver::Server;
use tokio::time::Instant;
use tonic::{Code, Request, Status};

const H2C: &str = "    protocol: H2c\n";

async fn client(to: impl Into<Dial>) -> GrpcClient {
    in_time("the connection", GrpcClient::open(to)).await.unwrap()
}

fn yaml(servers: &[&GrpcServer], backend: &str) -> String {
    let urls: Vec<_> = servers.iter().map(|server| server.url()).collect();
    config("RoundRobin", &urls, &format!("{H2C}{backend}"))
}

/// Every kind of call, as users make them.
async fn make_all_calls(client: &mut GrpcClient) {
    let answer = client.unary("Echo", Request::new(word("hello", 7))).await.unwrap();
    assert_eq!(answer.get_ref(), &word("hello", 7));
    assert_eq!(answer.metadata().get("x-test-server").unwrap(), "one");
    // Larger than any window at first.
    let long = "long ".repeat(200_000);
    let answer = client.unary("Echo", Request::new(word(&long, 1))).await.unwrap();
    assert_eq!(answer.get_ref().text.len(), long.len());

    let answer = client.server_streaming("Count", Request::new(word("x", 100))).await.unwrap();
    let (words, end) = all(answer.into_inner()).await;
    assert!(end.is_none(), "{end:?}");
    assert!(words.iter().map(|word| word.number).eq(1..=100), "{words:?}");

    let words = (1..=100).map(|number| word("y", number)).collect();
    let answer = client.client_streaming("Gather", words).await.unwrap();
    assert_eq!(answer.get_ref(), &word(&"y".repeat(100), 5050));

    // The head of the answer comes before the first word, and each word's answer before the next is sent.
    let (sender, mut answers) = in_time("the head", client.streaming("Talk")).await.unwrap();
    for number in 1..=20 {
        sender.send(word("ping", number)).await.unwrap();
        let answer = in_time("the pong", answers.message()).await.unwrap();
        assert_eq!(answer, Some(word("ping", number)));
    }
    drop(sender);
    assert_eq!(in_time("the end", answers.message()).await.unwrap(), None);
}

#[tokio::test]
async fn the_client_and_the_server_agree_without_the_product() {
    let server = GrpcServer::start("one").await;
    let mut client = client(server.address()).await;
    make_all_calls(&mut client).await;
    server.stop().await;
    server.restart();
    make_all_calls(&mut client).await;
}

#[tokio::test]
async fn every_kind_of_call_passes_without_tls() {
    let server = GrpcServer::start("one").await;
    let outrigger = Outrigger::start(&yaml(&[&server], "")).await;
    make_all_calls(&mut client(outrigger.address()).await).await;
    outrigger.stop().await;
}

#[tokio::test]
async fn every_kind_of_call_passes_under_tls() {
    let server = GrpcServer::start("one").await;
    let authority = Authority::new("test authority");
    let leaf = authority.leaf(&[HOST]);
    let files = [("a.crt", &*leaf.cert), ("a.key", &*leaf.key)];
    let outrigger = Outrigger::start_with(&files, &secure::config("", &[server.url()], H2C)).await;
    let dial = Dial::to(outrigger.address()).tls(&Tls::new(&authority, HOST));
    make_all_calls(&mut client(dial).await).await;
    outrigger.stop().await;
}

#[tokio::test]
async fn statuses_and_metadata_come_as_the_server_sent_them() {
    let server = GrpcServer::start("one").await;
    let outrigger = Outrigger::start(&yaml(&[&server], "")).await;
    let mut client = client(outrigger.address()).await;
    for code in 1..=16 {
        let text = "nö: 100 % wrong";
        let is_asked_for = |status: &Status| {
            assert_eq!((status.code(), status.message()), (Code::from_i32(code), text));
            assert_eq!(status.metadata().get("x-reason").unwrap(), "asked for");
        };
        let ask = || Request::new(word(text, u32::try_from(code).unwrap()));
        // Without a body, so that the status is in the head (trailers-only) ...
        is_asked_for(&client.unary("Fail", ask()).await.unwrap_err());
        // ... and after one.
        let answer = client.server_streaming("FailLate", ask()).await.unwrap();
        let (words, end) = all(answer.into_inner()).await;
        assert_eq!(words.len(), 2);
        is_asked_for(&end.unwrap());
    }
    let mut ask = Request::new(word("a", 1));
    ask.metadata_mut().insert("x-word", "as it is".parse().unwrap());
    let bytes = tonic::metadata::MetadataValue::from_bytes(&[0, 159, 146, 150]);
    ask.metadata_mut().insert_bin("x-bytes-bin", bytes.clone());
    let answer = client.unary("Echo", ask).await.unwrap();
    assert_eq!(answer.metadata().get("x-word").unwrap(), "as it is");
    assert_eq!(answer.metadata().get_bin("x-bytes-bin").unwrap(), bytes);
    outrigger.stop().await;
}

/// A client's deadline passes on to the server, and ends the call here if the server does not.
#[tokio::test]
async fn a_deadline_is_told_to_the_server_and_kept() {
    let server = GrpcServer::start("one").await;
    let outrigger = Outrigger::start(&yaml(&[&server], "")).await;
    let mut client = client(outrigger.address()).await;
    let mut ask = Request::new(word("a", 1));
    ask.set_timeout(Duration::from_secs(20));
    let answer = client.unary("Echo", ask).await.unwrap();
    assert!(answer.metadata().contains_key("x-timeout"), "{:?}", answer.metadata());

    // By hand, since tonic's client and server would keep the deadline themselves.
    let silent = Server::builder().http2().start().await.unwrap();
    outrigger.reload(&config("RoundRobin", &[silent.url()], H2C)).await;
    let request = http::Request::post("/hold")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "200m");
    let begun = Instant::now();
    let mut connection = Connection::open(Dial::to(outrigger.address()).http2()).await.unwrap();
    let request = request.body(vec![0; 5].into()).unwrap();
    let answer = in_time("the deadline", connection.send(request)).await.unwrap();
    let status = [answer.headers.get("grpc-status"), answer.trailers.get("grpc-status")];
    assert_eq!(status.into_iter().flatten().next().unwrap(), "4", "{answer:?}");
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let idle = |status: &e2e::Status| status.backend("demo").in_flight() == [0];
    outrigger.until("no request in flight", idle).await;
    outrigger.stop().await;
}

/// RFC-less, but what every gRPC client knows: HTTP statuses are not statuses of calls.
#[tokio::test]
async fn what_the_proxy_itself_answers_is_a_status_of_grpc() {
    let server = GrpcServer::start("one").await;
    let gone = GrpcServer::start("gone").await;
    gone.stop().await;
    let text = format!(
        "admin: {{ address: 127.0.0.1:0 }}
listeners: [{{ name: http, address: 127.0.0.1:0 }}]
routes:
  - {{ name: slow, matches: [{{ path: {{ prefix: /{SERVICE}/Wait }} }}], backends: [{{ name: demo }}], timeouts: {{ request: 200ms }} }}
  - {{ name: gone, matches: [{{ path: {{ prefix: /{SERVICE}/Fail }} }}], backends: [{{ name: gone }}] }}
  - {{ name: demo, matches: [{{ path: {{ prefix: /{SERVICE} }} }}], backends: [{{ name: demo }}] }}
backends:
  - {{ name: demo, protocol: H2c, endpoints: [{}] }}
  - {{ name: gone, protocol: H2c, endpoints: [{}] }}
",
        server.url(),
        gone.url()
    );
    let outrigger = Outrigger::start(&text).await;
    let mut client = client(outrigger.address()).await;
    let mut code = async |method: &str, number| {
        let ask = Request::new(word("a", number));
        let status = client.unary(method, ask).await.unwrap_err();
        println!("{method}: {:?}: {}", status.code(), status.message());
        assert!(!status.message().is_empty(), "{status:?}");
        status.code()
    };
    assert_eq!(code("/other.Service/Method", 1).await, Code::Unimplemented);
    assert_eq!(code("Fail", 3).await, Code::Unavailable);
    assert_eq!(code("Wait", 20_000).await, Code::DeadlineExceeded);
    // The connection is as good as before.
    client.unary("Echo", Request::new(word("a", 1))).await.unwrap();
    outrigger.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_says_not_serving_gets_no_calls() {
    let (one, two) = (GrpcServer::start("one").await, GrpcServer::start("two").await);
    let probe = "    healthProbe: { grpc: { service: shop.Words }, interval: 20ms }\n";
    let outrigger = Outrigger::start(&yaml(&[&one, &two], probe)).await;
    let is = |state: &'static str| {
        let url = one.url();
        move |status: &e2e::Status| status.backend("demo").endpoint(&url).health.state == state
    };
    outrigger.until("both healthy", is("healthy")).await;
    one.set_serving(false).await;
    let status = outrigger.until("one unhealthy", is("unhealthy")).await;
    let reason = status.backend("demo").endpoint(&one.url()).health.reason.clone();
    assert!(reason.as_ref().is_some_and(|it| it.contains("NOT_SERVING")), "{reason:?}");
    let mut client = client(outrigger.address()).await;
    for number in 0..10 {
        let answer = client.unary("Echo", Request::new(word("a", number))).await.unwrap();
        assert_eq!(answer.metadata().get("x-test-server").unwrap(), "two");
    }
    one.set_serving(true).await;
    outrigger.until("both healthy again", is("healthy")).await;
    outrigger.stop().await;
}

/// B8: calls are balanced, not connections.
#[tokio::test]
async fn calls_of_one_connection_are_spread_over_all_endpoints() {
    let servers = [
        GrpcServer::start("one").await,
        GrpcServer::start("two").await,
        GrpcServer::start("three").await,
    ];
    let outrigger = Outrigger::start(&yaml(&servers.each_ref()[..], "")).await;
    let mut client = client(outrigger.address()).await;
    let mut seen = BTreeMap::new();
    for number in 0..99 {
        let answer = client.unary("Echo", Request::new(word("a", number))).await.unwrap();
        let name = answer.metadata().get("x-test-server").unwrap().to_str().unwrap().to_owned();
        *seen.entry(name).or_insert(0) += 1;
    }
    assert!(seen.len() == 3 && seen.values().all(|&count| count == 33), "{seen:?}");
    outrigger.stop().await;
}

/// A roll-out of one endpoint of two: it says GOAWAY, ends, and comes back. Calls that it did not take go to the other.
#[tokio::test]
async fn an_endpoint_that_is_rolled_fails_no_call() {
    let (one, two) = (GrpcServer::start("one").await, GrpcServer::start("two").await);
    let outrigger = Outrigger::start(&yaml(&[&one, &two], "")).await;
    let calls = |mut client: GrpcClient, stopped: tokio::sync::watch::Receiver<bool>| async move {
        let mut count = 0;
        while !*stopped.borrow() {
            client.unary("Echo", Request::new(word("a", count))).await.unwrap();
            count += 1;
        }
        count
    };
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let client = client(outrigger.address()).await;
        for _ in 0..4 {
            clients.spawn(calls(client.clone(), stopped.clone()));
        }
    }
    let more = async |count: u64| {
        let total = async || {
            outrigger
                .status()
                .await
                .backend("demo")
                .endpoints
                .iter()
                .map(|it| it.requests_total)
                .sum::<u64>()
        };
        let from = total().await;
        eventually("more calls", async || (total().await >= from + count).then_some(())).await;
    };
    for _ in 0..5 {
        more(200).await;
        one.stop().await;
        more(200).await;
        one.restart();
    }
    stop.send_replace(true);
    let counts = clients.join_all().await;
    println!("{} calls", counts.iter().sum::<u32>());
    outrigger.stop().await;
}

/// A call that lasts outlives what happens around it: a reload of everything but its endpoint.
#[tokio::test]
async fn a_call_that_lasts_survives_reloads() {
    let (one, two) = (GrpcServer::start("one").await, GrpcServer::start("two").await);
    let outrigger = Outrigger::start(&yaml(&[&one], "")).await;
    let mut client = client(outrigger.address()).await;
    let (sender, mut answers) = in_time("the head", client.streaming("Talk")).await.unwrap();
    for (number, text) in (1..).zip([
        yaml(&[&one, &two], ""),
        yaml(&[&one, &two], "    timeouts: { connect: 3s }\n"),
        yaml(&[&two, &one], "").replace("RoundRobin", "LeastConnections"),
    ]) {
        outrigger.reload(&text).await;
        sender.send(word("still there", number)).await.unwrap();
        let answer = in_time("the answer", answers.message()).await.unwrap();
        assert_eq!(answer, Some(word("still there", number)));
    }
    drop(sender);
    assert_eq!(in_time("the end", answers.message()).await.unwrap(), None);
    outrigger.stop().await;
}
