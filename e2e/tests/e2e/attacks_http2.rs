//! Attacks on HTTP/2, frame by frame. While each runs, another client is served and memory stays bounded; afterwards
//! nothing is left of it. Each is bounded in count and time.

#[path = "attacks_http2/violations.rs"]
mod violations;

use crate::scene::config;
use e2e::frames::{Frames, LAST_KEPT, MAX_PAYLOAD, PREFACE, Seen, block, flag, kept, kind};
use e2e::{Alone, Dial, Load, Outrigger, PORTS, Running, alone, eventually, in_time};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use testserver::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How much more resident memory an attack may cost, in KiB. A connection may hold its windows and one head of 64 KiB; what
/// is beyond that is the allocator's, the other client's and a debug build's.
const GROWTH_KIB: u64 = 64 * 1024;

/// How long the other client may wait for an answer: what it takes on a busy machine with two cores, where a debug build
/// shares them with an attacker that does not rest.
const SERVED_WITHIN: Duration = Duration::from_secs(10);

const ENHANCE_YOUR_CALM: u32 = 11;

/// A process under attack, and the others whom it serves.
struct Scene {
    server: Server,
    outrigger: Outrigger,
    others: Vec<Running>,
    resident_kib: u64,
    open_files: usize,
    _alone: Alone,
}

impl Scene {
    async fn start() -> Self {
        Self::with("").await
    }

    /// With these limits of the listener, in flow style.
    async fn with(limits: &str) -> Self {
        let alone = alone().await;
        let server = Server::builder().start().await.unwrap();
        let yaml = config("RoundRobin", &[server.url()], "");
        let listener = "address: 127.0.0.1:0 }]";
        assert!(PORTS.contains(listener));
        let limited = format!("address: 127.0.0.1:0, limits: {{ {limits} }} }}]");
        let outrigger = Outrigger::start(&yaml.replace(listener, &limited)).await;
        // What a process under any load grows to is not the attack's.
        let load = |dial: Dial| Load::on(dial).connections(2).path("/bytes/1000");
        let (plain, http2) = (Dial::to(outrigger.address()), Dial::to(outrigger.address()).http2());
        load(plain.clone()).requests(500).await.assert_all_ok();
        load(http2.clone()).streams(8).requests(500).await.assert_all_ok();
        let idle = async || (server.counts().in_flight == 0).then_some(());
        eventually("an idle server", idle).await;
        let (resident_kib, open_files) = (outrigger.resident_kib(), outrigger.open_files());
        let others = vec![load(plain).start(), load(http2).streams(2).start()];
        Self { server, outrigger, others, resident_kib, open_files, _alone: alone }
    }

    fn address(&self) -> SocketAddr {
        self.outrigger.address()
    }

    async fn attacker(&self) -> Frames {
        Frames::open(self.address(), &[]).await.unwrap()
    }

    /// What the attack has cost so far.
    fn growth_kib(&self) -> u64 {
        self.outrigger.resident_kib().saturating_sub(self.resident_kib)
    }

    /// # Panics
    /// Memory has grown too much.
    fn assert_bounded(&self) {
        let grown = self.growth_kib();
        assert!(grown < GROWTH_KIB, "{grown} KiB more");
    }

    /// Requests at the endpoint on this path.
    fn reached(&self, path: &str) -> u64 {
        self.server.requests_to(path)
    }

    /// Waits until nothing is left of the attack, with the others served all the while.
    async fn end(self, attack: &str) {
        self.assert_bounded();
        for load in &self.others {
            load.wait_for_more(20).await;
        }
        for load in self.others {
            let tally = load.stop().await;
            println!(
                "{attack}: {} requests of others, the slowest {:?}",
                tally.total(),
                tally.slowest
            );
            tally.assert_all_ok();
            assert_eq!(tally.opened, 2, "{attack}: another's connection was closed");
            assert!(tally.slowest < SERVED_WITHIN, "{attack}: {:?}", tally.slowest);
        }
        let idle = |status: &e2e::Status| status.backend("demo").in_flight() == [0];
        self.outrigger.until("no request in flight", idle).await;
        in_time("no request at the endpoint", self.server.wait_for_in_flight(0)).await;
        let base = self.open_files;
        eventually("the connections to be gone", async || {
            (self.outrigger.open_files() <= base + 2).then_some(())
        })
        .await;
        let wrong = self.outrigger.log().all().into_iter().find(|line| line.contains("panicked"));
        assert!(wrong.is_none(), "{attack}: {wrong:?}");
        println!(
            "{attack}: {} KiB more in the end",
            self.outrigger.resident_kib().saturating_sub(self.resident_kib)
        );
        self.outrigger.stop().await;
    }
}

/// Repeats `send`, until the peer has closed or has had it `count` times; says how often that was.
async fn repeat(
    scene: &Scene,
    frames: &mut Frames,
    count: u32,
    mut send: impl AsyncFnMut(&mut Frames, u32) -> io::Result<()>,
) -> u32 {
    for number in 0..count {
        if send(frames, number).await.is_err() {
            return number;
        }
        if number % 256 == 0 {
            // Others of this runtime, which reads what the peer says, get their turn.
            tokio::task::yield_now().await;
            scene.assert_bounded();
        }
    }
    let _ = frames.flush().await;
    count
}

fn id(number: u32) -> u32 {
    2 * number + 1
}

/// S2, CVE-2023-44487: requests that are taken back at once cost the attacker nothing and the endpoint much.
#[tokio::test]
async fn rapid_reset_is_ended_and_few_of_its_requests_reach_the_endpoint() {
    let scene = Scene::start().await;
    for path in ["/hold", "/health"] {
        let mut frames = scene.attacker().await;
        let sent = repeat(&scene, &mut frames, 10_000, async |frames, number| {
            frames.get(id(number), path).await?;
            frames.frame(kind::RST_STREAM, 0, id(number), &8_u32.to_be_bytes()).await
        })
        .await;
        let seen = frames.until_closed("the end of a rapid reset").await;
        println!(
            "{sent} sent, GOAWAY {:?}, {} reached the endpoint",
            seen.go_away,
            scene.reached(path)
        );
        assert_eq!(seen.go_away, Some(ENHANCE_YOUR_CALM));
        if path == "/hold" {
            assert!(scene.reached(path) < 2_000, "{}", scene.reached(path));
        }
    }
    scene.end("rapid reset").await;
}

/// S2, CVE-2025-8671: the attacker makes the server reset its own streams.
#[tokio::test]
async fn resets_that_the_client_provokes_are_counted_as_its_own() {
    let scene = Scene::start().await;
    type Provoke = fn(u32) -> (u8, u8, Vec<u8>);
    let provocations: [(&str, Provoke); 4] = [
        ("WINDOW_UPDATE of 0", |_| (kind::WINDOW_UPDATE, 0, vec![0; 4])),
        ("WINDOW_UPDATE that overflows", |_| {
            (kind::WINDOW_UPDATE, 0, 0x7fff_ffff_u32.to_be_bytes().to_vec())
        }),
        ("DATA after the end", |_| (kind::DATA, 0, b"x".to_vec())),
        ("HEADERS after the end", |_| (kind::HEADERS, flag::END_HEADERS, block(&[("a", "b")]))),
    ];
    for (what, provoke) in provocations {
        let mut frames = scene.attacker().await;
        let before = scene.reached("/hold");
        let sent = repeat(&scene, &mut frames, 10_000, async |frames, number| {
            frames.get(id(number), "/hold").await?;
            let (kind, flags, payload) = provoke(number);
            frames.frame(kind, flags, id(number), &payload).await
        })
        .await;
        let seen = frames.until_closed(what).await;
        let reached = scene.reached("/hold") - before;
        println!("{what}: {sent} sent, GOAWAY {:?}, {reached} reached the endpoint", seen.go_away);
        assert!(seen.go_away.is_some(), "{what}");
        assert!(reached < 2_000, "{what}: {reached} reached the endpoint");
    }
    // What depends on itself is reset (RFC 7540) or not looked at (RFC 9113): nothing grows of it.
    let mut frames = scene.attacker().await;
    repeat(&scene, &mut frames, 10_000, async |frames, number| {
        frames.get(id(number), "/health").await?;
        let payload = [&id(number).to_be_bytes()[..], &[16]].concat();
        frames.frame(kind::PRIORITY, 0, id(number), &payload).await
    })
    .await;
    drop(frames);
    scene.end("MadeYouReset").await;
}

/// S2, CVE-2024-27316 and its kin: a head that never ends.
#[tokio::test]
async fn a_flood_of_continuation_is_ended_long_before_it_costs_memory() {
    let scene = Scene::start().await;
    let field = block(&[("x-flood", &"x".repeat(1000))]);
    let some = field.repeat(MAX_PAYLOAD / field.len());
    for (what, piece) in [("fields", &some[..]), ("nothing", b""), ("a byte", b"\x00")] {
        let mut frames = scene.attacker().await;
        let head = frames.head("GET", "/health", &[]);
        frames.frame(kind::HEADERS, flag::END_STREAM, 1, &head).await.unwrap();
        let sent = repeat(&scene, &mut frames, 20_000, async |frames, _| {
            frames.frame(kind::CONTINUATION, 0, 1, piece).await
        })
        .await;
        let seen = frames.until_closed(what).await;
        println!("CONTINUATION of {what}: {sent} sent, GOAWAY {:?}", seen.go_away);
        scene.assert_bounded();
    }
    assert_eq!(scene.reached("/health"), 0);
    scene.end("CONTINUATION flood").await;
}

/// S2, CVE-2016-6581 and others: a byte that stands for kilobytes, or a thousand fields.
#[tokio::test]
async fn a_small_head_that_stands_for_a_huge_one_reaches_no_endpoint() {
    let scene = Scene::start().await;
    let big = "x".repeat(3_900);
    let bombs = [
        ("a large field again and again", kept("x-bomb", &big), 16_000),
        ("many tiny fields", kept("a", "b"), 16_000),
        ("cookie crumbs", kept("cookie", "a=b"), 16_000),
        ("a few hundred tiny fields", kept("a", "b"), 400),
        ("a few hundred cookie crumbs", kept("cookie", "a"), 1_000),
    ];
    for (what, field, times) in bombs {
        let mut frames = scene.attacker().await;
        let mut whole = 0_u64;
        let sent = repeat(&scene, &mut frames, 100, async |frames, number| {
            let mut block = frames.head("GET", "/bomb", &[]);
            block.extend_from_slice(&field);
            let mut pieces = vec![LAST_KEPT; times];
            let rest = pieces.split_off(pieces.len().min(MAX_PAYLOAD - block.len()));
            block.append(&mut pieces);
            let flags = if rest.is_empty() { flag::END_HEADERS } else { 0 };
            frames.frame(kind::HEADERS, flags | flag::END_STREAM, id(number), &block).await?;
            if !rest.is_empty() {
                frames.frame(kind::CONTINUATION, flag::END_HEADERS, id(number), &rest).await?;
            }
            frames.flush().await?;
            whole += 1;
            Ok(())
        })
        .await;
        let all = |seen: &Seen| seen.closed || seen.frames[1] + seen.resets.len() as u64 >= whole;
        let seen = frames.until(what, all).await;
        println!(
            "{what}: {sent} sent, GOAWAY {:?}, {} answers, {} resets",
            seen.go_away,
            seen.frames[1],
            seen.resets.len()
        );
        drop(frames);
        assert_eq!(scene.reached("/bomb"), 0, "{what}: the endpoint got it");
        scene.assert_bounded();
    }
    scene.end("HPACK bombs").await;
}

/// S2, CVE-2019-9512, 9515: frames that want an answer, from a client that reads none.
#[tokio::test]
async fn floods_of_settings_and_pings_cost_no_memory() {
    let scene = Scene::with("writeTimeout: 2s").await;
    for (what, kind, payload) in [
        ("SETTINGS", kind::SETTINGS, &[][..]),
        ("SETTINGS of a table's size", kind::SETTINGS, &[0, 1, 0, 0, 16, 0]),
        ("PING", kind::PING, &[7; 8]),
    ] {
        for deaf in [true, false] {
            let mut frames = match deaf {
                true => Frames::open_deaf(scene.address()).await.unwrap(),
                false => scene.attacker().await,
            };
            let sent = repeat(&scene, &mut frames, 200_000, async |frames, _| {
                frames.frame(kind, 0, 0, payload).await
            })
            .await;
            println!("{what}, deaf: {deaf}: {sent} sent, {} KiB more", scene.growth_kib());
        }
    }
    scene.end("SETTINGS and PING floods").await;
}

/// S2, CVE-2019-9518: frames that carry nothing.
#[tokio::test]
async fn floods_of_empty_frames_cost_no_memory() {
    let scene = Scene::start().await;
    let padded = [&[255][..], &[0; 255]].concat();
    for (what, flags, payload) in
        [("DATA of nothing", 0, &[][..]), ("DATA of padding", flag::PADDED, &padded)]
    {
        let mut frames = scene.attacker().await;
        frames.post(1, "/sink").await.unwrap();
        let sent = repeat(&scene, &mut frames, 100_000, async |frames, _| {
            frames.frame(kind::DATA, flags, 1, payload).await
        })
        .await;
        println!("{what}: {sent} sent, GOAWAY {:?}", frames.seen().go_away);
    }
    for (what, kind, stream, payload) in [
        ("PRIORITY of new streams", kind::PRIORITY, None, &[0, 0, 0, 0, 16][..]),
        ("PRIORITY of one stream", kind::PRIORITY, Some(1), &[0, 0, 0, 0, 16]),
        ("frames of no known kind", 99, Some(0), b"whatever"),
        ("WINDOW_UPDATE of 1", kind::WINDOW_UPDATE, Some(0), &[0, 0, 0, 1]),
    ] {
        let mut frames = scene.attacker().await;
        let sent = repeat(&scene, &mut frames, 100_000, async |frames, number| {
            frames.frame(kind, 0, stream.unwrap_or(id(number)), payload).await
        })
        .await;
        println!(
            "{what}: {sent} sent, GOAWAY {:?}, {} KiB more",
            frames.seen().go_away,
            scene.growth_kib()
        );
    }
    scene.end("floods of empty frames").await;
}

/// S2, CVE-2019-9511, 9517: large answers that the client does not let come.
#[tokio::test]
async fn a_window_that_never_opens_holds_no_answer_for_long() {
    let scene = Scene::with("writeTimeout: 1s").await;
    let mut attackers = Vec::new();
    for _ in 0..4 {
        // SETTINGS_INITIAL_WINDOW_SIZE
        let mut frames = Frames::open(scene.address(), &[(4, 0)]).await.unwrap();
        for number in 0..50 {
            frames.get(id(number), "/bytes/20000000").await.unwrap();
        }
        frames.flush().await.unwrap();
        attackers.push(frames);
    }
    for frames in &mut attackers {
        let ended = |seen: &Seen| seen.closed || seen.resets.len() >= 50;
        frames.until("the end of the stalled streams", ended).await;
        scene.assert_bounded();
    }
    // While the attackers are still connected.
    in_time("the end at the endpoint", scene.server.wait_until(|counts| counts.in_flight <= 6))
        .await;
    drop(attackers);
    scene.end("zero windows").await;
}

/// S2: the same a byte at a time: bounded, and no other waits.
#[tokio::test]
async fn a_window_that_opens_by_single_bytes_holds_up_nobody_else() {
    let scene = Scene::start().await;
    let mut frames = Frames::open(scene.address(), &[(4, 1)]).await.unwrap();
    for number in 0..100 {
        frames.get(id(number), "/bytes/20000000").await.unwrap();
    }
    let begun = Instant::now();
    let mut sent = 0_u32;
    while begun.elapsed() < Duration::from_secs(3) {
        for number in 0..100 {
            let one = 1_u32.to_be_bytes();
            if frames.frame(kind::WINDOW_UPDATE, 0, id(number), &one).await.is_err() {
                break;
            }
            sent += 1;
        }
        if frames.flush().await.is_err() {
            break;
        }
        scene.assert_bounded();
        tokio::task::yield_now().await;
    }
    println!("{sent} updates, {} bytes came", frames.seen().data);
    drop(frames);
    scene.end("windows of a byte").await;
}
