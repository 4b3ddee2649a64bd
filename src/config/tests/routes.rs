//! What is wrong with routes as a whole, with what they refer to, and with how backends share requests out.

use super::*;

#[test]
fn a_reference_to_nothing_is_refused() {
    let many: String =
        (0..12).map(|index| format!("  - {{ name: b{index}, endpoints: [http://a] }}\n")).collect();
    let many = format!(
        "listeners: [{{ name: http, address: 127.0.0.1:8080 }}]\nroutes: [{{ name: r, backends: [c] }}]\nbackends:\n{many}"
    );
    refused(
        "dangling",
        &[
            &routes("  - { name: r, backends: [shoop] }"),
            &routes("  - { name: r, backends: [{ name: cart }], listeners: [http, htp] }"),
            &routes("  - { name: r, backends: ['${SECRET}'] }"),
            &many,
        ],
    );
}

#[test]
fn a_bad_route_is_refused() {
    refused(
        "bad_route",
        &[
            &routes("  - { backends: [shop] }"),
            &routes("  - { name: r, backends: [shop] }\n  - { name: r, backends: [blog] }"),
            &routes("  - { name: r, backends: [shop, shop] }"),
            &routes("  - { name: r, backends: [shop], listeners: [http, http] }"),
            &routes(
                "  - { name: r, backends: [{ name: shop, weight: 0 }, { name: blog, weight: 0 }] }",
            ),
            &routes("  - { name: r, backends: [{ name: shop, weight: 1001 }, { weight: 1 }] }"),
            &routes("  - { name: r, backends: shop }"),
            &routes("  - { name: r, backends: [] }"),
            &routes("  - { name: r, backends: }"),
            &routes("  - { name: r, backends: [shop], listeners: [], matches: [] }"),
            &routes("  - { name: r, backends: [shop], backend: blog, path: /a }"),
            &routes(
                "  - { name: r, backends: [shop], retry: { attempts: 11, conditions: [], statuses: [5xx] } }",
            ),
            &format!("{ROUTED}  []\n"),
        ],
    );
}

#[test]
fn timeouts_of_a_route_that_do_not_fit_a_backend_are_refused() {
    let backend = |timeouts: &str, route: &str| {
        let shop = "name: shop, endpoints: [http://localhost:9001]";
        let text =
            routes(&format!("  - {{ name: r, backends: [blog, shop], timeouts: {{ {route} }} }}"));
        text.replace(shop, &format!("{shop}, timeouts: {{ {timeouts} }}"))
    };
    refused(
        "route_timeouts",
        &[
            &backend("", "request: 5s, attempt: 10s"),
            &backend("", "attempt: 2m"),
            &backend("request: 5s", "attempt: 10s"),
            &backend("attempt: 10s", "request: 5s"),
            &backend("", "request: 5, attempt: 10"),
        ],
    );
}

#[test]
fn a_bad_hash_is_refused() {
    let hash = |text: &str| backend(&format!("algorithm: {{ name: ConsistentHash, {text} }}"));
    refused(
        "bad_hash",
        &[
            &backend("algorithm: ConsistentHash"),
            &hash("key: {}"),
            &hash("key: { header: x-user, cookie: id }"),
            &hash("key: Header"),
            &hash("key: { heder: x-user }"),
            &hash("key: { header: 'x user' }"),
            &hash("key: Path, table: ring, boundedLoad: 0.5"),
            &hash("key: Path, boundedLoad: high"),
            &backend("algorithm: { name: RoundRobin, key: Path, table: Ring }"),
            &backend("algorithm: { name: SourceIpHash, key: { header: x-user }, boundedLoad: 2 }"),
        ],
    );
}

#[test]
fn a_bad_cookie_is_refused() {
    refused(
        "bad_cookie",
        &[
            &backend("sessionAffinity: {}"),
            &backend("sessionAffinity: { cookie: outrigger }"),
            &backend("sessionAffinity: { cookie: { name: 'a b' } }"),
            &backend("sessionAffinity: { cookie: { name: '' } }"),
            &backend("sessionAffinity: { cookie: { path: shop, ttl: 1 } }"),
            &backend("sessionAffinity: { cookie: { path: '/a;b' } }"),
            &backend("algorithm: { name: ConsistentHash, key: { cookie: 'a=b' } }"),
        ],
    );
}

#[test]
fn a_bad_slow_start_is_refused() {
    refused(
        "bad_slow_start",
        &[
            &backend("slowStart: { window: 0s }"),
            &backend("slowStart: { window: 30, minimumWeight: 110% }"),
        ],
    );
}

#[test]
fn a_bad_network_is_refused() {
    let trusted = |text: &str| address(&format!("127.0.0.1:8080, trustedProxies: [{text}]"));
    refused(
        "bad_network",
        &[
            &trusted("10.0.0.1/8"),
            &trusted("10.0.0.0/33"),
            &trusted("proxy.internal"),
            &trusted("'10.0.0.1:80'"),
            &trusted("10.0.0.0/8, 10.0.0.0/8"),
        ],
    );
}

#[test]
fn listeners_that_stand_in_each_others_way_are_refused() {
    let listeners = |first: &str, second: &str| {
        let listener =
            format!("[{{ name: a, address: '{first}' }}, {{ name: b, address: '{second}' }}]");
        BASE.replace("[{ name: http, address: 127.0.0.1:8080 }]", &listener)
    };
    refused(
        "conflicting_listeners",
        &[
            &listeners("127.0.0.1:8080", "127.0.0.1:8080"),
            &listeners("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080"),
            &listeners("0.0.0.0:8080", "127.0.0.1:9900"),
        ],
    );
}

/// Our sockets share a port, and the kernel gives a connection to the most specific address.
#[test]
fn listeners_may_share_a_port() {
    for (first, second) in [
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("[::]:8080", "0.0.0.0:8080"),
        ("[::]:8080", "[::1]:8080"),
        ("127.0.0.1:8080", "127.0.0.2:8080"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ] {
        let listeners =
            format!("[{{ name: a, address: '{first}' }}, {{ name: b, address: '{second}' }}]");
        let text = BASE.replace("[{ name: http, address: 127.0.0.1:8080 }]", &listeners);
        assert!(read(&text).is_ok(), "{first} and {second}");
    }
}
