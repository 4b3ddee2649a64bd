//! The dashboard with many endpoints.

use super::assert_no_fault;
use e2e::{Browser, Outrigger, PORTS, has_tool};

#[tokio::test]
async fn a_thousand_endpoints_stay_usable() {
    if !has_tool("chromium") {
        return;
    }
    let endpoints: Vec<_> =
        (0..1000).map(|index| format!("http://127.1.{}.{}:9", index / 250, index % 250)).collect();
    let yaml =
        format!("{PORTS}backends: [{{ name: many, endpoints: [{}] }}]\n", endpoints.join(", "));
    let outrigger = Outrigger::start(&yaml).await;
    let page = format!("http://{}/", outrigger.admin());
    let mut browser = Browser::start().await;
    browser.look(1400, "light").await;
    browser.open(&page).await;
    let rows = "document.querySelectorAll('.backend tbody').length";
    browser.until("the first of them", &format!("{rows} > 0")).await;
    assert_eq!(browser.evaluate(rows).await, 25);

    browser
        .evaluate(
            "window.longest = 0; new PerformanceObserver(list => list.getEntries().forEach(it => { \
             longest = Math.max(longest, it.duration) })).observe({ type: 'longtask' }); \
             [...document.querySelectorAll('.more')].find(it => it.innerText === 'Show all 1000').click()",
        )
        .await;
    browser.until("all", &format!("{rows} === 1000")).await;
    let first = browser.evaluate("longest").await;
    browser.evaluate("longest = 0").await;
    let uptime = "parseInt(document.querySelector('#uptime').innerText)";
    let start = browser.evaluate(uptime).await.as_u64().unwrap();
    browser.until("a few seconds", &format!("{uptime} > {}", start + 3)).await;
    let longest = browser.evaluate("longest").await.as_f64().unwrap();
    println!(
        "1,000 rows kept the page busy for {first} ms, and then {longest} ms at most at a time"
    );
    assert!(longest < 1000.0, "{longest} ms");

    let typed = "document.querySelector('#filter').value = '127.1.2.77'; document.querySelector('#filter').dispatchEvent(new Event('input'))";
    browser.evaluate(typed).await;
    browser.until("the one", &format!("{rows} === 1")).await;
    assert_no_fault(&browser, &page);
    browser.close().await;
    outrigger.stop().await;
}
