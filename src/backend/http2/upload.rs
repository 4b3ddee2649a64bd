//! The sending half of an exchange: head, body and trailers, as fast as the endpoint's windows let them go.

use crate::backend::exchange::ExchangeError;
use crate::backend::http1::Framing;
use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http_body::Body;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A request on its way out.
#[derive(Debug)]
pub(super) struct Upload<B> {
    pub(super) body: B,
    state: State,
    stream: Option<SendStream<Bytes>>,
    /// A piece of the body that the windows have no room for yet.
    piece: Bytes,
    /// What the head promised of the body, and is still to come.
    left: Option<u64>,
}

#[derive(Debug)]
enum State {
    /// The stream is to be opened.
    Opening(Box<Opening>),
    /// The body waits for the endpoint's 100 (Continue).
    Held,
    /// The body is on its way.
    Sending,
    /// All of it is in the hands of the connection.
    Done,
    /// The endpoint takes no more; it may have answered all the same.
    Refused(Option<h2::Error>),
}

#[derive(Debug)]
struct Opening {
    sender: SendRequest<Bytes>,
    head: http::Request<()>,
    then: After,
}

/// What follows the head.
#[derive(Clone, Copy, Debug)]
enum After {
    Nothing,
    /// The body.
    Body,
    /// The body, once the endpoint asks for it.
    HeldBody,
    /// Whatever a tunnel carries.
    Tunnel,
}

impl<B: Body<Data = Bytes> + Unpin> Upload<B> {
    pub(super) fn new(
        sender: SendRequest<Bytes>,
        head: http::Request<()>,
        framing: Framing,
        body: B,
        hold_body: bool,
        is_tunnel: bool,
    ) -> Self {
        let then = match framing {
            _ if is_tunnel => After::Tunnel,
            Framing::Empty => After::Nothing,
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose if hold_body => {
                After::HeldBody
            }
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => After::Body,
        };
        let left = match framing {
            Framing::Length(length) => Some(length),
            Framing::Empty | Framing::Chunked | Framing::UntilClose => None,
        };
        let state = State::Opening(Box::new(Opening { sender, head, then }));
        Self { body, state, stream: None, piece: Bytes::new(), left }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.state, State::Held)
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Refused(_))
    }

    pub(super) fn has_begun(&self) -> bool {
        self.stream.is_some()
    }

    /// Lets a held body go. Returns whether it was held.
    pub(super) fn release(&mut self) -> bool {
        let held = self.is_held();
        if held {
            self.state = State::Sending;
        }
        held
    }

    /// Why the endpoint takes no more.
    pub(super) fn take_refusal(&mut self) -> Option<h2::Error> {
        match &mut self.state {
            State::Refused(error) => error.take(),
            State::Opening(_) | State::Held | State::Sending | State::Done => None,
        }
    }

    /// The way to the endpoint, if it was opened.
    pub(super) fn into_stream(self) -> Option<SendStream<Bytes>> {
        self.stream
    }

    /// Sends what can be sent; gives the response to come once the head is out. Only a failure of the client's side is an error:
    /// an endpoint that takes no more may have answered already.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<Option<ResponseFuture>, ExchangeError> {
        let response = match &mut self.state {
            State::Opening(opening) => match opening.poll(cx) {
                Poll::Pending => return Ok(None),
                Poll::Ready(Err(error)) => {
                    self.state = State::Refused(Some(error));
                    return Ok(None);
                }
                Poll::Ready(Ok((response, stream))) => {
                    self.stream = Some(stream);
                    self.state = match opening.then {
                        After::Nothing | After::Tunnel => State::Done,
                        After::Body => State::Sending,
                        After::HeldBody => State::Held,
                    };
                    Some(response)
                }
            },
            State::Held | State::Sending | State::Done | State::Refused(_) => None,
        };
        while let (State::Sending, Some(stream)) = (&self.state, &mut self.stream) {
            let sent = if self.piece.is_empty() {
                match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Err(_))) => {
                        self.state = State::Refused(None);
                        return Err(ExchangeError::RequestBody);
                    }
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => {
                            if let Some(left) = &mut self.left {
                                let fits = left.checked_sub(data.len() as u64);
                                *left = fits.ok_or(ExchangeError::RequestBody)?;
                            }
                            self.piece = data;
                            continue;
                        }
                        Err(frame) => match frame.into_trailers() {
                            Ok(_) if self.left.is_some_and(|left| left > 0) => {
                                return Err(ExchangeError::RequestBody);
                            }
                            Ok(trailers) => stream.send_trailers(trailers).map(|()| true),
                            Err(_unknown) => continue,
                        },
                    },
                    Poll::Ready(None) => match self.left {
                        Some(left) if left > 0 => return Err(ExchangeError::RequestBody),
                        _ => stream.send_data(Bytes::new(), true).map(|()| true),
                    },
                }
            } else {
                let Poll::Ready(room) = room(stream, self.piece.len(), cx) else { break };
                room.and_then(|room| {
                    let part = self.piece.split_to(room.min(self.piece.len()));
                    // Behind all of its length there may be trailers.
                    let is_last = self.piece.is_empty()
                        && self.left.is_none_or(|left| left == 0)
                        && self.body.is_end_stream();
                    stream.send_data(part, is_last).map(|()| is_last)
                })
            };
            match sent {
                Ok(true) => self.state = State::Done,
                Ok(false) => {}
                Err(error) => self.state = State::Refused(Some(error)),
            }
        }
        Ok(response)
    }
}

impl Opening {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(ResponseFuture, SendStream<Bytes>), h2::Error>> {
        std::task::ready!(self.sender.poll_ready(cx))?;
        let head = std::mem::take(&mut self.head);
        let is_end = matches!(self.then, After::Nothing);
        Poll::Ready(self.sender.send_request(head, is_end))
    }
}

/// How much may be sent of `wanted` bytes: as much as the other side's windows and our own buffer have room for.
pub fn room(
    stream: &mut SendStream<Bytes>,
    wanted: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, h2::Error>> {
    stream.reserve_capacity(wanted);
    loop {
        let room = stream.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match std::task::ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => return Poll::Ready(Err(h2::Reason::STREAM_CLOSED.into())),
        }
    }
}
