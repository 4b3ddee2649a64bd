//! The PROXY protocol, versions 1 (text) and 2 (binary): how a proxy tells the next one, before the connection's first byte, who
//! is at its other end. Source: HAProxy's `doc/proxy-protocol.txt`.
//!
//! Written here, because the crates for it read more than the protocol allows. `ppp` 2.3 and `proxy-header` 0.1 take `+80` for a
//! port; both leave the structure of TLVs unread and checksums unverified; for `proxy-header` every short piece of anything may
//! yet become a header, and any byte will do after the word `PROXY`.

#[cfg(any(test, fuzzing))]
pub mod property;
mod v1;
mod v2;

use bytes::BytesMut;
use std::net::{IpAddr, SocketAddr};

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// They may begin a header; there must be more of them to know. There are never [`MAX_LENGTH`] of these.
    Partial,
    /// They begin no header, whatever comes next.
    Absent,
    /// They begin with a header.
    Header {
        /// How many bytes it has. What comes after them is the connection's own.
        length: usize,
        /// Who opened the connection. `None` where the sender does not know, or opened it itself (version 1: `UNKNOWN`; version 2:
        /// `LOCAL`), or it did not come by IP: then the connection's own addresses are the ones that count.
        source: Option<SocketAddr>,
        /// Where it was opened to; is there when `source` is.
        destination: Option<SocketAddr>,
    },
}

/// Bytes that begin like a header and are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed PROXY protocol header: {reason}")]
pub struct Malformed {
    /// What is wrong, in an operator's words.
    pub reason: &'static str,
}

/// How a header is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// The longest header that is read, in bytes. Version 1 has at most 107; version 2 could have 64 KiB, but those that are sent have a
/// few hundred bytes, and whole certificates in it are nothing we want to hold for a client.
pub const MAX_LENGTH: usize = 4096;

/// Looks for a header at the beginning of `bytes`. To be asked again with more of them as long as the answer is
/// [`Parsed::Partial`]; any other answer stays the same whatever follows.
///
/// # Errors
/// When they begin like a header and are none.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    if bytes.starts_with(v1::PREFIX) {
        v1::parse(bytes)
    } else if bytes.starts_with(v2::SIGNATURE) {
        v2::parse(bytes)
    } else if v1::PREFIX.starts_with(bytes) || v2::SIGNATURE.starts_with(bytes) {
        Ok(Parsed::Partial)
    } else {
        Ok(Parsed::Absent)
    }
}

/// Writes the header of a connection that `source` opened to `destination`. IPv4 stays IPv4, also where a socket of both families
/// says it as `::ffff:192.0.2.1`; if only one of them is IPv4 it is written so.
pub fn encode(version: Version, source: SocketAddr, destination: SocketAddr, to: &mut BytesMut) {
    let ports = [source.port(), destination.port()];
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => match version {
            Version::V1 => v1::encode("TCP4", source, destination, ports, to),
            Version::V2 => v2::encode(v2::TCP4, source.octets(), destination.octets(), ports, to),
        },
        (source, destination) => {
            let [source, destination] = [source, destination].map(|ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            });
            match version {
                Version::V1 => v1::encode("TCP6", source, destination, ports, to),
                Version::V2 => {
                    v2::encode(v2::TCP6, source.octets(), destination.octets(), ports, to);
                }
            }
        }
    }
}

/// Writes the header of a connection that we open for ourselves, such as a probe's.
pub fn encode_local(version: Version, to: &mut BytesMut) {
    match version {
        Version::V1 => to.extend_from_slice(v1::LOCAL),
        Version::V2 => to.extend_from_slice(v2::LOCAL),
    }
}

#[cfg(test)]
mod tests;
