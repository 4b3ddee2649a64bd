//! A gRPC service and its client, both by tonic. Its messages are written down here, so that no compiler of them is needed.

use crate::dial::{Dial, Io};
use futures_util::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use prost::Message;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_prost::ProstCodec;
use tower::service_fn;

/// The message, both ways.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Word {
    /// Any text.
    #[prost(string, tag = "1")]
    pub text: String,
    /// Any number.
    #[prost(uint32, tag = "2")]
    pub number: u32,
}

/// A word.
pub fn word(text: &str, number: u32) -> Word {
    Word { text: text.to_owned(), number }
}

type Codec = ProstCodec<Word, Word>;
type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The name of the service, as health probes ask for it.
pub const SERVICE: &str = "shop.Words";

/// The service `shop.Words`. Each answer has the server's name in `x-test-server`.
///
/// | method | answers |
/// |---|---|
/// | Echo | the same word, and the metadata `x-word` and `x-bytes-bin` |
/// | Count | a stream of as many words as its number |
/// | Gather | all texts of a stream, and the sum of the numbers |
/// | Talk | a stream: each word of a stream, as it comes |
/// | Fail | the status of its number, with its text and the metadata `x-reason` |
/// | FailLate | two words, then the same |
/// | Wait | the same word after as many milliseconds as its number |
#[derive(Clone, Debug)]
struct Words {
    name: MetadataValue<tonic::metadata::Ascii>,
}

impl NamedService for Words {
    const NAME: &'static str = SERVICE;
}

impl Words {
    fn answer<T>(&self, message: T, asked: &MetadataMap) -> Response<T> {
        let mut response = Response::new(message);
        let metadata = response.metadata_mut();
        metadata.insert("x-test-server", self.name.clone());
        if let Some(value) = asked.get("x-word") {
            metadata.insert("x-word", value.clone());
        }
        if let Some(value) = asked.get_bin("x-bytes-bin") {
            metadata.insert_bin("x-bytes-bin", value.clone());
        }
        if let Some(value) = asked.get("grpc-timeout") {
            metadata.insert("x-timeout", value.clone());
        }
        response
    }

    fn failure(&self, asked: &Word) -> Status {
        let mut metadata = MetadataMap::new();
        metadata.insert("x-reason", MetadataValue::from_static("asked for"));
        metadata.insert("x-test-server", self.name.clone());
        let code = Code::from_i32(i32::try_from(asked.number).unwrap_or(0));
        Status::with_metadata(code, asked.text.clone(), metadata)
    }
}

impl Service<http::Request<Body>> for Words {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let words = self.clone();
        let mut grpc = tonic::server::Grpc::new(Codec::default());
        let method = request.uri().path().rsplit('/').next().unwrap_or("").to_owned();
        Box::pin(async move {
            Ok(match method.as_str() {
                "Gather" => grpc.client_streaming(Gather(words), request).await,
                "Talk" => grpc.streaming(Talk(words), request).await,
                "Count" | "FailLate" => {
                    let late = method == "FailLate";
                    let answer = service_fn(move |request: Request<Word>| {
                        let words = words.clone();
                        async move {
                            let asked = request.get_ref().clone();
                            let count = if late { 2 } else { asked.number };
                            let end = late.then(|| Err(words.failure(&asked)));
                            let all = (1..=count).map(move |number| Ok(word(&asked.text, number)));
                            Ok(words.answer(stream::iter(all.chain(end)), request.metadata()))
                        }
                    });
                    grpc.server_streaming(answer, request).await
                }
                _ => {
                    let answer = service_fn(move |request: Request<Word>| {
                        let (words, method) = (words.clone(), method.clone());
                        async move {
                            let asked = request.get_ref().clone();
                            match method.as_str() {
                                "Echo" => {}
                                "Fail" => return Err(words.failure(&asked)),
                                "Wait" => {
                                    let time = Duration::from_millis(asked.number.into());
                                    tokio::time::sleep(time).await;
                                }
                                other => return Err(Status::unimplemented(other.to_owned())),
                            }
                            Ok(words.answer(asked, request.metadata()))
                        }
                    });
                    grpc.unary(answer, request).await
                }
            })
        })
    }
}

struct Gather(Words);

impl tonic::server::ClientStreamingService<Word> for Gather {
    type Response = Word;
    type Future = Answer<Result<Response<Word>, Status>>;

    fn call(&mut self, request: Request<Streaming<Word>>) -> Self::Future {
        let words = self.0.clone();
        Box::pin(async move {
            let metadata = request.metadata().clone();
            let mut stream = request.into_inner();
            let mut all = Word::default();
            while let Some(next) = stream.message().await? {
                all.text += &next.text;
                all.number += next.number;
            }
            Ok(words.answer(all, &metadata))
        })
    }
}

struct Talk(Words);

impl tonic::server::StreamingService<Word> for Talk {
    type Response = Word;
    type ResponseStream = Streaming<Word>;
    type Future = Answer<Result<Response<Streaming<Word>>, Status>>;

    fn call(&mut self, request: Request<Streaming<Word>>) -> Self::Future {
        let metadata = request.metadata().clone();
        let answer = self.0.answer(request.into_inner(), &metadata);
        Box::pin(async move { Ok(answer) })
    }
}

/// A gRPC server with the service and `grpc.health.v1`, over HTTP/2 without TLS.
#[derive(Debug)]
pub struct GrpcServer {
    name: String,
    address: SocketAddr,
    health: HealthReporter,
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl GrpcServer {
    /// Starts it on a free port of loopback, serving.
    ///
    /// # Panics
    /// There is no port.
    pub async fn start(name: &str) -> Self {
        let (health, service) = tonic_health::server::health_reporter();
        health.set_service_status(SERVICE, ServingStatus::Serving).await;
        drop(service);
        let mut server = Self {
            name: name.to_owned(),
            address: ([127, 0, 0, 1], 0).into(),
            health,
            running: Mutex::default(),
        };
        server.address = server.restart();
        server
    }

    /// Its URL for a backend of protocol `H2c`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says from now on that the service is serving, or not.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.health.set_service_status(SERVICE, status).await;
    }

    /// Ends as servers do at a roll-out: GOAWAY, then waits for what is in flight.
    pub async fn stop(&self) {
        let running = self.running.lock().expect("nobody panics with it").take();
        if let Some((stop, task)) = running {
            // An error means that it has ended.
            let _ = stop.send(());
            crate::in_time("the server to end", task).await.expect("it ends well");
        }
    }

    /// Listens again on the same port.
    ///
    /// # Panics
    /// Somebody else took it.
    pub fn restart(&self) -> SocketAddr {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket can share its port");
        socket.bind(self.address).expect("the port is ours");
        let listener = socket.listen(1024).expect("it listens");
        let address = listener.local_addr().expect("it is bound");
        let health = tonic_health::server::HealthService::from_health_reporter(self.health.clone());
        let health = tonic_health::pb::health_server::HealthServer::new(health);
        let name = self.name.parse().expect("names are ASCII");
        let router = Server::builder().add_service(Words { name }).add_service(health);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let stopped = async { drop(stopped.await) };
            // An error is a test's that sees no answers.
            let _ = router.serve_with_incoming_shutdown(incoming, stopped).await;
        });
        *self.running.lock().expect("nobody panics with it") = Some((stop, task));
        address
    }
}

/// A client of the service, on one connection.
#[derive(Clone, Debug)]
pub struct GrpcClient(tonic::client::Grpc<Channel>);

impl GrpcClient {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens, or HTTP/2 is not spoken.
    pub async fn open(to: impl Into<Dial>) -> Result<Self, String> {
        let dial = to.into().http2();
        let scheme = dial.scheme();
        let host = format!("shop.example:{}", dial.address.port());
        let origin = format!("{scheme}://{host}").parse().map_err(|error| format!("{error}"))?;
        let endpoint = Endpoint::from_shared(format!("http://{host}"));
        let endpoint = endpoint.map_err(|error| error.to_string())?.origin(origin);
        let connector = service_fn(move |_| {
            let dial = dial.clone();
            async move {
                let stream: Result<Box<dyn Io>, String> = dial.connect().await;
                stream.map(TokioIo::new).map_err(std::io::Error::other)
            }
        });
        let channel = endpoint.connect_with_connector(connector).await;
        channel.map(|channel| Self(tonic::client::Grpc::new(channel))).map_err(|it| it.to_string())
    }

    /// A call with one word each way.
    ///
    /// # Errors
    /// The call's status, where it is not OK.
    pub async fn unary(
        &mut self,
        method: &str,
        ask: Request<Word>,
    ) -> Result<Response<Word>, Status> {
        self.ready().await?;
        self.0.unary(ask, path(method), Codec::default()).await
    }

    /// A call that is answered by a stream.
    ///
    /// # Errors
    /// The call's status, where it is not OK.
    pub async fn server_streaming(
        &mut self,
        method: &str,
        ask: Request<Word>,
    ) -> Result<Response<Streaming<Word>>, Status> {
        self.ready().await?;
        self.0.server_streaming(ask, path(method), Codec::default()).await
    }

    /// A call that sends a stream.
    ///
    /// # Errors
    /// The call's status, where it is not OK.
    pub async fn client_streaming(
        &mut self,
        method: &str,
        words: Vec<Word>,
    ) -> Result<Response<Word>, Status> {
        self.ready().await?;
        let ask = Request::new(stream::iter(words));
        self.0.client_streaming(ask, path(method), Codec::default()).await
    }

    /// A call with a stream each way; words are sent through the sender, whose end is the stream's.
    ///
    /// # Errors
    /// The call's status, where it is not OK.
    pub async fn streaming(
        &mut self,
        method: &str,
    ) -> Result<(mpsc::Sender<Word>, Streaming<Word>), Status> {
        self.ready().await?;
        let (sender, words) = mpsc::channel(1);
        let ask = Request::new(ReceiverStream::new(words));
        let answer = self.0.streaming(ask, path(method), Codec::default()).await?;
        Ok((sender, answer.into_inner()))
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::unknown(format!("not ready: {error}")))
    }
}

/// All words of a stream.
///
/// # Errors
/// The status that the stream ends with, where it is not OK, after the words before it.
pub async fn all(mut stream: Streaming<Word>) -> (Vec<Word>, Option<Status>) {
    let mut words = Vec::new();
    while let Some(next) = stream.next().await {
        match next {
            Ok(word) => words.push(word),
            Err(status) => return (words, Some(status)),
        }
    }
    (words, None)
}

/// The path of a method; one with a slash in it is of another service.
fn path(method: &str) -> http::uri::PathAndQuery {
    let path =
        if method.contains('/') { method.to_owned() } else { format!("/{SERVICE}/{method}") };
    path.parse().expect("methods are paths")
}
