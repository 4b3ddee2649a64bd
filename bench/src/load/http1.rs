//! The client of HTTP/1.1: each connection has at most one request on its way.

mod connection;

use super::schedule::Schedule;
use super::{FIRST_ANSWER, Run, Shape};
use crate::Result;
use crate::exchange::Exchange;
use connection::{Connection, Received};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Open connections to one address.
pub(crate) struct Http1 {
    address: SocketAddr,
    shape: Shape,
    exchange: Exchange,
    poll: OwnedFd,
    connections: Vec<Connection>,
    pub(super) idle: VecDeque<usize>,
    /// The number of the next request, for its head.
    number: usize,
    buffer: Vec<u8>,
}

impl Http1 {
    pub(super) fn connect(
        address: SocketAddr,
        shape: &Shape,
        exchange: &Exchange,
    ) -> Result<Http1> {
        let mut load = Http1 {
            address,
            shape: shape.clone(),
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

    /// Sends requests for `duration`, `at_most` so many.
    pub(super) fn run(&mut self, duration: Duration, at_most: u64) -> Result<Run> {
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

    pub(super) fn settle(&mut self, patience: Duration) -> Result<u64> {
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
                if run.group.is_none() {
                    run.group = self.connections[id].group();
                }
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
        let connection = Connection::open(self.address, self.shape.tls.as_ref())?;
        let data = epoll::EventData::new_u64(id as u64);
        epoll::add(&self.poll, connection.socket(), data, epoll::EventFlags::IN)?;
        Ok(connection)
    }

    fn reopen(&mut self, id: usize) -> Result<()> {
        let connection = self.open(id)?;
        std::mem::replace(&mut self.connections[id], connection).reset()
    }

    fn want(&self, id: usize, wanted: epoll::EventFlags) -> rustix::io::Result<()> {
        let data = epoll::EventData::new_u64(id as u64);
        epoll::modify(&self.poll, self.connections[id].socket(), data, wanted)
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, at_most: Duration) -> Result<()> {
        events.clear();
        match epoll::wait(&self.poll, spare_capacity(events), Some(&Timespec::try_from(at_most)?)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
