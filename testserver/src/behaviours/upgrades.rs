//! Connections that stop being HTTP: WebSocket and a plain echo of bytes.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Failed, ok, say};
use crate::connection::{Connection, End, Next};
use crate::request::Request;
use crate::response::Response;

/// Echoes the messages of a WebSocket (RFC 6455) until one side closes it.
pub(super) async fn websocket(
    connection: &mut Connection,
    request: &mut Request,
) -> Result<Next, Failed> {
    let close_after = request.number_of("close-after", u64::MAX)?;
    if request.field("sec-websocket-version").as_deref() != Some("13") {
        request.keep_alive = false;
        let answer = Response::new(&connection.shared.name, 426)
            .header("upgrade", "websocket")
            .header("connection", "upgrade, close")
            .header("sec-websocket-version", 13)
            .json(br#"{"message":"this is a WebSocket; its version is 13"}"#);
        connection.send(&answer).await?;
        return Ok(Next::Request);
    }
    let Some(key) =
        request.field("sec-websocket-key").filter(|_| request.asks_upgrade("websocket"))
    else {
        let answer = json!({ "message": "not a WebSocket handshake (RFC 6455, section 4.2.1)" });
        return Ok(say(connection, request, 400, &answer).await?);
    };
    let mut answer = Response::new(&connection.shared.name, 101)
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-accept", derive_accept_key(key.as_bytes()));
    let protocols = request.field("sec-websocket-protocol").unwrap_or_default();
    if let Some(protocol) =
        protocols.split(',').map(str::trim).find(|protocol| !protocol.is_empty())
    {
        answer = answer.header("sec-websocket-protocol", protocol);
    }
    connection.send(&answer.head()).await?;

    let early = connection.buffer.split().to_vec();
    let stream = &mut connection.stream;
    let mut socket = WebSocketStream::from_partially_read(stream, early, Role::Server, None).await;
    let mut echoed = 0;
    // The library answers pings and closes; an error or the end of the stream is the end of the talk.
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            if socket.send(message).await.is_err() {
                break;
            }
            echoed += 1;
            if echoed == close_after && socket.close(None).await.is_err() {
                break;
            }
        }
    }
    Ok(Next::End(End::Linger))
}

/// Switches to a protocol that echoes every byte.
pub(super) async fn echo(
    connection: &mut Connection,
    request: &mut Request,
) -> Result<Next, Failed> {
    if request.flag("refuse") || !request.asks_upgrade("echo") {
        return ok(connection, request).await;
    }
    connection.discard_body(request).await?;
    let answer = Response::new(&connection.shared.name, 101)
        .header("upgrade", "echo")
        .header("connection", "upgrade")
        .head();
    connection.send(&answer).await?;
    let only_read = request.flag("finish-first");
    if only_read {
        tokio::io::AsyncWriteExt::shutdown(&mut connection.stream).await?;
    }
    loop {
        let bytes = connection.buffer.split();
        if !bytes.is_empty() && !only_read {
            connection.send(&bytes).await?;
        }
        drop(bytes);
        if connection.fill().await? == 0 {
            break;
        }
    }
    if let Some(text) = request.parameter("after-eof") {
        connection.send(text.as_bytes()).await?;
    }
    Ok(Next::End(End::Linger))
}
