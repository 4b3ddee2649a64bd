//! The client: many connections on one thread.
//!
//! Every answer is checked, whole: it must be a 200 with the length and the body we expect. The first that is not ends
//! the run with an error.

mod http1;
mod http2;
mod schedule;

use crate::Result;
use crate::exchange::{Exchange, Protocol};
use http1::Http1;
use http2::Http2;
use rustls::ClientConfig;
pub(crate) use schedule::Pace;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a stretch lasts at most when nothing is answered.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// How the load is made.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Connections that are open.
    pub(crate) connections: usize,
    /// Requests that are on their way at most; with fewer than connections, these take turns, and with HTTP/2 each connection
    /// has its part of them.
    pub(crate) in_flight: usize,
    pub(crate) pace: Pace,
    /// Whether each request has a connection of its own, which the client closes after the answer.
    pub(crate) reconnect: bool,
    /// Whether a connection may be closed by the other side: it is counted then, and opened anew.
    pub(crate) may_close: bool,
    /// TLS, if it is spoken.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Shape {
    /// So many keep-alive connections, all of them busy.
    pub(crate) fn keep_alive(connections: usize) -> Shape {
        Shape {
            connections,
            in_flight: connections,
            pace: Pace::Closed,
            reconnect: false,
            may_close: false,
            tls: None,
        }
    }
}

/// What one stretch of load found.
#[derive(Default)]
pub(crate) struct Run {
    /// Requests answered.
    pub(crate) requests: u64,
    /// How long it really took.
    pub(crate) elapsed: Duration,
    /// Nanoseconds from (due) sending to the whole answer, in ascending order.
    pub(crate) latencies: Vec<u64>,
    /// Connections that the other side closed in order, and in the middle of a request, which failed.
    pub(crate) closed: u64,
    pub(crate) failed: u64,
    /// How the first connection with TLS that had an answer agreed on its keys.
    pub(crate) group: Option<String>,
}

/// Open connections to one address.
pub(crate) enum Load {
    Http1(Http1),
    Http2(Http2),
}

impl Load {
    /// Opens connections to `address` for requests and answers like `exchange`.
    pub(crate) fn connect(address: SocketAddr, shape: &Shape, exchange: &Exchange) -> Result<Load> {
        Ok(match exchange.protocol {
            Protocol::Http1 => Load::Http1(Http1::connect(address, shape, exchange)?),
            Protocol::Http2 | Protocol::Grpc => {
                Load::Http2(Http2::connect(address, shape, exchange)?)
            }
        })
    }

    /// Sends requests for `duration`. Requests still on their way at its end count in the next call.
    pub(crate) fn drive(&mut self, duration: Duration) -> Result<Run> {
        match self {
            Load::Http1(load) => load.run(duration, u64::MAX),
            Load::Http2(load) => load.run(duration, u64::MAX),
        }
    }

    /// Sends `count` requests and waits for their answers, for `patience` at most.
    pub(crate) fn count(&mut self, count: u64, patience: Duration) -> Result<Run> {
        let run = match self {
            Load::Http1(load) => load.run(patience, count),
            Load::Http2(load) => load.run(patience, count),
        }?;
        match run.requests + run.failed {
            done if done == count => Ok(run),
            done => Err(format!("{done} of {count} requests in {patience:?}").into()),
        }
    }

    /// Waits for the answers to all requests that are on their way, and says how many came; one that does not come within
    /// `patience` is an error. The connections stay open.
    pub(crate) fn settle(&mut self, patience: Duration) -> Result<u64> {
        match self {
            Load::Http1(load) => load.settle(patience),
            Load::Http2(load) => load.settle(patience),
        }
    }
}

/// Whether whoever listens at `address` answers one request of this load as it must be. One that only accepts may not know
/// its routes yet.
pub(crate) fn answers(address: SocketAddr, shape: &Shape, exchange: &Exchange) -> bool {
    let shape = Shape { connections: 1, in_flight: 1, pace: Pace::Closed, ..shape.clone() };
    let count = |mut load: Load| load.count(1, Duration::from_secs(1));
    Load::connect(address, &shape, exchange).and_then(count).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    const SHORT: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(10);

    /// A server that gives `answer` to the first request of its only connection.
    fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
            let _ = stream.read(&mut [0; 1024]);
        });
        address
    }

    fn failure(answer: &'static [u8]) -> String {
        let exchange = Exchange::new(0, 2, &[]);
        let mut load = Load::connect(server(answer), &Shape::keep_alive(1), &exchange).unwrap();
        let outcome = load.drive(SHORT).and_then(|_| load.settle(SHORT));
        outcome.expect_err("must fail").to_string()
    }

    #[test]
    fn every_connection_keeps_sending_and_every_answer_counts() {
        let endpoint = Endpoint::start(None).unwrap();
        let mut load =
            Load::connect(endpoint.address(), &Shape::keep_alive(4), &Exchange::small()).unwrap();
        let run = load.drive(SHORT).unwrap();
        assert!(run.requests > 4, "{} requests", run.requests);
        assert_eq!(run.requests as usize, run.latencies.len());
        assert!(run.latencies.is_sorted());
        assert!(endpoint.last_head().starts_with("get /api/bench http/1.1\r\nhost: bench.example"));
        assert!(load.drive(SHORT).is_ok(), "the connections stay open between two stretches");
        load.settle(LONG).unwrap();
    }

    #[test]
    fn long_bodies_arrive_whole_in_both_directions() {
        let exchange = Exchange::new(3 << 20, 2 << 20, &[]);
        let endpoint = Endpoint::serving(None, 1, &exchange).unwrap();
        let mut load = Load::connect(endpoint.address(), &Shape::keep_alive(3), &exchange).unwrap();
        assert_eq!(load.count(10, LONG).unwrap().requests, 10);
        let other = Exchange::new(3 << 20, 1 << 20, &[]);
        let mut load = Load::connect(endpoint.address(), &Shape::keep_alive(1), &other).unwrap();
        assert!(load.count(1, LONG).is_err(), "an answer of another length");
    }

    #[test]
    fn a_new_connection_carries_each_request_and_connections_take_turns() {
        let endpoint = Endpoint::serving(None, 300, &Exchange::small()).unwrap();
        let shape = Shape { reconnect: true, ..Shape::keep_alive(2) };
        let last = *endpoint.addresses().last().unwrap();
        assert_eq!(
            Load::connect(last, &shape, &Exchange::small())
                .unwrap()
                .count(50, LONG)
                .unwrap()
                .requests,
            50
        );
        let shape = Shape { in_flight: 2, ..Shape::keep_alive(40) };
        let mut load = Load::connect(last, &shape, &Exchange::small()).unwrap();
        load.count(20, LONG).unwrap();
        let Load::Http1(load) = load else { panic!("HTTP/1.1 was asked for") };
        let turns: Vec<_> = load.idle.iter().take(20).copied().collect();
        assert_eq!(turns, (20..40).collect::<Vec<_>>(), "those that have not yet sent are next");
    }

    #[test]
    fn an_open_loop_sends_what_is_due_and_no_more() {
        let endpoint = Endpoint::start(None).unwrap();
        let shape = Shape { pace: Pace::PerSecond(1_000.0), ..Shape::keep_alive(4) };
        let mut load = Load::connect(endpoint.address(), &shape, &Exchange::small()).unwrap();
        let run = load.drive(Duration::from_millis(100)).unwrap();
        assert!((1..=101).contains(&run.requests), "{} requests", run.requests);
    }

    #[test]
    fn a_wrong_answer_or_none_fails_the_run() {
        assert!(failure(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").contains("503"));
        let wrong = failure(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nko");
        assert!(wrong.contains("not the answer expected") && wrong.contains("200"), "{wrong}");
        assert!(failure(b"").contains("no answer"));
    }

    #[test]
    fn grpc_calls_share_connections_and_each_counts_once() {
        let exchange = Exchange::grpc();
        let endpoint = Endpoint::serving(None, 1, &exchange).unwrap();
        let shape = Shape { in_flight: 12, ..Shape::keep_alive(3) };
        let mut load = Load::connect(endpoint.address(), &shape, &exchange).unwrap();
        assert_eq!(load.count(0, LONG).unwrap().requests, 0);
        assert_eq!(load.count(100, LONG).unwrap().requests, 100);
        let run = load.drive(SHORT).unwrap();
        assert!(run.requests > 12, "{} requests", run.requests);
        assert_eq!(run.requests as usize, run.latencies.len());
        let late = load.settle(LONG).unwrap();
        assert!(late <= 12, "{late} on their way");
        assert_eq!(load.settle(LONG).unwrap(), 0, "each is counted once");
        let head = endpoint.last_head();
        assert!(head.starts_with("post /bench.shop/order\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/grpc\r\n"), "{head}");
    }

    #[test]
    fn a_wrong_answer_to_a_grpc_call_fails_the_run() {
        let endpoint = Endpoint::serving(None, 1, &Exchange::grpc()).unwrap();
        let fault = |exchange: &Exchange| {
            let mut load =
                Load::connect(endpoint.address(), &Shape::keep_alive(1), exchange).unwrap();
            load.count(1, LONG).err().unwrap().to_string()
        };
        let other = Exchange { upload: b"other", ..Exchange::grpc() };
        assert!(fault(&other).contains("status: 400"));
        let other = Exchange { download: b"other", ..Exchange::grpc() };
        assert!(fault(&other).contains("its body"));
        let longer = Exchange { download: crate::exchange::body(1 << 20), ..Exchange::grpc() };
        assert!(fault(&longer).contains("its body"));
        let plain = Exchange { protocol: Protocol::Http2, ..Exchange::small() };
        assert!(fault(&plain).contains("status: 400"), "no call");
    }
}
