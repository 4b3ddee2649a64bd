//! How many times a request asks for memory. A program of its own, because it counts in the allocator, of all that runs here: so
//! client and endpoint are threads that ask for none.

#![forbid(unsafe_code)]

use outrigger::app::{App, Options};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// hyper: the request's fields, two tables for their parser, and the shared ownership of the buffer and of the target.
const HYPER: u64 = 5;
/// Ours: the request's record, and the response's fields.
const OURS: u64 = 2;

const REQUESTS: u64 = 2_000;

const REQUEST: &[u8] = b"GET /api/items HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test\r\n\
    Accept: */*\r\nAccept-Encoding: gzip\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 10\r\n\r\n0123456789";

/// An endpoint that answers every request on its only connection.
fn endpoint() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut buffer, mut filled) = ([0; 4096], 0);
        loop {
            match stream.read(&mut buffer[filled..]) {
                Ok(0) | Err(_) => return,
                Ok(size) => filled += size,
            }
            if buffer[..filled].ends_with(b"\r\n\r\n") {
                stream.write_all(ANSWER).unwrap();
                filled = 0;
            }
        }
    });
    address
}

/// Sends `count` requests one after the other.
fn ask(client: &mut TcpStream, count: u64) {
    let mut buffer = [0; 4096];
    for _ in 0..count {
        client.write_all(REQUEST).unwrap();
        let mut filled = 0;
        while !buffer[..filled].ends_with(b"0123456789") {
            let size = client.read(&mut buffer[filled..]).unwrap();
            assert!(size > 0, "closed");
            filled += size;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn a_small_request_asks_for_memory_no_more_often_than_this() {
    let _counting = dhat::Profiler::builder().testing().build();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    // So many that are all compared for each pick, which is evidence to be kept.
    let endpoints: Vec<_> = (0..16).map(|_| format!("'http://{}'", endpoint())).collect();
    let text = format!(
        "admin: {{ address: '' }}\n\
         workers: 1\n\
         telemetry: {{ accessLog: {{ enabled: false }} }}\n\
         listeners: [{{ name: http, address: '127.0.0.1:0' }}]\n\
         backends: [{{ name: shop, algorithm: LeastConnections, endpoints: [{}] }}]\n",
        endpoints.join(", ")
    );
    std::fs::write(&config, text).unwrap();
    let app =
        App::start(Options { config: config.into(), loopback_only: true, observer: None }).unwrap();
    let mut client = TcpStream::connect(app.bound().listeners[0].1).unwrap();
    client.set_nodelay(true).unwrap();

    ask(&mut client, 500);
    let before = dhat::HeapStats::get().total_blocks;
    ask(&mut client, REQUESTS);
    let asked = dhat::HeapStats::get().total_blocks - before;

    // What the other threads ask for meanwhile (one looks at the file now and then) is less than one per request.
    let each = asked / REQUESTS;
    assert!(each <= HYPER + OURS, "{each} per request, {asked} in all");
    assert!(each > 2, "{asked} in all: nothing was counted");
    drop(client);
    app.lifecycle().end_now();
    let _ = app.join();
}
