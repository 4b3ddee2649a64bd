//! What is accepted, but hardly meant.

use super::*;

/// A file with these routes, each to both backends.
fn matches(routes_matches: &[&str]) -> String {
    let route = |(index, text): (usize, &&str)| {
        format!("  - {{ name: r{index}, backends: [shop, blog], {text} }}")
    };
    let lines: Vec<_> = routes_matches.iter().enumerate().map(route).collect();
    routes(&lines.join("\n"))
}

#[test]
fn a_match_that_takes_no_request_is_told() {
    let path = "path: { prefix: /a }";
    let header = |text: &str| format!("matches: [{{ headers: [{{ name: x, {text} }}] }}]");
    warned(
        "warning_shadowed",
        &[
            &matches(&["listeners: [http, inside]", "listeners: [inside]"]),
            &matches(&["hosts: [a.com, b.com]", "hosts: [B.com]"]),
            &matches(&[
                &format!("matches: [{{ {path} }}, {{ path: {{ prefix: /a/ }} }}]"),
                "matches: [{ path: { exact: /b } }]",
                &format!("matches: [{{ {path} }}, {{ path: {{ exact: /b }}, method: GET }}]"),
            ]),
            &matches(&[&header("present: true"), &header("exact: b")]),
            &matches(&[&header("regex: '[a-c]'"), &header("exact: b"), &header("exact: d")]),
            &matches(&[
                "matches: [{ path: { prefix: /a } }]",
                "matches: [{ path: { regex: /.* } }]",
            ]),
            &matches(&["listeners: [http]", "listeners: [inside]", "filters: []"]),
        ],
    );
}

#[test]
fn matches_that_take_a_request_each_are_not_told() {
    let header = |text: &str| format!("matches: [{{ headers: [{{ name: x, {text} }}] }}]");
    let both = |headers: &str| format!("matches: [{{ headers: [{headers}] }}]");
    for routes in [
        // The more special one comes first, wherever it stands.
        &["", "matches: [{ path: { prefix: /a } }]"][..],
        &["", "matches: [{ method: GET }]"],
        &["", "hosts: [a.com]"],
        &["hosts: ['*.com']", "hosts: [a.com]"],
        &["", &header("present: true")],
        &["listeners: [http]", ""],
        &["listeners: [http]", "listeners: [inside]"],
        &[&header("exact: a"), &header("exact: b")],
        &[&header("exact: b"), &header("present: true")],
        &[&header("present: true"), &header("present: false")],
        &[&header("regex: '[a-c]'"), &header("exact: d")],
        &["matches: [{ path: { regex: /.* } }]", "matches: [{ path: { exact: /a } }]"],
        &["matches: [{ path: { regex: /.* }, method: GET }]", ""],
        &["hosts: [a.com], matches: [{ path: { regex: /.* } }]", "hosts: [b.com]"],
        &[
            &both("{ name: x, present: true }, { name: z, exact: a }"),
            &both("{ name: x, exact: a }, { name: z, exact: b }"),
        ],
    ] {
        let text = matches(
            &routes
                .iter()
                .map(|one| if one.is_empty() { "filters: []" } else { one })
                .collect::<Vec<_>>(),
        );
        let loaded = load(text.as_bytes(), "config.yaml", &variables).unwrap();
        assert_eq!(loaded.warnings.to_string(), "", "{text}");
    }
}

#[test]
fn what_nothing_refers_to_is_told() {
    warned(
        "warning_unused",
        &[
            &routes("  - { name: r, backends: [shop] }"),
            &routes("  - { name: r, backends: [shop, blog], listeners: [http] }"),
        ],
    );
}

#[test]
fn what_has_no_effect_is_told() {
    warned(
        "warning_no_effect",
        &[
            &backend("algorithm: SourceIpHash\n    slowStart: {}"),
            &backend(
                "algorithm: { name: ConsistentHash, key: Path }\n    sessionAffinity: { cookie: {} }",
            ),
            &routes(
                "  - { name: r, backends: [shop, blog] }\n  - name: answer\n    hosts: [a.com]\n    timeouts: { request: 5s }\n    retry: { attempts: 0 }\n    filters: [{ respond: {} }, { requestHeaders: { remove: [a] } }]",
            ),
            &matching("path: { regex: shop/.* }"),
            &matching("path: { prefix: '/shop/*' }"),
            &matching("path: { exact: '/**' }"),
        ],
    );
}

/// A file with three backends whose clients keep to their endpoints, and these routes: name, hosts, backends.
fn sticky(routes: &[(&str, &str)]) -> String {
    let mut text = ROUTED.replace(
        "endpoints: [http://localhost:900",
        "sessionAffinity: { cookie: {} }, endpoints: [http://localhost:900",
    );
    for (index, (hosts, backends)) in routes.iter().enumerate() {
        let hosts = if hosts.is_empty() { String::new() } else { format!("hosts: [{hosts}], ") };
        text.push_str(&format!("  - {{ name: r{index}, {hosts}backends: [{backends}] }}\n"));
    }
    text
}

#[test]
fn cookies_that_take_each_others_clients_away_are_told() {
    let path = |text: &str| text.replacen("cookie: {}", "cookie: { path: /a }", 1);
    for (routes, clash) in [
        (&[("a.com", "shop"), ("a.com", "blog")][..], true),
        (&[("a.com", "shop"), ("b.com", "blog")], false),
        (&[("a.com, b.com", "shop"), ("b.com", "blog")], true),
        (&[("'*.a.com'", "shop"), ("x.y.a.com", "blog")], true),
        (&[("x.y.a.com", "blog"), ("'*.a.com'", "shop")], true),
        (&[("'*.y.a.com'", "blog"), ("'*.a.com'", "shop")], true),
        (&[("'*.a.com'", "shop"), ("'*.y.a.com'", "blog")], true),
        (&[("'*.a.com'", "shop"), ("a.com", "blog")], false),
        (&[("'*.a.com'", "shop"), ("'*.b.com'", "blog")], false),
        (&[("'*.a.com'", "shop"), ("b-a.com", "blog")], false),
        (&[("", "shop"), ("a.com", "blog")], true),
        (&[("a.com", "shop"), ("", "blog")], true),
        // A route that leads to both leaves a client where its cookie says.
        (&[("a.com", "shop, blog")], false),
        (&[("a.com", "shop, blog"), ("b.com", "blog, shop")], false),
        (&[("a.com", "shop, blog"), ("a.com", "blog")], true),
        (&[("a.com", "blog"), ("a.com", "shop, blog")], true),
    ] {
        let text = sticky(routes);
        let told = |text: &str| {
            let loaded = load(text.as_bytes(), "config.yaml", &variables).unwrap();
            let list = loaded.warnings.list().iter().map(|warning| &warning.0.message);
            list.filter(|message| message.contains("cookie")).count()
        };
        assert_eq!(told(&text), usize::from(clash), "{text}");
        assert_eq!(told(&path(&text)), 0, "{text}");
    }
    warned("warning_cookie", &[&sticky(&[("a.com", "shop"), ("a.com", "blog")])]);
}

#[test]
fn what_is_risky_is_told() {
    let two =
        backend("algorithm: LeastResponseTime").replace("8081]", "8081, http://localhost:8082]");
    warned(
        "warning_risky",
        &[
            &two,
            &two.replace("LeastResponseTime", "PeakEwma"),
            &address("127.0.0.1:8080, trustedProxies: [10.0.0.0/8, 0.0.0.0/0, '::/0']"),
            &backend("retry: { statuses: [200, 503] }"),
            &route("retry: { statuses: [300-399] }"),
        ],
    );
}

#[test]
fn what_is_well_meant_is_not_told() {
    let two = BASE.replace("8081]", "8081, http://localhost:8082]");
    for text in [
        BASE.to_owned(),
        crate::config::BUILT_IN.to_owned(),
        backend("algorithm: LeastResponseTime"),
        format!("{two}    algorithm: LeastResponseTime\n    latencyProbe: {{ tcp: {{}} }}\n"),
        format!("{two}    algorithm: PeakEwma\n    healthProbe: {{ tcp: {{}} }}\n"),
        routes(
            "  - { name: r, backends: [shop, { name: blog, weight: 0 }], matches: [{ path: { regex: 'x?/.*' } }] }",
        ),
    ] {
        let loaded = load(text.as_bytes(), "config.yaml", &variables).unwrap();
        assert_eq!(loaded.warnings.to_string(), "", "{text}");
    }
}
