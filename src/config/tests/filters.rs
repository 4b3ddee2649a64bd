//! What is wrong with filters.

use super::*;

#[test]
fn a_bad_filter_is_refused() {
    refused(
        "bad_filter",
        &[
            &filters("{}"),
            &filters("~"),
            &filters("{ rewrite: }"),
            &filters("{ headers: {} }"),
            &filters("{ mirror: { backend: blog } }"),
            &filters("{ rewrite: { host: a }, responseHeaders: { remove: [server] } }"),
            &filters("{ requestHeaders: { remove: [a] } }, { requestHeaders: { remove: [b] } }"),
            &route("filters: { rewrite: { host: a } }"),
        ],
    );
}

#[test]
fn a_bad_change_of_header_fields_is_refused() {
    let request = |text: &str| filters(&format!("{{ requestHeaders: {{ {text} }} }}"));
    refused(
        "bad_header_change",
        &[
            &request("set: [{ name: host, value: a }]"),
            &request("remove: [Host, Connection, keep-alive, Via]"),
            &request("add: [{ name: content-length, value: '1' }, { name: upgrade, value: h2c }]"),
            &request("set: [{ name: te, value: trailers }, { name: trailer, value: x }]"),
            &request("remove: [proxy-connection, transfer-encoding]"),
            &filters("{ responseHeaders: { set: [{ name: transfer-encoding, value: gzip }] } }"),
            &request("set: [{ name: x-a, value: '1' }, { name: X-A, value: '2' }]"),
            &request("set: [{ name: x-a }, { value: '1' }]"),
            &request("set: { x-a: '1' }"),
            &request("remove: [x-a, ~, 'x a']"),
        ],
    );
}

#[test]
fn a_bad_rewrite_is_refused() {
    let exact = "matches: [{ path: { prefix: /a } }, { path: { exact: /b } }]";
    refused(
        "bad_rewrite",
        &[
            &filters("{ rewrite: { host: 'a b' } }"),
            &filters("{ rewrite: { path: /v2 } }"),
            &filters("{ rewrite: { path: {} } }"),
            &filters("{ rewrite: { path: { full: /a, prefix: /b } } }"),
            &filters("{ rewrite: { path: { prefix: v2 } } }"),
            &route(&format!("{exact}, filters: [{{ rewrite: {{ path: {{ prefix: /v2 }} }} }}]")),
        ],
    );
}

#[test]
fn a_bad_redirect_is_refused() {
    let redirect = |text: &str| answering(&format!("redirect: {{ {text} }}"));
    let at = |matches: &str, text: &str| {
        routes(&format!("  - {{ name: all, {matches}, filters: [{{ redirect: {{ {text} }} }}] }}"))
    };
    refused(
        "bad_redirect",
        &[
            &redirect("scheme: ftp"),
            &redirect("host: 'www.example.com:8443'"),
            &redirect("host: 'https://www.example.com'"),
            &redirect("port: 0"),
            &redirect("status: 200, scheme: Https"),
            &redirect(""),
            &redirect("status: 301"),
            &at("hosts: [a.com]", "host: A.com"),
            &at("matches: [{ path: { exact: /a } }]", "path: { full: /a }"),
            &at("matches: [{ path: { prefix: /a } }]", "path: { prefix: /a/ }"),
            &at("matches: [{ path: { regex: /a } }]", "path: { prefix: /b }"),
        ],
    );
}

#[test]
fn a_bad_response_is_refused() {
    refused(
        "bad_response",
        &[
            &answering("respond: { status: 101 }"),
            &answering("respond: { status: 204, body: gone }"),
            &answering("respond: { body: 7 }"),
            &answering("respond: { contentType: 'text/plain ' }"),
            &answering("respond: ok"),
        ],
    );
}

#[test]
fn a_route_that_answers_itself_and_asks_a_backend_is_refused() {
    refused(
        "answer_and_backend",
        &[
            &filters("{ respond: {} }"),
            &routes("  - name: none"),
            &routes("  - { name: none, filters: [{ rewrite: { host: a } }] }"),
            &routes(
                "  - { name: both, filters: [{ respond: {} }, { redirect: { scheme: Https } }] }",
            ),
            &routes(
                "  - { name: both, filters: [{ rewrite: { host: a } }, { redirect: { scheme: Https } }] }",
            ),
            &routes("  - { name: both, filters: [{ respond: {} }, { rewrite: { host: a } }] }"),
        ],
    );
}
