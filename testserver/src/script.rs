//! Answers as lists of steps: the faults are data, and tests write their own.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};

use crate::connection::{Connection, End, Next};
use crate::counters::InFlight;
use crate::request::Request;
use crate::response::Response;

/// One step of an answer. After the last the connection is ready for the next request, unless the client
/// asked for its close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sends a whole answer with this status and body, Content-Length and the header that names the
    /// server.
    Answer {
        /// The status code.
        status: u16,
        /// The body.
        body: Bytes,
    },
    /// Sends exactly these bytes.
    Send(Bytes),
    /// Waits. A client that goes away meanwhile ends the script.
    Pause(Duration),
    /// Waits until the server is released.
    Hold,
    /// Sends `100 Continue` if the client waits for it, and reads the body to its end.
    ReadBody,
    /// Sends `100 Continue` if the client waits for it, and reads at least this many bytes after the
    /// head, as they are on the wire. The rest stays unread: end the connection after it.
    ReadBytes(usize),
    /// Waits for the first byte of the next request; ends the connection if there is none.
    AwaitRequest,
    /// Ends the script if the next request begins within this time; else goes on with the next step.
    AwaitIdle(Duration),
    /// Closes the connection. Bytes of the client that were not read turn this into a reset.
    Close,
    /// Closes our half, then reads what still comes for up to a second: a well-kept server's close.
    Linger,
    /// Resets the connection.
    Reset,
}

impl Step {
    /// A whole answer with this status and body.
    pub fn answer(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Answer { status, body: body.into() }
    }

    /// Exactly these bytes.
    pub fn send(bytes: impl Into<Bytes>) -> Self {
        Self::Send(bytes.into())
    }
}

pub(crate) async fn run(
    connection: &mut Connection,
    request: &mut Request,
    in_flight: &mut Option<InFlight>,
    steps: &[Step],
) -> io::Result<Next> {
    for step in steps {
        match step {
            // A client that asked for the close has no next request to wait for.
            Step::AwaitRequest | Step::AwaitIdle(_) if !request.keep_alive => break,
            Step::Answer { status, body } => {
                let answer = Response::new(&connection.shared.name, *status).body(body);
                connection.send(&answer).await?;
            }
            Step::Send(bytes) => connection.send(bytes).await?,
            Step::Pause(time) => connection.wait(sleep(*time)).await?,
            Step::Hold => connection.held().await?,
            Step::ReadBody => connection.discard_body(request).await?,
            Step::ReadBytes(bytes) => {
                connection.send_continue(request).await?;
                while connection.buffer.len() < *bytes {
                    if connection.fill().await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
            Step::AwaitRequest => {
                in_flight.take();
                if connection.buffer.is_empty() && connection.begins().await? == 0 {
                    return Ok(Next::End(End::Close));
                }
            }
            Step::AwaitIdle(time) => {
                in_flight.take();
                if !connection.buffer.is_empty() {
                    return Ok(Next::Request);
                }
                match timeout(*time, connection.begins()).await {
                    Ok(Ok(0)) => return Ok(Next::End(End::Close)),
                    Ok(read) => return read.map(|_| Next::Request),
                    Err(_) => {}
                }
            }
            Step::Close => return Ok(Next::End(End::Close)),
            Step::Linger => return Ok(Next::End(End::Linger)),
            Step::Reset => return Ok(Next::End(End::Reset)),
        }
    }
    Ok(Next::Request)
}
