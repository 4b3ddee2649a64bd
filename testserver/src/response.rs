//! Answers as bytes.

use std::io::Write;

/// An answer in the making.
pub(crate) struct Response(Vec<u8>);

impl Response {
    /// Begins an HTTP/1.1 answer, with the header that names the server.
    pub(crate) fn new(server: &str, status: u16) -> Self {
        Self::with_version("HTTP/1.1", server, status)
    }

    pub(crate) fn with_version(version: &str, server: &str, status: u16) -> Self {
        let reason = http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Unnamed");
        let mut bytes = Vec::with_capacity(256);
        // Writing to a vector cannot fail, here and below.
        let _ = write!(bytes, "{version} {status} {reason}\r\nx-test-server: {server}\r\n");
        Self(bytes)
    }

    pub(crate) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let _ = write!(self.0, "{name}: {value}\r\n");
        self
    }

    /// The head alone.
    pub(crate) fn head(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"\r\n");
        self.0
    }

    /// The whole answer, with Content-Length.
    pub(crate) fn body(self, body: &[u8]) -> Vec<u8> {
        let mut bytes = self.header("content-length", body.len()).head();
        bytes.extend_from_slice(body);
        bytes
    }

    /// A JSON answer, whole.
    pub(crate) fn json(self, body: &[u8]) -> Vec<u8> {
        self.header("content-type", "application/json").body(body)
    }
}

/// The bytes of one chunk of a chunked body. An empty piece makes no chunk: it would end the body.
pub(crate) fn chunk(piece: &[u8]) -> Vec<u8> {
    if piece.is_empty() {
        return Vec::new();
    }
    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    bytes
}
