//! The client of HTTP/2: each connection has its part of the requests on their way, each a stream.
//!
//! Unlike HTTP/1.1 this wants a library, and so a runtime. Between two stretches nothing of it runs.

use super::{FIRST_ANSWER, Run, Shape};
use crate::Result;
use crate::exchange::{Exchange, HOST, METHOD, Protocol};
use crate::tls;
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::{Method, Request, StatusCode, Version};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;

/// How much a connection may be sent that is not read yet: so much that none ever waits for it.
const WINDOW: u32 = 4 << 20;

pub(crate) struct Http2 {
    // Before the runtime, so that its tasks end within it.
    tasks: LocalSet,
    runtime: Runtime,
    shared: Rc<Shared>,
}

/// What all streams know.
struct Shared {
    request: Request<()>,
    upload: Bytes,
    download: &'static [u8],
    /// Whether trailers must say that the call succeeded.
    grpc: bool,
    /// How many requests may still be sent in this stretch.
    left: Cell<u64>,
    in_flight: Cell<u64>,
    run: RefCell<Run>,
    fault: RefCell<Option<String>>,
    /// Some may be sent.
    go: Notify,
    /// None is to be sent any more, and none is on its way; or something failed.
    done: Notify,
}

impl Http2 {
    pub(super) fn connect(
        address: SocketAddr,
        shape: &Shape,
        exchange: &Exchange,
    ) -> Result<Http2> {
        if shape.reconnect || shape.may_close || shape.pace != super::Pace::Closed {
            return Err(
                "the client of HTTP/2 only knows a closed loop on lasting connections".into()
            );
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tasks = LocalSet::new();
        let shared = Rc::new(Shared {
            request: request(exchange, shape)?,
            upload: Bytes::from_static(exchange.upload),
            download: exchange.download,
            grpc: exchange.protocol == Protocol::Grpc,
            left: Cell::new(0),
            in_flight: Cell::new(0),
            run: RefCell::default(),
            fault: RefCell::default(),
            go: Notify::new(),
            done: Notify::new(),
        });
        let connect = async {
            for _ in 0..shape.connections {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let Some(tls) = &shape.tls else {
                    shared.open(stream, shape).await?;
                    continue;
                };
                let connector = TlsConnector::from(tls.clone());
                let stream = connector.connect(tls::name(), stream).await?;
                let (_, session) = stream.get_ref();
                if session.alpn_protocol() != Some(b"h2") {
                    return Err("it does not speak HTTP/2".into());
                }
                let group = session.negotiated_key_exchange_group();
                shared.run.borrow_mut().group = group.map(|group| tls::group(group.name()));
                shared.open(stream, shape).await?;
            }
            Ok(())
        };
        let connected = async { tokio::time::timeout(Duration::from_secs(5), connect).await };
        tasks
            .block_on(&runtime, connected)
            .map_err(|_| "cannot connect within 5 s".into())
            .and_then(|connected: Result<()>| connected)?;
        Ok(Http2 { tasks, runtime, shared })
    }

    /// Sends requests for `duration`, `at_most` so many.
    pub(super) fn run(&mut self, duration: Duration, at_most: u64) -> Result<Run> {
        let start = Instant::now();
        let shared = &self.shared;
        let latencies = Vec::with_capacity(1 << 20);
        let group = shared.run.borrow_mut().group.clone();
        // Its requests are still on their way; it counts anew.
        *shared.run.borrow_mut() = Run { latencies, group, ..Run::default() };
        shared.left.set(at_most);
        shared.go.notify_waiters();
        self.wait(duration);
        // A stretch without any answer says nothing: the first is waited for.
        while self.shared.run.borrow().requests == 0
            && !self.shared.is_over()
            && start.elapsed() < FIRST_ANSWER.max(duration)
        {
            self.wait(Duration::from_millis(5));
        }
        self.shared.left.set(0);
        let elapsed = start.elapsed();
        self.fault()?;
        let group = self.shared.run.borrow().group.clone();
        let mut run = Run { elapsed, group, ..self.shared.run.take() };
        self.shared.run.borrow_mut().group.clone_from(&run.group);
        run.latencies.sort_unstable();
        Ok(run)
    }

    pub(super) fn settle(&mut self, patience: Duration) -> Result<u64> {
        let before = self.shared.run.borrow().requests;
        if self.shared.in_flight.get() > 0 {
            self.wait(patience);
        }
        self.fault()?;
        match self.shared.in_flight.get() {
            0 => Ok(self.shared.run.borrow().requests - before),
            waiting => Err(format!("{waiting} requests have no answer").into()),
        }
    }

    /// Lets everything run for `duration`, or until nothing is to be done.
    fn wait(&self, duration: Duration) {
        let shared = &self.shared;
        let done = async {
            while !shared.is_over() {
                shared.done.notified().await;
            }
        };
        // Made within the runtime, whose clock it needs.
        let wait = async { tokio::time::timeout(duration, done).await };
        // That the time is over is no fault.
        let _ = self.tasks.block_on(&self.runtime, wait);
    }

    fn fault(&self) -> Result<()> {
        self.shared.fault.borrow().clone().map_or(Ok(()), |fault| Err(fault.into()))
    }
}

impl Shared {
    /// Opens the streams of one connection; they wait until some may be sent.
    async fn open<S>(self: &Rc<Self>, stream: S, shape: &Shape) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let mut builder = Builder::new();
        builder.enable_push(false).initial_connection_window_size(WINDOW);
        let (sender, connection) = builder.handshake(stream).await?;
        let shared = self.clone();
        tokio::task::spawn_local(async move {
            let ended = connection.await;
            shared.fail(match ended {
                Ok(()) => "a connection was closed by the other side".into(),
                Err(error) => format!("a connection failed: {error}"),
            });
        });
        for _ in 0..shape.in_flight / shape.connections {
            let (shared, sender) = (self.clone(), sender.clone());
            tokio::task::spawn_local(async move {
                if let Err(error) = shared.send_again_and_again(sender).await {
                    shared.fail(error.to_string());
                }
            });
        }
        Ok(())
    }

    async fn send_again_and_again(&self, mut sender: SendRequest<Bytes>) -> Result<()> {
        loop {
            while self.left.get() == 0 {
                self.go.notified().await;
            }
            self.left.set(self.left.get() - 1);
            self.in_flight.set(self.in_flight.get() + 1);
            let since = Instant::now();
            sender = self.exchange(sender).await?;
            let mut run = self.run.borrow_mut();
            run.latencies.push(u64::try_from(since.elapsed().as_nanos())?);
            run.requests += 1;
            self.in_flight.set(self.in_flight.get() - 1);
            if self.in_flight.get() == 0 && self.left.get() == 0 {
                self.done.notify_one();
            }
        }
    }

    /// One request and its answer, which must be as expected.
    async fn exchange(&self, sender: SendRequest<Bytes>) -> Result<SendRequest<Bytes>> {
        let mut sender = sender.ready().await?;
        let (answer, mut body) =
            sender.send_request(self.request.clone(), self.upload.is_empty())?;
        if !self.upload.is_empty() {
            body.send_data(self.upload.clone(), true)?;
        }
        let (head, mut body) = answer.await?.into_parts();
        let unexpected = |what: &str| format!("not the answer expected: {what}: {head:?}");
        if head.status != StatusCode::OK {
            return Err(unexpected("its status").into());
        }
        let mut rest = self.download;
        while let Some(data) = body.data().await {
            let data = data?;
            rest = rest.strip_prefix(&*data).ok_or_else(|| unexpected("its body"))?;
            body.flow_control().release_capacity(data.len())?;
        }
        if !rest.is_empty() {
            return Err(unexpected("a short body").into());
        }
        let trailers = body.trailers().await?;
        let status = trailers.as_ref().and_then(|fields| fields.get("grpc-status"));
        if self.grpc && status.is_none_or(|status| status != "0") {
            return Err(unexpected(&format!("its trailers, {trailers:?}")).into());
        }
        Ok(sender)
    }

    /// Whether nothing is to be done any more.
    fn is_over(&self) -> bool {
        self.fault.borrow().is_some() || (self.left.get() == 0 && self.in_flight.get() == 0)
    }

    /// Keeps the first fault, and ends the stretch.
    fn fail(&self, fault: String) {
        self.fault.borrow_mut().get_or_insert(fault);
        self.done.notify_one();
    }
}

/// What is sent, again and again.
fn request(exchange: &Exchange, shape: &Shape) -> Result<Request<()>> {
    let scheme = if shape.tls.is_some() { "https" } else { "http" };
    let request =
        Request::builder().version(Version::HTTP_2).header("user-agent", "outrigger-bench");
    let request = match exchange.protocol {
        Protocol::Grpc => request
            .method(Method::POST)
            .uri(format!("{scheme}://{HOST}{METHOD}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers"),
        Protocol::Http1 | Protocol::Http2 => request
            .method(if exchange.upload.is_empty() { Method::GET } else { Method::POST })
            .uri(format!("{scheme}://{HOST}/api/bench"))
            .header("accept", "*/*"),
    };
    Ok(request.body(())?)
}
