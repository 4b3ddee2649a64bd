//! What is wrong with matches: paths, hosts, methods, fields.

use super::*;

#[test]
fn a_bad_path_is_refused() {
    refused(
        "bad_path",
        &[
            &matching("path: /shop"),
            &matching("path: { prefix: shop }"),
            &matching("path: { prefix: '/shop/*' }, method: get"),
            &matching("path: { exact: '/a b' }"),
            &matching("path: { exact: '/a?b=1' }"),
            &matching("path: { exact: 'http://a/b' }"),
            &matching("path: { exact: /a%2Fb }"),
            &matching("path: { exact: /a/../.. }"),
            &matching("path: { exact: /%zz }"),
            &matching("path: { prefix: /shop// }"),
            &matching("path: { prefix: // }"),
            &matching("path: {}"),
            &matching("path: { exact: /a, prefix: /a }"),
            &matching("path: { prefix: }"),
            &matching("path: { prefx: /shop }"),
        ],
    );
}

#[test]
fn a_bad_regex_is_refused() {
    refused(
        "bad_regex",
        &[
            &matching(r#"path: { regex: "/v[0-9" }"#),
            &matching(r#"path: { regex: "a)(b" }"#),
            &matching(r#"path: { regex: "/(?=x)" }"#),
            &matching(r#"headers: [{ name: x, regex: "*" }]"#),
            &matching(r#"path: { regex: "(x{1000}){1000}" }"#),
        ],
    );
}

#[test]
fn a_bad_host_is_refused() {
    refused(
        "bad_host",
        &[
            &route("hosts: ['*']"),
            &route("hosts: [shop.example.com:8080]"),
            &route("hosts: ['*.example.com:443']"),
            &route("hosts: ['shop.*.com']"),
            &route("hosts: ['*shop.com']"),
            &route("hosts: ['http://shop.com']"),
            &route("hosts: [bücher.example]"),
            &route("hosts: [a..b]"),
            &route("hosts: ['']"),
            &route("hosts: []"),
            &route("hosts: shop.com"),
            &route("hosts: [shop.com, SHOP.com]"),
        ],
    );
}

#[test]
fn a_bad_method_is_refused() {
    refused(
        "bad_method",
        &[
            &matching("method: get"),
            &matching("method: 'GE T'"),
            &matching("method: CONNECT"),
            &matching("method: [GET, POST]"),
        ],
    );
}

#[test]
fn a_bad_header_is_refused() {
    refused(
        "bad_header",
        &[
            &matching("headers: [{ name: 'x-user:', exact: a }]"),
            &matching("headers: [{ name: 'x user', exact: a }]"),
            &matching("headers: [{ name: ':authority', exact: a }]"),
            &matching("headers: [{ name: x-user, exact: ' a' }]"),
            &matching("headers: [{ name: x-user, exact: \"a\\nb\" }]"),
            &matching("headers: [{ name: x-user, exact: 1 }]"),
            &matching("headers: [{ name: x-user }]"),
            &matching("headers: [{ exact: a }]"),
            &matching("headers: [{ name: x-user, exact: a, present: true }]"),
            &matching("headers: [{ name: x-user, present: yes }]"),
            &matching("headers: [{ name: x-user, exact: a }, { name: X-User, exact: b }]"),
            &matching("headers: { x-user: a }"),
        ],
    );
}

#[test]
fn a_bad_query_is_refused() {
    refused(
        "bad_query",
        &[
            &matching("query: [{ name: '', exact: a }]"),
            &matching("query: [{ name: q }]"),
            &matching("query: [{ exact: a }]"),
            &matching("query: [{ name: q, exact: a }, { name: q, regex: b }]"),
        ],
    );
}
