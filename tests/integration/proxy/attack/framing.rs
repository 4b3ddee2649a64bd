//! Where a request's body ends (RFC 9112, sections 6 and 7).

use super::{Arrive, BeClear, BeCut, BeRefused, HIDDEN, Must, attack, chunked, post};

const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

/// S1: read by its length, such a request ends elsewhere than its chunks do.
#[tokio::test]
async fn a_length_beside_chunks_never_counts() {
    let both = |length: &str, coding: &str, body: &str| {
        [
            post(&format!("Content-Length: {length}\r\n{coding}"), body),
            post(&format!("{coding}\r\nContent-Length: {length}"), body),
        ]
    };
    let mut vectors = Vec::new();
    for coding in [
        "Transfer-Encoding: chunked",
        "transfer-encoding:CHUNKED",
        "Transfer-Encoding:\tchunked \t",
    ] {
        for length in ["0", "4", "5", "15", "60", "99999999999"] {
            vectors.extend(both(length, coding, HELLO).map(|bytes| (bytes, Arrive("hello"))));
        }
        for length in ["+5", "-1", "0x5", "5, 6", "five", ""] {
            vectors.extend(both(length, coding, HELLO).map(|bytes| (bytes, BeClear("hello"))));
        }
        // CL.TE and TE.CL: a request in what the other reader takes for the rest.
        let hidden = format!("0\r\n\r\n{HIDDEN}");
        vectors.extend(both("6", coding, &hidden).map(|bytes| (bytes, Arrive(""))));
    }
    attack(vectors).await;
}

/// S1: a coding that one reader knows and another does not.
#[tokio::test]
async fn only_chunked_and_only_once_is_a_coding() {
    let refused = [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked; a=\"\r\n\"",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: ch\u{fc}nked",
        "Transfer-Encoding: chun ked",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: \0chunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: chunked\x0b",
        "Transfer-Encoding: \x0cchunked",
        "Transfer-Encoding: \u{a0}chunked",
        "Transfer-Encoding: \rchunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding:\r\n\tchunked",
        "Transfer-Encoding:\n chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding\x0b: chunked",
        "Transfer-Encoding\0: chunked",
        "Transfer Encoding: chunked",
        "Transfer-Encoding chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \r\nTransfer-Encoding: gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
        "Transfer-Encoding:",
        "Transfer-Encoding: ,",
    ];
    let mut vectors = Vec::new();
    for coding in refused {
        vectors.push((post(coding, HELLO), BeRefused));
        vectors.push((post(&format!("Content-Length: 15\r\n{coding}"), HELLO), BeRefused));
        vectors.push((post(&format!("{coding}\r\nContent-Length: 15"), HELLO), BeRefused));
    }
    // Empty items of a list are none (RFC 9110, section 5.6.1).
    for coding in [", chunked", "chunked ,", "chunked,,"] {
        vectors.push((post(&format!("Transfer-Encoding: {coding}"), HELLO), BeClear("hello")));
    }
    // HTTP/1.0 has no chunks (RFC 9112, section 6.1).
    let old =
        format!("POST {{it}} HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{HELLO}");
    vectors.push((old.into_bytes(), BeRefused));
    // Names that an application could take for the other are none of ours; the body is told by what is.
    for name in ["Transfer_Encoding", "X-Transfer-Encoding", "Content_Length"] {
        vectors.push((post(&format!("{name}: chunked\r\nContent-Length: 2"), "hi"), Arrive("hi")));
    }
    attack(vectors).await;
}

/// S1
#[tokio::test]
async fn a_length_is_a_number_and_only_one() {
    let mut vectors = Vec::new();
    for length in [
        "+5",
        "-5",
        "-0",
        "0x5",
        "5 5",
        "5,6",
        "5, 6",
        "5;",
        "5.0",
        "5e0",
        "five",
        "",
        "\"5\"",
        "5\0",
        "\u{662}",
        "1_0",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        vectors.push((post(&format!("Content-Length: {length}"), "hello"), BeRefused));
    }
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 6\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5, 6",
        "Content-Length: 5\r\nContent-Length:",
        "Content-Length : 5",
        "Content-Length:\r\n 5",
        " Content-Length: 5",
        "Content-Length: 5\r\nContent-Length: +5",
    ] {
        vectors.push((post(lengths, "hello"), BeRefused));
    }
    for lengths in [
        "Content-Length: 5",
        "Content-Length:5 \t",
        "Content-Length: 005",
        "CONTENT-LENGTH: 5",
        "Content-Length: 5\r\nContent-Length: 05",
    ] {
        vectors.push((post(lengths, "hello"), Arrive("hello")));
    }
    attack(vectors).await;
}

/// S1: RFC 9112, section 7.1. A reader that is content with less sees another end.
#[tokio::test]
async fn a_chunk_is_as_long_as_it_says_and_ends_with_its_line() {
    let cut = [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5h\r\nhello\r\n0\r\n\r\n",
        "5\x0b\r\nhello\r\n0\r\n\r\n",
        "5\0\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\rhello\r\n0\r\n\r\n",
        "5\n\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        // Its data is longer or shorter than it says.
        "4\r\nhello\r\n0\r\n\r\n",
        "6\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        // Extensions.
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
        "5;\n\r\nhello\r\n0\r\n\r\n",
        "5;\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        // The last chunk and what comes behind it.
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\nX A: 1\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A : 1\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A: a\0b\r\n\r\n",
        "5\r\nhello\r\n0\r\nno-colon\r\n\r\n",
        "5\r\nhello\r\n0\r\n: 1\r\n\r\n",
    ];
    let mut vectors: Vec<(Vec<u8>, Must)> = cut.map(|chunks| (chunked(chunks), BeCut)).into();
    let long = "x".repeat(20_000);
    let many = format!("5{}\r\nhello\r\n0\r\n\r\n", ";a=b".repeat(10_000));
    vectors.push((chunked(&many), BeCut));
    vectors.push((chunked(&format!("5;{long}\r\nhello\r\n0\r\n\r\n")), BeCut));
    vectors.push((
        chunked(&format!("5\r\nhello\r\n0\r\nX-A: {long}{long}{long}{long}\r\n\r\n")),
        BeCut,
    ));
    vectors
        .push((chunked(&format!("5\r\nhello\r\n0\r\n{}\r\n", "X-A: 1\r\n".repeat(5_000))), BeCut));
    for chunks in [
        HELLO,
        "5;a\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b;c\"\r\nhello\r\n0;d\r\n\r\n",
        "0000000000000005\r\nhello\r\n00\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        // Fields that delimit the message, or belong to its head, are nothing behind it.
        "5\r\nhello\r\n0\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\nHost: b\r\n\r\n",
    ] {
        vectors.push((chunked(chunks), Arrive("hello")));
    }
    // hyper takes what follows for more of the fields behind the body, and loses it: the next request, not the next body.
    for chunks in ["5\r\nhello\r\n0\r\n\n", "5\r\nhello\r\n0\r\nX-A: 1\n\r\n"] {
        vectors.push((chunked(chunks), BeClear("hello")));
    }
    attack(vectors).await;
}
