//! A worker's HTTP/2 connections to one endpoint, those that stand and those on their way.

use super::connection::{Connection, Place};
use crate::backend::connection::ConnectError;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a connection may be without a stream. An endpoint that closes one says so before (GOAWAY), so that it can be longer
/// than in HTTP/1.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How many requests wait for one connect before the endpoint has told how many streams it allows.
const USUAL_LIMIT: usize = 100;

/// The connections to one endpoint.
#[derive(Debug)]
pub struct Connections {
    standing: Vec<Connection>,
    connecting: Vec<Rc<Connecting>>,
    /// How many streams a connection had room for last.
    limit: usize,
}

/// A connection on its way, and the requests that wait for it: one connect for all of them.
#[derive(Debug, Default)]
pub struct Connecting {
    waiting: Cell<usize>,
    outcome: RefCell<Option<Result<Vec<Place>, ConnectError>>>,
    is_over: Notify,
}

/// What a request finds.
#[derive(Debug)]
pub enum Found {
    /// A place.
    Place(Place),
    /// A connect that it may wait for.
    Connecting(Rc<Connecting>),
    /// A connect that it must begin, and then wait for.
    Begin(Rc<Connecting>),
}

impl Default for Connections {
    fn default() -> Self {
        Self { standing: Vec::new(), connecting: Vec::new(), limit: USUAL_LIMIT }
    }
}

impl Connections {
    /// A place on a connection, or a connect to wait for.
    pub fn find(&mut self, now: Instant) -> Found {
        // Those that take no streams any more end with the streams that they have.
        self.standing.retain_mut(|connection| connection.is_usable(now));
        if let Some(place) = self.standing.iter().find_map(Connection::place) {
            return Found::Place(place);
        }
        let has_room = |connecting: &&Rc<Connecting>| connecting.waiting.get() < self.limit;
        if let Some(connecting) = self.connecting.iter().find(has_room) {
            connecting.waiting.update(|waiting| waiting + 1);
            return Found::Connecting(Rc::clone(connecting));
        }
        let connecting = Rc::<Connecting>::default();
        connecting.waiting.set(1);
        self.connecting.push(Rc::clone(&connecting));
        Found::Begin(connecting)
    }

    /// Ends a connect: those who wait for it get their places first.
    pub fn connected(
        &mut self,
        connecting: &Rc<Connecting>,
        outcome: Result<Connection, ConnectError>,
    ) {
        self.connecting.retain(|other| !Rc::ptr_eq(other, connecting));
        let outcome = connecting.end(outcome);
        if let Some(connection) = outcome {
            self.limit = connection.limit().max(1);
            self.standing.push(connection);
        }
    }

    /// Closes what has been without a stream for too long.
    pub fn sweep(&mut self, now: Instant) {
        self.standing.retain_mut(|connection| {
            let idle = connection.idle_since();
            connection.is_usable(now)
                && idle.is_none_or(|since| now.saturating_duration_since(since) < IDLE_TIMEOUT)
        });
    }

    /// Closes what has no stream.
    pub fn close_idle(&mut self) {
        self.standing.retain(|connection| connection.idle_since().is_none());
    }

    /// How many have no stream.
    pub fn idle(&self) -> usize {
        self.standing.iter().filter(|connection| connection.idle_since().is_some()).count()
    }

    /// Whether there are none, nor will be.
    pub fn is_empty(&self) -> bool {
        self.standing.is_empty() && self.connecting.is_empty()
    }

    /// How many stand.
    pub fn len(&self) -> usize {
        self.standing.len()
    }
}

impl Connecting {
    /// Ends the connect, with a connection that is also returned, or with the reason why there is none.
    pub fn end(&self, outcome: Result<Connection, ConnectError>) -> Option<Connection> {
        let (places, connection) = match outcome {
            Ok(connection) => {
                let places = (0..self.waiting.get()).map_while(|_| connection.place());
                (Ok(places.collect()), Some(connection))
            }
            Err(error) => (Err(error), None),
        };
        self.outcome.replace(Some(places));
        self.is_over.notify_waiters();
        connection
    }

    /// Waits for the end of the connect. `None` when the connection has fewer places than there are requests that wait.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn place(&self) -> Result<Option<Place>, ConnectError> {
        loop {
            // Nothing comes between this look and the wait: all happens in one thread.
            if let Some(outcome) = &mut *self.outcome.borrow_mut() {
                return outcome.as_mut().map(Vec::pop).map_err(|error| error.clone());
            }
            self.is_over.notified().await;
        }
    }
}
