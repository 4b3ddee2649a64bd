//! What an endpoint receives, whatever bytes a client sends. Tests and `fuzz/` look for those for which it does not hold.
//!
//! The bytes go to hyper and from there through the steps of a request to the head that is written. A reader that forgives
//! nothing takes that apart, and the rules of RFC 9110 and 9112 are written down once more, as one would say them.

use super::client_address::behind_trusted;
use super::forward;
use super::forwarded::{Forwarded, Peer};
use super::headers::{Outbound, upgrade};
use super::present::Present;
use super::request_body::Incoming;
use super::validate;
use crate::backend::http1::Framing;
use crate::model::path::NormalPath;
use crate::model::{EndpointUrl, HeaderChanges, Scheme};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, Version, request::Parts};
use http_body_util::{BodyExt, Empty};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Waker};

/// Who sends the bytes.
const PEER: &str = "192.0.2.1";

/// Each request in `bytes` is refused, or arrives as exactly one, which says the same, delimits its body in one way, has
/// no field that concerned the client's connection, and no claim of a client's about itself. Says how many arrived.
pub fn holds(bytes: &[u8]) -> usize {
    let arrived = Cell::new(0);
    let service = service_fn(async |request: Request<hyper::body::Incoming>| {
        let (parts, body) = request.into_parts();
        let body = Incoming::Http1(body);
        let framing = forward::framing(&body);
        let is_arrived = [false, true].map(|is_trusted| arrives(&parts, framing, is_trusted));
        arrived.update(|arrived| arrived + usize::from(is_arrived[0]));
        if let Incoming::Http1(body) = body {
            let _ = body.collect().await;
        }
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let client = TokioIo::new(tokio::io::join(bytes, tokio::io::sink()));
    // The end of the bytes is not the client's end.
    let mut connection =
        pin!(http1::Builder::new().half_close(true).serve_connection(client, service));
    // Everything is there, so that nothing has to be waited for; each turn goes on a bit.
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..bytes.len() + 100 {
        if connection.as_mut().poll(&mut cx).is_ready() {
            return arrived.get();
        }
    }
    panic!("the connection goes on without end: {}", bytes.escape_ascii());
}

/// Whether a request goes on; if so, what arrives is what must.
fn arrives(parts: &Parts, framing: Framing, is_trusted: bool) -> bool {
    let peer = Peer::new(PEER.parse().unwrap(), false, None);
    let trusted: Vec<IpNet> =
        is_trusted.then(|| PEER.parse::<std::net::IpAddr>().unwrap().into()).into_iter().collect();
    let present = Present::of(&parts.headers);
    let Ok(host) = validate::host(parts, present) else { return false };
    let Ok(client) = behind_trusted(&parts.headers, peer.address, &trusted) else { return false };
    let Ok(path) = validate::path(parts) else { return false };
    let url =
        EndpointUrl { scheme: Scheme::Http, host: "endpoint".into(), port: 8080, path: "".into() };
    let mut out = BytesMut::new();
    let outbound = Outbound {
        parts,
        present,
        host: &host,
        path: path.sent(),
        query: parts.uri.query(),
        url: &url,
        framing,
        forwarded: Forwarded { peer: &peer, client, scheme: Scheme::Http, host: &host },
        request_id: "id",
        upgrade: upgrade(parts),
        trace: None,
        changes: &HeaderChanges::default(),
    };
    outbound.encode(&mut out);
    let head = Head::read(&out);
    let context = || format!("{parts:?}\n{}", out.escape_ascii());
    assert_eq!(head.method, parts.method.as_str(), "{}", context());
    assert_eq!(head.target, latin1(target(parts, &path).as_bytes()), "{}", context());
    let host = if host.is_empty() { "endpoint:8080" } else { host.to_str().unwrap() };
    assert_eq!(head.values("host"), [host], "{}", context());
    head.check_framing(framing);
    head.check_connection(parts);
    head.check_claims(is_trusted);
    assert_eq!(head.end_to_end(is_trusted), end_to_end(parts, is_trusted), "{}", context());
    true
}

fn target(parts: &Parts, path: &NormalPath<'_>) -> String {
    let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    format!("{}{query}", path.sent())
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// A head as it arrived. Bytes are taken for Latin-1, as texts of fields.
struct Head {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head that ends where the bytes do.
    fn read(bytes: &[u8]) -> Self {
        let context = || bytes.escape_ascii();
        let text = latin1(bytes);
        let lines =
            text.strip_suffix("\r\n\r\n").unwrap_or_else(|| panic!("no end: {}", context()));
        let mut lines = lines.split("\r\n");
        let words: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
        let [method, target, "HTTP/1.1"] = words[..] else { panic!("{}", context()) };
        assert!(!method.is_empty() && method.bytes().all(is_token), "{}", context());
        let is_target = target.starts_with('/') || target == "*" && method == "OPTIONS";
        // The target of an HTTP message is passed on in the bytes that hyper takes: none that ends a word or a line.
        assert!(is_target && target.chars().all(|c| c > ' ' && c != '\x7f'), "{}", context());
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{}", context()));
            let is_lower = name.bytes().all(|byte| is_token(byte) && !byte.is_ascii_uppercase());
            assert!(!name.is_empty() && is_lower, "{}", context());
            assert!(value.chars().all(|c| c == '\t' || c >= ' ' && c != '\x7f'), "{}", context());
            assert_eq!(value, value.trim_matches([' ', '\t']), "{}", context());
            (name.to_owned(), value.to_owned())
        });
        Self { method: method.to_owned(), target: target.to_owned(), fields: fields.collect() }
    }

    fn values(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n == name).map(|(_, value)| &**value).collect()
    }

    fn check_framing(&self, framing: Framing) {
        let found = (self.values("content-length"), self.values("transfer-encoding"));
        let is_right = match (framing, found) {
            (Framing::Chunked, (length, coding)) => length.is_empty() && coding == ["chunked"],
            (Framing::Length(length), (found, coding)) => {
                found == [&*length.to_string()] && coding.is_empty()
            }
            (Framing::Empty, (length, coding)) => {
                (length.is_empty() || length == ["0"]) && coding.is_empty()
            }
            (Framing::UntilClose, _) => false,
        };
        assert!(is_right, "{framing:?}: {:?}", self.fields);
    }

    fn check_connection(&self, parts: &Parts) {
        for gone in ["keep-alive", "proxy-connection", "proxy-authorization", "http2-settings"] {
            assert_eq!(self.values(gone), Vec::<&str>::new());
        }
        let options = self.values("connection").join(", ");
        let has = |name| options.split(", ").any(|option| option == name);
        assert!(["", "upgrade", "te", "upgrade, te"].contains(&&*options), "{options}");
        assert_eq!(self.values("te"), if has("te") { vec!["trailers"] } else { vec![] });
        let protocols = self.values("upgrade");
        assert_eq!(protocols.len(), usize::from(has("upgrade")), "{:?}", self.fields);
        let h2c = protocols.concat().to_lowercase();
        assert!(!h2c.split(',').any(|protocol| protocol.trim().starts_with("h2c")), "{h2c}");
        assert!(parts.version == Version::HTTP_11 || protocols.is_empty());
    }

    fn check_claims(&self, is_trusted: bool) {
        let addresses = self.values("x-forwarded-for");
        assert_eq!(addresses.len(), 1, "{:?}", self.fields);
        assert_eq!(addresses[0].rsplit(", ").next(), Some(PEER));
        assert_eq!(self.values("x-request-id"), ["id"]);
        assert!(self.values("via").last().is_some_and(|via| via.ends_with(" outrigger")));
        if !is_trusted {
            assert_eq!(addresses, [PEER]);
            assert_eq!(self.values("x-forwarded-proto"), ["http"]);
            assert_eq!(self.values("forwarded"), Vec::<&str>::new());
            for (name, _) in self.fields.iter().filter(|(name, _)| name.starts_with("x-forwarded"))
            {
                let own = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
                assert!(own.contains(&&**name), "{name}");
            }
        }
        // An application that turns `-` into `_` takes the one for the other.
        assert!(
            !self
                .fields
                .iter()
                .any(|(name, _)| { name.contains('_') && is_one_of_ours(&name.replace('_', "-")) }),
            "{:?}",
            self.fields
        );
    }

    /// The fields that are the client's.
    fn end_to_end(&self, is_trusted: bool) -> Vec<(String, String)> {
        let fields = self.fields.iter().filter(|(name, _)| !is_not_passed(name, is_trusted));
        let mut fields: Vec<_> = fields.cloned().collect();
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        fields
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a field says who the client is, whose request it is or how it came.
fn is_one_of_ours(name: &str) -> bool {
    name.starts_with("x-forwarded") || ["x-request-id", "forwarded", "via"].contains(&name)
}

/// Whether a field is not passed on as it is, or not always.
fn is_not_passed(name: &str, is_trusted: bool) -> bool {
    const CONNECTION: &str = "host connection content-length transfer-encoding te upgrade keep-alive proxy-connection \
        proxy-authorization proxy-authenticate http2-settings expect max-forwards";
    let kept = is_trusted
        && name.starts_with("x-forwarded-")
        && !name.contains('_')
        && !["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].contains(&name);
    CONNECTION.split_whitespace().any(|one| one == name)
        || is_one_of_ours(&name.replace('_', "-")) && !kept
}

/// The client's fields that must arrive, in the order of their names, those of one name in the order in which they came.
fn end_to_end(parts: &Parts, is_trusted: bool) -> Vec<(String, String)> {
    let nominated: Vec<String> = parts
        .headers
        .get_all("connection")
        .iter()
        .flat_map(|value| {
            let options = latin1(value.as_bytes()).to_ascii_lowercase();
            options
                .split(',')
                .map(|name| name.trim_matches([' ', '\t']).to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|name| name != "close" && name != "keep-alive")
        .collect();
    let mut names: Vec<_> = parts.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    names.retain(|name| {
        !is_not_passed(name, is_trusted) && !nominated.iter().any(|one| one == name)
    });
    let values = |name: &str| {
        let values: Vec<_> = parts.headers.get_all(name).iter().collect();
        values
            .into_iter()
            .map(|value| (name.to_owned(), latin1(value.as_bytes())))
            .collect::<Vec<_>>()
    };
    names.into_iter().flat_map(values).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn line() -> impl Strategy<Value = String> {
        let methods = select(vec!["GET", "POST", "OPTIONS", "HEAD", "CONNECT", "get", "G@T", ""]);
        let targets = select(vec![
            "/",
            "/a?b=c",
            "*",
            "http://a.example/x",
            "http://b/",
            "//a//b",
            "/%2e%2e/a",
            "/%2f",
            "/a b",
            "a:80",
            "/\u{e9}?\u{e9}#x",
            "https://a.example/",
            "",
        ]);
        let versions = select(vec![
            "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1", "",
        ]);
        let ends = select(vec!["\r\n", "\r\n", "\r\n", "\n", "\r", " \r\n"]);
        (methods, targets, versions, ends)
            .prop_map(|(method, target, version, end)| format!("{method} {target} {version}{end}"))
    }

    fn field() -> impl Strategy<Value = String> {
        let names = select(vec![
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "Upgrade",
            "TE",
            "Keep-Alive",
            "Expect",
            "Proxy-Connection",
            "HTTP2-Settings",
            "Proxy-Authorization",
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Forwarded_Proto",
            "X-Forwarded-Port",
            "X-Forwarded",
            "Forwarded",
            "Via",
            "X-Request-Id",
            "x-request_id",
            "Max-Forwards",
            "Cookie",
            "X-A",
            "x-a",
            "X_A",
            "Accept",
            "Trailer",
            "Bad Name",
            "",
        ]);
        let values = select(vec![
            "",
            "a.example",
            "a.example",
            "5",
            "0",
            "+5",
            "5, 5",
            "chunked",
            "Chunked",
            "gzip, chunked",
            "identity",
            "close",
            "keep-alive, x-a",
            "upgrade",
            "upgrade, te, host",
            "content-length, x-forwarded-for, cookie",
            "websocket",
            "h2c",
            "trailers",
            "100-continue",
            "9.9.9.9",
            "for=9.9.9.9",
            "https",
            "a\tb",
            "\u{fc}",
            "a\0b",
            "a\rb",
            "x\r\n folded",
        ]);
        let middles = select(vec![": ", ": ", ": ", ":", " : ", ":\t", ": \t "]);
        let ends = select(vec!["\r\n", "\r\n", "\r\n", "\r\n", "\n", " \r\n"]);
        (names, middles, values, ends)
            .prop_map(|(name, middle, value, end)| format!("{name}{middle}{value}{end}"))
    }

    fn request() -> impl Strategy<Value = String> {
        let lines = prop_oneof![3 => Just("POST /a HTTP/1.1\r\n".to_owned()), 1 => line()];
        let hosts = prop_oneof![3 => Just("Host: a.example\r\n"), 1 => Just("")];
        let bodies = select(vec![
            "",
            "hello",
            "5\r\nhello\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: b\r\n\r\n",
        ]);
        (lines, hosts, vec(field(), 0..5), bodies).prop_map(|(line, host, fields, body)| {
            format!("{line}{host}{}\r\n{body}", fields.concat())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// S1, S4
        #[test]
        fn what_arrives_is_one_request_that_says_the_same(
            requests in vec(request(), 1..3), odd in proptest::option::of((any::<usize>(), any::<u8>())),
        ) {
            let mut bytes = requests.concat().into_bytes();
            if let Some((at, byte)) = odd {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            holds(&bytes);
        }
    }

    /// S1: found by the fuzzer; some applications take a no-break space for one.
    #[test]
    fn no_space_hides_h2c() {
        let head =
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x,\xA0h2c\r\n\r\n";
        assert_eq!(holds(head), 1);
    }

    #[test]
    fn requests_that_are_in_order_arrive() {
        let one = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n";
        let other =
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        assert_eq!(holds(format!("{one}{other}{one}").as_bytes()), 3);
    }
}
