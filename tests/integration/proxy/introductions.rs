//! Backends that are told of clients by the PROXY protocol: a connection speaks for one client, and for no other.

use super::client::{Client, PATIENCE};
use super::harness::Config;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// The next connection of `listener`, and its first line.
async fn introduced(listener: &TcpListener) -> (BufReader<TcpStream>, String) {
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let (mut stream, mut line) = (BufReader::new(stream), String::new());
    stream.read_line(&mut line).await.unwrap();
    (stream, line)
}

/// Reads one request's head and answers it.
async fn serve(stream: &mut BufReader<TcpStream>) {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert!(!line.starts_with("PROXY"), "once in a connection");
        if line == "\r\n" {
            break;
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
}

fn expected(client: SocketAddr, proxy: SocketAddr) -> String {
    format!("PROXY TCP4 {} {} {} {}\r\n", client.ip(), proxy.ip(), client.port(), proxy.port())
}

#[tokio::test]
async fn each_client_has_connections_of_its_own_that_begin_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = Config::to_urls(vec![url]).keys("proxyProtocol: V1").start();
    let (mut one, mut two) = (proxy.client().await, proxy.client().await);
    let mut connections = Vec::new();
    for client in [&mut one, &mut two] {
        let endpoint = async {
            let (mut stream, line) = introduced(&listener).await;
            serve(&mut stream).await;
            (stream, line)
        };
        let local = client.stream.local_addr().unwrap();
        let (answer, (stream, line)) = tokio::join!(client.get("/"), endpoint);
        assert_eq!((answer.status, line), (200, expected(local, proxy.address)));
        connections.push(stream);
    }
    // Both connections idle now, that of the second client on top: each is used again for its own client only.
    let [first, second] = connections.as_mut_slice() else { panic!() };
    for (client, stream) in [(&mut one, first), (&mut two, second)] {
        let (answer, ()) = tokio::join!(client.get("/"), serve(stream));
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn the_header_goes_before_http2_too_and_in_binary_form() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = Config::to_urls(vec![url]).keys("protocol: H2c\n  proxyProtocol: V2").start();
    let proxy_address = proxy.address;
    let mut clients: Vec<_> = Vec::new();
    for _ in 0..2 {
        let mut client = Client::to(proxy_address).await;
        let local = client.stream.local_addr().unwrap();
        let endpoint = async {
            let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
            let mut header = [0; 28];
            stream.read_exact(&mut header).await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_response(http::Response::new(()), true).unwrap();
            (header, tokio::spawn(async move { while connection.accept().await.is_some() {} }))
        };
        let (answer, (header, serving)) = tokio::join!(client.get("/"), endpoint);
        assert_eq!(answer.status, 200);
        assert_eq!(header[..16], *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
        assert_eq!(header[16..24], [127, 0, 0, 1, 127, 0, 0, 1]);
        let ports = [local.port().to_be_bytes(), proxy_address.port().to_be_bytes()].concat();
        assert_eq!(header[24..], *ports);
        clients.push((client, serving));
    }
}
