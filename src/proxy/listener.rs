//! Accepting connections, and what happens when the system has no more of them to give.

use super::client::ListenerState;
use super::worker::Worker;
use crate::socket;
use crate::telemetry::metrics::Pause;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How long to wait before accepting again when file descriptors have run out: the queue keeps the clients meanwhile.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// How many times a socket that is to be closed waits like this for those in its queue: 5 s in all.
const EXHAUSTED_PAUSES: u32 = 100;
/// How often at most that is said.
const EXHAUSTED_REMINDER: Duration = Duration::from_secs(10);

/// Accepts on `socket` until told to stop; then takes who is already waiting, and closes it.
pub async fn accept(
    worker: Rc<Worker>,
    socket: TcpListener,
    listener: Rc<ListenerState>,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow_and_update() {
        let next = async {
            if listener.is_full() {
                // Its own clients make room when they go; nothing is wrong.
                listener.counters.pauses(Pause::Limit);
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            } else if worker.shared.is_full() {
                let reason =
                    "most of the files that this process may open are clients' connections";
                wait_for_files(&worker, &listener, reason).await;
            } else {
                take(&worker, &listener, socket.accept().await).await;
            }
        };
        tokio::select! {
            biased;
            changed = stop.changed() => if changed.is_err() { break },
            () = next => {}
        }
    }
    if socket::let_nobody_in(&socket).is_ok() {
        let end = Instant::now() + socket::HANDSHAKE;
        while let Ok(accepted) = timeout_at(end, socket.accept()).await {
            take(&worker, &listener, accepted).await;
        }
    }
    empty_queue(&worker, &socket, &listener).await;
    drop(socket);
    drop(stop);
    worker.stopped_accepting();
}

/// Takes the connections that the kernel has already completed: closing the socket would reset them.
async fn empty_queue(worker: &Rc<Worker>, socket: &TcpListener, listener: &Rc<ListenerState>) {
    // The event loop may not have seen the last ones yet: give it a turn before believing that the queue is empty.
    let mut turns = 2;
    let mut patience = EXHAUSTED_PAUSES;
    while turns > 0 {
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(socket.poll_accept(cx))).await;
        match polled {
            std::task::Poll::Ready(Ok((stream, peer))) => place(worker, listener, stream, peer),
            std::task::Poll::Ready(Err(error)) if is_about_one_connection(&error) => {}
            // Those who wait can be served when somebody else goes.
            std::task::Poll::Ready(Err(_)) if patience > 0 => {
                patience -= 1;
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            std::task::Poll::Ready(Err(error)) => {
                tracing::warn!(
                    listener = &*listener.name,
                    %error,
                    "the queue's last connections cannot be accepted, and are reset"
                );
                return;
            }
            std::task::Poll::Pending => {
                turns -= 1;
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn take(
    worker: &Rc<Worker>,
    listener: &Rc<ListenerState>,
    accepted: io::Result<(TcpStream, SocketAddr)>,
) {
    match accepted {
        Ok((stream, peer)) => place(worker, listener, stream, peer),
        Err(error) if is_about_one_connection(&error) => {}
        Err(error) => wait_for_files(worker, listener, &error.to_string()).await,
    }
}

/// Accepts nobody for a moment, and says so once in a while.
async fn wait_for_files(worker: &Worker, listener: &ListenerState, reason: &str) {
    listener.counters.pauses(Pause::Files);
    if worker.shared.is_exhaustion_news(EXHAUSTED_REMINDER) {
        tracing::error!(
            listener = &*listener.name,
            connections = worker.shared.connections(),
            "cannot accept connections: {reason}; clients wait in the queue. If files have run out, raise the limit \
             (`ulimit -n`, LimitNOFILE=) or lower the number of connections"
        );
    }
    tokio::time::sleep(EXHAUSTED_PAUSE).await;
}

/// Serves the connection here, or gives it to a worker that has fewer.
fn place(worker: &Rc<Worker>, listener: &Rc<ListenerState>, stream: TcpStream, peer: SocketAddr) {
    listener.counters.accepts();
    // Answers are written whole: there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let chosen = worker.place();
    if chosen == worker.id {
        worker.serve(stream, peer, Rc::clone(listener));
        return;
    }
    match stream.into_std() {
        Ok(stream) => worker.hand_over(chosen, stream, peer, &listener.name),
        Err(error) => tracing::warn!(%error, "a connection could not be handed to another worker"),
    }
}

/// Errors that concern the one connection that was just being accepted, not the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}
