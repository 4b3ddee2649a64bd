//! One request, from hyper's hands to hyper's hands: whatever happens in between is answered and recorded here.

use super::affinity;
use super::body::ProxyBody;
use super::client::ClientState;
use super::client_address;
use super::error::ProxyError;
use super::filters;
use super::forward::{self, Answer, Inbound};
use super::forwarded::Peer;
use super::headers;
use super::hops;
use super::present::Present;
use super::record::{Record, RequestId};
use super::redirect;
use super::request_body::Incoming;
use super::respond;
use super::timer::Alarm;
use super::tries::Try;
use super::upgrade::Upgrade;
use super::validate;
use super::worker::{Taken, Worker};
use crate::model::Scheme;
use crate::router::Asked;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header, request::Parts};
use http_body::Body;
use hyper::ext::ReasonPhrase;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;

/// What all requests of a connection share.
pub struct Context {
    /// The worker that serves them.
    pub worker: Rc<Worker>,
    /// The client.
    pub client: Rc<ClientState>,
    /// Who sends them.
    pub peer: Rc<Peer>,
    /// The alarm of the request that is being served.
    pub alarm: RefCell<Alarm>,
}

impl Context {
    /// What the requests of `client` share.
    pub fn new(worker: Rc<Worker>, client: Rc<ClientState>, peer: Rc<Peer>) -> Self {
        let alarm = RefCell::new(Alarm::new(Rc::clone(&worker.timers)));
        Self { worker, client, peer, alarm }
    }
}

/// Answers `request`.
pub async fn serve(context: Rc<Context>, parts: Parts, body: Incoming) -> Response<ProxyBody> {
    let started = context.client.request_begins(!body.is_end_stream());
    let present = Present::of(&parts.headers);
    let mut record = Box::new(begin_record(&context, &parts, present, started));
    let answer = admit_and_forward(&context, &parts, present, body, &mut record).await;
    if parts.version == Version::HTTP_2 {
        // A stream ends by itself, and what is left of its request with it.
        return match answer {
            Ok(answer) => answer_response(&context, &parts, answer, record),
            Err(error) => failure_response(&parts, &error, record),
        };
    }
    // hyper closes when it has not read the request to its end, for the rest would be taken for the next request. While a
    // response streams the upload may still come to its end, but hardly if the endpoint has refused it.
    let ends_upload = match &answer {
        Ok(Answer::Stream(head, ..)) => {
            head.status.is_client_error() || head.status.is_server_error()
        }
        Ok(Answer::Upgrade(..)) => false,
        Ok(Answer::Own(_) | Answer::Whole(..)) | Err(_) => true,
    };
    let cuts_upload = ends_upload && context.client.request_body_is_open();
    let mut response = match answer {
        Ok(answer) => answer_response(&context, &parts, answer, record),
        Err(error) => failure_response(&parts, &error, record),
    };
    // Without chunks only the close can end a body whose length is not known.
    let is_http10 = parts.version == Version::HTTP_10;
    let ends_by_close = is_http10 && response.body().size_hint().exact().is_none();
    let last = context.worker.closing.get()
        || context.client.listener.closes_at.get().is_some()
        || context.client.ages_at().is_some_and(|at| at <= started);
    // A 101 is no end: what it upgrades to has been asked for, and ends by itself or with the drain.
    if (ends_by_close || last || cuts_upload)
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        response.headers_mut().append(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn begin_record(context: &Context, parts: &Parts, present: Present, started: Instant) -> Record {
    let theirs = present.request_id.then(|| headers::client_request_id(&parts.headers));
    let request_id = match theirs.flatten() {
        Some(id) => RequestId::Theirs(id.into()),
        None => RequestId::Ours(new_request_id(&mut context.worker.rng.borrow_mut())),
    };
    Record {
        worker: Rc::clone(&context.worker),
        client: Rc::clone(&context.client),
        started,
        ended: None,
        head: Some((parts.method.clone(), parts.uri.clone())),
        scheme: context.peer.scheme,
        host: None,
        request_id,
        generation: 0,
        route: None,
        target: None,
        is_own_answer: false,
        client_address: None,
        in_flight: None,
        attempts: 0,
        tries: SmallVec::new(),
        trace: context.worker.begin_trace(parts, present),
        rewritten: None,
        is_debugged: present.debug && context.worker.may_know(&parts.headers),
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
    present: Present,
    body: Incoming,
    record: &mut Record,
) -> Result<Answer, ProxyError> {
    let host = validate::host(parts, present)?;
    record.host = Some(host.clone());
    record.client_address = client_address(context, parts)?;
    if let Some(target) = parts.uri.scheme().filter(|_| parts.version != Version::HTTP_2) {
        validate::scheme(target, scheme(context, &parts.headers))?;
    }
    if present.via {
        hops::check_loop(&parts.headers)?;
    }
    let path = validate::path(parts)?;
    let query = parts.uri.query();
    let asked = Asked {
        // What is valid as a host is text.
        host: host.to_str().unwrap_or_default(),
        path: path.compared(),
        query,
        method: &parts.method,
        headers: &parts.headers,
    };
    let (found, generation) = context.worker.route(&context.client.listener, &asked);
    record.generation = generation;
    let Taken { route, prefix } = found.ok_or(ProxyError::NoRoute)?;
    let prefix = prefix.map(|length| path.sent_length(length));
    let path = path.into_sent();
    record.route = Some(Arc::clone(&route));
    if let Some(answer) = &route.model.filters.answer {
        let scheme = scheme(context, &parts.headers);
        let asked = redirect::Asked { scheme, host: &host, path: &path, prefix, query };
        let response = respond::own_answer(answer, &parts.method, &asked)?;
        record.is_own_answer = true;
        return Ok(Answer::Own(response));
    }
    if hops::left(parts)? == Some(0) {
        record.is_own_answer = true;
        return Ok(Answer::Own(hops::final_answer(&parts.method)));
    }
    forward::forward(
        context,
        Inbound { parts, present, host, path, prefix, route: &route },
        body,
        record,
    )
    .await
}

/// The client's address, if it is another than the peer's.
fn client_address(context: &Context, parts: &Parts) -> Result<Option<IpAddr>, ProxyError> {
    let trusted = context.client.listener.trusted_proxies.borrow();
    if trusted.is_empty() {
        return Ok(None);
    }
    client_address::behind_trusted(&parts.headers, context.peer.address, &trusted)
}

/// The scheme that the client used: that of the listener, unless a trusted proxy says that it was another.
pub fn scheme(context: &Context, headers: &HeaderMap) -> Scheme {
    let trusted = context.client.listener.trusted_proxies.borrow();
    client_address::scheme(headers, context.peer.address, &trusted).unwrap_or(context.peer.scheme)
}

/// Passes an endpoint's answer on.
fn answer_response(
    context: &Context,
    parts: &Parts,
    answer: Answer,
    mut record: Box<Record>,
) -> Response<ProxyBody> {
    let endpoint = record.in_flight.as_ref().map(|pick| pick.endpoint().id());
    let (mut head, body) = match answer {
        Answer::Own(response) => {
            let (mut head, body) = response.into_parts();
            record.status = Some(head.status.as_u16());
            finish_headers(&mut head.headers, &record);
            let body = ProxyBody::whole(body).ends(record);
            return respond_with(head.status, None, head.headers, body);
        }
        Answer::Whole(head, bytes) => (head, ProxyBody::whole(bytes)),
        Answer::Stream(head, exchange, idle) => {
            context.client.streaming_begins(endpoint, idle, Instant::now());
            if !exchange.borrow().is_sent() {
                context.client.upload_goes_on(Rc::clone(&exchange));
            }
            (head, ProxyBody::stream(exchange))
        }
        Answer::Upgrade(mut head, connection, idle) => {
            // The conversation may last for days.
            record.tries.iter_mut().for_each(Try::settle);
            record.status = Some(head.status.as_u16());
            record.answered = true;
            finish_headers(&mut head.headers, &record);
            affinity::keep(&mut head.headers, &parts.headers, &record);
            context.client.streaming_begins(endpoint, idle, Instant::now());
            let upgrade = Box::new(Upgrade { connection: *connection, record, idle });
            context.client.upgrade.replace(Some(upgrade));
            let mut response = respond_with(
                head.status,
                head.reason,
                head.headers,
                ProxyBody::whole(Bytes::new()),
            );
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            return response;
        }
    };
    record.status = Some(head.status.as_u16());
    record.answered = true;
    finish_headers(&mut head.headers, &record);
    // After the route's changes: they are made in what the endpoint says, and this cookie is ours.
    affinity::keep(&mut head.headers, &parts.headers, &record);
    if head.status == StatusCode::UPGRADE_REQUIRED && head.headers.contains_key(header::UPGRADE) {
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    respond_with(head.status, head.reason, head.headers, body.ends(record))
}

/// Makes the changes that the route asks for in the fields of a response, whoever it is from, and tells who may know how the
/// endpoint was picked.
fn finish_headers(headers: &mut HeaderMap, record: &Record) {
    if record.is_debugged {
        headers.insert(headers::X_OUTRIGGER_DECISION, record.decision());
    }
    if let Some(route) = &record.route {
        filters::change(headers, &route.model.filters.response_headers);
    }
}

fn respond_with(
    status: StatusCode,
    reason: Option<Bytes>,
    headers: http::HeaderMap,
    body: ProxyBody,
) -> Response<ProxyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    // hyper has a word of its own for a status that it does not know.
    let reason = reason.or_else(|| status.canonical_reason().is_none().then(Bytes::new));
    if let Some(Ok(reason)) = reason.map(ReasonPhrase::try_from) {
        response.extensions_mut().insert(reason);
    }
    response
}

fn failure_response(
    parts: &Parts,
    error: &ProxyError,
    mut record: Box<Record>,
) -> Response<ProxyBody> {
    let verdict = error.verdict();
    record.fail(verdict.status.as_u16(), verdict.reason, error.to_string());
    let form = respond::form(&parts.headers);
    let mut response =
        record.request_id.with(|id| respond::error_response(error, verdict, id, form));
    finish_headers(response.headers_mut(), &record);
    response.map(|body| body.ends(record))
}

/// Records a request that hyper, or a timer, refused before it was one.
pub fn record_refusal(
    worker: &Rc<Worker>,
    client: &Rc<ClientState>,
    status: u16,
    reason: &'static str,
) {
    client.listener.counters.request_begins();
    drop(Record {
        worker: Rc::clone(worker),
        client: Rc::clone(client),
        started: client.since(),
        ended: None,
        head: None,
        scheme: Scheme::Http,
        host: None,
        request_id: RequestId::Ours(new_request_id(&mut worker.rng.borrow_mut())),
        generation: worker.generation(),
        route: None,
        target: None,
        is_own_answer: false,
        client_address: None,
        in_flight: None,
        attempts: 0,
        tries: SmallVec::new(),
        trace: None,
        rewritten: None,
        is_debugged: false,
        status: Some(status),
        bytes: 0,
        reason: Some(reason),
        detail: None,
        answered: false,
        complete: true,
    });
}
