//! Version 2: a block of bytes, section 2.2.

use super::{MAX_LENGTH, Malformed, Parsed};
use bytes::{BufMut, BytesMut};
use std::net::{IpAddr, SocketAddr};

/// What it begins with: nothing that a protocol of text could take for its own.
pub const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What is sent where there are no addresses.
pub const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A stream over IPv4.
pub const TCP4: u8 = 0x11;

/// A stream over IPv6.
pub const TCP6: u8 = 0x21;

/// Signature, version and command, family and transport, and the length of what follows.
const FIXED: usize = SIGNATURE.len() + 4;

/// Two paths of sockets.
const UNIX_LENGTH: usize = 216;

/// The type of the TLV that holds the header's CRC-32C.
const CHECKSUM: u8 = 0x03;

/// Reads a block that begins with [`SIGNATURE`].
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let wrong = |reason| Err(Malformed { reason });
    let fixed = &bytes[SIGNATURE.len()..bytes.len().min(FIXED)];
    // What is wrong already is said without waiting for more.
    let is_local = match fixed.first() {
        None => return Ok(Parsed::Partial),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(other) if other >> 4 != 2 => return wrong("its version is not 2"),
        Some(_) => return wrong("its command is neither LOCAL nor PROXY"),
    };
    let Some(&family) = fixed.get(1) else { return Ok(Parsed::Partial) };
    // UDP is what a proxy of HTTP/3 says of its client.
    if !is_local && !matches!(family, 0x00 | TCP4 | 0x12 | TCP6 | 0x22 | 0x31 | 0x32) {
        return wrong("its address family or transport is unknown");
    }
    let [_, _, high, low] = *fixed else { return Ok(Parsed::Partial) };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_LENGTH {
        return wrong("it is longer than 4096 bytes");
    }
    let Some(header) = bytes.get(..length) else { return Ok(Parsed::Partial) };
    // Their blocks are to be passed over whatever is in them.
    if is_local || family == 0x00 {
        return Ok(Parsed::Header { length, source: None, destination: None });
    }
    let block = &header[FIXED..];
    let (addresses, tlvs) = match family >> 4 {
        1 => addresses::<4>(block),
        2 => addresses::<16>(block),
        _ => block.get(UNIX_LENGTH..).map(|tlvs| (None, tlvs)),
    }
    .ok_or(Malformed { reason: "it is too short for its addresses" })?;
    check_tlvs(header, tlvs)?;
    let (source, destination) = addresses.unzip();
    Ok(Parsed::Header { length, source, destination })
}

type Addresses = Option<(SocketAddr, SocketAddr)>;

/// Two addresses of `N` bytes, their ports, and what follows. `None` where there are too few bytes.
fn addresses<const N: usize>(block: &[u8]) -> Option<(Addresses, &[u8])>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = block.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk()?;
    let (destination_port, tlvs) = rest.split_first_chunk()?;
    let address = |ip: [u8; N], port| SocketAddr::new(ip.into(), u16::from_be_bytes(port));
    Some((Some((address(*source, *source_port), address(*destination, *destination_port))), tlvs))
}

/// Walks over the fields behind the addresses, which end the header; they mean nothing to us but for the checksum.
fn check_tlvs(header: &[u8], mut tlvs: &[u8]) -> Result<(), Malformed> {
    while !tlvs.is_empty() {
        let split = tlvs.split_first_chunk().and_then(|([kind, high, low], rest)| {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            Some((*kind, rest.split_at_checked(length)?))
        });
        let Some((kind, (value, rest))) = split else {
            return Err(Malformed { reason: "a TLV of it goes beyond its end" });
        };
        if kind == CHECKSUM {
            let Ok(stated) = value.try_into().map(u32::from_be_bytes) else {
                return Err(Malformed { reason: "its checksum is not of four bytes" });
            };
            let (before, after) = header.split_at(header.len() - rest.len());
            let (before, _) = before.split_at(before.len() - value.len());
            if crc32c([before, &[0; 4], after]) != stated {
                return Err(Malformed { reason: "its checksum is not that of its bytes" });
            }
        }
        tlvs = rest;
    }
    Ok(())
}

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of these bytes after one another, bit by bit: headers are short, and few senders add
/// one.
pub fn crc32c<const N: usize>(parts: [&[u8]; N]) -> u32 {
    let crc = parts.into_iter().flatten().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 }
        })
    });
    !crc
}

pub fn encode<const N: usize>(
    family: u8,
    source: [u8; N],
    destination: [u8; N],
    [source_port, destination_port]: [u16; 2],
    to: &mut BytesMut,
) {
    to.reserve(FIXED + 2 * N + 4);
    to.put_slice(SIGNATURE);
    to.put_u8(0x21);
    to.put_u8(family);
    // At most 36.
    to.put_u16((2 * N + 4) as u16);
    to.put_slice(&source);
    to.put_slice(&destination);
    to.put_u16(source_port);
    to.put_u16(destination_port);
}
