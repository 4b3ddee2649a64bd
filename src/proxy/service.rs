//! One request, from hyper's hands to hyper's hands: whatever happens in between is answered and recorded here.

use super::body::ProxyBody;
use super::client::ClientState;
use super::error::ProxyError;
use super::forward::{self, Answer};
use super::headers;
use super::record::{Record, RequestId};
use super::respond;
use super::timer::LazyTimer;
use super::upgrade::Upgrade;
use super::validate;
use super::worker::Worker;
use http::{HeaderValue, Request, Response, StatusCode, Version, header, request::Parts};
use http_body::Body;
use hyper::body::Incoming;
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::SystemTime;
use tokio::time::Instant;

/// What all requests of a connection share.
pub struct Context {
    /// The worker that serves them.
    pub worker: Rc<Worker>,
    /// The client.
    pub client: Rc<ClientState>,
    /// The fields that name the client to endpoints.
    pub forwarded: Box<[u8]>,
    /// The timer of the request that is being served.
    pub timer: RefCell<LazyTimer>,
}

impl Context {
    /// What the requests of `client` share.
    pub fn new(worker: Rc<Worker>, client: Rc<ClientState>) -> Self {
        let forwarded = headers::forwarded_fields(client.peer);
        Self { worker, client, forwarded, timer: RefCell::default() }
    }
}

/// Answers `request`.
pub async fn serve(
    context: Rc<Context>,
    request: Request<Incoming>,
) -> Result<Response<ProxyBody>, Infallible> {
    let started = Instant::now();
    context.client.request_begins(!request.body().is_end_stream(), started);
    let (parts, body) = request.into_parts();
    let mut record = begin_record(&context, &parts, started);
    let is_http10 = parts.version == Version::HTTP_10;
    let answer = admit_and_forward(&context, &parts, body, &mut record).await;
    // hyper closes when it has not read the request to its end, for the rest would be taken for the next request. While a
    // response streams the upload may still come to its end, but hardly if the endpoint has refused it.
    let ends_upload = match &answer {
        Ok(Answer::Stream(head, ..)) => {
            head.status.is_client_error() || head.status.is_server_error()
        }
        Ok(Answer::Upgrade(..)) => false,
        Ok(Answer::Whole(..)) | Err(_) => true,
    };
    let cuts_upload = ends_upload && context.client.request_body_is_open();
    let mut response = match answer {
        Ok(answer) => answer_response(&context, answer, record),
        Err(error) => failure_response(&parts, &error, record),
    };
    // Without chunks only the close can end a body whose length is not known.
    let ends_by_close = is_http10 && response.body().size_hint().exact().is_none();
    let last = context.worker.closing.get() || context.client.listener.closes_at.get().is_some();
    // A 101 is no end: what it upgrades to has been asked for, and ends by itself or with the drain.
    if (ends_by_close || last || cuts_upload)
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn begin_record(context: &Context, parts: &Parts, started: Instant) -> Record {
    let request_id = match headers::client_request_id(&parts.headers) {
        Some(id) => RequestId::Theirs(id.into()),
        None => RequestId::Ours(new_request_id(&mut context.worker.rng.borrow_mut())),
    };
    Record {
        worker: Rc::clone(&context.worker),
        client: Rc::clone(&context.client),
        started,
        head: Some((parts.method.clone(), parts.uri.clone())),
        host: None,
        request_id,
        generation: 0,
        route: None,
        in_flight: None,
        attempts: 0,
        status: None,
        bytes: 0,
        reason: None,
        detail: None,
        answered: false,
        complete: false,
    }
}

/// A UUID version 7: ids made later sort later.
fn new_request_id(rng: &mut fastrand::Rng) -> uuid::fmt::Hyphenated {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut random = [0; 10];
    rng.fill(&mut random);
    let id = uuid::Builder::from_unix_timestamp_millis(since_epoch.as_millis() as u64, &random);
    id.into_uuid().hyphenated()
}

async fn admit_and_forward(
    context: &Context,
    parts: &Parts,
    body: Incoming,
    record: &mut Record,
) -> Result<Answer, ProxyError> {
    let host = validate::host(parts)?;
    record.host = Some(host.clone());
    let (route, generation) = context.worker.route();
    record.generation = generation;
    record.route = Some(route);
    forward::forward(context, parts, host, body, record).await
}

/// Passes an endpoint's answer on.
fn answer_response(context: &Context, answer: Answer, mut record: Record) -> Response<ProxyBody> {
    let endpoint = record.in_flight.as_ref().map(|pick| pick.endpoint().id());
    let (head, body) = match answer {
        Answer::Whole(head, bytes) => (head, ProxyBody::whole(bytes)),
        Answer::Stream(head, exchange, idle) => {
            context.client.streaming_begins(endpoint, idle, Instant::now());
            if !exchange.borrow().is_sent() {
                context.client.upload_goes_on(Rc::clone(&exchange));
            }
            (head, ProxyBody::stream(exchange))
        }
        Answer::Upgrade(head, connection, idle) => {
            record.status = Some(head.status.as_u16());
            record.answered = true;
            context.client.streaming_begins(endpoint, idle, Instant::now());
            context.client.upgrade.replace(Some(Upgrade { connection, record, idle }));
            let mut response =
                respond_with(head.status, head.headers, ProxyBody::whole(bytes::Bytes::new()));
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            return response;
        }
    };
    record.status = Some(head.status.as_u16());
    record.answered = true;
    respond_with(head.status, head.headers, body.ends(record))
}

fn respond_with(
    status: StatusCode,
    headers: http::HeaderMap,
    body: ProxyBody,
) -> Response<ProxyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn failure_response(parts: &Parts, error: &ProxyError, mut record: Record) -> Response<ProxyBody> {
    let verdict = error.verdict();
    record.fail(verdict.status.as_u16(), verdict.reason, error.to_string());
    let wants_text = respond::wants_text(&parts.headers);
    let response =
        record.request_id.with(|id| respond::error_response(error, verdict, id, wants_text));
    response.map(|body| body.ends(record))
}

/// Records a request that hyper, or a timer, refused before it was one.
pub fn record_refusal(
    worker: &Rc<Worker>,
    client: &Rc<ClientState>,
    status: u16,
    reason: &'static str,
) {
    drop(Record {
        worker: Rc::clone(worker),
        client: Rc::clone(client),
        started: client.since(),
        head: None,
        host: None,
        request_id: RequestId::Ours(new_request_id(&mut worker.rng.borrow_mut())),
        generation: worker.route().1,
        route: None,
        in_flight: None,
        attempts: 0,
        status: Some(status),
        bytes: 0,
        reason: Some(reason),
        detail: None,
        answered: false,
        complete: true,
    });
}
