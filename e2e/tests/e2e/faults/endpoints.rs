//! Endpoints that do not answer as they should, each while clients of another endpoint are served by the same worker.

use super::scene::{FAULTY, Scene, TOP, each};
use e2e::{Answer, in_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Clients of the faulty endpoint.
const CLIENTS: usize = 100;
/// What a connection of each may cost at most, both sides of it, in the debug build of tests: buffers of 8 KiB to read from the
/// client and from the endpoint, the futures of the request, and the allocator's spare.
const MOST_KIB: u64 = 64 * CLIENTS as u64;

/// As long as a fault stands.
const TIMEOUTS: &str = "timeouts: { request: 3s, streamIdle: 3s },";

fn is_502(answer: &Result<Answer, String>) -> bool {
    matches!(answer, Ok(answer) if answer.status == 502)
}

fn is_504(answer: &Result<Answer, String>) -> bool {
    matches!(answer, Ok(answer) if answer.status == 504)
}

/// A head has come, and not all of the body.
fn is_half(answer: &Result<Answer, String>) -> bool {
    matches!(answer, Err(error) if error.starts_with("half a body"))
}

/// All clients of the faulty endpoint ask for `path` and wait; meanwhile others are served; then `check` says whether each
/// has seen what it should.
async fn stands(path: &str, check: impl Fn(&Result<Answer, String>) -> bool) {
    let mut scene = Scene::start(TOP, TIMEOUTS).await;
    let asked = scene.ask_all((0..CLIENTS).map(|_| path));
    // With retries there are more; at least these have come.
    scene.faulty.wait_for_requests(CLIENTS as u64).await;
    scene.others_are_served().await;
    each(asked, check).await;
    scene.end(MOST_KIB).await;
}

#[tokio::test]
async fn an_endpoint_that_never_answers_keeps_nobody_else_waiting() {
    stands("/hold", is_504).await;
}

#[tokio::test]
async fn an_endpoint_that_stalls_in_the_head_keeps_nobody_else_waiting() {
    stands("/close?at=mid-head&pause=10m", is_504).await;
}

#[tokio::test]
async fn an_endpoint_that_stalls_in_the_body_keeps_nobody_else_waiting() {
    stands("/close?at=mid-body&pause=10m", is_half).await;
}

#[tokio::test]
async fn an_endpoint_that_closes_in_the_middle_fails_nobody_else() {
    let mut scene = Scene::start(TOP, TIMEOUTS).await;
    for (path, check) in [
        ("/close?at=mid-head", is_502 as fn(&_) -> bool),
        ("/close?at=mid-body", is_half),
        ("/close?at=mid-body&reset", is_half),
        ("/close?at=mid-chunk", is_half),
    ] {
        each(scene.ask_all([path; CLIENTS]), check).await;
        scene.others_are_served().await;
    }
    scene.end(MOST_KIB).await;
}

#[tokio::test]
async fn an_endpoint_that_answers_garbage_fails_nobody_else() {
    let mut scene = Scene::start(TOP, TIMEOUTS).await;
    for what in ["not-http", "status-line", "two-lengths", "nul", "huge-header?size=2000000"] {
        each(scene.ask_all((0..20).map(|_| format!("/malformed/{what}"))), is_502).await;
        scene.others_are_served().await;
    }
    // Garbage where a chunk should begin comes after the head.
    each(scene.ask_all(["/malformed/bad-chunk"; 20]), is_half).await;
    scene.end(MOST_KIB).await;
}

/// A large upload meets an answer: the client sees that answer, although it is still sending.
#[tokio::test]
async fn an_endpoint_that_answers_in_mid_upload_fails_nobody_else() {
    const LENGTH: usize = 20 << 20;
    let mut scene = Scene::start(TOP, TIMEOUTS).await;
    for path in ["/reject", "/reject?after=100000"] {
        let mut uploads = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (mut input, mut output) = scene.connect().await.into_split();
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: {FAULTY}\r\nContent-Length: {LENGTH}\r\n\r\n"
            );
            // Ends by an error when the connection is closed.
            let upload = tokio::spawn(async move {
                output.write_all(head.as_bytes()).await?;
                let piece = [b'x'; 64 << 10];
                for _ in 0..LENGTH / piece.len() {
                    output.write_all(&piece).await?;
                }
                std::io::Result::Ok(output)
            });
            uploads.spawn(async move {
                let mut answer = [0; 12];
                in_time("an answer", input.read_exact(&mut answer)).await.unwrap();
                assert_eq!(&answer, b"HTTP/1.1 413");
                upload.abort();
            });
        }
        scene.others_are_served().await;
        while let Some(ended) = uploads.join_next().await {
            ended.unwrap();
            scene.look();
        }
    }
    scene.end(MOST_KIB).await;
}

/// Whatever a client of it sees: an answer that is whole, an error of ours, or a cut.
#[tokio::test]
async fn an_endpoint_that_closes_at_random_fails_nobody_else() {
    const PLACES: [&str; 6] =
        ["request", "before-head", "mid-head", "after-head", "mid-body", "mid-chunk"];
    let mut scene = Scene::start(TOP, TIMEOUTS).await;
    let mut random = fastrand::Rng::with_seed(14);
    for _ in 0..4 {
        let paths = std::iter::repeat_with(|| {
            let place = PLACES[random.usize(..PLACES.len())];
            let how = ["", "&reset", "&pause=5ms", "&reset&pause=5ms"][random.usize(..4)];
            if random.u8(..4) == 0 {
                "/health".to_owned()
            } else {
                format!("/close?at={place}{how}")
            }
        });
        let paths: Vec<_> = paths.take(CLIENTS).collect();
        each(scene.ask_all(paths), |answer| match answer {
            Ok(answer) => {
                (answer.status == 200 && answer.server() == "faulty") || answer.status == 502
            }
            Err(error) => error.starts_with("half a body"),
        })
        .await;
        scene.others_are_served().await;
    }
    // All is well again at once: what failed was no connect.
    each(
        scene.ask_all(["/health"; 5]),
        |answer| matches!(answer, Ok(answer) if answer.status == 200),
    )
    .await;
    scene.end(MOST_KIB).await;
}

#[tokio::test]
async fn an_endpoint_that_trickles_a_byte_at_a_time_keeps_nobody_else_waiting() {
    let mut scene = Scene::start(TOP, TIMEOUTS).await;
    let asked = scene.ask_all(["/bytes/260?drip=3ms"; CLIENTS]);
    scene.faulty.wait_for_requests(CLIENTS as u64).await;
    scene.others_are_served().await;
    let whole = testserver::pattern(260);
    each(
        asked,
        |answer| matches!(answer, Ok(answer) if answer.status == 200 && answer.body == whole),
    )
    .await;
    scene.end(MOST_KIB).await;
}

/// What is read from the endpoint and not yet written to the client: a buffer or two, whatever the length of the body.
const DOWNLOAD_KIB: u64 = 8 << 10;

const GIGABYTE: u64 = 1 << 30;

async fn download(scene: &Scene) -> TcpStream {
    let mut client = scene.connect().await;
    let head =
        format!("GET /bytes/{GIGABYTE} HTTP/1.1\r\nHost: {FAULTY}\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    client
}

#[tokio::test]
async fn a_gigabyte_for_a_slow_reader_is_not_kept_in_memory() {
    let mut scene = Scene::start(TOP, "").await;
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(download(&scene).await);
    }
    let mut piece = vec![0; 10_000];
    for _ in 0..20 {
        for reader in &mut readers {
            in_time("a piece", reader.read_exact(&mut piece)).await.unwrap();
        }
        scene.look();
    }
    // From here on they read nothing at all.
    scene.others_are_served().await;
    scene.end(DOWNLOAD_KIB).await;
}

#[tokio::test]
async fn a_gigabyte_for_a_fast_reader_is_not_kept_in_memory() {
    let mut scene = Scene::start(TOP, "").await;
    let mut reader = download(&scene).await;
    let reading = tokio::spawn(async move {
        let (mut piece, mut read) = (vec![0; 1 << 20], 0);
        // Sooner or later, whatever the machine: no limit on the whole, one on each piece.
        loop {
            match in_time("a piece", reader.read(&mut piece)).await.unwrap() {
                0 => return read,
                more => read += more as u64,
            }
        }
    });
    while !reading.is_finished() {
        scene.known_others_are_served().await;
    }
    let read = reading.await.unwrap();
    assert!((GIGABYTE..GIGABYTE + 1000).contains(&read), "{read}");
    scene.end(DOWNLOAD_KIB).await;
}
