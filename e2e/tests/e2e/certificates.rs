//! Certificates are renewed while everything runs.

use crate::edit::metric;
use crate::secure::{HOST, Secure, config, with_tls};
use e2e::{Authority, Leaf, Load, Outrigger, Put, Request, Running, Tls, alone, eventually};
use std::time::Duration;
use testserver::Server;
use tokio::time::{Instant, sleep};

/// All kinds of clients at once, with the number of connections that each may open.
struct Clients(Vec<(&'static str, Running, Option<u64>)>);

impl Clients {
    fn start(scene: &Secure) -> Self {
        let dial = scene.dial();
        let keep_alive = Load::on(dial.clone()).connections(4).path("/health");
        let streams = Load::on(dial.clone().http2()).connections(2).streams(4).path("/health");
        let full = scene.tls().without_resumption();
        let full = Load::on(dial.clone().tls(&full)).fresh().path("/health");
        let resumed = Load::on(dial.http2()).fresh().path("/health");
        Self(vec![
            ("keep-alive", keep_alive.start(), Some(4)),
            ("streams", streams.start(), Some(2)),
            ("full handshakes", full.start(), None),
            ("resumed handshakes", resumed.start(), None),
        ])
    }

    async fn wait_for_more(&self, requests: u64) {
        for (_, load, _) in &self.0 {
            load.wait_for_more(requests).await;
        }
    }

    /// # Panics
    /// A request failed, or a connection was closed.
    async fn stop(self) {
        for (name, load, connections) in self.0 {
            let tally = load.stop().await;
            println!(
                "{name}: {} requests, {} failed, {} connections",
                tally.total(),
                tally.failed(),
                tally.opened
            );
            assert_eq!(tally.failed(), 0, "{name}: {:#?}", tally.told);
            if let Some(connections) = connections {
                assert_eq!(tally.opened, connections, "{name}: a connection was closed");
            }
        }
    }
}

/// Makes full handshakes until one shows `leaf`, none of which may fail, and says how long that took.
async fn until_shown(scene: &Secure, leaf: &Leaf, before: &Leaf) -> Duration {
    let client = scene.tls().without_resumption();
    let begun = Instant::now();
    eventually("the new certificate", async || {
        let shown = client.handshake(scene.outrigger.address()).await.unwrap().certificate;
        assert!(&shown == leaf.der() || &shown == before.der(), "another certificate is shown");
        (&shown == leaf.der()).then_some(())
    })
    .await;
    let took = begun.elapsed();
    // Every worker shows it, not just the first that is asked.
    for _ in 0..8 {
        let shown = client.handshake(scene.outrigger.address()).await.unwrap().certificate;
        assert_eq!(&shown, leaf.der(), "a worker shows the old certificate");
    }
    took
}

/// T1: within a second; on a machine under load we wait longer and print what it took.
#[tokio::test]
async fn a_renewal_under_load_fails_no_request_and_closes_no_connection() {
    let _alone = alone().await;
    for way in Put::ALL {
        let server = Server::builder().name("one").start().await.unwrap();
        let authority = Authority::new("test authority");
        let mut leaf = authority.leaf(&[HOST]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tls")).unwrap();
        let files = |leaf: &Leaf| [("tls.crt", leaf.cert.clone()), ("tls.key", leaf.key.clone())];
        let put = |folder: &std::path::Path, leaf: &Leaf| {
            let files = files(leaf);
            let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
            way.put(&folder.join("tls"), &files);
        };
        put(folder.path(), &leaf);
        let tls = "certificates: [{ certFile: tls/tls.crt, keyFile: tls/tls.key }]";
        let yaml = with_tls(tls, "", &[server.url()], "");
        let outrigger = Outrigger::try_launch_in(folder, &yaml).await.unwrap();
        outrigger.until_ready().await;
        let scene = Secure { authority, leaf: leaf.clone(), server, outrigger };
        let clients = Clients::start(&scene);
        clients.wait_for_more(20).await;
        for _ in 0..3 {
            let renewed = scene.authority.leaf(&[HOST]);
            put(scene.outrigger.directory(), &renewed);
            let took = until_shown(&scene, &renewed, &leaf).await;
            println!("{way:?}: new handshakes got the new certificate after {took:?}");
            clients.wait_for_more(20).await;
            leaf = renewed;
        }
        clients.stop().await;
        let status = scene.outrigger.until("the file to be in sync", |it| it.config_in_sync).await;
        assert_eq!(status.reloads.refused, 0, "{way:?}: {:?}", status.refused);
        scene
            .outrigger
            .log()
            .find("the renewal in words", |line| {
                let words =
                    ["listener https: certificate ", "tls/tls.crt", " renewed, valid until "];
                words.iter().all(|word| line.contains(word))
            })
            .await;
        scene.outrigger.stop().await;
    }
}

/// T2: the certificate is written first, its key half a second later. The time in between is the subject.
#[tokio::test]
async fn a_pair_caught_in_the_middle_of_its_renewal_is_never_served() {
    let scene = Secure::start().await;
    let folder = scene.outrigger.directory();
    let clients = Clients::start(&scene);
    let mut leaf = scene.leaf.clone();
    for (way, first, then) in [
        (Put::Rename, "a.crt", "a.key"),
        (Put::InPlace, "a.crt", "a.key"),
        (Put::Rename, "a.key", "a.crt"),
    ] {
        let renewed = scene.authority.leaf(&[HOST]);
        let text = |name: &str| if name == "a.crt" { &renewed.cert } else { &renewed.key };
        way.put(folder, &[(first, text(first))]);
        let client = scene.tls().without_resumption();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(500) {
            // The handshake is signed by the key, so a mismatch would fail here.
            let shown = client.handshake(scene.outrigger.address()).await.unwrap().certificate;
            assert_eq!(&shown, leaf.der(), "half a pair is shown");
            sleep(Duration::from_millis(5)).await;
        }
        way.put(folder, &[(then, text(then))]);
        let took = until_shown(&scene, &renewed, &leaf).await;
        println!("{way:?}, {first} first: the new pair after {took:?}");
        leaf = renewed;
    }
    clients.stop().await;
    let status = scene.outrigger.until("the file to be in sync", |it| it.config_in_sync).await;
    assert_eq!(status.reloads.refused, 0, "half a pair was reported: {:?}", status.refused);
    scene.outrigger.stop().await;
}

/// T2: each bad file is refused by name and reason, the old certificate goes on, and a good one mends it.
#[tokio::test]
async fn a_bad_file_is_refused_by_name_and_reason_and_the_old_one_keeps_serving() {
    let server = Server::builder().start().await.unwrap();
    let (authority, clients) = (Authority::new("of servers"), Authority::new("of clients"));
    let leaf = authority.leaf(&[HOST]);
    let (ca, crl) = (clients.pem(), clients.crl(&[]));
    let files =
        [("a.crt", &*leaf.cert), ("a.key", &*leaf.key), ("ca.crt", &*ca), ("crl.pem", &*crl)];
    let tls = "certificates: [{ certFile: a.crt, keyFile: a.key }], \
               clientAuth: { caFile: ca.crt, mode: Optional, crlFile: crl.pem }";
    let yaml = with_tls(tls, "", &[server.url()], "");
    let outrigger = Outrigger::start_with(&files, &yaml).await;
    let client = Tls::new(&authority, HOST).without_resumption();

    let issue = |from, until| authority.issue(&Request::new(&[HOST]).days(from, until));
    let (expired, early, other) = (issue(-10, -1), issue(1, 90), issue(-1, 90));
    let half = leaf.cert[..leaf.cert.len() / 2].to_owned();
    let half_key = leaf.key[..leaf.key.len() / 2].to_owned();
    let both =
        |leaf: &Leaf| vec![("a.crt", Some(leaf.cert.clone())), ("a.key", Some(leaf.key.clone()))];
    // What is put in place, the file that must be named, and what must be said of it, one of these.
    type Case<'a> = (&'a str, Vec<(&'a str, Option<String>)>, &'a str, &'a [&'a str]);
    let cases: [Case<'_>; 11] = [
        ("expired", both(&expired), "a.crt", &["expired"]),
        (
            "not yet valid",
            both(&early),
            "a.crt",
            &["not valid before", "not yet valid", "not valid until"],
        ),
        (
            "another key",
            vec![("a.key", Some(other.key.clone()))],
            "a.key",
            &["not the key", "does not fit", "do not belong"],
        ),
        ("half a certificate", vec![("a.crt", Some(half))], "a.crt", &["pem", "certificate"]),
        ("half a key", vec![("a.key", Some(half_key))], "a.key", &["key"]),
        (
            "an empty certificate",
            vec![("a.crt", Some(String::new()))],
            "a.crt",
            &["no certificate", "empty"],
        ),
        (
            "no certificate",
            vec![("a.crt", None)],
            "a.crt",
            &["no such file", "not found", "not exist"],
        ),
        ("no key", vec![("a.key", None)], "a.key", &["no such file", "not found", "not exist"]),
        (
            "no authority",
            vec![("ca.crt", None)],
            "ca.crt",
            &["no such file", "not found", "not exist"],
        ),
        (
            "an authority that is none",
            vec![("ca.crt", Some("nonsense\n".into()))],
            "ca.crt",
            &["no certificate", "pem"],
        ),
        (
            "a list that is none",
            vec![("crl.pem", Some("nonsense\n".into()))],
            "crl.pem",
            &["no ", "pem"],
        ),
    ];
    for (what, put, file, reasons) in cases {
        let refused = outrigger.status().await.reloads.refused;
        for (name, text) in &put {
            match text {
                Some(text) => Put::Rename.put(outrigger.directory(), &[(name, text)]),
                None => std::fs::remove_file(outrigger.directory().join(name)).unwrap(),
            }
        }
        let status = outrigger
            .until(&format!("the refusal of {what}"), |status| {
                status.reloads.refused > refused && status.refused.is_some()
            })
            .await;
        let errors = status.refused.unwrap().errors;
        let messages: Vec<_> =
            errors.as_array().unwrap().iter().filter_map(|it| it["message"].as_str()).collect();
        let fits = |text: &str| {
            let lower = text.to_lowercase();
            text.contains(file) && reasons.iter().any(|reason| lower.contains(reason))
        };
        assert!(messages.iter().any(|text| fits(text)), "{what}: {errors:#}");
        println!("{what}: {}", messages.join(" | "));
        assert!(!status.config_in_sync && status.ready, "{what}");
        assert_eq!(metric(&outrigger, "outrigger_config_in_sync").await, "0", "{what}");
        outrigger.log().find(what, |line| fits(line)).await;
        let shown = client.handshake(outrigger.address()).await.unwrap().certificate;
        assert_eq!(&shown, leaf.der(), "{what}: the old certificate does not serve");
        let secret = leaf.key.lines().nth(1).unwrap();
        assert!(!outrigger.log().all().iter().any(|line| line.contains(secret)));

        for (name, text) in files {
            if put.iter().any(|(it, _)| *it == name) {
                Put::Rename.put(outrigger.directory(), &[(name, text)]);
            }
        }
        outrigger
            .until(&format!("the end of {what}"), |it| it.config_in_sync && it.refused.is_none())
            .await;
        assert_eq!(metric(&outrigger, "outrigger_config_in_sync").await, "1", "{what}");
    }
    // A new one is taken as if nothing had been.
    let both = [("a.crt", &*other.cert), ("a.key", &*other.key)];
    Put::Rename.put(outrigger.directory(), &both);
    eventually("the new certificate", async || {
        let shown = client.handshake(outrigger.address()).await.unwrap().certificate;
        (&shown == other.der()).then_some(())
    })
    .await;
    outrigger.stop().await;
}

/// An expired certificate is an error at the start, but other hosts need the process; `check` refuses it.
#[tokio::test]
async fn a_process_starts_with_an_expired_certificate_and_says_so() {
    let server = Server::builder().start().await.unwrap();
    let authority = Authority::new("test authority");
    let leaf = authority.issue(&Request::new(&[HOST]).days(-10, -1));
    let files = [("a.crt", &*leaf.cert), ("a.key", &*leaf.key)];
    let outrigger = Outrigger::start_with(&files, &config("", &[server.url()], "")).await;
    eventually("the warning", async || {
        let log = outrigger.log().all();
        println!("{}", log.join("\n"));
        let is_it = |line: &String| ["WARN", "a.crt", "expired"].iter().all(|it| line.contains(it));
        log.iter().any(is_it).then_some(())
    })
    .await;
    let config = outrigger.config();
    let arguments = ["check", config.to_str().unwrap()];
    let said = e2e::run_tool(e2e::binary().to_str().unwrap(), arguments).await;
    assert!(said.code != Some(0) && (said.out + &said.err).contains("expired"));
    outrigger.stop().await;
}

#[tokio::test]
async fn a_wrong_key_at_the_start_is_refused_with_the_place_in_the_configuration() {
    let authority = Authority::new("test authority");
    let (leaf, other) = (authority.leaf(&[HOST]), authority.leaf(&[HOST]));
    let files = [("a.crt", &*leaf.cert), ("a.key", &*other.key)];
    let yaml = config("", &["http://127.0.0.1:1".to_owned()], "");
    let ended = Outrigger::try_start_with(&files, &yaml).await.unwrap_err();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.log);
    assert!(ended.log.contains("listeners[0].tls.certificates[0].keyFile"), "{}", ended.log);
    assert!(ended.log.contains("config.yaml:5:"), "{}", ended.log);
    assert!(!ended.log.contains("PRIVATE KEY"), "{}", ended.log);
}

/// T1
#[tokio::test]
async fn the_end_of_each_certificate_is_known_before_it_comes() {
    let scene = Secure::start().await;
    let seconds = async || {
        let text = scene.outrigger.ask("/metrics").await.unwrap().text();
        let line =
            text.lines().find(|line| line.starts_with("outrigger_certificate_not_after_seconds{"));
        let line = line.unwrap_or_else(|| panic!("no not_after in\n{text}"));
        assert!(line.contains("listener=\"https\""), "{line}");
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let days = (seconds().await - now) / 86_400.0;
    assert!((89.9..=90.0).contains(&days), "{days} days");
    let renewed = scene.authority.issue(&Request::new(&[HOST]).days(-1, 180));
    let files = [("a.crt", &*renewed.cert), ("a.key", &*renewed.key)];
    Put::Rename.put(scene.outrigger.directory(), &files);
    eventually("the new end", async || {
        let days = (seconds().await - now) / 86_400.0;
        (179.0..=181.0).contains(&days).then_some(())
    })
    .await;
    scene.outrigger.stop().await;
}
