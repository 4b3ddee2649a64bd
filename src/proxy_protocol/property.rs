//! What holds for all bytes. Tests and `fuzz/` look for those for which it does not.

use super::{MAX_LENGTH, Parsed, Version, encode, parse};
use bytes::BytesMut;
use std::net::SocketAddr;

/// An answer stays the same whatever follows, a header is no longer than it may be, and its addresses can be passed on.
pub fn holds(bytes: &[u8]) {
    let mut answer = Ok(Parsed::Partial);
    for end in 0..=bytes.len() {
        let now = parse(&bytes[..end]);
        if answer == Ok(Parsed::Partial) {
            answer = now;
            match now {
                Ok(Parsed::Header { length, .. }) => assert_eq!(length, end),
                Ok(Parsed::Partial) => assert!(end < MAX_LENGTH),
                Ok(Parsed::Absent) | Err(_) => {}
            }
        }
        assert_eq!(now, answer, "{}", bytes[..end].escape_ascii());
    }
    if let Ok(Parsed::Header { source, destination, .. }) = answer {
        assert_eq!(source.is_some(), destination.is_some());
        for version in [Version::V1, Version::V2] {
            if let Some((source, destination)) = source.zip(destination) {
                reads_back(version, source, destination);
            }
        }
    }
}

/// What is written is read, but for the two ways to write IPv4.
pub fn reads_back(version: Version, source: SocketAddr, destination: SocketAddr) {
    let mut bytes = BytesMut::new();
    encode(version, source, destination, &mut bytes);
    let Ok(Parsed::Header { length, source: Some(one), destination: Some(other) }) = parse(&bytes)
    else {
        panic!("{}", bytes.escape_ascii())
    };
    assert_eq!(length, bytes.len());
    for (read, written) in [(one, source), (other, destination)] {
        assert_eq!(read.ip().to_canonical(), written.ip().to_canonical());
        assert_eq!(read.port(), written.port());
    }
}
