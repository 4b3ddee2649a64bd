//! Requests to a port of a pod, loopback included, through the API server.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use std::time::Duration;
use tokio::time::timeout;

/// For an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub text: String,
}

/// Asks `port` of a pod, on the pod's own loopback.
pub(crate) async fn ask(
    pods: &Api<Pod>,
    pod: &str,
    port: u16,
    method: &str,
    path: &str,
) -> Result<Said, String> {
    let asked = timeout(ANSWER, within(pods, pod, port, method, path)).await;
    asked.unwrap_or_else(|_| Err(format!("no answer of {pod}:{port}{path} within {ANSWER:?}")))
}

async fn within(
    pods: &Api<Pod>,
    pod: &str,
    port: u16,
    method: &str,
    path: &str,
) -> Result<Said, String> {
    let told = |error: &dyn std::fmt::Display| format!("{pod}:{port}{path}: {error}");
    let mut forwarder = pods.portforward(pod, &[port]).await.map_err(|error| told(&error))?;
    let stream = forwarder.take_stream(port).expect("the port was asked for");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| told(&error))?;
    let connection = tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("connection", "close")
        .header("x-outrigger-admin", "yes")
        .body(Full::new(Bytes::new()))
        .expect("a request");
    let answer = sender.send_request(request).await.map_err(|error| told(&error))?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.map_err(|error| told(&error))?.to_bytes();
    connection.abort();
    Ok(Said { status, text: String::from_utf8_lossy(&body).into_owned() })
}
