//! What each path answers: `behaviours.txt` is the table, this is where it leads.

mod bodies;
mod faults;
mod upgrades;

use std::io;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::connection::{Connection, Next};
use crate::counters::InFlight;
use crate::request::{Request, latin1};
use crate::response::Response;
use crate::script;

pub use bodies::pattern;

/// Why a behaviour did not come to its end.
pub(crate) enum Failed {
    /// The request asks for what there is not: answered with 400.
    Asked(String),
    /// The connection is done for.
    Connection(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

impl From<String> for Failed {
    fn from(asked: String) -> Self {
        Self::Asked(asked)
    }
}

/// Answers one request.
pub(crate) async fn answer(
    connection: &mut Connection,
    request: &mut Request,
    in_flight: &mut Option<InFlight>,
) -> io::Result<Next> {
    match choose(connection, request, in_flight).await {
        Ok(next) => Ok(next),
        Err(Failed::Connection(error)) => Err(error),
        Err(Failed::Asked(wrong)) => {
            say(connection, request, 400, &json!({ "message": wrong })).await
        }
    }
}

async fn choose(
    connection: &mut Connection,
    request: &mut Request,
    in_flight: &mut Option<InFlight>,
) -> Result<Next, Failed> {
    let delay = request.duration_of("delay", Duration::ZERO)?;
    if !delay.is_zero() {
        connection.wait(sleep(delay)).await?;
    }
    let drip = request.duration_of("drip", Duration::ZERO)?;
    connection.drip = request.flag("drip").then_some(drip);
    if request.flag("hold") {
        connection.held().await?;
    }
    let path = request.path().to_owned();
    if let Some(steps) = connection.shared.script(&path) {
        return Ok(script::run(connection, request, in_flight, &steps).await?);
    }
    // A target without a slash in front, such as CONNECT's, is no path of the table.
    let name = path.strip_prefix('/').unwrap_or("-");
    let (first, rest) = name.split_once('/').unwrap_or((name, ""));
    match (first, rest) {
        ("", "") => {
            connection.discard_body(request).await?;
            let delay = connection.shared.delay();
            if !delay.is_zero() {
                connection.wait(sleep(delay)).await?;
            }
            ok(connection, request).await
        }
        ("health", "") => ok(connection, request).await,
        ("hold", "") => {
            connection.held().await?;
            ok(connection, request).await
        }
        ("no-continue", "") => {
            request.expects_continue = false;
            ok(connection, request).await
        }
        ("echo", "") => echo(connection, request).await,
        ("sink", "") => bodies::sink(connection, request).await,
        ("status", code) => status(connection, request, code).await,
        ("bytes", length) => bodies::bytes(connection, request, length).await,
        ("trickle", "") => bodies::trickle(connection, request).await,
        ("trailers", "") => bodies::trailers(connection, request).await,
        ("ws", "") => upgrades::websocket(connection, request).await,
        ("upgrade", "") => upgrades::echo(connection, request).await,
        _ => match faults::steps(&connection.shared.name, request, first, rest)? {
            Some(steps) => Ok(script::run(connection, request, in_flight, &steps).await?),
            None => {
                let answer =
                    json!({ "message": "no such behaviour; `testserver --help` lists them" });
                Ok(say(connection, request, 404, &answer).await?)
            }
        },
    }
}

/// `{"message":"ok"}`, in one write for most requests.
async fn ok(connection: &mut Connection, request: &mut Request) -> Result<Next, Failed> {
    connection.discard_body(request).await?;
    if request.is_head() || !request.keep_alive || request.minor == 0 {
        return Ok(say(connection, request, 200, &json!({ "message": "ok" })).await?);
    }
    let ok = connection.shared.ok.clone();
    connection.send(&ok).await?;
    Ok(Next::Request)
}

/// Begins an answer with the `Connection` field that the request wants.
fn respond(connection: &Connection, request: &Request, status: u16) -> Response {
    let response = Response::new(&connection.shared.name, status);
    match (request.keep_alive, request.minor) {
        (false, _) => response.header("connection", "close"),
        (true, 0) => response.header("connection", "keep-alive"),
        (true, _) => response,
    }
}

/// Sends a JSON answer.
async fn say(
    connection: &mut Connection,
    request: &mut Request,
    status: u16,
    body: &serde_json::Value,
) -> io::Result<Next> {
    let body = body.to_string();
    let mut answer = respond(connection, request, status).json(body.as_bytes());
    if request.is_head() {
        answer.truncate(answer.len() - body.len());
    }
    connection.send(&answer).await?;
    Ok(Next::Request)
}

async fn status(
    connection: &mut Connection,
    request: &mut Request,
    code: &str,
) -> Result<Next, Failed> {
    let code = code
        .parse()
        .ok()
        .filter(|code| (200..1000).contains(code))
        .ok_or_else(|| format!("'{code}' is not a status from 200 to 999"))?;
    connection.discard_body(request).await?;
    if matches!(code, 204 | 304) {
        let answer = respond(connection, request, code).head();
        connection.send(&answer).await?;
        return Ok(Next::Request);
    }
    Ok(say(connection, request, code, &json!({ "status": code })).await?)
}

async fn echo(connection: &mut Connection, request: &mut Request) -> Result<Next, Failed> {
    let mut body = Vec::new();
    let trailers = connection.read_body(request, |piece| body.extend_from_slice(piece)).await?;
    let mut shown = json!({ "length": body.len() });
    match String::from_utf8(body) {
        Ok(text) => shown["text"] = text.into(),
        // Two digits a byte need no library to be read back.
        Err(error) => {
            shown["hex"] =
                error.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
    }
    let mut answer = json!({
        "server": connection.shared.name,
        "connection": connection.number,
        "request": request.number,
        "method": request.method(),
        "target": latin1(request.target().as_bytes()),
        "version": format!("HTTP/1.{}", request.minor),
        "headers": request.fields(),
        "body": shown,
        "trailers": trailers,
    });
    if let Some(tls) = connection.stream.tls() {
        answer["tls"] = tls;
    }
    Ok(say(connection, request, 200, &answer).await?)
}
