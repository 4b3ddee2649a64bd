//! Requests that are kept with the evidence of their picks, and clients that may see it.

use super::client::Answer;
use super::harness::{Config, Proxy, dead_port, received, server};
use serde_json::Value;

const TOKEN: &str = "a-secret-of-some-length";

/// What the admin port tells of kept requests.
async fn picks(proxy: &Proxy) -> Value {
    proxy.admin("/api/v1/picks").await.json()
}

/// The decision that an answer tells.
fn decision(answer: &Answer) -> Value {
    serde_json::from_str(answer.field("x-outrigger-decision").expect("a decision")).unwrap()
}

fn debugged(name: &str, token: &str) -> String {
    format!("GET /echo HTTP/1.1\r\nHost: a\r\n{name}: {token}\r\n\r\n")
}

#[tokio::test]
async fn who_knows_the_token_is_told_how_the_endpoint_was_picked_and_nobody_else() {
    let server = server().await;
    let token = format!("debugToken: {TOKEN}");
    let proxy = Config::to(&[&server]).decisions(&token).start();
    let answer = proxy.ask(debugged("X-Outrigger-Debug", TOKEN)).await;
    let told = decision(&answer);
    assert_eq!((&told["backend"], &told["algorithm"]), (&"test".into(), &"RoundRobin".into()));
    let attempt = &told["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["endpoint"]), (&200.into(), &server.url().into()));
    assert_eq!(attempt["pick"]["chosen"], server.url());
    for (name, token) in [
        ("X-Outrigger-Debug", "a-secret-of-some-lengtX"),
        ("X-Outrigger-Debug", ""),
        ("X_Outrigger_Debug", TOKEN),
    ] {
        let answer = proxy.ask(debugged(name, token)).await;
        assert_eq!((answer.status, answer.field("x-outrigger-decision")), (200, None), "{name}");
    }
    // However it is spelt, no endpoint learns it.
    let received = received(&server).concat().to_ascii_lowercase();
    assert!(!received.contains(TOKEN) && !received.contains("outrigger-debug"), "{received}");
    proxy.reload(&Config::to(&[&server])).await;
    let answer = proxy.ask(debugged("X-Outrigger-Debug", TOKEN)).await;
    assert_eq!(answer.field("x-outrigger-decision"), None, "there is no token any more");
}

#[tokio::test]
async fn a_failure_of_ours_is_told_too() {
    let (_kept, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead.clone()])
        .decisions(&format!("debugToken: {TOKEN}"))
        .retry("attempts: 0")
        .admin()
        .start();
    let answer = proxy.ask(debugged("X-Outrigger-Debug", TOKEN)).await;
    assert_eq!(answer.status, 502);
    let attempt = &decision(&answer)["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["pick"]["chosen"]), (&Value::Null, &dead.into()));
    assert!(attempt["error"].as_str().unwrap().contains("refused"), "{attempt}");
    proxy.ended(1).await;
    let kept = &picks(&proxy).await["notable"][0];
    assert_eq!((&kept["kept"], &kept["status"]), (&serde_json::json!(["error"]), &502.into()));
    assert_eq!(kept["reason"], answer.reason());
}

/// O2
#[tokio::test]
async fn a_request_that_was_tried_again_is_kept_with_the_evidence_of_each_try() {
    let server = server().await;
    let (_kept, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead.clone(), server.url()]).admin().start();
    assert_eq!(proxy.get("/status/200?secret=x").await.status, 200);
    proxy.ended(1).await;
    let picks = picks(&proxy).await;
    let kept = &picks["notable"][0];
    assert_eq!((&kept["kept"], &kept["status"]), (&serde_json::json!(["retry"]), &200.into()));
    assert_eq!((&kept["path"], &kept["host"]), (&"/status/200".into(), &"a.example".into()));
    assert!(!picks.to_string().contains("secret"), "queries have secrets");
    let [first, second] = &kept["attempts"].as_array().unwrap()[..] else { panic!("{kept}") };
    assert_eq!((&first["endpoint"], &first["status"]), (&dead.clone().into(), &Value::Null));
    assert!(first["error"].as_str().unwrap().contains("refused"), "{first}");
    assert_eq!((&second["endpoint"], &second["status"]), (&server.url().into(), &200.into()));
    let excluded = &second["pick"]["excluded"][0];
    assert_eq!(excluded["endpoint"], dead);
}

#[tokio::test]
async fn slow_requests_are_kept_and_others_by_chance() {
    let server = server().await;
    let proxy = Config::to(&[&server]).decisions("slowerThan: 30ms, sample: 0").admin().start();
    proxy.get("/").await;
    proxy.get("/?delay=40ms").await;
    proxy.ended(2).await;
    let kept = picks(&proxy).await;
    let notable = kept["notable"].as_array().unwrap();
    // A machine may be slow itself, so that the first is, too.
    assert!(notable.iter().all(|one| one["kept"] == serde_json::json!(["slow"])), "{kept}");
    assert!(notable.iter().any(|one| one["durationMs"].as_f64().unwrap() >= 40.0), "{kept}");
    assert_eq!(kept["sampled"], serde_json::json!([]));
    proxy.reload(&Config::to(&[&server]).decisions("slowerThan: 0s, sample: 1").admin()).await;
    let before = notable.len();
    proxy.get("/").await;
    proxy.ended(3).await;
    let kept = picks(&proxy).await;
    assert_eq!(kept["sampled"][0]["kept"], serde_json::json!(["sample"]));
    assert_eq!(kept["notable"].as_array().unwrap().len(), before, "none is slow any more");
}

#[tokio::test]
async fn what_routes_answer_themselves_is_of_no_interest() {
    let server = server().await;
    let proxy = Config::to(&[&server])
        .decisions("sample: 1, slowerThan: 10ms")
        .limits("headerTimeout: 100ms")
        .routes("{ name: r, filters: [{ respond: { status: 204 } }] }")
        .admin()
        .start();
    assert_eq!(proxy.get("/").await.status, 204);
    assert_eq!(proxy.ask("GET / HTTP/1.1\r\n\r\n").await.status, 400);
    // Who sends no request in time.
    assert_eq!(proxy.ask("G").await.status, 408);
    proxy.ended(3).await;
    let kept = picks(&proxy).await;
    assert_eq!(
        (&kept["sampled"], &kept["notable"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
}

/// What a client does itself is no failure of ours, nor of an endpoint's.
#[tokio::test]
async fn a_conversation_that_its_client_cuts_off_is_no_error_and_one_that_its_endpoint_cuts_off_is()
{
    let server = server().await;
    let proxy = Config::to(&[&server]).decisions("slowerThan: 0s, sample: 0").admin().start();
    let mut client = proxy.client().await;
    client
        .send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 101);
    client.stream.set_zero_linger().unwrap();
    drop(client);
    proxy.ended(1).await;
    let mut client = proxy.client().await;
    client.send("GET /trickle?pieces=0 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.until("200 OK").await;
    client.stream.set_zero_linger().unwrap();
    drop(client);
    proxy.ended(2).await;
    assert_eq!(picks(&proxy).await["notable"], serde_json::json!([]));
    let mut client = proxy.client().await;
    client.send("GET /close?at=mid-body HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.rest().await;
    proxy.ended(3).await;
    let kept = &picks(&proxy).await["notable"][0];
    assert_eq!((&kept["kept"][0], &kept["reason"]), (&"error".into(), &"response_cut".into()));
}
