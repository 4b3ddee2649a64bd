//! What a connection is carried by: TCP, or TLS on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How HTTP/2 begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection's bytes.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Takes the client's handshake, if it is to make one.
    pub(crate) async fn accept(
        stream: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        match tls {
            None => Ok(Self::Plain(stream)),
            Some(config) => {
                let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
                Ok(Self::Tls(Box::new(stream)))
            }
        }
    }

    /// Whether the client will speak HTTP/2: by ALPN under TLS, else by its first bytes.
    pub(crate) async fn is_http2(&self) -> io::Result<bool> {
        match self {
            Self::Tls(stream) => Ok(stream.get_ref().1.alpn_protocol() == Some(b"h2")),
            Self::Plain(stream) => {
                // Three bytes tell the preface from every method that there is.
                let mut first = [0; 3];
                loop {
                    let read = stream.peek(&mut first).await?;
                    if read == 0 || !PREFACE.starts_with(&first[..read]) {
                        return Ok(false);
                    }
                    if read == first.len() {
                        return Ok(true);
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// What TLS was agreed on, for `/echo`; nothing without TLS.
    pub(crate) fn tls(&self) -> Option<serde_json::Value> {
        let Self::Tls(stream) = self else { return None };
        let connection = stream.get_ref().1;
        Some(json!({
            "version": connection.protocol_version().map(|version| format!("{version:?}")),
            "serverName": connection.server_name(),
            "alpn": connection.alpn_protocol().map(String::from_utf8_lossy),
            "clientCertificate": connection.peer_certificates().is_some(),
        }))
    }

    /// Makes the close a reset.
    pub(crate) fn set_zero_linger(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_zero_linger(),
            Self::Tls(stream) => stream.get_ref().0.set_zero_linger(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
