//! The dashboard while requests fail: it says so, and says of nothing that it is well.

use super::{assert_no_fault, pictures, text};
use e2e::{Browser, Connection, Outrigger, PORTS, has_tool};
use std::net::SocketAddr;
use std::time::Duration;
use testserver::{Fleet, Member};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Asks for these paths in turn, until it is aborted.
fn ask(address: SocketAddr, paths: &'static [&'static str]) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok(mut connection) = Connection::open(address).await {
            for path in paths.iter().cycle() {
                if connection.get(path).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
    })
}

#[tokio::test]
async fn the_dashboard_counts_every_request_and_tells_which_fail() {
    if !has_tool("chromium") {
        return;
    }
    let member = Member { port: 0, delay: Duration::ZERO };
    let fleet = Fleet::start("127.0.0.1", &[member]).await.unwrap();
    let answers = &fleet.urls()[0];
    // Nobody listens at the other's endpoint, and nobody probes it.
    let yaml = format!(
        "{PORTS}routes:\n\
         \x20 - {{ name: gone, matches: [{{ path: {{ prefix: /gone }} }}], backends: [gone] }}\n\
         \x20 - {{ name: status, matches: [{{ path: {{ prefix: /status }} }}], backends: [status] }}\n\
         backends:\n\
         \x20 - {{ name: gone, endpoints: [http://127.0.0.1:9] }}\n\
         \x20 - {{ name: status, endpoints: [{answers}], retry: {{ statuses: [503], budget: {{ ratio: 0%, minPerSecond: 0 }} }} }}\n"
    );
    let outrigger = Outrigger::start(&yaml).await;
    let page = format!("http://{}/", outrigger.admin());
    let mut browser = Browser::start().await;
    browser.look(1400, "light").await;
    browser.open(&page).await;

    // Only what no route takes.
    let client = ask(outrigger.address(), &["/nowhere"]);
    let per_second = |place: &str| {
        format!(
            "parseFloat(/([\\d.]+) requests\\/s/.exec(document.querySelector('{place}')?.innerText)?.[1])"
        )
    };
    browser
        .until("the total", "parseFloat(document.querySelector('#total-rate').innerText) > 1")
        .await;
    browser.until("its listener", &format!("{} > 1", per_second("#chain-listeners li"))).await;
    let route = per_second("#chain-routes li:last-child");
    browser.until("no route", &format!("{route} === 0")).await;
    let errors = "document.querySelector('.backend:last-child td:last-child').innerText.trim()";
    assert_eq!(browser.evaluate(errors).await, "–", "of no request");
    let calm = "document.querySelector('#attention').dataset.calm";
    assert_eq!(browser.evaluate(calm).await, "true");
    client.abort();

    // One answers with 503, and one not at all. No retry is allowed of the first, and nobody takes the spans.
    let traces =
        "telemetry: { traces: { endpoint: 'http://127.0.0.1:9', sample: 100%, timeout: 1s } }\n";
    outrigger.write(&format!("{traces}{yaml}"));
    let client = ask(outrigger.address(), &["/status/503", "/gone", "/nowhere"]);
    browser.until("its route", &format!("{route} > 1")).await;
    let attention = "document.querySelector('#attention').innerText";
    for words in [
        "Requests to backend status fail: 100 % of its",
        "Requests to backend gone fail: 100 % of its",
        "The retry budget of backend status is used up: it refused ",
        "Spans are lost: ",
        "Backend gone: all are passed over, so all are tried.",
    ] {
        browser.until(words, &format!("{attention}.includes('{words}')")).await;
    }
    assert!(!text(&mut browser, "#attention").await.contains("serves nothing"));
    browser.until("the tab's mark", "document.title.startsWith('⚠')").await;
    let all = "[...document.querySelectorAll('.backend tr:first-child td:last-child')]";
    browser.until("the errors", &format!("{all}.every(it => it.innerText === '100 %')")).await;
    browser.until("the sum", "document.querySelector('#total-errors').className === 'bad'").await;
    pictures(&mut browser, "failures").await;

    assert_no_fault(&browser, &page);
    client.abort();
    browser.close().await;
    outrigger.stop().await;
}
