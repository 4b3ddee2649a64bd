//! Every number moves when its thing happens, and what is removed leaves no series behind.

use super::arrival::{certificate, connector};
use super::harness::{Config, dead_port, server};
use super::http2_endpoint::{Http2Endpoint, Manner, answer};
use std::fmt::Write;
use testserver::Step;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_request_counts_for_its_listener_route_and_backend() {
    let server = server().await;
    let proxy =
        Config::to(&[&server]).routes("{ name: shop, backends: [{ name: test }] }").admin().start();
    let mut client = proxy.client().await;
    let sent = client.post("/echo", "body").await.body.len() as f64;
    proxy.ended(1).await;
    let metrics = proxy.metrics().await;
    for (series, value) in [
        (
            "outrigger_listener_requests_total{listener=\"http\",protocol=\"http1\",code=\"2xx\"}",
            1.0,
        ),
        ("outrigger_listener_in_flight_requests{listener=\"http\"}", 0.0),
        ("outrigger_listener_received_bytes_total{listener=\"http\"}", 4.0),
        ("outrigger_listener_sent_bytes_total{listener=\"http\"}", sent),
        ("outrigger_listener_connections{listener=\"http\"}", 1.0),
        ("outrigger_connections_accepted_total{listener=\"http\"}", 1.0),
        ("outrigger_route_requests_total{route=\"shop\",code=\"2xx\"}", 1.0),
        ("outrigger_picks_total{backend=\"test\",algorithm=\"RoundRobin\"}", 1.0),
        ("outrigger_backend_received_bytes_total{backend=\"test\"}", sent),
        ("outrigger_backend_sent_bytes_total{backend=\"test\"}", 4.0),
        ("outrigger_request_duration_seconds_count{backend=\"test\"}", 1.0),
        ("outrigger_response_head_seconds_count{backend=\"test\"}", 1.0),
        ("outrigger_upstream_connects_total{backend=\"test\"}", 1.0),
        ("outrigger_upstream_connections{backend=\"test\"}", 1.0),
    ] {
        assert_eq!(metrics.get(series), Some(value), "{series}");
    }
    let idle = "outrigger_upstream_idle_connections{backend=\"test\"}";
    proxy.metric(idle, |count| count == 1.0).await;
    server.close_connections();
    proxy.get("/").await;
    proxy.metric("outrigger_upstream_connections{backend=\"test\"}", |count| count == 1.0).await;
    drop(client);
    proxy.metric("outrigger_listener_connections{listener=\"http\"}", |count| count == 0.0).await;
}

#[tokio::test]
async fn what_is_answered_here_comes_from_no_endpoint() {
    let (_reserved, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead]).retry("attempts: 0").admin().start();
    let answer = proxy.get("/").await;
    assert_eq!(answer.status, 502);
    proxy.ended(1).await;
    let metrics = proxy.metrics().await;
    assert_eq!(metrics.get("outrigger_backend_received_bytes_total{backend=\"test\"}"), Some(0.0));
    let sent = metrics.get("outrigger_listener_sent_bytes_total{listener=\"http\"}");
    assert_eq!(sent, Some(answer.body.len() as f64));
    let failed =
        "outrigger_listener_requests_total{listener=\"http\",protocol=\"http1\",code=\"5xx\"}";
    assert_eq!(metrics.get(failed), Some(1.0));
}

#[tokio::test]
async fn a_request_that_waits_is_in_flight_and_one_that_is_refused_has_ended() {
    let server = server().await;
    let proxy = Config::to(&[&server]).admin().start();
    server.hold();
    let mut client = proxy.client().await;
    client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.wait_for_in_flight(1).await;
    let in_flight = "outrigger_listener_in_flight_requests{listener=\"http\"}";
    assert_eq!(proxy.metrics().await.get(in_flight), Some(1.0));
    assert_eq!(proxy.ask("nonsense\r\n\r\n").await.status, 400);
    server.release();
    assert_eq!(client.answer().await.status, 200);
    proxy.ended(2).await;
    let metrics = proxy.metrics().await;
    assert_eq!(metrics.get(in_flight), Some(0.0));
    let refused =
        "outrigger_listener_requests_total{listener=\"http\",protocol=\"http1\",code=\"4xx\"}";
    assert_eq!(metrics.get(refused), Some(1.0));
}

#[tokio::test]
async fn a_conversation_counts_its_bytes_both_ways_while_it_goes_on() {
    let server = server().await;
    let proxy = Config::to(&[&server]).admin().start();
    let mut client = proxy.client().await;
    client
        .send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        .await;
    client.head().await;
    client.send("hello").await;
    assert_eq!(client.exactly(5).await, b"hello");
    let metrics = proxy.metrics().await;
    for series in [
        "outrigger_listener_received_bytes_total{listener=\"http\"}",
        "outrigger_listener_sent_bytes_total{listener=\"http\"}",
        "outrigger_backend_received_bytes_total{backend=\"test\"}",
        "outrigger_backend_sent_bytes_total{backend=\"test\"}",
    ] {
        assert_eq!(metrics.get(series), Some(5.0), "{series}");
    }
    let open = "outrigger_upstream_connections{backend=\"test\"}";
    assert_eq!(metrics.get(open), Some(1.0), "it is a connection still");
    client.finish().await;
    client.is_closed().await;
    proxy.metric(open, |count| count == 0.0).await;
}

#[tokio::test]
async fn http2_has_its_own_label_and_streams_to_endpoints_are_counted() {
    let (release, held) = tokio::sync::watch::channel(false);
    let endpoint = Http2Endpoint::start(Manner::default(), move |_, respond| {
        let mut held = held.clone();
        async move {
            held.wait_for(|released| *released).await.unwrap();
            answer(respond, String::new()).await;
        }
    })
    .await;
    let proxy = Config::to_urls(vec![endpoint.url()]).keys("protocol: H2c").admin().start();
    let socket = TcpStream::connect(proxy.address).await.unwrap();
    let (send, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let mut send = send.ready().await.unwrap();
    let request = http::Request::get("http://a.example/").body(()).unwrap();
    let (response, _) = send.send_request(request, true).unwrap();
    let streams = "outrigger_upstream_streams{backend=\"test\"}";
    proxy.metric(streams, |count| count == 1.0).await;
    release.send_replace(true);
    assert_eq!(response.await.unwrap().status(), 200);
    let metrics = proxy.metric(streams, |count| count == 0.0).await;
    assert_eq!(metrics.get("outrigger_upstream_connections{backend=\"test\"}"), Some(1.0));
    let ended =
        "outrigger_listener_requests_total{listener=\"http\",protocol=\"http2\",code=\"2xx\"}";
    proxy.metric(ended, |count| count == 1.0).await;
    proxy
        .metric("outrigger_upstream_idle_connections{backend=\"test\"}", |count| count == 1.0)
        .await;
}

#[tokio::test]
async fn a_failed_connect_says_why() {
    let plain = server().await;
    let (_reserved, dead) = dead_port();
    // It accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("https://{}", silent.local_addr().unwrap());
    let tls = plain.url().replace("http:", "https:");
    for (reason, url, keys) in [
        ("refused", dead, ""),
        // Nobody asks an endpoint without an address, but in panic.
        ("dns", "http://nowhere.invalid:1".to_owned(), "healthProbe: { tcp: {} }"),
        ("tls", tls, "tls: { insecureSkipVerify: true }"),
        ("timeout", silent, "tls: { insecureSkipVerify: true }"),
    ] {
        let config = Config::to_urls(vec![url]).timeouts("connect: 200ms").retry("attempts: 0");
        let proxy = config.keys(keys).admin().start();
        assert!(matches!(proxy.get("/").await.status, 502..=504), "{reason}");
        let series = format!(
            "outrigger_upstream_connect_failures_total{{backend=\"test\",reason=\"{reason}\"}}"
        );
        let metrics = proxy.metrics().await;
        assert_eq!(metrics.get(&series), Some(1.0), "{reason}");
        assert_eq!(metrics.sum("outrigger_upstream_connect_failures_total{"), 1.0, "{reason}");
        assert_eq!(metrics.get("outrigger_upstream_connects_total{backend=\"test\"}"), Some(1.0));
        assert_eq!(metrics.get("outrigger_upstream_connections{backend=\"test\"}"), Some(0.0));
    }
}

#[tokio::test]
async fn handshakes_count_by_how_they_end() {
    let (_folder, keys, roots) = certificate();
    let server = server().await;
    let config = Config::to(&[&server]).listener(&keys).limits("handshakeTimeout: 1s");
    let proxy = config.admin().start();
    let connector = connector(roots, &[]);
    for _ in 0..2 {
        let socket = TcpStream::connect(proxy.address).await.unwrap();
        let mut stream = connector.connect("a.example".try_into().unwrap(), socket).await.unwrap();
        stream.write_all(REQUEST.as_bytes()).await.unwrap();
        // With the answer come the tickets.
        stream.read_exact(&mut [0; 12]).await.unwrap();
    }
    proxy.ask(REQUEST).await;
    let mut silent = proxy.client().await;
    assert_eq!(silent.rest().await.0, b"");
    let handshakes = |result: &str, version: &str| {
        let labels = format!("listener=\"http\",result=\"{result}\",version=\"{version}\"");
        format!("outrigger_tls_handshakes_total{{{labels}}}")
    };
    let metrics = proxy.metric(&handshakes("timeout", "none"), |count| count == 1.0).await;
    assert_eq!(metrics.get(&handshakes("ok", "1.3")), Some(1.0));
    assert_eq!(metrics.get(&handshakes("resumed", "1.3")), Some(1.0));
    assert_eq!(metrics.get(&handshakes("failed", "none")), Some(1.0));
    let refused = |reason: &str| {
        format!("outrigger_connections_refused_total{{listener=\"http\",reason=\"{reason}\"}}")
    };
    assert_eq!(metrics.get(&refused("tls")), Some(1.0));
    assert_eq!(metrics.get(&refused("timeout")), Some(1.0));
    assert_eq!(metrics.get(&refused("proxy_protocol")), Some(0.0));
}

#[tokio::test]
async fn who_is_turned_away_and_who_has_to_wait_is_counted() {
    let server = server().await;
    let config = Config::to(&[&server]).listener("proxyProtocol: Require").trusted("127.0.0.0/8");
    let proxy = config.limits("maxConnections: 1").admin().start();
    let mut stranger = proxy.client().await;
    stranger.send(REQUEST).await;
    stranger.rest().await;
    let refused =
        "outrigger_connections_refused_total{listener=\"http\",reason=\"proxy_protocol\"}";
    proxy.metric(refused, |count| count == 1.0).await;
    let _first = proxy.client().await;
    let paused = "outrigger_accept_pauses_total{listener=\"http\",reason=\"limit\"}";
    proxy.metric(paused, |count| count >= 1.0).await;
}

#[tokio::test]
async fn probes_count_by_kind_and_result() {
    let server = server().await;
    let url = server.url();
    let health = "healthProbe: { http: { path: /status/500 }, interval: 50ms }";
    let latency = "latencyProbe: { tcp: {}, interval: 50ms }";
    let proxy = Config::to(&[&server]).keys(&format!("{health}\n  {latency}")).admin().start();
    let probes = |probe: &str, result: &str| {
        let labels = format!("endpoint=\"{url}\",probe=\"{probe}\",result=\"{result}\"");
        format!("outrigger_probes_total{{backend=\"test\",{labels}}}")
    };
    proxy.metric(&probes("health", "fail"), |count| count >= 2.0).await;
    let metrics = proxy.metric(&probes("latency", "pass"), |count| count >= 2.0).await;
    assert_eq!(metrics.get(&probes("health", "pass")), Some(0.0));
    assert_eq!(metrics.get(&probes("latency", "fail")), Some(0.0));
    for probe in ["health", "latency"] {
        let count =
            format!("outrigger_probe_duration_seconds_count{{backend=\"test\",probe=\"{probe}\"}}");
        assert!(metrics.get(&count).is_some_and(|count| count >= 2.0), "{probe}");
    }
}

#[tokio::test]
async fn a_retry_takes_from_the_budget_that_is_shown() {
    let (one, two) = (server().await, server().await);
    one.script("/echo", [Step::Reset]);
    let retry = "attempts: 1, budget: { ratio: 0.2, minPerSecond: 1 }";
    let proxy = Config::to(&[&one, &two]).retry(retry).admin().start();
    let left = "outrigger_retry_budget_remaining{backend=\"test\"}";
    assert_eq!(proxy.metrics().await.get(left), Some(10.0));
    while proxy.retries().0 == 0 {
        assert_eq!(proxy.get("/echo").await.status, 200);
    }
    proxy.metric(left, |left| left <= 10.0).await;
    let metrics = proxy.metrics().await;
    assert_eq!(metrics.get("outrigger_retries_total{backend=\"test\"}"), Some(1.0));
    let picks = "outrigger_picks_total{backend=\"test\",algorithm=\"RoundRobin\"}";
    let requests = metrics.sum("outrigger_listener_requests_total{");
    assert_eq!(metrics.get(picks), Some(requests + 1.0), "the retry is a pick, too");
}

#[tokio::test]
async fn a_reload_says_when_it_was_and_how_long_it_took() {
    let server = server().await;
    let config = Config::to(&[&server]).admin();
    let proxy = config.start();
    let accepted = "outrigger_last_reload_timestamp_seconds{result=\"accepted\"}";
    let before = proxy.metrics().await;
    assert_eq!(before.get(accepted), None);
    assert_eq!(before.get("outrigger_reload_duration_seconds_count"), Some(0.0));
    proxy.reload(&Config::to(&[&server]).admin().timeouts("connect: 1s")).await;
    let metrics =
        proxy.metric("outrigger_reload_duration_seconds_count", |count| count == 1.0).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = metrics.get(accepted).unwrap();
    assert!((0.0..60.0).contains(&(now.as_secs_f64() - at)), "{at}");
    assert!(metrics.get("outrigger_last_reload_duration_seconds").unwrap() > 0.0);
    assert_eq!(metrics.get("outrigger_last_reload_timestamp_seconds{result=\"refused\"}"), None);
}

#[tokio::test]
async fn a_worker_says_how_late_it_is() {
    let server = server().await;
    let proxy = Config::to(&[&server]).admin().start();
    let count = "outrigger_worker_delay_seconds_count{worker=\"0\"}";
    let metrics = proxy.metric(count, |count| count >= 2.0).await;
    assert!(metrics.get("outrigger_worker_delay_seconds_sum{worker=\"0\"}").unwrap() < 10.0);
}

/// O4
#[tokio::test]
async fn a_thousand_endpoints_that_come_and_go_leave_no_series_behind() {
    let server = server().await;
    let probes = "healthProbe: { http: { path: / }, interval: 10s }\n  latencyProbe: { tcp: {}, interval: 10s }";
    let routes = "{ name: shop, backends: [{ name: test }] }";
    let small = || Config::to(&[&server]).keys(probes).routes(routes).admin();
    let proxy = small().timeouts("connect: 1s").start();
    proxy.reload(&small()).await;
    for _ in 0..3 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    let first = server.url();
    let probed = |url: &str, probe: &str| {
        let labels = format!("endpoint=\"{url}\",probe=\"{probe}\",result=\"pass\"");
        format!("outrigger_probes_total{{backend=\"test\",{labels}}}")
    };
    proxy.metric(&probed(&first, "latency"), |count| count >= 1.0).await;
    proxy.metric(&probed(&first, "health"), |count| count >= 1.0).await;
    let before = proxy.metrics().await.series();

    let urls: Vec<_> = (0..1_000).map(|number| format!("{first}/e{number}")).collect();
    for number in 0..1_000 {
        server.script(format!("/e{number}/"), [Step::answer(200, "")]);
    }
    server.script("/other", [Step::answer(200, "")]);
    let many = Config::to_urls(urls.clone()).keys(probes).admin();
    let routes = format!(
        "{routes}, {{ name: other, matches: [{{ path: {{ prefix: /other }} }}], backends: [{{ name: more }}] }}"
    );
    let many = many.backend("more", &[&server], "algorithm: Random").routes(&routes);
    proxy.reload(&many.second_listener()).await;
    // Each endpoint has its turn.
    let mut client = proxy.client().await;
    for _ in 0..10 {
        let mut pipelined = String::new();
        (0..100).for_each(|_| pipelined.write_str(REQUEST).unwrap());
        client.send(pipelined).await;
        for _ in 0..100 {
            assert_eq!(client.answer().await.status, 200);
        }
    }
    assert_eq!(client.get("/other").await.status, 200);
    let metrics = proxy.metric(&probed(&urls[999], "health"), |count| count >= 1.0).await;
    assert_eq!(metrics.sum("outrigger_endpoint_picks_total{backend=\"test\""), 1_000.0);
    assert!(metrics.series().len() > before.len() + 10_000);

    proxy.reload(&small()).await;
    assert_eq!(client.get("/").await.status, 200);
    let after = proxy.metrics().await;
    let after = after.series();
    let left: Vec<_> = after.symmetric_difference(&before).collect();
    assert!(left.is_empty(), "{left:#?}");
}
