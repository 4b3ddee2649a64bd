//! What WebSocket's handshake over HTTP/1.1 has and that over HTTP/2 has not.
//!
//! Source: RFC 6455, section 4; RFC 8441, section 5.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use sha1::{Digest, Sha1};

/// The name of the protocol.
pub const NAME: &str = "websocket";

/// What an acceptance adds to the client's key before it is hashed.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Accept` that answers `key`.
pub fn accept(key: &[u8]) -> HeaderValue {
    let hash = Sha1::new().chain_update(key.trim_ascii()).chain_update(GUID).finalize();
    HeaderValue::try_from(BASE64_STANDARD.encode(hash)).expect("base64 is text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
