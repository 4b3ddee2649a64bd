//! The client: many keep-alive connections on one thread, each with at most one request on its way.
//!
//! Every answer is checked, whole: it must start with a 200 and end with a head's end and the body we
//! expect. The first that does not ends the run with an error.

use crate::Result;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What every request is.
const REQUEST: &[u8] = b"GET /bench HTTP/1.1\r\nHost: bench.example\r\n\
    User-Agent: outrigger-bench\r\nAccept: */*\r\n\r\n";

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Closed loop: each connection sends as soon as it has its answer. Saturates the proxy.
    Closed,
    /// Open loop: so many requests per second, whatever the answers do. A request that finds no free
    /// connection waits, and its latency counts from when it was due.
    PerSecond(f64),
}

/// What one stretch of load found.
pub(crate) struct Run {
    /// Requests answered.
    pub(crate) requests: u64,
    /// How long it really took.
    pub(crate) elapsed: Duration,
    /// Nanoseconds from (due) sending to the whole answer, in ascending order.
    pub(crate) latencies: Vec<u64>,
}

/// Open connections to one address.
pub(crate) struct Load {
    poll: OwnedFd,
    pace: Pace,
    ending: Vec<u8>,
    connections: Vec<Connection>,
    idle: Vec<usize>,
}

struct Connection {
    stream: TcpStream,
    buffer: [u8; 4096],
    filled: usize,
    /// When the request that is on its way was (or should have been) sent.
    since: Option<Instant>,
}

impl Load {
    /// Opens `count` connections to `address`, whose every answer must have `body`.
    pub(crate) fn connect(
        address: SocketAddr,
        count: usize,
        pace: Pace,
        body: &[u8],
    ) -> Result<Load> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for id in 0..count {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(id as u64);
            epoll::add(&poll, &stream, data, epoll::EventFlags::IN)?;
            connections.push(Connection { stream, buffer: [0; 4096], filled: 0, since: None });
        }
        let ending = [b"\r\n\r\n", body].concat();
        Ok(Load { poll, pace, ending, connections, idle: (0..count).collect() })
    }

    /// Sends requests for `duration`. Requests still on their way at its end count in the next call.
    pub(crate) fn drive(&mut self, duration: Duration) -> Result<Run> {
        let start = Instant::now();
        let mut schedule = Schedule { pace: self.pace, start, sent: 0 };
        let mut latencies = Vec::with_capacity(1 << 20);
        let mut events = Vec::with_capacity(self.connections.len());
        let mut now = start;
        while now - start < duration {
            while let Some(&id) = self.idle.last()
                && let Some(due) = schedule.next(now)
            {
                self.idle.pop();
                self.connections[id].send(due)?;
            }
            let pause = match self.idle.is_empty() {
                true => duration,
                false => schedule.pause(now).min(duration),
            };
            self.wait(&mut events, pause)?;
            for event in &events {
                let id = event.data.u64() as usize;
                let connection = &mut self.connections[id];
                let Some(since) = connection.receive(&self.ending)? else { continue };
                let received = Instant::now();
                latencies.push(u64::try_from((received - since).as_nanos())?);
                match schedule.next(received) {
                    Some(due) => connection.send(due)?,
                    None => self.idle.push(id),
                }
            }
            now = Instant::now();
        }
        latencies.sort_unstable();
        Ok(Run { requests: latencies.len() as u64, elapsed: now - start, latencies })
    }

    /// Waits for the answers to all requests that are on their way; one that does not come within
    /// `patience` is an error.
    pub(crate) fn finish(mut self, patience: Duration) -> Result<()> {
        let start = Instant::now();
        let mut events = Vec::with_capacity(self.connections.len());
        while let Some(open) = self.connections.iter().find(|open| open.since.is_some()) {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(unexpected(&open.buffer[..open.filled]));
            }
            self.wait(&mut events, left)?;
            for event in &events {
                self.connections[event.data.u64() as usize].receive(&self.ending)?;
            }
        }
        Ok(())
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, at_most: Duration) -> Result<()> {
        events.clear();
        match epoll::wait(&self.poll, spare_capacity(events), Some(&Timespec::try_from(at_most)?)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Says when the next request is due.
struct Schedule {
    pace: Pace,
    start: Instant,
    sent: u64,
}

impl Schedule {
    fn due(&self, rate: f64) -> Instant {
        self.start + Duration::from_secs_f64(self.sent as f64 / rate)
    }

    /// The time at which a request was due that should be sent now, if one should.
    fn next(&mut self, now: Instant) -> Option<Instant> {
        let due = match self.pace {
            Pace::Closed => now,
            Pace::PerSecond(rate) => self.due(rate),
        };
        (due <= now).then(|| {
            self.sent += 1;
            due
        })
    }

    /// How long nothing is due.
    fn pause(&self, now: Instant) -> Duration {
        match self.pace {
            Pace::Closed => Duration::ZERO,
            Pace::PerSecond(rate) => self.due(rate).saturating_duration_since(now),
        }
    }
}

impl Connection {
    fn send(&mut self, since: Instant) -> Result<()> {
        self.since = Some(since);
        match self.stream.write(REQUEST) {
            Ok(count) if count == REQUEST.len() => Ok(()),
            Ok(_) => Err("a request did not fit into an empty socket buffer".into()),
            Err(error) => Err(format!("a request could not be sent: {error}").into()),
        }
    }

    /// Reads what has come; when that completes the answer, says since when it was awaited.
    fn receive(&mut self, ending: &[u8]) -> Result<Option<Instant>> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err("a keep-alive connection was closed by the other side".into()),
            Ok(count) => self.filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(format!("no answer: {error}").into()),
        }
        let answer = &self.buffer[..self.filled];
        let status = b"HTTP/1.1 200 ";
        if !status.starts_with(&answer[..answer.len().min(status.len())]) {
            return Err(unexpected(answer));
        }
        if !answer.ends_with(ending) {
            let room = self.filled < self.buffer.len();
            return if room { Ok(None) } else { Err(unexpected(answer)) };
        }
        self.filled = 0;
        let since = self.since.take();
        since.map(Some).ok_or_else(|| "an answer to no request".into())
    }
}

fn unexpected(answer: &[u8]) -> Box<dyn std::error::Error + Send + Sync> {
    if answer.is_empty() {
        return "a request has no answer".into();
    }
    let text = String::from_utf8_lossy(&answer[..answer.len().min(400)]).into_owned();
    format!("not the answer expected: {text:?}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{BODY, Endpoint};
    use std::net::TcpListener;

    const SHORT: Duration = Duration::from_millis(30);

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
        let mut load = Load::connect(server(answer), 1, Pace::Closed, b"ok").unwrap();
        let outcome = load.drive(SHORT).and_then(|_| load.finish(SHORT));
        outcome.expect_err("must fail").to_string()
    }

    #[test]
    fn a_closed_loop_counts_every_answer_once() {
        let endpoint = Endpoint::start(None).unwrap();
        let mut load = Load::connect(endpoint.address(), 4, Pace::Closed, BODY).unwrap();
        let run = load.drive(SHORT).unwrap();
        assert!(run.requests > 4, "{} requests", run.requests);
        assert_eq!(run.requests as usize, run.latencies.len());
        assert!(run.latencies.is_sorted());
        assert!(endpoint.last_head().starts_with("get /bench http/1.1\r\nhost: bench.example"));
        assert!(load.drive(SHORT).is_ok(), "the connections stay open between two stretches");
        load.finish(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn an_open_loop_sends_what_is_due_and_no_more() {
        let endpoint = Endpoint::start(None).unwrap();
        let pace = Pace::PerSecond(1_000.0);
        let mut load = Load::connect(endpoint.address(), 4, pace, BODY).unwrap();
        let run = load.drive(Duration::from_millis(100)).unwrap();
        assert!((1..=101).contains(&run.requests), "{} requests", run.requests);
    }

    #[test]
    fn latency_of_an_open_loop_counts_from_when_the_request_was_due() {
        let start = Instant::now();
        let mut schedule = Schedule { pace: Pace::PerSecond(100.0), start, sent: 0 };
        let late = start + Duration::from_millis(25);
        let due: Vec<_> = std::iter::from_fn(|| schedule.next(late)).map(|at| at - start).collect();
        assert_eq!(due, [0, 10, 20].map(Duration::from_millis));
        assert_eq!(schedule.pause(late), Duration::from_millis(5));
    }

    #[test]
    fn a_wrong_answer_or_none_fails_the_run() {
        assert!(failure(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").contains("503"));
        let wrong = failure(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nko");
        assert!(wrong.contains("not the answer expected") && wrong.contains("ko"), "{wrong}");
        assert!(failure(b"").contains("no answer"));
    }
}
