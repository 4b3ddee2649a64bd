//! The control port: asks for the account, and stops the requests, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Load;
use crate::request::Request;
use crate::response::Response;

/// How long a client may take for its request, and for noticing our close.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long accepting rests after an error such as "too many open files", which only time heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

impl Load {
    /// Answers on a control port until a future is done, and finishes the answers begun by then.
    pub async fn control(self: &Arc<Self>, listener: TcpListener, until: impl Future<Output = ()>) {
        let mut answering = JoinSet::new();
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(answering.spawn(serve(stream, self.clone()))),
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = answering.join_next() => {}
            }
        }
        drop(listener);
        let finish = async { while answering.join_next().await.is_some() {} };
        let _ = timeout(PATIENCE, finish).await;
    }
}

/// Answers one request; whoever has another connects again.
async fn serve(mut stream: TcpStream, load: Arc<Load>) {
    let mut buffer = BytesMut::new();
    let request = timeout(PATIENCE, async {
        loop {
            match Request::take(&mut buffer, 1) {
                Ok(None) => {}
                Ok(Some(request)) => return Some(Ok(request)),
                Err(wrong) => return Some(Err(wrong)),
            }
            if stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                continue;
            }
            return None;
        }
    });
    let (status, body) = match request.await {
        Ok(Some(Ok(request))) => answer(&request, &load).await,
        Ok(Some(Err(wrong))) => (400, json!({ "message": wrong })),
        // Gone, or too slow.
        Ok(None) | Err(_) => return,
    };
    let head = Response::new("load", status).header("connection", "close");
    if stream.write_all(&head.json(body.to_string().as_bytes())).await.is_err() {
        return;
    }
    // A body that nobody read must not turn our close into a reset.
    let drain = async {
        stream.shutdown().await?;
        while stream.read_buf(&mut buffer).await? > 0 {
            buffer.clear();
        }
        std::io::Result::Ok(())
    };
    let _ = timeout(PATIENCE, drain).await;
}

async fn answer(request: &Request, load: &Load) -> (u16, serde_json::Value) {
    match (request.method(), request.path()) {
        ("GET", "/report") => (200, load.report()),
        ("POST", "/stop") => {
            load.stop().await;
            (200, load.report())
        }
        _ => (404, json!({ "message": "there are GET /report and POST /stop" })),
    }
}
