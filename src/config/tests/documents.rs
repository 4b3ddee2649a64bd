//! What is wrong with whole documents: the exact text of every class of error.

use super::*;

#[test]
fn broken_yaml_is_refused() {
    refuses(
        "listeners: [\n",
        &[
            "config.yaml:2:1: not valid YAML: while parsing a node, did not find expected node content",
        ],
    );
    refuses(
        "a: b: c\n",
        &["config.yaml:1:5: not valid YAML: mapping values are not allowed in this context"],
    );
    refuses(
        "listeners:\n\t- name: x\n",
        &[
            "config.yaml:2:2: not valid YAML: tabs disallowed within this context (block indentation)",
            "  allowed: spaces",
        ],
    );
    refuses(
        "a: 'x\n",
        &[
            "config.yaml:1:4: not valid YAML: while scanning a quoted scalar, found unexpected end of stream",
        ],
    );
}

#[test]
fn a_second_document_is_refused() {
    refuses(
        "listeners: []\n---\nbackends: []\n",
        &["config.yaml:2:1: a second document begins here", "  allowed: one document in a file"],
    );
}

#[test]
fn an_empty_file_is_refused() {
    refuses(
        "",
        &[
            "config.yaml:1:1: the file is empty",
            "  allowed: a map with at least the keys `listeners` and `backends`",
        ],
    );
    refuses(
        "# only a comment\n",
        &[
            "config.yaml:1:1: the file is empty",
            "  allowed: a map with at least the keys `listeners` and `backends`",
        ],
    );
    refuses(
        "---\n",
        &[
            "config.yaml:1:1: the file is empty",
            "  allowed: a map with at least the keys `listeners` and `backends`",
        ],
    );
}

#[test]
fn tags_and_merge_keys_are_refused() {
    refuses(
        &top("workers: !!int 2"),
        &[
            "config.yaml:5:10: workers: the tag `!!int` is not supported",
            "  allowed: values without tags",
        ],
    );
    refuses(
        &top("admin: !foo { address: 127.0.0.1:1 }"),
        &[
            "config.yaml:5:8: admin: the tag `!foo` is not supported",
            "  allowed: values without tags",
        ],
    );
    refuses(
        &top("admin: &a { address: 127.0.0.1:1 }\nprobes: { <<: *a }"),
        &[
            "config.yaml:6:9: probes: missing key `address`",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
            "config.yaml:6:11: probes: merge keys (`<<`) are not supported",
            "  allowed: every key written out; an alias may stand for a whole value",
        ],
    );
    refuses(
        &top("? [a]\n: b"),
        &["config.yaml:5:3: a list or map as a key", "  allowed: a word as a key"],
    );
}

#[test]
fn a_file_that_is_not_utf8_is_refused() {
    let problems = load(b"listeners:\n  \xff", "config.yaml", &variables).unwrap_err();
    let text = "config.yaml:2:3: not UTF-8: found the byte 0xff\n  allowed: text in UTF-8";
    assert_eq!(problems.to_string(), text);
}

#[test]
fn bombs_of_depth_size_and_aliases_are_refused() {
    let depth = |text: &str, place: &str| {
        let first = format!("config.yaml:{place}: nested too deeply");
        refuses(&text.repeat(100_000), &[&first, "  allowed: at most 32 levels"]);
    };
    depth("[", "1:256");
    depth("- ", "1:65");
    depth("? ", "1:65");
    depth("[\n", "256:1");
    let size = "#".repeat((4 << 20) + 1);
    refuses(&size, &["config.yaml:1:1: the file has 4194305 bytes", "  allowed: at most 4Mi"]);
    let many = |word: &str| format!("[{}]", vec![word; 200].join(", "));
    let laughs = [many("lol"), many("*a"), many("*b"), many("*c")];
    let laughs = format!(
        "a: &a {}\nb: &b {}\nc: &c {}\nd: {}\n",
        laughs[0], laughs[1], laughs[2], laughs[3]
    );
    let text = [
        "config.yaml:3:24: anchors and aliases make the document too large",
        "  allowed: at most 1Mi of copied values",
    ];
    refuses(&laughs, &text);
    let inside = "config.yaml:5:22: an alias to a value that it is a part of";
    let text = [inside, "  allowed: an alias to a value that ended before it"];
    refuses(&top("admin: &a { address: *a }"), &text);
}

#[test]
fn a_hundred_errors_are_all_listed_and_more_are_counted() {
    let wrong = |count: usize| {
        let keys: String = (0..count).map(|index| format!("wrong{index}: 1\n")).collect();
        load(top(&keys).as_bytes(), "config.yaml", &variables).unwrap_err()
    };
    let hundred = wrong(100);
    assert_eq!((hundred.list().len(), hundred.more()), (100, 0));
    assert_eq!(hundred.list()[99].path, "wrong99");
    let more = wrong(123);
    assert_eq!((more.list().len(), more.more()), (100, 23));
    assert!(more.to_string().ends_with("\nand 23 more"));
}

#[test]
fn the_problems_are_machine_readable() {
    let problems = load(top("workrs: 2").as_bytes(), "config.yaml", &variables).unwrap_err();
    let expected = serde_json::json!({
        "list": [{
            "file": "config.yaml",
            "line": 5,
            "column": 1,
            "path": "workrs",
            "message": "unknown key `workrs`",
            "allowed": "admin, probes, workers, shutdown, telemetry, listeners, routes, backends",
            "suggestion": "workers",
        }],
        "more": 0,
    });
    assert_eq!(serde_json::to_value(&problems).unwrap(), expected);
}

#[test]
fn what_versions_of_yaml_read_differently_is_refused() {
    refuses(
        &backend("healthProbe: { http: { body: \"a\u{85}b\" } }"),
        &[
            "config.yaml:5:34: backends[0].healthProbe.http.body: YAML 1.1 and 1.2 read this differently",
            "  allowed: a simpler spelling, such as text in quotes",
        ],
    );
    refuses(
        &backend("healthProbe: { http: { body: :x } }"),
        &[
            "config.yaml:5:34: not valid YAML 1.1: did not find expected node content at line 5 column 34, while parsing a flow nod…",
            "  allowed: what YAML 1.1 and 1.2 both allow",
        ],
    );
}
