//! The client: many connections on one thread, each with at most one request on its way.
//!
//! Every answer is checked, whole: it must be a 200 with the length and the body we expect. The first that is not ends
//! the run with an error.

mod connection;
mod schedule;

use crate::Result;
use crate::exchange::Exchange;
use connection::{Connection, Received};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
pub(crate) use schedule::Pace;
use schedule::Schedule;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a stretch lasts at most when nothing is answered.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// How the load is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Connections that are open.
    pub(crate) connections: usize,
    /// Requests that are on their way at most; with fewer than connections, these take turns.
    pub(crate) in_flight: usize,
    pub(crate) pace: Pace,
    /// Whether each request has a connection of its own, which the client closes after the answer.
    pub(crate) reconnect: bool,
    /// Whether a connection may be closed by the other side: it is counted then, and opened anew.
    pub(crate) may_close: bool,
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
}

/// Open connections to one address.
pub(crate) struct Load {
    address: SocketAddr,
    shape: Shape,
    exchange: Exchange,
    poll: OwnedFd,
    connections: Vec<Connection>,
    idle: VecDeque<usize>,
    /// The number of the next request, for its head.
    number: usize,
    buffer: Vec<u8>,
}

impl Load {
    /// Opens connections to `address` for requests and answers like `exchange`.
    pub(crate) fn connect(address: SocketAddr, shape: Shape, exchange: &Exchange) -> Result<Load> {
        let mut load = Load {
            address,
            shape,
            exchange: exchange.clone(),
            poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::with_capacity(shape.connections),
            idle: (0..shape.connections).collect(),
            number: 0,
            buffer: vec![0; 256 << 10],
        };
        for id in 0..shape.connections {
            let connection = load.open(id)?;
            load.connections.push(connection);
        }
        Ok(load)
    }

    /// Sends requests for `duration`. Requests still on their way at its end count in the next call.
    pub(crate) fn drive(&mut self, duration: Duration) -> Result<Run> {
        self.run(duration, u64::MAX)
    }

    /// Sends `count` requests and waits for their answers, for `patience` at most.
    pub(crate) fn count(&mut self, count: u64, patience: Duration) -> Result<Run> {
        let run = self.run(patience, count)?;
        match run.requests + run.failed {
            done if done == count => Ok(run),
            done => Err(format!("{done} of {count} requests in {patience:?}").into()),
        }
    }

    fn run(&mut self, duration: Duration, at_most: u64) -> Result<Run> {
        let start = Instant::now();
        let mut schedule = Schedule { pace: self.shape.pace, start, sent: 0, at_most };
        let mut run = Run { latencies: Vec::with_capacity(1 << 20), ..Run::default() };
        let mut events = Vec::with_capacity(self.connections.len());
        let mut now = start;
        // A stretch without any answer says nothing: the first is waited for.
        while now - start < if run.requests == 0 { duration.max(FIRST_ANSWER) } else { duration }
            && run.requests + run.failed < at_most
        {
            while let Some(due) = self.free().and_then(|_| schedule.next(now)) {
                self.send_next(due)?;
            }
            // With all requests on their way only an answer is waited for: looking again and again would take the core from the
            // endpoint.
            let pause = match self.free() {
                Some(_) => schedule.pause(now).min(duration),
                None => duration,
            };
            self.wait(&mut events, pause)?;
            for event in &events {
                self.ready(event, &mut run)?;
                let received = Instant::now();
                if self.free().is_some()
                    && let Some(due) = schedule.next(received)
                {
                    self.send_next(due)?;
                }
            }
            now = Instant::now();
        }
        run.elapsed = now - start;
        run.latencies.sort_unstable();
        Ok(run)
    }

    /// Waits for the answers to all requests that are on their way, and says how many came; one that does not come within
    /// `patience` is an error. The connections stay open.
    pub(crate) fn settle(&mut self, patience: Duration) -> Result<u64> {
        let start = Instant::now();
        let mut run = Run::default();
        let mut events = Vec::with_capacity(self.connections.len());
        while let Some(open) = self.connections.iter().find(|open| open.since.is_some()) {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(open.unexpected());
            }
            self.wait(&mut events, left)?;
            for event in &events {
                self.ready(event, &mut run)?;
            }
        }
        Ok(run.requests)
    }

    /// A connection that may send, if one may.
    fn free(&self) -> Option<usize> {
        let busy = self.connections.len() - self.idle.len();
        self.idle.front().copied().filter(|_| busy < self.shape.in_flight)
    }

    /// Sends the next request on the connection that has waited longest.
    fn send_next(&mut self, due: Instant) -> Result<()> {
        let Some(id) = self.idle.pop_front() else { return Ok(()) };
        let head = &self.exchange.heads[self.number % self.exchange.heads.len()];
        self.number += 1;
        let connection = &mut self.connections[id];
        match connection.send(due, head, &self.exchange) {
            Ok(true) => Ok(()),
            Ok(false) => Ok(self.want(id, epoll::EventFlags::IN | epoll::EventFlags::OUT)?),
            // Closed just now: reading tells.
            Err(_) if self.shape.may_close => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Goes on with a connection that is ready.
    fn ready(&mut self, event: &epoll::Event, run: &mut Run) -> Result<()> {
        let id = event.data.u64() as usize;
        if { event.flags }.contains(epoll::EventFlags::OUT)
            && self.connections[id].go_on(&self.exchange)?
        {
            self.want(id, epoll::EventFlags::IN)?;
        }
        match self.connections[id].receive(&mut self.buffer, self.exchange.download)? {
            Received::Nothing => {}
            Received::Answer { since, last } => {
                run.latencies.push(u64::try_from(since.elapsed().as_nanos())?);
                run.requests += 1;
                run.closed += u64::from(last);
                if last && !self.shape.may_close && !self.shape.reconnect {
                    return Err("an answer ends a keep-alive connection".into());
                }
                if self.shape.reconnect || last {
                    self.reopen(id)?;
                }
                self.idle.push_back(id);
            }
            Received::Closed if !self.shape.may_close => {
                return Err("a keep-alive connection was closed by the other side".into());
            }
            Received::Closed => {
                match self.connections[id].since {
                    Some(_) => {
                        run.failed += 1;
                        self.idle.push_back(id);
                    }
                    None => run.closed += 1,
                }
                self.reopen(id)?;
            }
        }
        Ok(())
    }

    fn open(&self, id: usize) -> Result<Connection> {
        let connection = Connection::open(self.address)?;
        let data = epoll::EventData::new_u64(id as u64);
        epoll::add(&self.poll, &connection.stream, data, epoll::EventFlags::IN)?;
        Ok(connection)
    }

    fn reopen(&mut self, id: usize) -> Result<()> {
        let connection = self.open(id)?;
        std::mem::replace(&mut self.connections[id], connection).reset()
    }

    fn want(&self, id: usize, wanted: epoll::EventFlags) -> rustix::io::Result<()> {
        let data = epoll::EventData::new_u64(id as u64);
        epoll::modify(&self.poll, &self.connections[id].stream, data, wanted)
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, at_most: Duration) -> Result<()> {
        events.clear();
        match epoll::wait(&self.poll, spare_capacity(events), Some(&Timespec::try_from(at_most)?)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
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
        let mut load = Load::connect(server(answer), Shape::keep_alive(1), &exchange).unwrap();
        let outcome = load.drive(SHORT).and_then(|_| load.settle(SHORT));
        outcome.expect_err("must fail").to_string()
    }

    #[test]
    fn every_connection_keeps_sending_and_every_answer_counts() {
        let endpoint = Endpoint::start(None).unwrap();
        let mut load =
            Load::connect(endpoint.address(), Shape::keep_alive(4), &Exchange::small()).unwrap();
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
        let mut load = Load::connect(endpoint.address(), Shape::keep_alive(3), &exchange).unwrap();
        assert_eq!(load.count(10, LONG).unwrap().requests, 10);
        let other = Exchange::new(3 << 20, 1 << 20, &[]);
        let mut load = Load::connect(endpoint.address(), Shape::keep_alive(1), &other).unwrap();
        assert!(load.count(1, LONG).is_err(), "an answer of another length");
    }

    #[test]
    fn a_new_connection_carries_each_request_and_connections_take_turns() {
        let endpoint = Endpoint::serving(None, 300, &Exchange::small()).unwrap();
        let shape = Shape { reconnect: true, ..Shape::keep_alive(2) };
        let last = *endpoint.addresses().last().unwrap();
        assert_eq!(
            Load::connect(last, shape, &Exchange::small())
                .unwrap()
                .count(50, LONG)
                .unwrap()
                .requests,
            50
        );
        let shape = Shape { in_flight: 2, ..Shape::keep_alive(40) };
        let mut load = Load::connect(last, shape, &Exchange::small()).unwrap();
        load.count(20, LONG).unwrap();
        let turns: Vec<_> = load.idle.iter().take(20).copied().collect();
        assert_eq!(turns, (20..40).collect::<Vec<_>>(), "those that have not yet sent are next");
    }

    #[test]
    fn an_open_loop_sends_what_is_due_and_no_more() {
        let endpoint = Endpoint::start(None).unwrap();
        let shape = Shape { pace: Pace::PerSecond(1_000.0), ..Shape::keep_alive(4) };
        let mut load = Load::connect(endpoint.address(), shape, &Exchange::small()).unwrap();
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
}
