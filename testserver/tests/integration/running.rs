use std::time::Duration;

use testserver::{Fleet, Member, Server};
use tokio::net::TcpStream;

use crate::client::{Client, Ended, ask, eventually};

async fn server() -> Server {
    Server::builder().start().await.unwrap()
}

/// A client with an answer behind it and an idle connection.
async fn idle_client(server: &Server) -> Client {
    let mut client = Client::to(server).await;
    client.get("/health").await;
    client.until("}").await;
    client
}

#[tokio::test]
async fn held_requests_are_in_flight_until_the_release() {
    let server = server().await;
    let mut clients = Vec::new();
    for path in ["/hold", "/hold?x", "/bytes/3?hold"] {
        let mut client = Client::to(&server).await;
        client.get(path).await;
        clients.push(client);
    }
    server.wait_for_in_flight(3).await;
    server.wait_for_requests(3).await;
    server.release();
    for client in &mut clients {
        assert!(client.head().await.starts_with("HTTP/1.1 200 OK"));
    }
    server.wait_for_in_flight(0).await;
    let counts = server.counts();
    assert_eq!((counts.requests, counts.max_in_flight, counts.abandoned), (3, 3, 0));
    assert_eq!((counts.connections, counts.open_connections), (3, 3));
    assert_eq!((server.requests_to("/hold"), server.requests_to("/other")), (2, 0));

    server.hold();
    clients[0].get("/hold").await;
    server.wait_for_in_flight(1).await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request() {
    let server = Server::builder().delay(Duration::from_secs(3600)).start().await.unwrap();
    for path in ["/", "/hold", "/trickle?pieces=0&every=1m"] {
        let mut client = Client::to(&server).await;
        client.get(path).await;
        eventually(&server, |counts| counts.in_flight == 1).await;
        drop(client);
        eventually(&server, |counts| counts.in_flight == 0).await;
    }
    assert_eq!(server.counts().abandoned, 3);
}

#[tokio::test]
async fn a_stopped_server_refuses_connections_and_a_restarted_one_is_where_it_was() {
    let server = server().await;
    let address = server.address();
    for _ in 0..3 {
        let mut idle = idle_client(&server).await;
        let mut busy = Client::to(&server).await;
        busy.get("/hold").await;
        eventually(&server, |counts| counts.in_flight == 1).await;

        server.stop().await;
        assert_eq!(idle.rest().await, (String::new(), Ended::Closed));
        assert_eq!(busy.rest().await, (String::new(), Ended::Closed));
        assert_eq!(server.counts().in_flight, 0);
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

        server.restart().unwrap();
        server.restart().unwrap();
        assert_eq!(server.address(), address);
    }
    assert!(ask(&server, "GET / HTTP/1.1", "").await.starts_with("HTTP/1.1 200"));
    assert_eq!(server.counts().requests, 7);
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_closes_what_is_idle() {
    let server = server().await;
    let mut idle = idle_client(&server).await;
    let mut fresh = Client::to(&server).await;
    let mut awaited = Client::to(&server).await;
    awaited.get("/close-next").await;
    awaited.until("long.\n").await;
    let mut busy = Client::to(&server).await;
    busy.get("/hold").await;
    eventually(&server, |counts| counts.in_flight == 1 && counts.open_connections == 4).await;
    let drain = async {
        server.drain().await;
        assert_eq!(server.counts().open_connections, 0);
    };
    let client = async {
        for client in [&mut idle, &mut fresh, &mut awaited] {
            assert_eq!(client.rest().await, (String::new(), Ended::Closed));
        }
        let refused = TcpStream::connect(server.address()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(server.counts().in_flight, 1);
        server.release();
        let (answer, ended) = busy.rest().await;
        assert!(answer.ends_with("{\"message\":\"ok\"}"), "{answer}");
        assert_eq!(ended, Ended::Closed);
        // A client closes when the server does.
        drop((idle, fresh, awaited, busy));
    };
    tokio::join!(drain, client);
    assert_eq!(server.counts().abandoned, 0);

    server.restart().unwrap();
    let mut client = idle_client(&server).await;
    client.get("/health").await;
    assert!(client.until("}").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_drain_finishes_the_streams_of_http_2() {
    let server = Server::builder().http2().start().await.unwrap();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let uri = format!("{}/hold", server.url());
    let request = http::Request::get(&uri).body(()).unwrap();
    let (answer, _) = sender.send_request(request, true).unwrap();
    eventually(&server, |counts| counts.in_flight == 1).await;
    let client = async {
        // GOAWAY: no stream can be begun any more.
        while std::future::poll_fn(|context| sender.poll_ready(context)).await.is_ok() {
            let request = http::Request::get(&uri).body(()).unwrap();
            if sender.send_request(request, true).is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        server.release();
        assert_eq!(answer.await.unwrap().status(), 200);
        drop(sender);
        connection.await.unwrap().unwrap();
    };
    tokio::join!(server.drain(), client);
    assert_eq!(server.counts().open_connections, 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_port_of_a_stopped_server_is_nobody_elses() {
    let server = server().await;
    server.stop().await;
    // Without SO_REUSEADDR, as the system binds the near end of an outgoing connection.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    let taken = socket.bind(server.address()).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    server.restart().unwrap();
}

#[tokio::test]
async fn a_stop_by_reset_resets_every_connection() {
    let server = server().await;
    let mut idle = idle_client(&server).await;
    let mut busy = Client::to(&server).await;
    busy.get("/hold-body").await;
    busy.until("twenty-four ").await;
    server.stop_by_reset().await;
    assert_eq!(idle.rest().await.1, Ended::Reset);
    assert_eq!(busy.rest().await.1, Ended::Reset);
}

#[tokio::test]
async fn connections_and_listening_end_apart_from_each_other() {
    let server = server().await;
    let mut client = idle_client(&server).await;
    server.close_connections();
    assert_eq!(client.rest().await, (String::new(), Ended::Closed));
    let mut client = idle_client(&server).await;
    server.reset_connections();
    assert_eq!(client.rest().await, (String::new(), Ended::Reset));

    let mut client = idle_client(&server).await;
    server.stop_listening().await;
    assert!(TcpStream::connect(server.address()).await.is_err());
    client.get("/health").await;
    client.until("}").await;
}

#[tokio::test]
async fn a_dropped_server_closes_its_connections_and_gives_its_port_back() {
    let server = server().await;
    let address = server.address();
    let mut client = idle_client(&server).await;
    drop(server);
    assert_eq!(client.rest().await, (String::new(), Ended::Closed));
    let again = Server::builder().address(address.to_string()).start().await.unwrap();
    assert_eq!(again.address(), address);
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_to_do() {
    let server = server().await;
    let port = server.address().port();
    let error = Server::builder().address(server.address().to_string()).start().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("port {port} is taken by another program")), "{text}");
    assert!(text.contains("choose another port"), "{text}");
}

#[tokio::test]
async fn a_fleet_starts_whole_or_not_at_all_and_names_every_taken_port() {
    let delay = Duration::from_millis(1);
    let free = Member { port: 0, delay };
    let fleet = Fleet::start("127.0.0.1", &[free, free]).await.unwrap();
    assert_eq!((fleet.servers().len(), fleet[1].delay()), (2, delay));
    assert_eq!(fleet.urls()[0], fleet[0].url());
    let ports: Vec<u16> = fleet.servers().iter().map(|server| server.address().port()).collect();
    assert!(fleet[0].name() == ports[0].to_string() && ports[0] != ports[1]);

    let taken = |port| Member { port, delay };
    let error =
        Fleet::start("127.0.0.1", &[taken(ports[0]), free, taken(ports[1])]).await.unwrap_err();
    assert_eq!(error.0.len(), 2);
    for port in ports {
        assert!(error.to_string().contains(&format!("port {port} is taken")), "{error}");
    }
    fleet.stop().await;
    assert!(TcpStream::connect(fleet[0].address()).await.is_err());
}

#[tokio::test]
async fn an_idle_time_of_the_server_closes_connections_on_which_nothing_begins() {
    let server = Server::builder().idle(Duration::from_millis(20)).start().await.unwrap();
    let mut client = idle_client(&server).await;
    assert_eq!(client.rest().await, (String::new(), Ended::Closed));
}

#[tokio::test]
async fn what_is_recorded_is_what_was_sent_by_connection() {
    let server = Server::builder().record().start().await.unwrap();
    let request = "POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    for _ in 0..2 {
        let mut client = Client::to(&server).await;
        client.send(request).await;
        client.until("}").await;
    }
    assert_eq!(server.received(), [request.as_bytes(), request.as_bytes()]);
    assert!(self::server().await.received().is_empty());
}
