//! What is no HTTP/2, or no request: it ends the stream or the connection, and reaches no endpoint.

use super::*;

/// RFC 9113, section 6.9.1 and 5.1: what cannot be counted, or was counted before.
#[tokio::test]
async fn violations_end_the_stream_or_the_connection_and_reach_no_endpoint() {
    // Where a code of its own would say more, the h2 library says this.
    const PROTOCOL_ERROR: u32 = 1;
    const FLOW_CONTROL_ERROR: u32 = 3;
    const STREAM_CLOSED: u32 = 5;
    const FRAME_SIZE_ERROR: u32 = 6;
    const COMPRESSION_ERROR: u32 = 9;
    let scene = Scene::start().await;
    let most = 0x7fff_ffff_u32.to_be_bytes();

    let mut frames = scene.attacker().await;
    frames.get(1, "/hold").await.unwrap();
    frames.frame(kind::WINDOW_UPDATE, 0, 1, &most).await.unwrap();
    frames.flush().await.unwrap();
    let seen = frames
        .until("the reset of the stream", |seen| seen.closed || !seen.resets.is_empty())
        .await;
    assert!(seen.resets.contains(&(1, FLOW_CONTROL_ERROR)) || seen.go_away.is_some(), "{seen:?}");

    let head = block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/violation"),
    ]);
    let whole = flag::END_HEADERS | flag::END_STREAM;
    type Sent = Vec<(u8, u8, u32, Vec<u8>)>;
    let get = |stream| {
        (
            kind::HEADERS,
            whole,
            stream,
            block(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a"),
                (":path", "/health"),
            ]),
        )
    };
    let violations: [(&str, Sent, &[u32]); 14] = [
        (
            "a connection's window that overflows",
            vec![(kind::WINDOW_UPDATE, 0, 0, most.to_vec())],
            &[FLOW_CONTROL_ERROR],
        ),
        (
            "a connection's window by nothing",
            vec![(kind::WINDOW_UPDATE, 0, 0, vec![0; 4])],
            &[PROTOCOL_ERROR],
        ),
        (
            "a stream of an even number",
            vec![(kind::HEADERS, whole, 2, head.clone())],
            &[PROTOCOL_ERROR],
        ),
        (
            "a stream before another",
            vec![get(5), (kind::HEADERS, whole, 3, head.clone())],
            &[PROTOCOL_ERROR, STREAM_CLOSED],
        ),
        ("the stream 0", vec![(kind::HEADERS, whole, 0, head.clone())], &[PROTOCOL_ERROR]),
        (
            "DATA of no stream",
            vec![(kind::DATA, 0, 7, b"x".to_vec())],
            &[PROTOCOL_ERROR, STREAM_CLOSED],
        ),
        ("RST_STREAM of no stream", vec![(kind::RST_STREAM, 0, 7, vec![0; 4])], &[PROTOCOL_ERROR]),
        (
            "CONTINUATION of nothing",
            vec![(kind::CONTINUATION, flag::END_HEADERS, 1, head.clone())],
            &[PROTOCOL_ERROR],
        ),
        (
            "a frame in the middle of a head",
            vec![
                (kind::HEADERS, flag::END_STREAM, 1, head.clone()),
                (kind::PING, 0, 0, vec![0; 8]),
            ],
            &[PROTOCOL_ERROR],
        ),
        (
            "PUSH_PROMISE of a client",
            vec![(
                kind::PUSH_PROMISE,
                flag::END_HEADERS,
                1,
                [&2_u32.to_be_bytes()[..], &head].concat(),
            )],
            &[PROTOCOL_ERROR],
        ),
        (
            "a frame beyond the largest",
            vec![(kind::DATA, 0, 1, vec![0; MAX_PAYLOAD + 1])],
            &[FRAME_SIZE_ERROR],
        ),
        (
            "SETTINGS of five bytes",
            vec![(kind::SETTINGS, 0, 0, vec![0; 5])],
            &[FRAME_SIZE_ERROR, PROTOCOL_ERROR],
        ),
        (
            "a window beyond the largest",
            vec![(kind::SETTINGS, 0, 0, vec![0, 4, 0xff, 0xff, 0xff, 0xff])],
            &[FLOW_CONTROL_ERROR, PROTOCOL_ERROR],
        ),
        (
            "a block that cannot be decoded",
            vec![(kind::HEADERS, whole, 1, vec![0xff; 20])],
            &[COMPRESSION_ERROR, PROTOCOL_ERROR],
        ),
    ];
    for (what, sent, codes) in violations {
        let mut frames = scene.attacker().await;
        for (kind, flags, stream, payload) in sent {
            // It may be closed by the first of two.
            let _ = frames.frame(kind, flags, stream, &payload).await;
        }
        let _ = frames.flush().await;
        let seen = frames.until_closed(what).await;
        println!("{what}: GOAWAY {:?}", seen.go_away);
        assert!(seen.go_away.is_some_and(|code| codes.contains(&code)), "{what}: {seen:?}");
    }
    assert_eq!(scene.reached("/violation"), 0);
    scene.end("violations").await;
}

/// S1: what means one request here and two, or another, in HTTP/1.1.
#[tokio::test]
async fn a_head_that_http_1_1_would_read_otherwise_reaches_no_endpoint() {
    let scene = Scene::start().await;
    let plain =
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/smuggled")];
    let with = |place: usize, name: &'static str, value: &'static str| {
        let mut fields = plain.to_vec();
        fields[place] = (name, value);
        fields
    };
    let and = |more: &[(&'static str, &'static str)]| [&plain[..], more].concat();
    let heads = [
        (
            "a line break in the path",
            with(3, ":path", "/smuggled HTTP/1.1\r\nx: y\r\n\r\nGET /two"),
        ),
        ("a space in the path", with(3, ":path", "/smuggled two")),
        ("a path without a slash", with(3, ":path", "smuggled")),
        ("an empty path", with(3, ":path", "")),
        ("NUL in the path", with(3, ":path", "/smuggled\0")),
        ("a line break in the method", with(0, ":method", "GET /smuggled HTTP/1.1\r\nx:")),
        ("a space in the method", with(0, ":method", "GET /smuggled")),
        ("a line break in the authority", with(2, ":authority", "a\r\nx: y")),
        ("an authority with user and password", with(2, ":authority", "user:pass@a")),
        ("an authority with a path", with(2, ":authority", "a/smuggled")),
        ("a scheme that is none", with(1, ":scheme", "http://a/smuggled?")),
        ("a line break in a value", and(&[("x-a", "b\r\nx-smuggled: c")])),
        ("a bare CR in a value", and(&[("x-a", "b\rc")])),
        ("a bare LF in a value", and(&[("x-a", "b\nc")])),
        ("NUL in a value", and(&[("x-a", "b\0c")])),
        ("a line break in a name", and(&[("x-a: b\r\nx-c", "d")])),
        ("a colon in a name", and(&[("x-a:b", "c")])),
        ("a space in a name", and(&[("x-a ", "b")])),
        ("an empty name", and(&[("", "b")])),
        ("a name in upper case", and(&[("X-A", "b")])),
        ("transfer-encoding", and(&[("transfer-encoding", "chunked")])),
        ("connection", and(&[("connection", "x-forwarded-for")])),
        ("upgrade", and(&[("upgrade", "h2c")])),
        ("te of gzip", and(&[("te", "gzip")])),
        ("another host", and(&[("host", "b")])),
        ("two hosts", and(&[("host", "a"), ("host", "b")])),
        ("two lengths", and(&[("content-length", "1"), ("content-length", "2")])),
        ("a length that is none", and(&[("content-length", "+1")])),
        ("a length without a body", and(&[("content-length", "10")])),
        ("a pseudo field twice", and(&[(":path", "/smuggled?2")])),
        ("a pseudo field after another", [&[("x-a", "b")][..], &plain].concat()),
        ("a pseudo field of no meaning", and(&[(":protocol", "websocket")])),
        ("a pseudo field of answers", and(&[(":status", "200")])),
        ("no path", plain[..3].to_vec()),
        ("no method", plain[1..].to_vec()),
    ];
    for (what, fields) in heads {
        let mut frames = scene.attacker().await;
        let whole = flag::END_HEADERS | flag::END_STREAM;
        frames.frame(kind::HEADERS, whole, 1, &block(&fields)).await.unwrap();
        // On the same connection, if it is left.
        let _ = frames.frame(kind::PING, 0, 0, &[1; 8]).await;
        let _ = frames.flush().await;
        let answered = |seen: &Seen| seen.closed || !seen.resets.is_empty() || seen.frames[1] > 0;
        let seen = frames.until(what, answered).await;
        println!(
            "{what}: {} answers, resets {:?}, GOAWAY {:?}",
            seen.frames[1], seen.resets, seen.go_away
        );
        for path in ["/smuggled", "/two", "smuggled", "/smuggled\0", ""] {
            assert_eq!(scene.reached(path), 0, "{what}: the endpoint got it");
        }
    }
    scene.end("heads").await;
}

/// S1: a body that is not as long as its head says is no request that ended well.
#[tokio::test]
async fn a_body_of_another_length_than_announced_is_refused() {
    let scene = Scene::start().await;
    for (length, body) in [("5", "abc"), ("3", "abcde"), ("0", "abc")] {
        let mut frames = scene.attacker().await;
        let head = frames.head("POST", "/sink", &[("content-length", length)]);
        frames.frame(kind::HEADERS, flag::END_HEADERS, 1, &head).await.unwrap();
        let _ = frames.frame(kind::DATA, flag::END_STREAM, 1, body.as_bytes()).await;
        let _ = frames.flush().await;
        let ended = |seen: &Seen| seen.closed || !seen.resets.is_empty() || seen.frames[1] > 0;
        let seen = frames.until("its end", ended).await;
        println!(
            "{length} announced, {} came: {} answers, resets {:?}, GOAWAY {:?}",
            body.len(),
            seen.frames[1],
            seen.resets,
            seen.go_away
        );
        assert!(seen.go_away.is_some() || !seen.resets.is_empty() || seen.frames[1] > 0);
        drop(frames);
    }
    // No byte of a body is taken for the next request: the endpoint reads strictly and would say so.
    assert_eq!(scene.server.requests_to("abc"), 0);
    scene.end("bodies of other lengths").await;
}

/// S3: connections that begin and go no further.
#[tokio::test]
async fn connections_that_stop_in_the_middle_are_closed() {
    let scene = Scene::with("headerTimeout: 500ms, idleTimeout: 1s").await;
    let settings = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    let half_head = [&settings[..], &[0, 0, 9, 1, 0, 0, 0, 0, 1, 0x82]].concat();
    let open_head = [&settings[..], &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]].concat();
    for (what, first) in [
        ("half a preface", &PREFACE[..10]),
        ("a preface", PREFACE),
        ("a preface and settings", &settings),
        ("half a frame", &half_head),
        ("a head without its end", &open_head),
    ] {
        let begun = Instant::now();
        let mut streams = Vec::new();
        for _ in 0..50 {
            let mut stream = TcpStream::connect(scene.address()).await.unwrap();
            stream.write_all(first).await.unwrap();
            streams.push(stream);
        }
        let mut rest = Vec::new();
        for mut stream in streams {
            // A reset is an end, too.
            let _ = in_time(what, stream.read_to_end(&mut rest)).await;
        }
        println!("{what}: closed after {:?}", begun.elapsed());
    }
    scene.end("connections that stop").await;
}

/// S3: a body that trickles is ended; its stream alone.
#[tokio::test]
async fn a_body_that_stops_ends_its_stream_alone() {
    let scene = Scene::with("bodyTimeout: 300ms").await;
    let mut frames = scene.attacker().await;
    frames.post(1, "/sink").await.unwrap();
    frames.frame(kind::DATA, 0, 1, b"abc").await.unwrap();
    frames.flush().await.unwrap();
    let ended = |seen: &Seen| seen.frames[1] > 0 || !seen.resets.is_empty();
    frames.until("the end of the stream", ended).await;
    frames.get(3, "/health").await.unwrap();
    frames.flush().await.unwrap();
    let seen = frames.until("an answer", |seen| seen.closed || seen.data > 0).await;
    assert!(!seen.closed, "{seen:?}");
    drop(frames);
    scene.end("a body that stops").await;
}

/// S2: trailers count as a head does.
#[tokio::test]
async fn trailers_are_bounded_like_heads() {
    let scene = Scene::start().await;
    let mut frames = scene.attacker().await;
    let mut trailers = kept("x-bomb", &"x".repeat(3_900));
    trailers.extend(vec![LAST_KEPT; MAX_PAYLOAD - trailers.len()]);
    let _ = repeat(&scene, &mut frames, 50, async |frames, number| {
        frames.post(id(number), "/echo").await?;
        frames.frame(kind::DATA, 0, id(number), b"abc").await?;
        let flags = flag::END_HEADERS | flag::END_STREAM;
        frames.frame(kind::HEADERS, flags, id(number), &trailers).await?;
        frames.flush().await
    })
    .await;
    let ended = |seen: &Seen| seen.closed || !seen.resets.is_empty() || seen.frames[1] > 0;
    let seen = frames.until("an end", ended).await;
    println!(
        "trailers: GOAWAY {:?}, {} resets, {} answers",
        seen.go_away,
        seen.resets.len(),
        seen.frames[1]
    );
    scene.assert_bounded();
    drop(frames);
    scene.end("trailers").await;
}
