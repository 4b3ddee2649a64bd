//! A response's body on its way to the client. Its end, or its drop, is the end of the request.

use super::client::ClientState;
use super::record::Record;
use super::request_body::RequestBody;
use crate::backend::exchange::{Exchange, ExchangeError};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;

/// An exchange whose response streams. The client's connection knows it too while the upload goes on: hyper asks for no more of the
/// response while the client reads none of it, and a client that sends first and reads then would wait for ever.
pub type SharedExchange = Rc<RefCell<Exchange<RequestBody>>>;

/// A response's body.
pub struct ProxyBody {
    content: Content,
    /// Why the response was cut, to be told to hyper once what came before is written.
    failure: Option<(ExchangeError, Rc<ClientState>)>,
    /// Reports the request when the body has ended.
    request: Option<Box<Record>>,
}

enum Content {
    Whole(Bytes),
    Stream(SharedExchange),
    Ended,
}

impl ProxyBody {
    /// A body that is here to its end.
    pub fn whole(bytes: Bytes) -> Self {
        Self { content: Content::Whole(bytes), failure: None, request: None }
    }

    /// A body that is still arriving.
    pub fn stream(exchange: SharedExchange) -> Self {
        Self { content: Content::Stream(exchange), failure: None, request: None }
    }

    /// Makes the end of this body the end of the request.
    pub fn ends(mut self, record: Box<Record>) -> Self {
        self.request = Some(record);
        if self.is_end_stream() {
            self.finish();
        }
        self
    }

    fn count(&mut self, bytes: usize) {
        if let Some(record) = &mut self.request {
            record.sends(bytes);
        }
    }

    /// Ends the request, and keeps the connection to the endpoint if it can be used again.
    fn finish(&mut self) {
        let content = std::mem::replace(&mut self.content, Content::Ended);
        let Some(record) = self.request.take() else { return };
        let now = Instant::now();
        record.client.upload_ends();
        if let Content::Stream(exchange) = content
            && let Some(exchange) = Rc::into_inner(exchange)
            && let Some(connection) = exchange.into_inner().into_reusable()
        {
            record.worker.pool.borrow_mut().put(connection, now);
        }
        Rc::clone(&record.client).request_ends(record, now);
    }

    /// Ends the request with `error`.
    fn cut(&mut self, error: ExchangeError) {
        if let Some(record) = &mut self.request {
            record.reason = Some("response_cut");
            record.detail = Some(error.to_string());
            self.failure = Some((error, Rc::clone(&record.client)));
        }
        self.finish();
    }
}

/// The answer to a HEAD request has a body that nobody asks for.
impl Drop for ProxyBody {
    fn drop(&mut self) {
        if let Content::Whole(_) = self.content {
            self.finish();
        }
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = ExchangeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        let this = &mut *self;
        // hyper throws away what it has not written yet when it hears of an error. While it waits for us it writes, and asks
        // again when that is done.
        if let Some((error, _)) = this.failure.take_if(|(_, client)| !client.is_unwritten()) {
            return Poll::Ready(Some(Err(error)));
        }
        if this.failure.is_some() {
            return Poll::Pending;
        }
        match &mut this.content {
            Content::Ended => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.count(bytes.len());
                this.finish();
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Content::Stream(exchange) => {
                let mut exchange = exchange.borrow_mut();
                let polled = ready!(exchange.poll_body(cx));
                let complete = exchange.is_complete();
                drop(exchange);
                match polled {
                    Some(Ok(ref frame)) => this.count(frame.data_ref().map_or(0, Bytes::len)),
                    Some(Err(error)) => {
                        this.cut(error);
                        return Poll::Pending;
                    }
                    None => {}
                }
                if complete {
                    this.finish();
                }
                Poll::Ready(polled)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(_) => false,
            Content::Ended => self.failure.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(exchange) => {
                exchange.borrow().remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Content::Ended if self.failure.is_some() => SizeHint::default(),
            Content::Ended => SizeHint::with_exact(0),
        }
    }
}
