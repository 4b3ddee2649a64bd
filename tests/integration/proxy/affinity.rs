//! Session affinity: who brings the cookie of an endpoint goes there, as long as it can take requests.

use super::client::Answer;
use super::harness::{Config, Proxy, server};
use testserver::{Server, Step};

const KEY: &str = "sessionAffinity: { cookie: { name: shop } }";

/// What `proxy` answers to a request with this cookie.
async fn ask(proxy: &Proxy, cookie: &str) -> Answer {
    proxy.ask(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n")).await
}

/// The cookie that an answer sets, without its attributes.
fn given(answer: &Answer) -> String {
    answer.field("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

fn counts(servers: &[&Server]) -> Vec<u64> {
    servers.iter().map(|server| server.counts().requests).collect()
}

#[tokio::test]
async fn a_client_stays_with_the_endpoint_of_its_cookie() {
    let (one, two, three) = (server().await, server().await, server().await);
    let proxy = Config::to(&[&one, &two, &three]).keys(KEY).start();
    let first = proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()).await;
    let cookie = given(&first);
    let before = counts(&[&one, &two, &three]);
    for _ in 0..9 {
        let answer = ask(&proxy, &format!("other=1; {cookie}")).await;
        // What says nothing new is not said again.
        assert_eq!((answer.status, answer.field("set-cookie")), (200, None));
    }
    let after = counts(&[&one, &two, &three]);
    let more: Vec<_> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(more, before.iter().map(|first| first * 9).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cookie_is_the_same_in_every_process_and_tells_no_address() {
    let (one, two) = (server().await, server().await);
    let mut cookies = Vec::new();
    for endpoints in [[&one, &two], [&two, &one]] {
        // Another process, and another order: RoundRobin gives the first endpoint first.
        let proxy = Config::to(&endpoints).keys(KEY).start();
        let mut both = [given(&ask(&proxy, "x=1").await), given(&ask(&proxy, "x=1").await)];
        both.sort();
        cookies.push(both);
    }
    assert_eq!(cookies[0], cookies[1]);
    assert_ne!(cookies[0][0], cookies[0][1]);
    for cookie in &cookies[0] {
        let token = cookie.strip_prefix("shop=").unwrap();
        assert_eq!(token.len(), 16);
        assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    }
}

#[tokio::test]
async fn a_cookie_that_names_nobody_is_replaced() {
    let one = server().await;
    let proxy = Config::to(&[&one]).keys(KEY).start();
    for cookie in
        ["shop=", "shop=0123456789abcdef", "shop=http://127.0.0.1/", "shop=\u{e9}", "shopp=1"]
    {
        let answer = ask(&proxy, cookie).await;
        assert_eq!(answer.status, 200, "{cookie:?}");
        assert!(given(&answer).starts_with("shop="), "{cookie:?}");
    }
}

/// Its fallback: an endpoint that is gone loses nobody a request, and who was there is given another cookie.
#[tokio::test]
async fn who_was_with_an_endpoint_that_is_gone_is_given_another() {
    let (one, two) = (server().await, server().await);
    let proxy = Config::to(&[&one, &two]).keys(KEY).start();
    let (a, b) = (given(&ask(&proxy, "x=1").await), given(&ask(&proxy, "x=1").await));
    assert_ne!(a, b);
    one.stop().await;
    let mut kept = Vec::new();
    for cookie in [&a, &b] {
        let answer = ask(&proxy, cookie).await;
        assert_eq!(answer.status, 200);
        kept.push(answer.field("set-cookie").is_none());
    }
    // One of the two had the endpoint that is still there.
    kept.sort_unstable();
    assert_eq!(kept, [false, true]);
}

#[tokio::test]
async fn the_cookie_says_what_the_configuration_does() {
    let one = server().await;
    for (settings, wanted) in [
        ("{ name: a }", "; Path=/; HttpOnly; SameSite=Lax"),
        ("{ name: a, ttl: 1h, path: /shop }", "; Path=/shop; HttpOnly; SameSite=Lax; Max-Age=3600"),
        ("{ name: a, ttl: 1500ms }", "; Path=/; HttpOnly; SameSite=Lax; Max-Age=2"),
    ] {
        let keys = format!("sessionAffinity: {{ cookie: {settings} }}");
        let proxy = Config::to(&[&one]).keys(&keys).start();
        let answer = ask(&proxy, "x=1").await;
        let cookie = answer.field("set-cookie").unwrap();
        assert_eq!(&cookie["a=0123456789abcdef".len()..], wanted, "{settings}");
    }
}

/// However long the answer is on its way, and whatever the connection becomes.
#[tokio::test]
async fn upgrades_and_streams_have_the_cookie() {
    let one = server().await;
    let proxy = Config::to(&[&one]).keys(KEY).start();
    for request in [
        "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n",
        "GET /trickle?pieces=2&every=1ms HTTP/1.1\r\nHost: a\r\n",
    ] {
        let answer = proxy.ask(format!("{request}\r\n")).await;
        let cookie = given(&answer);
        let again = proxy.ask(format!("{request}Cookie: {cookie}\r\n\r\n")).await;
        assert_eq!((again.status, again.field("set-cookie")), (answer.status, None));
    }
}

/// What no endpoint answered gives no endpoint away.
#[tokio::test]
async fn our_own_errors_have_no_cookie() {
    let one = server().await;
    let proxy = Config::to(&[&one]).keys(KEY).start();
    let answer = proxy.ask("GET /close?at=before-head HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((answer.status, answer.field("set-cookie")), (502, None));
}

/// Of a route with several backends, the one whose endpoint the client had.
#[tokio::test]
async fn a_client_stays_with_the_backend_of_its_cookie() {
    let (one, two) = (server().await, server().await);
    let proxy = Config::to(&[&one])
        .keys(KEY)
        .backend("canary", &[&two], KEY)
        .routes("{ name: all, backends: [test, canary] }")
        .start();
    let mut cookies = std::collections::BTreeSet::new();
    while cookies.len() < 2 {
        cookies.insert(given(&ask(&proxy, "x=1").await));
    }
    for cookie in &cookies {
        for _ in 0..10 {
            assert_eq!(ask(&proxy, cookie).await.field("set-cookie"), None);
        }
    }
}

/// One answer of a listed status must not move a session for good, nor a reset connection.
#[tokio::test]
async fn a_retry_elsewhere_leaves_the_client_with_its_endpoint() {
    for step in [Step::answer(503, "bad"), Step::Close] {
        let (one, two) = (server().await, server().await);
        let proxy = Config::to(&[&one, &two]).keys(KEY).retry("statuses: [503]").start();
        let cookie = given(&ask(&proxy, "x=1").await);
        let (own, other) = if one.counts().requests == 1 { (&one, &two) } else { (&two, &one) };
        own.script("/bad", [step]);
        let request = format!("GET /bad HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
        let answer = proxy.ask(request).await;
        assert_eq!((answer.status, answer.field("set-cookie")), (404, None));
        // A connection that had idled may have been tried twice.
        assert!(own.counts().requests >= 2);
        assert_eq!(other.counts().requests, 1);
    }
}

/// A filter changes what the application says; the cookie is not its.
#[tokio::test]
async fn a_filter_leaves_the_cookie_alone() {
    let one = server().await;
    for changes in ["remove: [set-cookie]", "set: [{ name: set-cookie, value: a=1 }]"] {
        let proxy = Config::to(&[&one])
            .keys(KEY)
            .routes(&format!(
                "{{ name: all, filters: [{{ responseHeaders: {{ {changes} }} }}], backends: [test] }}"
            ))
            .start();
        let answer = ask(&proxy, "x=1").await;
        let cookies = answer.fields("set-cookie");
        let ours = cookies.iter().filter(|cookie| cookie.starts_with("shop=")).count();
        assert_eq!(ours, 1, "{changes}: {}", answer.head);
    }
}
