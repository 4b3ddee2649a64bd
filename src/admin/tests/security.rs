//! Who may ask for what.

use super::*;

#[tokio::test]
async fn no_answer_allows_other_sites_anything() {
    let (context, _guard) = context();
    let server = start(loopback(), context).unwrap();
    let address = server.address();
    for (method, path) in
        [("GET", "/status"), ("GET", "/nothing"), ("OPTIONS", "/api/v1/config"), ("GET", "/livez")]
    {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://evil.test\r\n\
             Access-Control-Request-Method: GET\r\nConnection: close\r\n\r\n"
        );
        let answer = raw(address, &head).await.to_ascii_lowercase();
        assert!(!answer.contains("access-control-"), "{answer}");
        for field in [
            "cross-origin-resource-policy: same-origin",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(field), "{field} is missing in\n{answer}");
        }
    }
}

#[tokio::test]
async fn below_the_api_refusals_are_json() {
    let (context, _guard) = context();
    let server = start(loopback(), context).unwrap();
    let address = server.address();
    let ask = async |method: &str, path: &str, host: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        split(&raw(address, &head).await)
    };
    for (method, path, host, expected) in [
        ("GET", "/api/v1/nothing", "127.0.0.1", 404),
        ("DELETE", "/api/v1/config", "127.0.0.1", 405),
        ("GET", "/api/v1/config", "evil.test", 421),
        ("GET", "/api/v1/config?x=1", "127.0.0.1", 400),
    ] {
        let (code, body) = ask(method, path, host).await;
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"));
        assert!(code == expected && body["error"].is_string(), "{code} {body}");
        assert!(host != "evil.test" || body["allowed"].is_null(), "it tells a stranger: {body}");
    }
    let (_, body) = ask("DELETE", "/api/v1/config", "127.0.0.1").await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["allowed"], json!(["GET", "HEAD"]));
}
