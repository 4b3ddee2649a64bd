//! What a client says of its connection and of itself.

use super::super::harness::{Config, server};
use super::{Arrive, attack, post, reader, with_field};

/// S1, S4: a client cannot have a field removed that the endpoint is to see, nor one that delimits the message.
#[tokio::test]
async fn a_connection_field_takes_away_only_what_is_the_clients() {
    let nominated = "host, content-length, transfer-encoding, x-forwarded-for, x-forwarded-proto, x-forwarded-host, via, \
                     x-request-id, cookie, close-not, te, connection";
    let arrived = attack(vec![
        (
            post(&format!("Connection: {nominated}\r\nCookie: a=1\r\nContent-Length: 2"), "hi"),
            Arrive("hi"),
        ),
        (
            post(
                &format!("Connection: {nominated}\r\nTransfer-Encoding: chunked"),
                "2\r\nhi\r\n0\r\n\r\n",
            ),
            Arrive("hi"),
        ),
        (
            post("Connection: Content-Length\r\nConnection: HOST\r\nContent-Length: 2", "hi"),
            Arrive("hi"),
        ),
        (with_field("Connection: x-forwarded-for\r\nX-Forwarded-For: 9.9.9.9"), Arrive("")),
        (with_field("Connection: \u{fc}, , ,host;q=1"), Arrive("")),
    ])
    .await;
    for request in arrived.into_iter().flatten() {
        assert_eq!(request.values("host"), ["a"], "{request:?}");
        assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"], "{request:?}");
        assert_eq!(request.values("x-forwarded-proto"), ["http"], "{request:?}");
        assert_eq!(request.values("x-forwarded-host"), ["a"], "{request:?}");
        assert_eq!(request.values("via"), ["1.1 outrigger"], "{request:?}");
        assert_eq!(request.values("x-request-id").len(), 1, "{request:?}");
        for gone in ["cookie", "connection", "te"] {
            assert_eq!(request.values(gone), Vec::<&str>::new(), "{request:?}");
        }
    }
}

/// S4: neither in the head nor behind the body, in no spelling.
#[tokio::test]
async fn a_client_that_is_not_trusted_says_nothing_of_itself() {
    let names = [
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded_For",
        "X_Forwarded-For",
        "x-forwarded-for",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X_FORWARDED_PROTO",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Forwarded-Ssl",
        "X-Forwarded",
        "X-Forwarded-",
        "X_Forwarded",
        "Forwarded",
        "X-Request_Id",
        "X_Request_Id",
    ];
    let mut vectors = Vec::new();
    for name in names {
        vectors.push((with_field(&format!("{name}: 9.9.9.9")), Arrive("")));
        vectors.push((with_field(&format!("{name}:\t9.9.9.9\r\n{name}: 9.9.9.9")), Arrive("")));
        let trailer = format!("2\r\nhi\r\n0\r\n{name}: 9.9.9.9\r\n\r\n");
        let fields = format!("TE: trailers\r\nTrailer: {name}\r\nTransfer-Encoding: chunked");
        vectors.push((post(&fields, &trailer), Arrive("hi")));
    }
    for request in attack(vectors).await {
        let request = request.unwrap();
        assert!(!request.fields.iter().any(|(_, value)| value.contains("9.9.9.9")), "{request:?}");
        assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
        let own = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
        let names = request.fields.iter().map(|(name, _)| name.replace('_', "-"));
        assert_eq!(names.filter(|name| name.contains("forwarded")).collect::<Vec<_>>(), own);
    }
}

/// S4: whatever way `/admin` is written, its route takes it, or nobody does. What applications do with `;` is theirs: such a path
/// goes where it says, in the bytes that were matched.
#[tokio::test]
async fn no_way_to_write_a_path_leads_around_its_route() {
    let (open, guarded) = (server().await, server().await);
    let proxy = Config::to(&[&open])
        .backend("guarded", &[&guarded], "")
        .routes(
            "{ name: admin, matches: [{ path: { prefix: /admin } }], backends: [guarded] }, \
             { name: rest, backends: [test] }",
        )
        .start();
    for target in [
        &b"/admin"[..],
        b"/admin/",
        b"//admin",
        b"///admin//",
        b"/./admin",
        b"/x/../admin",
        b"/x/%2e%2e/admin",
        b"/x/.%2E/admin",
        b"/x/%2e./admin",
        b"/%61dmin",
        b"/adm%69n",
        b"/%61%64%6d%69%6e",
        b"/admin?x=/../",
        b"/admin#x",
        b"/admin/../admin",
        b"http://a/admin",
        b"http://a//admin",
        b"http://a/x/../admin",
        b"/x/..//admin",
        b"/admin/.",
        b"/admin/x/..",
        b"/x%2f..%2fadmin",
        b"/x/..%2fadmin",
        b"/..%2fadmin",
        b"/%2fadmin",
        b"/%2e%2e%2fadmin",
        b"/x%5c..%5cadmin",
        b"/x\\..\\admin",
        b"/\\admin",
        b"/%5cadmin",
        b"/admin%00",
        b"/admin%00.png",
        b"/%00/admin",
        b"/../admin",
        b"/../../admin",
        b"/x/../../admin",
        b"/%2e%2e/admin",
        b"/%",
        b"/admin%",
        b"/admin%4",
        b"/admin%zz",
        b"/%u0061dmin",
        b"/adm\0in",
        b"/adm\x7fin",
    ] {
        let mut client = proxy.client().await;
        client
            .send([b"GET ", target, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat())
            .await;
        let status = client.answer().await.status;
        assert!([400, 404].contains(&status), "{}: {status}", target.escape_ascii());
    }
    assert_eq!(open.counts().requests, 0, "{:?}", open.received());
    let mut targets = Vec::new();
    for connection in guarded.received() {
        targets.extend(reader::requests(&connection).0.iter().map(|one| one.target().to_owned()));
    }
    let admin = |target: &String| target.trim_start_matches('/').starts_with("admin");
    assert!(targets.len() > 20 && targets.iter().all(admin), "{targets:?}");
    // Others of their kind are other paths, and arrive as they were matched.
    for (target, sent) in [
        (&b"/x/..;/admin"[..], "/x/..;/admin"),
        (b"/x//..//admin", "/x//admin"),
        (b"/admin;x", "/admin;x"),
        (b"/%2561dmin", "/%2561dmin"),
        (b"/x/..%252fadmin", "/x/..%252fadmin"),
        (b"/Admin", "/Admin"),
        (b"/adm\xFFin", ""),
        (b"/\xEF\xBC\x8Fadmin", "/%EF%BC%8Fadmin"),
        (b"/adm%FFin", "/adm%FFin"),
        (b"/%c0%afadmin", "/%C0%AFadmin"),
        (b"/%c0%ae%c0%ae/admin", "/%C0%AE%C0%AE/admin"),
    ] {
        let before = open.counts().requests;
        let mut client = proxy.client().await;
        client
            .send([b"GET ", target, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat())
            .await;
        let answer = client.answer().await;
        if sent.is_empty() {
            assert_eq!(
                (answer.status, open.counts().requests),
                (400, before),
                "{}",
                target.escape_ascii()
            );
        } else {
            let arrived = open.received().concat();
            let line = format!("GET {sent} HTTP/1.1\r\n");
            assert!(arrived.windows(line.len()).any(|bytes| bytes == line.as_bytes()), "{sent}");
        }
    }
}
