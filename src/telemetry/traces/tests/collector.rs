//! A collector that answers as a test wants it to.

use super::super::Protocol;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use std::convert::Infallible;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What it does with an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Takes it.
    Take,
    /// Takes it but for as many spans.
    Reject(usize),
    /// Says that it is no good.
    Refuse,
    /// Has no time now, and says perhaps when.
    Later(Option<Duration>),
    /// Closes the connection.
    Close,
    /// Never answers.
    Hang,
}

/// An export as it arrived.
#[derive(Clone, Debug)]
pub struct Export {
    /// With it.
    pub headers: HeaderMap,
    /// The names of its spans.
    pub spans: Vec<String>,
    /// What it says of its process.
    pub resource: Vec<(String, String)>,
    answer: Answer,
}

pub struct FakeCollector {
    protocol: Protocol,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Export>>>,
    accepting: JoinHandle<()>,
}

impl Drop for FakeCollector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

impl FakeCollector {
    /// Answers its exports, counted from 0, as `answer` says.
    pub async fn start(
        protocol: Protocol,
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, answer) = (Arc::<Mutex<Vec<Export>>>::default(), Arc::new(answer));
        let theirs = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&theirs), Arc::clone(&answer));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                    async move {
                        let mut export = read(protocol, request).await;
                        let present = {
                            let mut seen = seen.lock().unwrap();
                            export.answer = answer(seen.len());
                            let present = export.answer.clone();
                            seen.push(export);
                            present
                        };
                        match present {
                            Answer::Close => return Err(io::Error::other("closed")),
                            Answer::Hang => std::future::pending().await,
                            _ => {}
                        }
                        Ok(match protocol {
                            Protocol::Grpc => grpc(&present),
                            Protocol::HttpProtobuf => http1(&present),
                        })
                    }
                });
                let io = TokioIo::new(stream);
                tokio::spawn(async move {
                    let _ = match protocol {
                        Protocol::Grpc => {
                            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                                .serve_connection(io, service)
                                .await
                        }
                        Protocol::HttpProtobuf => {
                            hyper::server::conn::http1::Builder::new()
                                .serve_connection(io, service)
                                .await
                        }
                    };
                });
            }
        });
        Self { protocol, address, seen, accepting }
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub fn url(&self) -> String {
        match self.protocol {
            Protocol::Grpc => format!("http://{}", self.address),
            Protocol::HttpProtobuf => format!("http://{}/v1/traces", self.address),
        }
    }

    pub fn exports(&self) -> Vec<Export> {
        self.seen.lock().unwrap().clone()
    }

    pub fn requests(&self) -> usize {
        self.exports().len()
    }

    /// The names of all spans that arrived.
    pub fn names(&self) -> Vec<String> {
        self.exports().into_iter().flat_map(|export| export.spans).collect()
    }

    /// How many spans it took.
    pub fn taken(&self) -> u64 {
        let taken = |export: &Export| match export.answer {
            Answer::Take => export.spans.len(),
            Answer::Reject(spans) => export.spans.len().saturating_sub(spans),
            Answer::Refuse | Answer::Later(_) | Answer::Close | Answer::Hang => 0,
        };
        self.exports().iter().map(taken).sum::<usize>() as u64
    }

    /// How many it took the rest of an export without.
    pub fn rejected(&self) -> u64 {
        let rejected = |export: &Export| match export.answer {
            Answer::Reject(spans) => spans.min(export.spans.len()),
            _ => 0,
        };
        self.exports().iter().map(rejected).sum::<usize>() as u64
    }
}

async fn read(protocol: Protocol, request: Request<Incoming>) -> Export {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let (message, is_compressed) = match protocol {
        Protocol::Grpc => {
            assert_eq!(
                head.uri.path(),
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            );
            assert_eq!(head.headers["content-type"], "application/grpc");
            assert_eq!(head.headers["te"], "trailers");
            let is_compressed = head.headers.get("grpc-encoding").is_some_and(|v| v == "gzip");
            assert_eq!(body[0] == 1, is_compressed);
            let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
            assert_eq!(length as usize, body.len() - 5);
            (body.slice(5..), is_compressed)
        }
        Protocol::HttpProtobuf => {
            assert_eq!(head.uri.path(), "/v1/traces");
            assert_eq!(head.headers["content-type"], "application/x-protobuf");
            (body, head.headers.get("content-encoding").is_some_and(|value| value == "gzip"))
        }
    };
    let message = match is_compressed {
        false => message.to_vec(),
        true => {
            let mut plain = Vec::new();
            GzDecoder::new(&message[..]).read_to_end(&mut plain).unwrap();
            plain
        }
    };
    let export = ExportTraceServiceRequest::decode(&*message).unwrap();
    let resource = export.resource_spans.iter().filter_map(|of| of.resource.as_ref());
    let resource = resource.flat_map(|resource| &resource.attributes).map(|attribute| {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        let Some(Value::StringValue(value)) = value else { panic!("{value:?}") };
        (attribute.key.clone(), value.clone())
    });
    let scopes = export.resource_spans.iter().flat_map(|of| &of.scope_spans);
    let spans = scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone());
    Export {
        headers: head.headers,
        spans: spans.collect(),
        resource: resource.collect(),
        answer: Answer::Take,
    }
}

fn message(answer: &Answer) -> Vec<u8> {
    let partial_success = match answer {
        Answer::Reject(spans) => Some(ExportTracePartialSuccess {
            rejected_spans: *spans as i64,
            error_message: "too old".to_owned(),
        }),
        _ => None,
    };
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

fn http1(answer: &Answer) -> Response<Body> {
    let response = Response::builder();
    let response = match answer {
        Answer::Refuse => response.status(400),
        Answer::Later(None) => response.status(503),
        Answer::Later(Some(after)) => response.status(429).header("retry-after", after.as_secs()),
        _ => response.status(200),
    };
    response.body(Full::new(message(answer).into()).boxed_unsync()).unwrap()
}

fn grpc(answer: &Answer) -> Response<Body> {
    let status = match answer {
        Answer::Refuse => 3,
        Answer::Later(_) => 14,
        _ => 0,
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    if let Answer::Later(Some(after)) = answer {
        trailers.insert("grpc-status-details-bin", super::super::grpc::tests::details(*after));
    }
    let message = message(answer);
    let mut framed = vec![0];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    let data = (status == 0).then(|| Ok(Frame::data(Bytes::from(framed))));
    let frames: Vec<Result<_, Infallible>> =
        data.into_iter().chain([Ok(Frame::trailers(trailers))]).collect();
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}
