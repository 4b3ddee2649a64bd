//! Header fields: what is passed on, what is written anew, and what ends here.

use super::harness::{Config, Proxy, received, server};

/// The fields that arrive for a request with these fields, as the endpoint spells them.
async fn arrives(fields: &str) -> (Vec<(String, String)>, String) {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let answer = proxy.ask(format!("GET /echo HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let fields = serde_json::from_value(answer.json()["headers"].clone()).unwrap();
    (fields, received(&server).concat())
}

fn values<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    fields.iter().filter(|(n, _)| n == name).map(|(_, value)| &**value).collect()
}

#[tokio::test]
async fn what_concerns_one_connection_ends_here() {
    let (fields, raw) = arrives(
        "Connection: keep-alive, X-Mine, x-other\r\nX-Mine: 1\r\nX-Other: 2\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nTE: gzip\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\nX-Yours: 3\r\n",
    )
    .await;
    for name in [
        "connection",
        "x-mine",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "http2-settings",
    ] {
        assert_eq!(values(&fields, name), Vec::<&str>::new(), "{name} in {raw}");
    }
    assert_eq!(values(&fields, "x-yours"), ["3"]);
    assert_eq!(values(&fields, "host"), ["a.example"]);
}

#[tokio::test]
async fn what_concerns_one_connection_of_a_response_ends_here() {
    let server = server().await;
    server.script(
        "/fields",
        [testserver::Step::send(
            "HTTP/1.1 200 OK\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Connection: close\r\nUpgrade: h2c\r\nX-Yours: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
             Content-Length: 2\r\n\r\nok",
        )],
    );
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    let answer = client.get("/fields").await;
    for name in ["connection", "x-mine", "keep-alive", "proxy-connection", "upgrade"] {
        assert_eq!(answer.field(name), None, "{}", answer.head);
    }
    assert_eq!(answer.field("x-yours"), Some("2"));
    assert_eq!(answer.fields("set-cookie"), ["a=1", "b=2"]);
    // The endpoint's close is not ours.
    assert_eq!(client.get("/").await.status, 200);
}

/// S4
#[tokio::test]
async fn a_client_cannot_say_who_it_is_in_any_spelling() {
    let (fields, raw) = arrives(
        "X-Forwarded-For: 9.9.9.9\r\nx_forwarded_for: 9.9.9.9\r\nX-Forwarded_For: 9.9.9.9\r\n\
         X-Forwarded-Proto: https\r\nX_Forwarded_Proto: https\r\nX-Forwarded-Host: evil\r\n\
         X-Forwarded-Port: 9\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=9.9.9.9\r\n\
         X-Request_Id: evil\r\n",
    )
    .await;
    assert!(!raw.contains("9.9.9.9") && !raw.contains("evil"), "{raw}");
    assert_eq!(values(&fields, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&fields, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&fields, "x-forwarded-host"), ["a.example"]);
}

#[tokio::test]
async fn via_names_everybody_on_the_way() {
    let (fields, _) = arrives("").await;
    assert_eq!(values(&fields, "via"), ["1.1 outrigger"]);
    let (fields, _) = arrives("Via: 1.0 one\r\nVia: 1.1 two\r\n").await;
    assert_eq!(values(&fields, "via").join(", "), "1.0 one, 1.1 two, 1.1 outrigger");
}

#[tokio::test]
async fn a_requests_id_is_kept() {
    let (fields, _) = arrives("X-Request-Id: their-id_42\r\n").await;
    assert_eq!(values(&fields, "x-request-id"), ["their-id_42"]);
}

#[tokio::test]
async fn a_request_without_a_fit_id_gets_a_uuid_of_version_7() {
    let long = format!("X-Request-Id: {}\r\n", "x".repeat(129));
    for given in ["", "X-Request-Id: \r\n", "X-Request-Id: two words\r\n", &long] {
        let (fields, _) = arrives(given).await;
        let ids = values(&fields, "x-request-id");
        assert_eq!(ids.len(), 1, "{given}");
        let id = uuid::Uuid::parse_str(ids[0]).unwrap();
        assert_eq!(id.get_version_num(), 7, "{id}");
        let (seconds, _) = id.get_timestamp().unwrap().to_unix();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(now.abs_diff(seconds) < 60, "{id}");
    }
}

#[tokio::test]
async fn fields_of_the_application_arrive_byte_for_byte() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Latin: gr\xfc\xdf\r\nCookie: a=1; b=2\r\nX-Empty:\r\nX-A: 1\r\nX-A: 2\r\n\r\n").await;
    let answer = client.answer().await;
    let fields: Vec<(String, String)> =
        serde_json::from_value(answer.json()["headers"].clone()).unwrap();
    assert_eq!(values(&fields, "x-latin"), ["gr\u{fc}\u{df}"]);
    assert_eq!(values(&fields, "cookie"), ["a=1; b=2"]);
    assert_eq!(values(&fields, "x-empty"), [""]);
    assert_eq!(values(&fields, "x-a"), ["1", "2"]);
}

#[tokio::test]
async fn the_path_of_an_endpoints_url_comes_first() {
    let server = server().await;
    let proxy = Config::to_urls(vec![format!("{}/shop", server.url())]).start();
    proxy.get("/cart?x=1").await;
    assert!(received(&server)[0].starts_with("GET /shop/cart?x=1 HTTP/1.1\r\nhost: a.example\r\n"));
}
