//! The page over a real socket; `e2e` has it in a real browser.

use super::*;

#[tokio::test]
async fn the_dashboard_comes_with_a_policy_that_lets_nothing_else_run() {
    let (context, _guard) = context();
    let server = start(loopback(), context).unwrap();
    for (path, kind, start) in [
        ("/", "text/html; charset=utf-8", "<!doctype html>"),
        ("/dashboard/main.js", "text/javascript; charset=utf-8", "//"),
        ("/dashboard/style.css", "text/css; charset=utf-8", ":root"),
        ("/dashboard/icon.svg", "image/svg+xml", "<svg"),
    ] {
        let address = server.address();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let answer = raw(address, &head).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 ") && body.starts_with(start), "{path}: {answer}");
        for field in [
            &format!("content-type: {kind}"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(head.contains(field), "{path}: {field} is missing in\n{head}");
        }
    }
}

#[tokio::test]
async fn the_probes_port_has_no_dashboard() {
    let (context, _guard) = context();
    let server = start_probes(loopback(), context).unwrap();
    for path in ["/", "/dashboard/main.js"] {
        assert_eq!(get(server.address(), path).await.0, 404, "{path}");
    }
}
