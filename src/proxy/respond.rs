//! Our own answers: small, as JSON or plain text, with the request's id so that the log line can be found.

use super::body::ProxyBody;
use super::error::{ProxyError, Verdict};
use super::grpc;
use super::redirect;
use crate::backend::connection::ConnectError;
use crate::model::{Answer, FixedResponse};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

/// The answer to a request that failed with `error`.
pub fn error_response(
    error: &ProxyError,
    verdict: Verdict,
    request_id: &str,
    form: Form,
) -> Response<ProxyBody> {
    let status = verdict.status;
    let text = status.canonical_reason().unwrap_or("Error");
    let message = public_message(error);
    if form == Form::Grpc {
        let mut response = grpc::error_response(verdict, &message);
        say_status(response.headers_mut(), verdict);
        return response.map(ProxyBody::whole);
    }
    let (content_type, body) = if form == Form::Text {
        let body = format!(
            "{} {text}\n{message}\nreason: {}\nrequest id: {request_id}\n",
            status.as_u16(),
            verdict.reason
        );
        ("text/plain; charset=utf-8", body)
    } else {
        let body = serde_json::json!({
            "status": status.as_u16(),
            "error": text,
            "reason": verdict.reason,
            "message": message,
            "requestId": request_id,
        });
        ("application/json", format!("{body}\n"))
    };
    let mut response = Response::new(ProxyBody::whole(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    say_status(headers, verdict);
    response
}

/// Puts the error's type where RFC 9209 wants it.
fn say_status(headers: &mut HeaderMap, verdict: Verdict) {
    let proxy_status = format!("outrigger; error={}", verdict.proxy_status);
    if let Ok(value) = HeaderValue::from_str(&proxy_status) {
        headers.insert("proxy-status", value);
    }
}

/// The answer that a route gives without asking a backend.
///
/// # Errors
/// When the request cannot be redirected, see [`redirect::location`].
pub fn own_answer(
    answer: &Answer,
    method: &Method,
    asked: &redirect::Asked<'_>,
) -> Result<Response<Bytes>, ProxyError> {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    match answer {
        Answer::Redirect(redirect) => {
            let location = redirect::location(redirect, asked)?;
            let status = status(redirect.status);
            let text = format!("{status}\n");
            let mut response = own_response(status, method, text.as_bytes(), &plain);
            response.headers_mut().insert(header::LOCATION, location);
            Ok(response)
        }
        Answer::Fixed(FixedResponse { status: code, body, content_type }) => {
            Ok(own_response(status(*code), method, body.as_bytes(), content_type))
        }
    }
}

fn status(code: u16) -> StatusCode {
    // The configuration allows no others.
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A response with this body, where its method and status allow one (RFC 9110, sections 9.3.2, 15.3.5, 15.3.6 and 15.4.5).
fn own_response(
    status: StatusCode,
    method: &Method,
    body: &[u8],
    content_type: &HeaderValue,
) -> Response<Bytes> {
    let has_none = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    let body = if has_none.contains(&status) { b"" } else { body };
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    if !body.is_empty() {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type.clone());
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        if method != Method::HEAD {
            *response.body_mut() = Bytes::copy_from_slice(body);
        }
    }
    response
}

/// What a client may know. Addresses of endpoints are for the access log, not for strangers.
fn public_message(error: &ProxyError) -> String {
    match error {
        ProxyError::Connect(ConnectError::Exhausted(_)) => {
            "the proxy cannot open another connection".to_owned()
        }
        ProxyError::Connect(_) => "no endpoint could be reached".to_owned(),
        ProxyError::Exchange(_) => "the endpoint did not give a valid response".to_owned(),
        ProxyError::NoEndpoint(_) => "no endpoint is available".to_owned(),
        ProxyError::BadRequest(_)
        | ProxyError::BadPath(_)
        | ProxyError::UnknownCoding
        | ProxyError::Misdirected
        | ProxyError::Loop
        | ProxyError::NoRoute
        | ProxyError::ConnectRefused
        | ProxyError::BodyTooLarge { .. }
        | ProxyError::BodyTimeout(_)
        | ProxyError::BodyBroken(_)
        | ProxyError::LengthRequired
        | ProxyError::RequestTimeout(_)
        | ProxyError::AttemptTimeout(_)
        | ProxyError::UploadStalled(_) => error.to_string(),
    }
}

/// How an error is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As JSON.
    Json,
    /// As text.
    Text,
    /// As a status of gRPC.
    Grpc,
}

/// The form of an error that a request with `headers` wants.
pub fn form(headers: &HeaderMap) -> Form {
    match grpc::is_call(headers) {
        true => Form::Grpc,
        false if wants_text(headers) => Form::Text,
        false => Form::Json,
    }
}

/// Whether the client would rather read text than JSON: its first acceptable of the two. Of `q` only 0 counts, which is "not
/// acceptable" (RFC 9110, section 12.4.2); nobody weighs between these. Browsers and `curl`'s `*/*` differ: the former ask for text.
fn wants_text(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    let mut types = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|item| !is_refused(item))
        .map(|item| item.split(';').next().unwrap_or_default().trim());
    types
        .find(|item| item.starts_with("text/") || item.ends_with("json") || *item == "*/*")
        .is_some_and(|item| item.starts_with("text/"))
}

/// Whether an item of Accept carries `q=0`, with up to three zeros after the point.
fn is_refused(item: &str) -> bool {
    let mut parameters = item.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    parameters.any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("q")
            && value.trim().starts_with('0')
            && value.trim().bytes().all(|byte| matches!(byte, b'0' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_error_follows_accept() {
        for (accept, text) in [
            ("*/*", false),
            ("application/json", false),
            ("text/plain", true),
            ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", true),
            ("application/problem+json, text/plain", false),
            ("image/png", false),
            ("text/plain;q=0, application/json", false),
            ("text/html ; Q=0.000 , */*", false),
            ("application/json;q=0, text/plain;q=0.001", true),
            ("text/plain;q=0", false),
            ("text/plain;level=0", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wants_text(&headers), text, "{accept}");
        }
        assert!(!wants_text(&HeaderMap::new()));
    }
}
