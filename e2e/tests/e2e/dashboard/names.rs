//! Names that would be a program if anybody took them for HTML. Not all of them could come from the real process, which refuses many:
//! so the browser is given answers in its place.

use super::{Scene, assert_no_fault, pictures};
use e2e::{Browser, Canned, Outrigger, PORTS, has_tool};
use serde_json::{Value, json};

/// In element content, in an attribute, in a script, in a URL.
const HOSTILE: &str = "\"'><script>window.hit = 1</script><img src=x onerror=\"window.hit = 2\">${hit}</template>javascript:hit=3";

/// What the admin port would say of a process in which every text is hostile.
pub fn answers() -> Vec<Canned> {
    let at = "2026-11-26T03:00:00.000Z";
    let endpoint = |state: &str| {
        json!({
            "url": format!("{state} {HOSTILE}"), "weight": 1, "health": { "state": state, "reason": HOSTILE, "since": at },
            "eligible": state == "healthy", "passedOverMs": null, "inFlight": 1, "latencyMs": 1.5, "requests": { "2xx": 5, "5xx": 1 },
            "requestsTotal": 6, "picks": 6, "share": 0.5, "addresses": [HOSTILE], "resolveError": HOSTILE,
            "history": [{ "at": at, "from": "unknown", "to": state, "reason": HOSTILE }],
        })
    };
    let error = json!({ "file": HOSTILE, "line": 1, "column": 2, "path": HOSTILE, "message": HOSTILE, "allowed": HOSTILE, "suggestion": HOSTILE });
    let status = json!({
        "version": HOSTILE, "commit": HOSTILE, "pid": 1, "startedAt": at, "uptimeSeconds": 60, "ready": false, "notReady": [HOSTILE],
        "generation": 1, "configHash": HOSTILE, "configInSync": false, "runningSince": at, "source": { "path": HOSTILE, "hash": null },
        "refused": { "hash": null, "at": at, "errors": [error], "more": 3 },
        "reloads": { "accepted": 1, "refused": 1, "unchanged": 0 }, "workers": 1, "liveSnapshots": 1,
        "traces": { "enabled": true, "endpoint": HOSTILE, "exported": 1, "failed": 2, "dropped": 3 },
        "listeners": [{
            "name": HOSTILE, "address": HOSTILE, "protocol": "https", "connections": 1,
            "certificates": [{ "names": [HOSTILE], "file": HOSTILE, "notBefore": at, "notAfter": at }],
        }],
        "backends": [{
            "name": HOSTILE, "algorithm": HOSTILE, "algorithmHow": HOSTILE, "imbalance": 0.1, "panic": true, "unanswered": { "5xx": 1 },
            "retries": 0, "retriesRefused": 0, "endpoints": [endpoint("healthy"), endpoint("unhealthy"), endpoint("unknown")],
        }],
    });
    let event = json!({ "id": 1, "at": at, "kind": "health", "backend": HOSTILE, "endpoint": HOSTILE, "text": HOSTILE });
    let hello = json!({ "startedAt": at, "pid": 1 });
    let stream = format!(
        "event: hello\ndata: {hello}\n\nevent: status\ndata: {status}\n\nid: 1\nevent: change\ndata: {event}\n\n"
    );
    let request = json!({
        "at": at, "requestId": HOSTILE, "traceId": HOSTILE, "sampled": true, "listener": HOSTILE, "method": HOSTILE, "host": HOSTILE,
        "path": HOSTILE, "route": HOSTILE, "backend": HOSTILE, "algorithm": HOSTILE, "generation": 1, "status": 502, "reason": HOSTILE,
        "detail": HOSTILE, "durationMs": 12.5, "client": HOSTILE, "kept": ["error", "retry"],
        "attempts": [{
            "endpoint": HOSTILE, "startMs": 0.5, "durationMs": 12, "status": null, "error": HOSTILE,
            "pick": {
                "candidates": [{ "endpoint": HOSTILE, "score": 2.5, "weight": 1 }, { "endpoint": "other", "score": 1.5, "weight": 1 }],
                "moreCandidates": 1, "excluded": [{ "endpoint": HOSTILE, "reason": HOSTILE }], "moreExcluded": 1, "chosen": HOSTILE,
                "equals": 1, "draw": null, "hash": null, "pinned": false, "panic": false, "how": HOSTILE,
            },
        }],
    });
    let reload = |outcome: &str, errors: Value| {
        json!({
            "at": at, "outcome": outcome, "generation": 1, "hash": HOSTILE, "cause": HOSTILE, "changes": [HOSTILE],
            "connectionsClosed": 0, "requestsKept": 1, "durationMs": 1.5, "errors": errors, "more": 0,
        })
    };
    let route = json!({
        "name": HOSTILE, "listeners": [HOSTILE], "hosts": [HOSTILE], "matches": [HOSTILE], "filters": [HOSTILE],
        "backends": [{ "name": HOSTILE, "weight": 1, "share": 1 }],
    });
    let told = |url, body: Value| Canned { url, kind: "application/json", body: body.to_string() };
    vec![
        Canned { url: "/api/v1/events?status", kind: "text/event-stream", body: stream },
        told("/api/v1/events", json!({ "events": [event] })),
        told(
            "/api/v1/picks",
            json!({ "sample": 1, "slowerThanMs": 10, "notable": [request], "sampled": [request] }),
        ),
        told("/api/v1/routes", json!({ "routes": [route] })),
        told(
            "/api/v1/reloads",
            json!({ "reloads": [reload("refused", json!([error, HOSTILE])), reload("accepted", json!([]))] }),
        ),
    ]
}

/// Waits until all that can be open is.
pub async fn open_all(browser: &mut Browser) {
    let there = "document.querySelectorAll('.backend tbody').length === 3 && document.querySelector('#reloads > li') \
        && document.querySelector('#requests > details') && document.querySelector('#chain-routes > li')";
    browser.until("the page", there).await;
    browser
        .evaluate(
            "document.querySelectorAll('details').forEach(it => { it.open = true }); \
             document.querySelectorAll('.expand[aria-expanded=false]').forEach(it => it.click())",
        )
        .await;
    let open = "document.querySelector('.attempt tbody tr.chosen') && document.querySelector('.details .rows li')";
    browser.until("what was closed", open).await;
}

#[tokio::test]
async fn no_name_is_taken_for_html() {
    if !has_tool("chromium") {
        return;
    }
    let scene = Scene::start("RoundRobin").await;
    let mut browser = Browser::start().await;
    browser.answer(answers()).await;
    browser.look(1400, "light").await;
    browser.open(&scene.page()).await;
    open_all(&mut browser).await;
    // It is there, as text, in many places; and nothing of it became an element.
    let texts = "[...document.querySelectorAll('body *')].filter(it => !it.childElementCount && it.textContent.includes('<script>window.hit')).length";
    let count = browser.evaluate(texts).await.as_u64().unwrap();
    assert!(count > 40, "only {count}");
    let elements = "document.querySelectorAll('main script, main img, body > script, [onerror], a[href^=\"javascript\"]').length";
    assert_eq!(browser.evaluate(elements).await, 0);
    assert_eq!(browser.evaluate("String(window.hit)").await, "undefined");
    pictures(&mut browser, "hostile").await;
    assert_no_fault(&browser, &scene.page());
    browser.close().await;
    scene.client.abort();
    scene.outrigger.stop().await;
}

/// A configuration may say such things where they are values, and is quoted where they are mistakes.
#[tokio::test]
async fn what_a_configuration_says_stays_text() {
    if !has_tool("chromium") {
        return;
    }
    let yaml = |name: &str| {
        format!(
            "{PORTS}routes:\n  - name: one\n    matches: [{{ headers: [{{ name: x-a, exact: '<script>window.hit=1</script>' }}] }}]\n    \
             backends: [one]\nbackends: [{{ name: '{name}', endpoints: [http://127.0.0.1:9] }}]\n"
        )
    };
    let outrigger = Outrigger::start(&yaml("one")).await;
    let page = format!("http://{}/", outrigger.admin());
    let mut browser = Browser::start().await;
    browser.open(&page).await;
    let shown = |place: &str, text: &str| {
        format!("document.querySelector('{place}').innerText.includes('{text}')")
    };
    browser.until("the value", &shown("#chain-routes", "<script>window.hit=1<")).await;
    outrigger.write(&yaml("<img src=x onerror=window.hit=2>"));
    browser.until("the mistake", &shown("#attention", "<img src=x onerror=window.hit=2>")).await;
    browser.until("the reload", &shown("#reloads", "<img src=x onerror=window.hit=2>")).await;
    browser.until("the event", &shown("#events", "<img src=x onerror=window.hit=2>")).await;
    assert_eq!(browser.evaluate("String(window.hit)").await, "undefined");
    assert_eq!(
        browser.evaluate("document.querySelectorAll('main img, main script').length").await,
        0
    );
    assert_no_fault(&browser, &page);
    browser.close().await;
    outrigger.stop().await;
}
