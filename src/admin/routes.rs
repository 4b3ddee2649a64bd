//! The paths of the ports, and who may ask for them.

use super::paths::{Operation, PATHS, Path, Verb};
use super::query::Query;
use super::refusal::{API, Refusal};
use super::server::Port;
use super::stream::Streams;
use super::{AdminContext, dashboard};
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What a request that changes something must have. A page of another site cannot send it: its browser would ask first, and is
/// never allowed to (Fetch, section 4.8, CORS-preflight).
pub(super) const WRITE_HEADER: &str = "X-Outrigger-Admin";

/// The address of the other side of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

pub(super) fn router(port: Port, context: Arc<AdminContext>, streams: Streams) -> Router {
    let is_here = |path: &&Path| match port {
        Port::Admin => true,
        Port::Probes => path.on_probes,
    };
    let paths: Vec<_> = PATHS.iter().filter(is_here).collect();
    let mut router = Router::new();
    for path in &paths {
        router = router.route(path.path, route(path));
    }
    if port == Port::Admin {
        router = router.merge(dashboard::routes());
    }
    let list = list(port, &paths);
    let not_found = async move |uri: Uri| nothing_here(uri.path(), &paths, &list);
    // Layers come last, so that what has no route meets them too.
    let router = router.fallback(not_found).with_state(context).layer(Extension(streams));
    let router = match port {
        Port::Admin => router.layer(from_fn(own_host_only)),
        Port::Probes => router,
    };
    // The outermost, so that refusals are answers like others.
    router.layer(from_fn(protect))
}

/// What serves `path`, and what refuses the methods that it does not know.
fn route(path: &'static Path) -> axum::routing::MethodRouter<Arc<AdminContext>> {
    let read = move |mut request: Request, next: Next| async move {
        match ask(path, &request) {
            Ok(query) => {
                request.extensions_mut().insert(query);
                next.run(request).await
            }
            Err(refusal) => refusal.answer(request.uri().path()),
        }
    };
    let other = async move |uri: Uri| {
        let allowed = path.allowed();
        let refusal =
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("only {}", allowed.join(", ")));
        let mut response = match uri.path().starts_with(API) {
            true => refusal.allow(allowed.clone()).into_response(),
            false => refusal.answer(uri.path()),
        };
        if let Ok(allow) = HeaderValue::from_str(&allowed.join(", ")) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    };
    (path.serve)().route_layer(from_fn(read)).fallback(other)
}

/// What `request` asks of `path`, if it may.
fn ask(path: &'static Path, request: &Request) -> Result<Query, Refusal> {
    let verb = match *request.method() {
        Method::POST => Verb::Post,
        Method::PUT => Verb::Put,
        _ => Verb::Get,
    };
    if verb.changes() {
        may_change(request)?;
    }
    let operation: Option<&'static Operation> =
        path.operations.iter().find(|operation| operation.verb == verb);
    // kubelet and Prometheus may add what they like.
    match operation.filter(|_| path.path.starts_with(API)) {
        Some(operation) => Query::read(request.uri().query(), operation.parameters),
        None => Ok(Query::default()),
    }
}

/// Whether `request` may change something: it comes from this machine, and not from a web page.
fn may_change(request: &Request) -> Result<(), Refusal> {
    let refuse = |error: &str| Refusal::new(StatusCode::FORBIDDEN, error);
    let peer = request.extensions().get::<Peer>();
    if !peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback()) {
        return Err(refuse(
            "only this machine itself may change something here: connect to a loopback address, \
             with `kubectl port-forward` or ssh from afar",
        ));
    }
    let header = request.headers().get(WRITE_HEADER);
    if header.is_none_or(|value| value.as_bytes().trim_ascii().is_empty()) {
        return Err(refuse(&format!(
            "what changes something wants the header {WRITE_HEADER}, with any value, such as \
             `curl -H '{WRITE_HEADER}: yes'`"
        )));
    }
    Ok(())
}

/// What there is on the port, for those who asked for something else.
fn nothing_here(asked: &str, paths: &[&'static Path], list: &str) -> Response {
    let error = "no such path";
    if asked.starts_with(API) {
        let paths = paths.iter().map(|path| path.path);
        return Refusal::new(StatusCode::NOT_FOUND, error).allow(paths).into_response();
    }
    (StatusCode::NOT_FOUND, format!("{error}; there is\n{list}")).into_response()
}

/// A line for each operation.
fn list(port: Port, paths: &[&'static Path]) -> String {
    let name = |path: &Path, operation: &Operation| match operation.verb {
        Verb::Get => path.path.to_owned(),
        verb @ (Verb::Post | Verb::Put) => format!("{} {}", verb.name(), path.path),
    };
    let mut rows = match port {
        Port::Admin => vec![("/".to_owned(), "a dashboard of all of it, for people")],
        Port::Probes => Vec::new(),
    };
    for path in paths {
        rows.extend(path.operations.iter().map(|one| (name(path, one), one.summary)));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    rows.iter().map(|(name, summary)| format!("{name:<width$}  {summary}\n")).collect()
}

/// What browsers are told about every answer. Nothing here is for pages of other sites: there are no CORS fields.
async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fields = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A page has its own.
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}

/// Refuses names that anybody could have pointed at this address: a web page whose own name resolves to 127.0.0.1
/// could otherwise read this port from a visitor's browser (DNS rebinding).
async fn own_host_only(request: Request, next: Next) -> Response {
    let field = request.headers().get(header::HOST);
    // A request to an absolute URI names its host there; one of HTTP/1.0 may have none, which no browser sends.
    let named = match (request.uri().authority(), field) {
        (Some(authority), _) => Some(authority.as_str()),
        (None, Some(field)) => Some(field.to_str().unwrap_or("")),
        (None, None) => None,
    };
    if named.is_none_or(is_own) {
        return next.run(request).await;
    }
    let why = "the Host header must be an IP address or localhost; \
        other names are served on `probes.address` only";
    Refusal::new(StatusCode::MISDIRECTED_REQUEST, why).answer(request.uri().path())
}

/// Whether nobody else can make `host` resolve to this machine. The port is of no account: it may be forwarded.
fn is_own(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    literal.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_change_something() {
        let may = |peer: Option<&str>| {
            let mut request = Request::new(axum::body::Body::empty());
            request.headers_mut().insert(WRITE_HEADER, HeaderValue::from_static("yes"));
            if let Some(ip) = peer {
                request.extensions_mut().insert(Peer(SocketAddr::new(ip.parse().unwrap(), 4711)));
            }
            may_change(&request).is_ok()
        };
        for own in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert!(may(Some(own)), "{own}");
        }
        for other in ["10.0.0.1", "192.0.2.1", "::ffff:10.0.0.1", "fe80::1", "::", "0.0.0.0"] {
            assert!(!may(Some(other)), "{other}");
        }
        assert!(!may(None), "nobody knows who");
    }

    #[test]
    fn only_names_that_nobody_else_can_own_are_served() {
        for own in
            ["localhost", "LocalHost:9900", "127.0.0.1", "10.1.2.3:80", "[::1]:9900", "[::1]"]
        {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "evil.test",
            "evil.test:9900",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "",
            "a@127.0.0.1",
            "127.0.0.1 evil.test",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
