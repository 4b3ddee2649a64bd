use super::{Malformed, Parsed, Version, encode, encode_local, parse, property, v2};
use bytes::BytesMut;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn encoded(version: Version, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(version, source, destination, &mut bytes);
    bytes.to_vec()
}

/// A block of version 2.
fn block(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE, &[command, family], &length, rest].concat()
}

const TCP4: &[u8] = &[192, 0, 2, 1, 192, 0, 2, 2, 0x30, 0x39, 0x01, 0xBB];

fn header(length: usize, addresses: Option<(&str, &str)>) -> Parsed {
    let (source, destination) = addresses.map(|(s, d)| (address(s), address(d))).unzip();
    Parsed::Header { length, source, destination }
}

/// With TLVs behind the addresses.
fn with_tlvs(tlvs: &[u8]) -> Vec<u8> {
    block(0x21, 0x11, &[TCP4, tlvs].concat())
}

/// With a checksum, which `alter` may falsify, and a TLV on either side of it.
fn with_checksum(alter: impl Fn(&mut [u8; 4])) -> Vec<u8> {
    let tlvs = |sum: [u8; 4]| [&[4, 0, 1, 0, 3, 0, 4][..], &sum, &[0xEA, 0, 2, 1, 2]].concat();
    let mut sum = v2::crc32c([&with_tlvs(&tlvs([0; 4]))]).to_be_bytes();
    alter(&mut sum);
    with_tlvs(&tlvs(sum))
}

type Texts = Option<(&'static str, &'static str)>;

fn well_formed() -> Vec<(Vec<u8>, Texts)> {
    let four = Some(("192.0.2.1:12345", "192.0.2.2:443"));
    let six = Some(("[2001:db8::1]:65535", "[::1]:0"));
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n");
    assert_eq!(longest.len(), 107);
    let mut v6 = [&[0x20, 1, 0x0D, 0xB8][..], &[0; 11], &[1], &[0; 15], &[1]].concat();
    v6.extend([0xFF, 0xFF, 0, 0]);
    vec![
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n".to_vec(), four),
        (b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n".to_vec(), six),
        (b"PROXY TCP6 2001:DB8:0:0:0:0:0:1 0:0:0:0:0:0:0:1 65535 0\r\n".to_vec(), six),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN what ever\0\r\n".to_vec(), None),
        (longest.into_bytes(), None),
        (block(0x21, 0x11, TCP4), four),
        // A client of HTTP/3.
        (block(0x21, 0x12, TCP4), four),
        (block(0x21, 0x21, &v6), six),
        (block(0x21, 0x22, &v6), six),
        (block(0x21, 0x31, &[b'/'; 216]), None),
        (block(0x21, 0x32, &[&[0; 216][..], &[4, 0, 0]].concat()), None),
        (block(0x20, 0x00, &[]), None),
        // Whatever is in a LOCAL header, it is passed over.
        (block(0x20, 0x11, TCP4), None),
        (block(0x20, 0xFF, b"what"), None),
        (block(0x21, 0x00, b"what"), None),
        (with_tlvs(&[4, 0, 0]), four),
        (with_tlvs(&[1, 0, 2, b'h', b'2', 4, 0, 1, 0]), four),
        (with_checksum(|_| ()), four),
        (with_tlvs(&[&[4, 15, 225][..], &[0; 4065]].concat()), four),
    ]
}

#[test]
fn what_is_well_formed_is_read_and_ends_where_it_ends() {
    for (bytes, addresses) in well_formed() {
        let expected = Ok(header(bytes.len(), addresses));
        assert_eq!(parse(&bytes), expected, "{:?}", bytes.escape_ascii().to_string());
        for after in ["\r\n", "GET / HTTP/1.1\r\n", "PROXY UNKNOWN\r\n"] {
            assert_eq!(parse(&[&bytes, after.as_bytes()].concat()), expected);
        }
    }
}

#[test]
fn a_header_in_two_pieces_is_partial_at_every_byte() {
    for (bytes, _) in well_formed() {
        for end in 0..bytes.len() {
            let piece = &bytes[..end];
            assert_eq!(parse(piece), Ok(Parsed::Partial), "{}", piece.escape_ascii());
        }
    }
}

#[test]
fn what_other_protocols_begin_with_is_no_header() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"P ",
        b"PROXY\t",
        b"PROXYS / HTTP/1.1\r\n",
        b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b" PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"\r\nPROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\r\n",
        b"\x16\x03\x01\x02\0",
        b"\n",
        b"\0",
    ] {
        assert_eq!(parse(bytes), Ok(Parsed::Absent), "{}", bytes.escape_ascii());
    }
}

/// S4: a reader that takes what the protocol does not allow may be told another address than the one before it read.
#[test]
fn what_is_malformed_is_refused() {
    let line = |line: &str| format!("PROXY {line}\r\n").into_bytes();
    let address = "an address of it is none of its protocol";
    let port = "a port of it is no number from 0 to 65535";
    let words = "it has not two addresses and two ports";
    let protocol = "its protocol is none of TCP4, TCP6 and UNKNOWN";
    let crlf = "its line does not end with CR and LF";
    let long = "its line does not end within 107 bytes";
    let family = "its address family or transport is unknown";
    let command = "its command is neither LOCAL nor PROXY";
    let short = "it is too short for its addresses";
    let tlv = "a TLV of it goes beyond its end";
    for (bytes, reason) in [
        (line(""), protocol),
        (line("TCP4"), protocol),
        (line("UDP4 192.0.2.1 192.0.2.2 1 2"), protocol),
        (line("tcp4 192.0.2.1 192.0.2.2 1 2"), protocol),
        (line(" TCP4 192.0.2.1 192.0.2.2 1 2"), protocol),
        (line("TCP4\t192.0.2.1 192.0.2.2 1 2"), protocol),
        (line("UNKNOWNS"), protocol),
        (line("TCP4 "), words),
        (line("TCP4 192.0.2.1 192.0.2.2 1"), words),
        (line("TCP4 192.0.2.1 192.0.2.2 1 2 3"), words),
        (line("TCP4 192.0.2.1 192.0.2.2 1 2 "), words),
        (line("TCP4 192.0.2.1  192.0.2.2 1 2"), words),
        (line("TCP4 192.0.2.256 192.0.2.2 1 2"), address),
        (line("TCP4 192.0.2.01 192.0.2.2 1 2"), address),
        (line("TCP4 192.0.2 192.0.2.2 1 2"), address),
        (line("TCP4 0xC0.0.2.1 192.0.2.2 1 2"), address),
        (line("TCP4 ::1 ::1 1 2"), address),
        (line("TCP4 localhost 192.0.2.2 1 2"), address),
        (line("TCP6 192.0.2.1 192.0.2.2 1 2"), address),
        (line("TCP6 [::1] ::1 1 2"), address),
        (line("TCP6 fe80::1%eth0 ::1 1 2"), address),
        (line("TCP6 1::2::3 ::1 1 2"), address),
        (line("TCP6 00001::1 ::1 1 2"), address),
        (line("TCP4 192.0.2.1 192.0.2.2 65536 2"), port),
        (line("TCP4 192.0.2.1 192.0.2.2 -1 2"), port),
        (line("TCP4 192.0.2.1 192.0.2.2 +1 2"), port),
        (line("TCP4 192.0.2.1 192.0.2.2 01 2"), port),
        (line("TCP4 192.0.2.1 192.0.2.2 1 00"), port),
        (line("TCP4 192.0.2.1 192.0.2.2 1 0x2"), port),
        (line("TCP4 192.0.2.1 192.0.2.2 1 2\0"), port),
        (line("TCP4 192.0.2.1 192.0.2.2 1 \u{662}"), port),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 \xFF\r\n".to_vec(), "its line is not ASCII"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n".to_vec(), crlf),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n".to_vec(), crlf),
        (b"PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n".to_vec(), crlf),
        (b"PROXY UNKNOWN \n\r\n".to_vec(), crlf),
        (line(&format!("UNKNOWN {}", "x".repeat(92))), crlf),
        (line(&format!("UNKNOWN {}", "x".repeat(93))), long),
        (line(&"x".repeat(10_000)), long),
        (block(0x11, 0x11, TCP4), "its version is not 2"),
        (block(0x31, 0x11, TCP4), "its version is not 2"),
        (block(0x01, 0x11, TCP4), "its version is not 2"),
        (block(0x22, 0x11, TCP4), command),
        (block(0x2F, 0x11, TCP4), command),
        (block(0x21, 0x01, TCP4), family),
        (block(0x21, 0x10, TCP4), family),
        (block(0x21, 0x13, TCP4), family),
        (block(0x21, 0x41, TCP4), family),
        (block(0x21, 0xFF, TCP4), family),
        (block(0x21, 0x11, &TCP4[..11]), short),
        (block(0x21, 0x11, &[]), short),
        (block(0x21, 0x21, &[0; 35]), short),
        (block(0x21, 0x31, &[0; 215]), short),
        (with_tlvs(&[4]), tlv),
        (with_tlvs(&[4, 0]), tlv),
        (with_tlvs(&[4, 0, 1]), tlv),
        (with_tlvs(&[4, 0, 0, 4, 1, 0, 0]), tlv),
        (with_tlvs(&[4, 0xFF, 0xFF]), tlv),
        (with_tlvs(&[3, 0, 0]), "its checksum is not of four bytes"),
        (with_tlvs(&[3, 0, 5, 0, 0, 0, 0, 0]), "its checksum is not of four bytes"),
        (with_tlvs(&[3, 0, 4, 0, 0, 0, 0]), "its checksum is not that of its bytes"),
        (with_checksum(|sum| sum[0] ^= 1), "its checksum is not that of its bytes"),
        (with_checksum(|sum| sum.reverse()), "its checksum is not that of its bytes"),
        (with_tlvs(&[&[4, 15, 226][..], &[0; 4066]].concat()), "it is longer than 4096 bytes"),
        (block(0x20, 0x00, &[0; 65535]), "it is longer than 4096 bytes"),
    ] {
        assert_eq!(parse(&bytes), Err(Malformed { reason }), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_wrong_already_is_not_waited_for() {
    for bytes in [
        &b"PROXY T\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x31",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x41",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x10\x00",
    ] {
        assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_checksum_is_the_one_of_its_sources() {
    // RFC 3720, appendix B.4, and the check value of all catalogues.
    assert_eq!(v2::crc32c([&[0; 32]]), 0x8A91_36AA);
    assert_eq!(v2::crc32c([&[0xFF; 32]]), 0x62A8_AB43);
    assert_eq!(v2::crc32c([b"1234", b"", b"56789"]), 0xE306_9283);
}

#[test]
fn ipv4_is_written_as_ipv4_unless_the_other_side_is_ipv6() {
    let line = |source, destination| {
        String::from_utf8(encoded(Version::V1, address(source), address(destination))).unwrap()
    };
    let four = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    assert_eq!(line("192.0.2.1:1", "192.0.2.2:2"), four);
    assert_eq!(line("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2"), four);
    assert_eq!(line("192.0.2.1:1", "[::1]:2"), "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n");
    assert_eq!(line("[::1]:1", "192.0.2.1:2"), "PROXY TCP6 ::1 ::ffff:192.0.2.1 1 2\r\n");
    let binary = encoded(Version::V2, address("192.0.2.1:12345"), address("192.0.2.2:443"));
    assert_eq!(binary, block(0x21, 0x11, TCP4));
}

#[test]
fn a_connection_of_our_own_has_no_addresses() {
    for version in [Version::V1, Version::V2] {
        let mut bytes = BytesMut::new();
        encode_local(version, &mut bytes);
        assert_eq!(parse(&bytes), Ok(header(bytes.len(), None)));
    }
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    let four = any::<u32>().prop_map(|ip| IpAddr::V4(Ipv4Addr::from_bits(ip)));
    let six = any::<u128>().prop_map(|ip| IpAddr::V6(Ipv6Addr::from_bits(ip)));
    let mapped = any::<u32>().prop_map(|ip| Ipv4Addr::from_bits(ip).to_ipv6_mapped().into());
    (prop_oneof![four, six, mapped], any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// Bytes that are nearly a header, so that chance gets past its beginning.
fn nearly_a_header() -> impl Strategy<Value = Vec<u8>> {
    let versions = prop_oneof![Just(Version::V1), Just(Version::V2)];
    let tlvs = proptest::collection::vec(any::<u8>(), 0..40);
    (versions, any_address(), any_address(), tlvs, any::<(u8, u8)>()).prop_map(
        |(version, source, destination, tlvs, (at, to))| {
            let mut bytes = encoded(version, source, destination);
            if version == Version::V2 {
                bytes[15] += u8::try_from(tlvs.len()).unwrap();
                bytes.extend(tlvs);
            }
            let at = usize::from(at) % bytes.len();
            bytes[at] = to;
            bytes
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(source in any_address(), destination in any_address()) {
        for version in [Version::V1, Version::V2] {
            property::reads_back(version, source, destination);
        }
    }

    #[test]
    fn an_answer_stays_the_same_whatever_follows(
        bytes in prop_oneof![nearly_a_header(), proptest::collection::vec(any::<u8>(), 0..200)],
    ) {
        property::holds(&bytes);
    }
}
