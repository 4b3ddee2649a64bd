//! The dashboard in a real browser, before the real process.

#[path = "dashboard/failures.rs"]
mod failures;
#[path = "dashboard/names.rs"]
mod names;
#[path = "dashboard/reader.rs"]
mod reader;
#[path = "dashboard/scale.rs"]
mod scale;

use crate::scene::SLOW;
use e2e::{Browser, Connection, Outrigger, Signal, free_port, has_tool};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use testserver::{Fleet, Member};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How slow the slow ones of the demo's scene are here.
const SLOWLY: Duration = Duration::from_millis(150);

/// The demo's scene: eight endpoints, two of them slow, and a client that sends a few requests.
struct Scene {
    fleet: Fleet,
    outrigger: Outrigger,
    admin: u16,
    client: JoinHandle<()>,
}

impl Scene {
    async fn start(algorithm: &str) -> Self {
        let delay = |index| if index < SLOW { SLOWLY } else { Duration::ZERO };
        let members: Vec<_> = (0..8).map(|index| Member { port: 0, delay: delay(index) }).collect();
        let fleet = Fleet::start("127.0.0.1", &members).await.unwrap();
        let admin = free_port();
        let outrigger = Outrigger::start(&yaml(admin, algorithm, &fleet.urls())).await;
        let client = tokio::spawn(ask_now_and_then(outrigger.address()));
        Self { fleet, outrigger, admin, client }
    }

    fn yaml(&self, algorithm: &str) -> String {
        yaml(self.admin, algorithm, &self.fleet.urls())
    }

    fn page(&self) -> String {
        format!("http://127.0.0.1:{}/", self.admin)
    }
}

fn yaml(admin: u16, algorithm: &str, urls: &[String]) -> String {
    let endpoints: String = urls.iter().map(|url| format!("      - {url}\n")).collect();
    format!(
        "admin: {{ address: 127.0.0.1:{admin} }}\n\
         listeners: [{{ name: http, address: 127.0.0.1:0 }}]\n\
         backends:\n  - name: demo\n    algorithm: {algorithm}\n    endpoints:\n{endpoints}\
         \x20   healthProbe: {{ http: {{ path: /health }}, interval: 200ms, timeout: 2s, unhealthyAfter: 1 }}\n\
         \x20   latencyProbe: {{ http: {{ path: / }}, interval: 500ms, timeout: 5s }}\n"
    )
}

/// Fifty requests a second at most, until it is aborted or nobody answers.
async fn ask_now_and_then(address: SocketAddr) {
    while let Ok(mut connection) = Connection::open(address).await {
        while connection.get("/").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Where pictures go that people look at.
fn artefact(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Pictures for people: a desktop by night and by day, and a telephone.
async fn pictures(browser: &mut Browser, name: &str) {
    for (width, theme) in [(1400, "dark"), (1400, "light"), (360, "light")] {
        browser.look(width, theme).await;
        let file = artefact(&format!("{name}-{width}-{theme}.png"));
        browser.screenshot(&file).await;
        println!("{}", file.display());
    }
    browser.look(1400, "dark").await;
}

/// Nothing failed, and nobody else was asked.
fn assert_no_fault(browser: &Browser, page: &str) {
    assert_eq!(browser.faults(), [""; 0]);
    let requested = browser.requested();
    let foreign: Vec<_> = requested.iter().filter(|url| !url.starts_with(page)).collect();
    assert!(foreign.is_empty() && requested.len() > 10, "{requested:?}");
}

/// The words of the row of an endpoint.
fn row(url: &str) -> String {
    format!(
        "[...document.querySelectorAll('.backend tbody')].find(row => row.innerText.includes('{url}'))?.innerText"
    )
}

#[tokio::test]
async fn the_dashboard_follows_the_demo_through_edits_a_failure_and_a_restart() {
    if !has_tool("chromium") {
        return;
    }
    let scene = Scene::start("LeastConnections").await;
    let (page, urls) = (scene.page(), scene.fleet.urls());
    let mut browser = Browser::start().await;
    browser.look(1400, "dark").await;
    browser.open(&page).await;
    browser.evaluate("window.mark = 'not loaded anew'").await;

    for url in &urls {
        browser.until(url, &format!("{}?.includes('healthy')", row(url))).await;
    }
    assert_eq!(browser.evaluate("document.querySelectorAll('.backend tbody').length").await, 8);
    browser
        .until("a rate", "parseFloat(document.querySelector('#total-rate').innerText) > 1")
        .await;
    browser.until("calm", "document.querySelector('#attention').dataset.calm === 'true'").await;
    browser
        .until(
            "the chain",
            "document.querySelectorAll('#chain-lines path').length >= 2 && \
             document.querySelector('#chain').innerText.includes('8 of 8 endpoints serve')",
        )
        .await;

    // An edit.
    assert!(text(&mut browser, ".backend").await.contains("LeastConnections"));
    scene.outrigger.write(&scene.yaml("LeastResponseTime"));
    let edited = Instant::now();
    let shown = "document.querySelector('.backend').innerText.includes('LeastResponseTime') && \
        document.querySelector('#reloads').innerText.includes('algorithm LeastConnections → LeastResponseTime') && \
        document.querySelector('#generation').innerText === '2'";
    browser.until("the edit", shown).await;
    println!("an edit was seen after {:?}", edited.elapsed());
    assert!(edited.elapsed() < Duration::from_secs(2), "{:?}", edited.elapsed());

    // One with a mistake.
    scene.outrigger.write(&scene.yaml("LeastResponsTime"));
    let attention = "document.querySelector('#attention').innerText";
    for words in ["config.yaml:5:16", "backends[0].algorithm", "did you mean LeastResponseTime?"] {
        browser.until(words, &format!("{attention}.includes('{words}')")).await;
    }
    browser
        .until("its reload", "document.querySelector('#reloads').innerText.includes('refused')")
        .await;
    assert!(text(&mut browser, "#sync").await.contains("refused"));
    scene.outrigger.write(&scene.yaml("LeastResponseTime"));
    browser
        .until("calm again", "document.querySelector('#attention').dataset.calm === 'true'")
        .await;

    // A request that fails, and why it went where it went.
    let mut client = Connection::open(scene.outrigger.address()).await.unwrap();
    assert_eq!(client.get("/status/503").await.unwrap().status, 503);
    let failed = "[...document.querySelectorAll('#requests details')].find(it => it.innerText.includes('/status/503'))";
    browser.until("the failed request", failed).await;
    browser.evaluate(&format!("{failed}.querySelector('summary').click()")).await;
    browser
        .until(
            "its candidates",
            &format!("{failed}.querySelectorAll('.attempt tbody tr').length === 8"),
        )
        .await;
    assert_eq!(
        browser.evaluate(&format!("{failed}.querySelectorAll('tr.chosen').length")).await,
        1
    );
    // The slow ones are known to be slow, and stand last.
    let last = format!(
        "[...{failed}.querySelectorAll('.attempt tbody th')].slice(6).map(it => it.innerText).sort().join()"
    );
    let mut slow = urls[..SLOW].to_vec();
    slow.sort();
    assert_eq!(browser.evaluate(&last).await, slow.join(","));
    let evidence = browser.evaluate(&format!("{failed}.innerText")).await;
    for words in ["Choice: ", "Attempt 1", "Request id", "http → ", "LeastResponseTime"] {
        assert!(evidence.as_str().unwrap().contains(words), "{words:?} in {evidence:#}");
    }

    // An endpoint that stops.
    scene.fleet[7].stop().await;
    let words = row(&urls[7]);
    browser.until("its failure", &format!("/unhealthy[^]*refused/.test({words})")).await;
    browser
        .until(
            "its failure above all",
            &format!("{attention}.includes('{} of demo is unhealthy')", urls[7]),
        )
        .await;
    let announced = "document.querySelector('#announcer').innerText.includes('unhealthy')";
    browser.until("its failure, for those who do not see", announced).await;
    let button = format!(
        "[...document.querySelectorAll('.backend .expand')].find(it => it.innerText.includes('{}')).click()",
        urls[7]
    );
    browser.evaluate(&button).await;
    browser.until("its history", &format!("{words}.includes('healthy → unhealthy')")).await;
    pictures(&mut browser, "failure").await;

    // The process is killed, and another takes its place after a while.
    let Scene { outrigger, client, fleet, admin } = scene;
    let pid = outrigger.pid();
    outrigger.signal(Signal::KILL);
    outrigger.ended().await;
    client.abort();
    let live = "document.querySelector('#live').innerText";
    let lost =
        browser.until("the loss", &format!("/^Connection lost at .* ago$/.test({live})")).await;
    browser.until("a second without", &format!("{live}.includes('2 s ago')")).await;
    let started = Instant::now();
    let outrigger = Outrigger::start(&yaml(admin, "RoundRobin", &fleet.urls())).await;
    assert_ne!(outrigger.pid(), pid);
    let back = format!(
        "{live} === 'Live' && document.querySelector('#version').title.includes('process {}')",
        outrigger.pid()
    );
    browser.until("the other process", &back).await;
    println!(
        "the loss was seen after {lost:?}, the new process {:?} after its start",
        started.elapsed()
    );
    browser
        .until(
            "its algorithm",
            "document.querySelector('.backend').innerText.includes('RoundRobin')",
        )
        .await;
    browser
        .until("its generation", "document.querySelector('#generation').innerText === '1'")
        .await;
    browser
        .until("its own reloads only", "document.querySelectorAll('#reloads > li').length === 1")
        .await;
    let rate =
        browser.evaluate("parseFloat(document.querySelector('#total-rate').innerText)").await;
    assert!(rate.is_null() || rate.as_f64() == Some(0.0), "of counters that began anew: {rate}");

    assert_eq!(browser.evaluate("window.mark").await, "not loaded anew");
    assert_no_fault(&browser, &page);
    browser.close().await;
    outrigger.stop().await;
}

async fn text(browser: &mut Browser, selector: &str) -> String {
    let words = browser.evaluate(&format!("document.querySelector('{selector}').innerText")).await;
    words.as_str().unwrap_or_default().to_owned()
}

/// Nobody looks: nothing is asked for, and the process has no stream to serve.
#[tokio::test]
async fn a_hidden_dashboard_asks_for_nothing_and_comes_back_when_it_is_seen() {
    if !has_tool("chromium") {
        return;
    }
    let scene = Scene::start("RoundRobin").await;
    let mut browser = Browser::start().await;
    browser.open(&scene.page()).await;
    browser.until("its start", "document.querySelector('#live').innerText === 'Live'").await;
    let set = |state: &str| {
        format!(
            "Object.defineProperty(document, 'visibilityState', {{ value: '{state}', configurable: true }}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    browser.evaluate(&set("hidden")).await;
    browser.until("the pause", "document.querySelector('#live').innerText === 'Paused'").await;
    let before = browser.requested().len();
    // Longer than between two looks at the requests that are kept.
    sleep(Duration::from_millis(2500)).await;
    browser.evaluate(&set("visible")).await;
    let asked = browser.requested()[before..].to_vec();
    assert!(asked.iter().all(|url| url.contains("/events?status")), "{asked:?}");
    browser.until("its return", "document.querySelector('#live').innerText === 'Live'").await;
    assert_no_fault(&browser, &scene.page());
    browser.close().await;
    scene.client.abort();
    scene.outrigger.stop().await;
}
