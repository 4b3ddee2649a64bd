//! Version 1: a line of text, section 2.1.

use super::{Malformed, Parsed};
use bytes::BytesMut;
use std::fmt::{Display, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// What it begins with.
pub const PREFIX: &[u8] = b"PROXY ";

/// What is sent where there are no addresses.
pub const LOCAL: &[u8] = b"PROXY UNKNOWN\r\n";

/// The longest line, its end included.
const MAX_LENGTH: usize = 107;

/// Reads a line that begins with [`PREFIX`].
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let wrong = |reason| Err(Malformed { reason });
    let bytes = &bytes[..bytes.len().min(MAX_LENGTH)];
    let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if bytes.len() < MAX_LENGTH {
            Ok(Parsed::Partial)
        } else {
            wrong("its line does not end within 107 bytes")
        };
    };
    match &bytes[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if bytes.len() < MAX_LENGTH => return Ok(Parsed::Partial),
        _ => return wrong("its line does not end with CR and LF"),
    }
    let Ok(line) = std::str::from_utf8(&bytes[PREFIX.len()..end]) else {
        return wrong("its line is not ASCII");
    };
    let addresses = match line.split_once(' ') {
        Some(("TCP4", rest)) => Some(addresses::<Ipv4Addr>(rest)?),
        Some(("TCP6", rest)) => Some(addresses::<Ipv6Addr>(rest)?),
        // What follows it is to be ignored.
        Some(("UNKNOWN", _)) => None,
        None if line == "UNKNOWN" => None,
        _ => return wrong("its protocol is none of TCP4, TCP6 and UNKNOWN"),
    };
    let (source, destination) = addresses.unzip();
    Ok(Parsed::Header { length: end + 2, source, destination })
}

fn addresses<Ip: FromStr + Into<IpAddr>>(
    text: &str,
) -> Result<(SocketAddr, SocketAddr), Malformed> {
    let words = text.split(' ').collect::<Vec<_>>();
    let [source, destination, source_port, destination_port] = words[..] else {
        return Err(Malformed { reason: "it has not two addresses and two ports" });
    };
    let ip = |text: &str| match text.parse::<Ip>() {
        Ok(ip) => Ok(ip.into()),
        Err(_) => Err(Malformed { reason: "an address of it is none of its protocol" }),
    };
    Ok((
        SocketAddr::new(ip(source)?, port(source_port)?),
        SocketAddr::new(ip(destination)?, port(destination_port)?),
    ))
}

/// A number as this protocol writes it: without sign and leading zeros, which `parse` alone would take.
fn port(text: &str) -> Result<u16, Malformed> {
    match text.parse::<u16>() {
        Ok(port) if port.to_string() == text => Ok(port),
        _ => Err(Malformed { reason: "a port of it is no number from 0 to 65535" }),
    }
}

pub fn encode<Ip: Display>(
    protocol: &str,
    source: Ip,
    destination: Ip,
    [source_port, destination_port]: [u16; 2],
    to: &mut BytesMut,
) {
    to.reserve(MAX_LENGTH);
    let line = format_args!(
        "PROXY {protocol} {source} {destination} {source_port} {destination_port}\r\n"
    );
    // A buffer that grows takes it all.
    let _ = to.write_fmt(line);
}
