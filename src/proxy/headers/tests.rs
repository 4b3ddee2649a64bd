use super::super::forwarded::Peer;
use super::*;
use crate::model::Scheme;
use http::Request;
use std::net::IpAddr;

fn encode(request: http::request::Builder, framing: Framing, path: &str) -> String {
    encode_changed(request, framing, path, None, &HeaderChanges::default())
}

fn encode_changed(
    request: http::request::Builder,
    framing: Framing,
    path: &str,
    client: Option<IpAddr>,
    changes: &HeaderChanges,
) -> String {
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let url = EndpointUrl {
        scheme: crate::model::Scheme::Http,
        host: "endpoint".into(),
        port: 80,
        path: path.into(),
    };
    let host = parts.headers.get("host").cloned().unwrap_or(HeaderValue::from_static(""));
    let mut out = BytesMut::new();
    let peer = Peer::new("::ffff:192.0.2.1".parse().unwrap(), false, None);
    let outbound = Outbound {
        present: Present::of(&parts.headers),
        parts: &parts,
        host: &host,
        path: parts.uri.path(),
        query: parts.uri.query(),
        url: &url,
        framing,
        forwarded: Forwarded { peer: &peer, client, scheme: Scheme::Http, host: &host },
        request_id: "id-1",
        upgrade: upgrade(&parts),
        trace: None,
        changes,
    };
    outbound.encode(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

const TAIL: &str = "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\n\
                    via: 1.1 outrigger\r\nx-request-id: id-1\r\n";

#[test]
fn what_concerns_only_this_connection_is_not_passed_on() {
    let request = Request::get("/x?y=1")
        .header("host", "a")
        .header("connection", "keep-alive, x-private")
        .header("keep-alive", "timeout=5")
        .header("proxy-connection", "keep-alive")
        .header("x-private", "1")
        .header("te", "gzip")
        .header("transfer-encoding", "chunked")
        .header("upgrade", "websocket")
        .header("accept", "*/*");
    let expected = format!("GET /x?y=1 HTTP/1.1\r\nhost: a\r\naccept: */*\r\n{TAIL}\r\n");
    assert_eq!(encode(request, Framing::Empty, ""), expected);
}

#[test]
fn claims_of_clients_about_themselves_are_replaced() {
    let request = Request::get("/")
        .header("host", "a")
        .header("forwarded", "for=9.9.9.9")
        .header("x-forwarded-for", "9.9.9.9")
        .header("x_forwarded_for", "9.9.9.9")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-anything", "1")
        .header("x-request-id", "theirs");
    let expected = format!("GET / HTTP/1.1\r\nhost: a\r\n{TAIL}\r\n");
    assert_eq!(encode(request, Framing::Empty, ""), expected);
}

fn names(names: &[&'static str]) -> Vec<HeaderName> {
    names.iter().map(|name| HeaderName::from_static(name)).collect()
}

fn fields(fields: &[(&'static str, &'static str)]) -> Vec<(HeaderName, HeaderValue)> {
    let fields = fields.iter();
    fields
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

#[test]
fn a_route_has_the_last_word_on_fields_and_none_on_framing() {
    let changes = HeaderChanges {
        remove: names(&["via", "host", "content-length", "x-gone"]),
        set: fields(&[("x-forwarded-proto", "https"), ("x-set", "1")]),
        add: fields(&[("x-set", "2"), ("x-gone", "3"), ("accept", "text/html")]),
    };
    let request = || {
        Request::post("/")
            .header("host", "a")
            .header("accept", "*/*")
            .header("via", "1.1 x")
            .header("x-gone", "0")
            .header("X-Gone", "0")
            .header("x-set", "0")
            .header("x-forwarded-port", "9")
    };
    let head = "POST / HTTP/1.1\r\nhost: a\r\naccept: */*\r\n";
    let tail = "x-request-id: id-1\r\nx-forwarded-proto: https\r\nx-set: 1\r\nx-set: 2\r\nx-gone: 3\r\n\
                accept: text/html\r\n\r\n";
    let encoded = encode_changed(request(), Framing::Length(5), "", None, &changes);
    let forwarded = "x-forwarded-for: 192.0.2.1\r\nx-forwarded-host: a\r\n";
    assert_eq!(encoded, format!("{head}content-length: 5\r\n{forwarded}{tail}"));
    let client = "203.0.113.9".parse().ok();
    let encoded = encode_changed(request(), Framing::Length(5), "", client, &changes);
    let port = "x-forwarded-port: 9\r\n";
    let forwarded = "x-forwarded-for: 203.0.113.9, 192.0.2.1\r\nx-forwarded-host: a\r\n";
    assert_eq!(encoded, format!("{head}{port}content-length: 5\r\n{forwarded}{tail}"));
}

#[test]
fn the_client_cannot_have_essential_fields_removed() {
    let request = Request::post("/")
        .header("host", "a")
        .header("connection", "host, content-length, x-forwarded-for");
    let expected = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n{TAIL}\r\n");
    assert_eq!(encode(request, Framing::Length(5), ""), expected);
}

#[test]
fn the_endpoints_path_comes_before_the_requests() {
    for (uri, path, line) in [
        ("/a?b", "/base", "GET /base/a?b HTTP/1.1"),
        ("http://a?b", "", "GET /?b HTTP/1.1"),
        ("http://a", "/base", "GET /base/ HTTP/1.1"),
        ("*", "", "GET * HTTP/1.1"),
        ("*", "/base", "GET /base HTTP/1.1"),
        ("/x?", "", "GET /x? HTTP/1.1"),
    ] {
        let head = encode(Request::get(uri).header("host", "a"), Framing::Empty, path);
        assert_eq!(head.lines().next(), Some(line), "{uri} {path}");
    }
}

#[test]
fn an_upgrade_is_passed_on_unless_it_would_hide_requests() {
    let ask = |protocol: &str| {
        let request = Request::get("/")
            .header("host", "a")
            .header("connection", "Upgrade, HTTP2-Settings")
            .header("http2-settings", "AAMAAABkAAQ")
            .header("upgrade", protocol);
        encode(request, Framing::Empty, "")
    };
    assert!(ask("websocket").ends_with("upgrade: websocket\r\nconnection: upgrade\r\n\r\n"));
    assert!(!ask("h2c").contains("upgrade"));
    assert!(!ask("websocket, h2c").contains("upgrade"));
    assert!(!ask("h2c").contains("http2-settings"));
}

#[test]
fn a_request_id_from_a_client_is_taken_only_if_it_is_harmless() {
    let id = |value: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        client_request_id(&headers).map(str::to_owned)
    };
    assert_eq!(id(b"abc-123"), Some("abc-123".to_owned()));
    assert_eq!(id(b""), None);
    assert_eq!(id(b"two words"), None);
    assert_eq!(id(&[0xff]), None);
    assert_eq!(id(&[b'x'; 129]), None);
}
