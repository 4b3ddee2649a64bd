//! Faults as scripts: early, broken, late and cut-off answers.

use std::time::Duration;

use crate::Step;
use crate::request::{BodyFraming, Request};
use crate::response::{Response, chunk};

/// The whole body of a faulty answer, long enough to have a middle.
const BODY: &[u8] = b"twenty-four bytes long.\n";

/// The script of a path, or `None` if it has none.
///
/// # Errors
/// A parameter that makes no sense.
pub(super) fn steps(
    server: &str,
    request: &Request,
    first: &str,
    rest: &str,
) -> Result<Option<Vec<Step>>, String> {
    let steps = match (first, rest) {
        ("hold-body", "") => hold_body(server, request),
        ("reject", "") => reject(server, request)?,
        ("early-hints", "") => early_hints(server, request)?,
        ("close", "") => close(server, request)?,
        ("close-idle", "") => {
            let after = request.duration_of("after", Duration::ZERO)?;
            vec![Step::ReadBody, ok(server), Step::AwaitIdle(after), end(request)]
        }
        ("close-next", "") => vec![Step::ReadBody, ok(server), Step::AwaitRequest, end(request)],
        ("http10", "") => http10(server, request),
        ("malformed", what) => {
            let bytes = malformed(server, request, what)?;
            // The answer that nobody asked for is a fault only on a connection that stays open.
            let last = if what == "surplus" { vec![] } else { vec![Step::Linger] };
            [vec![Step::ReadBody, Step::send(bytes)], last].concat()
        }
        _ => return Ok(None),
    };
    Ok(Some(steps))
}

fn ok(server: &str) -> Step {
    Step::send(Response::new(server, 200).body(BODY))
}

fn end(request: &Request) -> Step {
    if request.flag("reset") { Step::Reset } else { Step::Close }
}

fn hold_body(server: &str, request: &Request) -> Vec<Step> {
    let (one, two) = BODY.split_at(BODY.len() / 2);
    let response = Response::new(server, 200);
    let (head, one, two) = if request.flag("chunked") {
        let head = response.header("transfer-encoding", "chunked").head();
        (head, chunk(one), [chunk(two), b"0\r\n\r\n".to_vec()].concat())
    } else {
        let head = response.header("content-length", BODY.len()).head();
        (head, one.to_vec(), two.to_vec())
    };
    vec![Step::ReadBody, Step::send([head, one].concat()), Step::Hold, Step::send(two)]
}

fn reject(server: &str, request: &Request) -> Result<Vec<Step>, String> {
    let answer = Response::new(server, 413)
        .header("connection", "close")
        .json(br#"{"message":"too large"}"#);
    let last = if request.flag("abrupt") { Step::Close } else { Step::Linger };
    let mut steps = vec![Step::send(answer), last];
    if request.flag("after") {
        let mut after = request.number_of("after", 0)?;
        if let BodyFraming::Length(length) = request.framing {
            // More than there is would be waited for in vain.
            after = after.min(length);
        }
        let after = after.try_into().map_err(|_| "'after' is too large".to_owned())?;
        steps.insert(0, Step::ReadBytes(after));
    }
    Ok(steps)
}

fn early_hints(server: &str, request: &Request) -> Result<Vec<Step>, String> {
    let hints =
        Response::new(server, 103).header("link", "</style.css>; rel=preload; as=style").head();
    let mut steps = vec![Step::ReadBody, Step::send(hints), ok(server)];
    let between = request.duration_of("between", Duration::ZERO)?;
    if !between.is_zero() {
        steps.insert(2, Step::Pause(between));
    }
    Ok(steps)
}

fn close(server: &str, request: &Request) -> Result<Vec<Step>, String> {
    let head = Response::new(server, 200).header("content-length", BODY.len()).head();
    let half = &BODY[..BODY.len() / 2];
    let sent = match request.parameter("at").unwrap_or("before-head") {
        "request" | "before-head" => vec![],
        "mid-head" => head[..head.len() / 2].to_vec(),
        "after-head" => head,
        "mid-body" => [&head, half].concat(),
        "mid-chunk" => {
            let head = Response::new(server, 200).header("transfer-encoding", "chunked").head();
            let chunks = [chunk(half), chunk(BODY)].concat();
            [&head, &chunks[..chunks.len() - half.len()]].concat()
        }
        other => {
            return Err(format!(
                "'at={other}' is none of request, before-head, mid-head, after-head, mid-body, mid-chunk"
            ));
        }
    };
    let mut steps = vec![];
    if request.parameter("at") != Some("request") {
        steps.push(Step::ReadBody);
    }
    if !sent.is_empty() {
        steps.push(Step::send(sent));
    }
    let pause = request.duration_of("pause", Duration::ZERO)?;
    if !pause.is_zero() {
        steps.push(Step::Pause(pause));
    }
    steps.push(end(request));
    Ok(steps)
}

fn http10(server: &str, request: &Request) -> Vec<Step> {
    let response = Response::with_version("HTTP/1.0", server, 200);
    if request.flag("keepalive") {
        let answer = response.header("connection", "keep-alive").body(BODY);
        vec![Step::ReadBody, Step::send(answer)]
    } else {
        vec![Step::ReadBody, Step::send([&response.head(), BODY].concat()), Step::Linger]
    }
}

fn malformed(server: &str, request: &Request, what: &str) -> Result<Vec<u8>, String> {
    let response = Response::new(server, 200);
    let length = BODY.len();
    let chunked_body = [&chunk(BODY)[..], b"0\r\n\r\n"].concat();
    let with_body = |head: Vec<u8>| [&head, BODY].concat();
    // Fields that no writer of fields would write, put before the body's own.
    let with_line = |line: &str| {
        let mut head = Response::new(server, 200).head();
        head.truncate(head.len() - 2);
        [&head, line.as_bytes(), format!("content-length: {length}\r\n\r\n").as_bytes(), BODY]
            .concat()
    };
    Ok(match what {
        "status-line" => with_body(
            format!(
                "HTTP/1.1 2x0 OK\r\nx-test-server: {server}\r\ncontent-length: {length}\r\n\r\n"
            )
            .into_bytes(),
        ),
        "two-lengths" => {
            with_body(response.header("content-length", length).header("content-length", 5).head())
        }
        "length-and-chunked" => [
            response.header("content-length", length).header("transfer-encoding", "chunked").head(),
            chunked_body,
        ]
        .concat(),
        "bad-length" => with_body(response.header("content-length", format!("+{length}")).head()),
        "bad-chunk" => {
            [&response.header("transfer-encoding", "chunked").head()[..], b"zz\r\n", BODY].concat()
        }
        "obs-fold" => with_line("x-folded: one\r\n two\r\n"),
        "name-space" => with_line("x-space : one\r\n"),
        "bare-lf" => with_line("x-bare: one\nx-smuggled: two\r\n"),
        "nul" => with_line("x-nul: o\0ne\r\n"),
        "huge-header" => {
            let size = request.number_of("size", 200_000)?.min(100_000_000);
            // At most a hundred million, which every usize holds.
            with_line(&format!("x-huge: {}\r\n", "h".repeat(size as usize)))
        }
        "surplus" => [
            response.body(BODY),
            Response::new(server, 200).header("x-surplus", "1").body(b"nobody asked for this\n"),
        ]
        .concat(),
        "not-http" => format!("220 {server} ready for mail\r\n").into_bytes(),
        other => return Err(format!("'/malformed/{other}' is not in the table")),
    })
}
