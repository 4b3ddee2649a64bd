//! Who is believed to be the client.

use super::harness::{Config, received, server};

/// What an endpoint is told of a request from 127.0.0.1 with these fields, when these are trusted.
async fn told(trusted: &str, fields: &str) -> String {
    let server = server().await;
    let proxy = Config::to(&[&server]).trusted(trusted).start();
    let request = format!("GET / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n");
    assert_eq!(proxy.ask(request).await.status, 200);
    received(&server).concat()
}

fn values<'a>(received: &'a str, name: &str) -> Vec<&'a str> {
    let fields = received.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(n, _)| *n == name).map(|(_, value)| value).collect()
}

/// S4
#[tokio::test]
async fn a_peer_that_is_not_trusted_is_the_client() {
    for trusted in ["", "10.0.0.0/8", "'::1'"] {
        let raw = told(
            trusted,
            "X-Forwarded-For: 10.0.0.1\r\nX_Forwarded_For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: evil\r\nX-Forwarded-Port: 9\r\nForwarded: for=9.9.9.9\r\n",
        )
        .await;
        assert!(!raw.contains("9.9.9.9") && !raw.contains("evil"), "{raw}");
        assert_eq!(values(&raw, "x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(values(&raw, "x-forwarded-proto"), ["http"]);
        assert_eq!(values(&raw, "x-forwarded-host"), ["a.example"]);
        assert_eq!(values(&raw, "x-forwarded-port"), Vec::<&str>::new());
    }
}

#[tokio::test]
async fn what_a_trusted_proxy_says_is_kept_and_it_is_put_behind() {
    let raw = told(
        "127.0.0.1, 10.0.0.0/8",
        "X-Forwarded-For: 1.1.1.1, 203.0.113.9\r\nX-Forwarded-For: 10.0.0.2\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\n\
         X_Forwarded_For: 9.9.9.9\r\nX-Forwarded_Proto: evil\r\n",
    )
    .await;
    assert!(!raw.contains("9.9.9.9") && !raw.contains("evil"), "{raw}");
    assert_eq!(values(&raw, "x-forwarded-for"), ["1.1.1.1, 203.0.113.9, 10.0.0.2, 127.0.0.1"]);
    assert_eq!(values(&raw, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&raw, "x-forwarded-host"), ["shop.example"]);
    assert_eq!(values(&raw, "x-forwarded-port"), ["443"]);
    assert_eq!(values(&raw, "forwarded"), Vec::<&str>::new());
}

#[tokio::test]
async fn what_a_trusted_proxy_leaves_out_is_filled_in() {
    let raw = told("127.0.0.0/8", "").await;
    assert_eq!(values(&raw, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&raw, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&raw, "x-forwarded-host"), ["a.example"]);
    let raw = told("127.0.0.0/8", "Forwarded: for=\"[2001:db8::1]:1234\";proto=https\r\n").await;
    assert_eq!(
        values(&raw, "forwarded"),
        ["for=\"[2001:db8::1]:1234\";proto=https, for=127.0.0.1"]
    );
    assert_eq!(values(&raw, "x-forwarded-for"), ["2001:db8::1, 127.0.0.1"]);
    assert_eq!(values(&raw, "x-forwarded-proto"), ["https"]);
}

/// A trusted proxy that passes on its client's `Connection` field takes nothing of this away.
#[tokio::test]
async fn no_connection_field_removes_what_is_told() {
    let raw = told(
        "127.0.0.1",
        "Connection: x-forwarded-for, x-forwarded-proto\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n",
    )
    .await;
    assert_eq!(values(&raw, "x-forwarded-for"), ["203.0.113.9, 127.0.0.1"]);
    assert_eq!(values(&raw, "x-forwarded-proto"), ["https"]);
}

/// The client's address is what is hashed, whoever brought the request.
#[tokio::test]
async fn the_named_client_is_hashed() {
    let servers = [server().await, server().await, server().await, server().await];
    let all: Vec<_> = servers.iter().collect();
    let proxy = Config::to(&all).trusted("127.0.0.1").keys("algorithm: SourceIpHash").start();
    let counts = || servers.each_ref().map(|server| server.counts().requests);
    let mut homes = std::collections::HashSet::new();
    for client in 0..16 {
        let mut home = None;
        for named in [
            format!("198.51.100.{client}"),
            format!("1.1.1.1, [::ffff:198.51.100.{client}]:{client}"),
        ] {
            let before = counts();
            proxy
                .ask(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {named}\r\n\r\n"))
                .await;
            let after = counts();
            let asked = (0..4).find(|at| before[*at] != after[*at]).unwrap();
            assert_eq!(*home.get_or_insert(asked), asked, "{named}");
        }
        homes.insert(home);
    }
    assert!(homes.len() > 1, "all clients on one endpoint");
}

/// S4: a proxy that writes one of the two fields passes on what its client wrote in the other.
#[tokio::test]
async fn a_client_cannot_name_another_in_the_field_that_the_proxy_does_not_write() {
    let server = server().await;
    let proxy = Config::to(&[&server]).trusted("127.0.0.1").start();
    for (list, forwarded, status) in [
        ("9.9.9.9", "for=203.0.113.9", 400),
        ("203.0.113.9", "for=9.9.9.9", 400),
        ("203.0.113.9", "for=unknown", 400),
        ("203.0.113.9", "for=203.0.113.9;proto=https", 200),
        ("1.1.1.1, 203.0.113.9", "for=\"203.0.113.9:80\"", 200),
    ] {
        let fields = format!("X-Forwarded-For: {list}\r\nForwarded: {forwarded}\r\n");
        let answer = proxy.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        assert_eq!(answer.status, status, "{fields}");
    }
    assert!(!received(&server).concat().contains("9.9.9.9"));
}
