//! The dashboard for those who use a keyboard or a screen reader, or look at it on a telephone.

use super::names::{answers, open_all};
use super::{Scene, assert_no_fault};
use e2e::{Browser, has_tool};
use serde_json::json;

const AUDIT: &str = include_str!("audit.js");

/// Roles that nobody can use without knowing what they are for.
const NAMED: [&str; 9] = [
    "button",
    "link",
    "combobox",
    "searchbox",
    "textbox",
    "table",
    "region",
    "heading",
    "DisclosureTriangle",
];

#[tokio::test]
async fn everybody_can_read_and_use_the_dashboard() {
    if !has_tool("chromium") {
        return;
    }
    let scene = Scene::start("RoundRobin").await;
    let mut browser = Browser::start().await;
    browser.look(1400, "light").await;
    browser.open(&scene.page()).await;
    let eight = "document.querySelectorAll('.backend tbody').length === 8";
    browser.until("the endpoints", eight).await;
    audit(&mut browser, "calm").await;
    keyboard(&mut browser).await;

    // With something of everything, and all of it open.
    browser.answer(answers()).await;
    browser.open(&scene.page()).await;
    open_all(&mut browser).await;
    audit(&mut browser, "full").await;
    assert_no_fault(&browser, &scene.page());
    browser.close().await;
    scene.client.abort();
    scene.outrigger.stop().await;
}

async fn audit(browser: &mut Browser, page: &str) {
    for (width, theme) in
        [(1400, "light"), (1400, "dark"), (700, "dark"), (360, "light"), (360, "dark")]
    {
        browser.look(width, theme).await;
        let found = browser.evaluate(AUDIT).await;
        assert_eq!(found, json!([]), "the {page} page, {width} wide, {theme}");
        let tree = browser.command("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().unwrap();
        let nameless: Vec<_> = nodes
            .iter()
            .filter(|node| {
                node["ignored"] == false && NAMED.iter().any(|role| node["role"]["value"] == *role)
            })
            .filter(|node| node["name"]["value"].as_str().is_none_or(|name| name.trim().is_empty()))
            .collect();
        assert!(nameless.is_empty(), "the {page} page, {width} wide: {nameless:#?}");
        // The layout as cards takes nothing from the table's meaning.
        let rows = nodes.iter().filter(|node| node["role"]["value"] == "rowheader").count();
        assert!(rows >= 3, "the {page} page, {width} wide: {rows} headers of rows");
        let landmarks = ["banner", "main", "search", "contentinfo"];
        for landmark in landmarks {
            assert!(nodes.iter().any(|node| node["role"]["value"] == landmark), "no {landmark}");
        }
    }
    browser.look(1400, "light").await;
}

/// The first stop leads past the head; each stop is seen, and there is an end.
async fn keyboard(browser: &mut Browser) {
    let focused = "(() => { const it = document.activeElement; const style = getComputedStyle(it); \
        return [it.tagName, it.innerText || it.id, parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== 'none'] })()";
    let mut stops = Vec::new();
    browser.evaluate("document.activeElement.blur()").await;
    while stops.len() < 60 {
        press(browser, "Tab", 9).await;
        let stop = browser.evaluate(focused).await;
        if stop[0] == "BODY" {
            break;
        }
        assert_eq!(stop[2], true, "no outline: {stop}");
        stops.push(stop);
    }
    assert!(stops.len() < 60, "{stops:?}");
    assert_eq!(stops[0][1], "Skip to the content");
    let expanding = stops.iter().filter(|stop| stop[0] == "BUTTON").count();
    assert!(expanding >= 8, "{stops:?}");

    // What is open stays open, and the focus where it is, however often numbers change.
    browser.evaluate("document.querySelector('.expand').focus()").await;
    press(browser, "Enter", 13).await;
    let open = "document.activeElement.getAttribute('aria-expanded') === 'true' && !document.querySelector('.details').parentElement.hidden";
    browser.until("its details", open).await;
    let uptime = browser.evaluate("document.querySelector('#uptime').innerText").await;
    browser
        .until(
            "newer numbers",
            &format!("document.querySelector('#uptime').innerText !== {uptime}"),
        )
        .await;
    assert_eq!(browser.evaluate(open).await, true);
}

async fn press(browser: &mut Browser, key: &str, code: u32) {
    for kind in ["keyDown", "keyUp"] {
        let text = if key == "Enter" { "\r" } else { "" };
        let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
        browser.command("Input.dispatchKeyEvent", event).await;
    }
}
