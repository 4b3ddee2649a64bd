//! After a 101: both sides talk freely. Each direction waits for its reader, and ends on its own.

use super::client::ClientState;
use super::record::Record;
use super::tally::ConversationTally;
use super::timer::Alarm;
use crate::backend::exchange::Upgraded;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::Instant;

/// The size of each direction's buffer: a WebSocket's frames are small, and there may be many connections.
const BUFFER: usize = 16 * 1024;

/// What a connection turns into once its 101 is written.
pub struct Upgrade {
    /// The endpoint's side.
    pub connection: Upgraded,
    /// The request that asked for it; ends with the conversation.
    pub record: Box<Record>,
    /// How long both sides may be silent.
    pub idle: Option<Duration>,
}

impl std::fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgrade").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// The endpoint's side of a conversation; counts what passes.
struct EndpointSide {
    stream: Upgraded,
    sent: u64,
    tally: ConversationTally,
}

/// Carries bytes both ways until both sides have closed, one fails, both are silent for too long, or the endpoint or the
/// listener is removed and its time is over.
pub async fn converse(
    upgrade: Upgrade,
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    state: Rc<ClientState>,
) {
    let Upgrade { connection, mut record, idle } = upgrade;
    let tally = ConversationTally::new(&record);
    let mut side = EndpointSide { stream: connection, sent: 0, tally };
    let ended = {
        let mut conversation =
            pin!(copy_bidirectional_with_sizes(&mut client, &mut side, BUFFER, BUFFER));
        let mut alarm = Alarm::new(Rc::clone(&record.worker.timers));
        std::future::poll_fn(|cx| {
            state.register(cx);
            if let Poll::Ready(result) = conversation.as_mut().poll(cx) {
                return Poll::Ready(if result.is_ok() { None } else { Some("upgraded_cut") });
            }
            if state.abort.get() {
                return Poll::Ready(Some("shutdown"));
            }
            let silence = idle.map(|idle| state.progress() + idle);
            let retired = record
                .in_flight
                .as_ref()
                .and_then(|pick| record.worker.retires_at(pick.endpoint().id()));
            let removal = [retired, state.closes_at()].into_iter().flatten().min();
            if alarm.poll([silence, removal].into_iter().flatten().min(), cx).is_pending() {
                return Poll::Pending;
            }
            let is_removed = removal.is_some_and(|removal| removal <= Instant::now());
            Poll::Ready(Some(if is_removed { "removed" } else { "upgraded_idle" }))
        })
        .await
    };
    record.bytes = side.sent;
    record.complete = true;
    record.reason = ended;
}

impl AsyncRead for EndpointSide {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.sent += read as u64;
        self.tally.receives(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for EndpointSide {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.tally.sends(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
