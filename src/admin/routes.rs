//! The paths of the ports, and who may ask for them.

use super::server::Port;
use super::{AdminContext, dashboard, metrics, status::Status};
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::net::IpAddr;
use std::sync::Arc;

type Context = State<Arc<AdminContext>>;

const ADMIN: &str = "/         all of it, for people
/livez    whether the process runs
/readyz   whether clients should be sent here, and why not
/status   what runs, as JSON
/metrics  counters and gauges for Prometheus
";

const PROBES: &str = "/livez    whether the process runs
/readyz   whether clients should be sent here, and why not
/metrics  counters and gauges for Prometheus
";

pub(super) fn router(port: Port, context: Arc<AdminContext>) -> Router {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape));
    let (router, list) = match port {
        Port::Admin => (router.route("/status", get(tell)).merge(dashboard::routes()), ADMIN),
        Port::Probes => (router, PROBES),
    };
    let not_found =
        async move || text(StatusCode::NOT_FOUND, format!("no such path; there is\n{list}"));
    // Layers come last, so that what has no route meets them too.
    let router = router.fallback(not_found).layer(from_fn(read_only)).with_state(context);
    match port {
        Port::Admin => router.layer(from_fn(own_host_only)),
        Port::Probes => router,
    }
}

async fn livez() -> Response {
    text(StatusCode::OK, "alive\n")
}

async fn readyz(State(context): Context, headers: HeaderMap) -> Response {
    let reasons = context.not_ready();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if wants_json(&headers) {
        let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
        return (status, Json(body)).into_response();
    }
    if reasons.is_empty() {
        return text(status, "ready\n");
    }
    text(status, format!("not ready: {}\n", reasons.join("; ")))
}

async fn tell(State(context): Context) -> Json<Status> {
    Json(Status::of(&context))
}

async fn scrape(State(context): Context) -> Response {
    match metrics::text(&context) {
        Ok(body) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], body).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("metrics: {error}\n")),
    }
}

fn text(status: StatusCode, body: impl Into<String>) -> Response {
    (status, body.into()).into_response()
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("json"))
}

/// Nothing here changes anything.
async fn read_only(request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, "only GET and HEAD\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
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
        other names are served on `probes.address` only\n";
    text(StatusCode::MISDIRECTED_REQUEST, why)
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
