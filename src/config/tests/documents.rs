//! What is wrong with whole documents.

use super::*;

#[test]
fn broken_yaml_is_refused() {
    refused(
        "broken_yaml",
        &["listeners: [\n", "a: b: c\n", "listeners:\n\t- name: x\n", "a: 'x\n"],
    );
}

#[test]
fn a_second_document_is_refused() {
    refused("second_document", &["listeners: []\n---\nbackends: []\n"]);
}

#[test]
fn an_empty_file_is_refused() {
    refused("empty_file", &["", "# only a comment\n", "---\n"]);
}

#[test]
fn tags_and_merge_keys_are_refused() {
    refused(
        "tags_and_merge_keys",
        &[
            &top("workers: !!int 2"),
            &top("admin: !foo { address: 127.0.0.1:1 }"),
            &top("admin: &a { address: 127.0.0.1:1 }\nprobes: { <<: *a }"),
            &top("? [a]\n: b"),
        ],
    );
}

#[test]
fn bombs_of_depth_size_and_aliases_and_what_is_not_text_are_refused() {
    let many = |word: &str| format!("[{}]", vec![word; 200].join(", "));
    let laughs = [many("lol"), many("*a"), many("*b"), many("*c")];
    let laughs = format!(
        "a: &a {}\nb: &b {}\nc: &c {}\nd: {}\n",
        laughs[0], laughs[1], laughs[2], laughs[3]
    );
    let files: [(&str, Vec<u8>); 8] = [
        ("100,000 times `[`", "[".repeat(100_000).into()),
        ("100,000 times `- `", "- ".repeat(100_000).into()),
        ("100,000 times `? `", "? ".repeat(100_000).into()),
        ("100,000 lines of `[`", "[\n".repeat(100_000).into()),
        ("4 MiB and a byte of comment", "#".repeat((4 << 20) + 1).into()),
        ("200 aliases of 200 aliases of 200 aliases of 200 words", laughs.into()),
        ("an anchor that contains its own alias", top("admin: &a { address: *a }").into()),
        ("the byte 0xff in the second line", b"listeners:\n  \xff".into()),
    ];
    let said = files.map(|(what, file)| {
        let problems = load(&file, "config.yaml", &variables).expect_err(what);
        format!("     | {what}\n{problems}")
    });
    compare("hostile_documents", &said.join("\n\n"));
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
    refused(
        "yaml_versions",
        &[
            &backend("healthProbe: { http: { body: \"a\u{85}b\" } }"),
            &backend("healthProbe: { http: { body: :x } }"),
        ],
    );
}
