//! Whatever the bytes are, reading ends, and ends in time, with a model or with problems.

use crate::config::BUILT_IN;
use crate::config::property::holds as ends;
use proptest::prelude::*;
use std::time::Duration;
use tokio::time::Instant;

/// Pieces that files are made of, and that break them.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "listeners",
            "backends",
            "name",
            "endpoints",
            "url",
            "weight",
            "algorithm",
            "http",
            "retry",
            "timeouts",
            "RoundRobin",
            "http://a",
            "127.0.0.1:1",
            "5s",
            "64Ki",
            "0%",
            "1e309",
            "-0",
            "~",
            "<<",
            "${SET}",
            "${X:-1}",
            "$${",
            "${",
            "*a",
            "&a ",
            "!!str ",
            "!t ",
            "%YAML 1.1",
            "---",
            "...",
            "- ",
            ": ",
            "? ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "\n",
            "\n  ",
            "\n    ",
            "\t",
            "# ",
            "'",
            "\"",
            "|",
            ">",
            "\u{feff}",
            "\0",
            "\\",
            "@",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,4}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_bytes_are_read_to_an_end(source in proptest::collection::vec(any::<u8>(), 0..200)) {
        ends(&source);
    }

    #[test]
    fn any_pieces_are_read_to_an_end(pieces in proptest::collection::vec(piece(), 0..60)) {
        ends(pieces.concat().as_bytes());
    }

    #[test]
    fn a_damaged_file_is_read_to_an_end(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), 0..12usize, piece()), 1..6),
    ) {
        let mut source = BUILT_IN.as_bytes().to_vec();
        for (place, removed, added) in damage {
            let start = place.index(source.len() + 1);
            let end = (start + removed).min(source.len());
            source.splice(start..end, added.bytes());
        }
        ends(&source);
    }
}

#[test]
fn large_files_are_read_in_time() {
    // Each has a shape that is slow for a careless reader: what is quadratic takes minutes.
    let fill = |text: &str| text.repeat((1 << 18) / text.len());
    let files = [
        fill("a"),
        fill("- "),
        fill("- a\n"),
        fill("? "),
        fill("[],"),
        fill("{"),
        format!("[{}]", fill("&a x, ")),
        format!("a: &a x\nb: [{}]", fill("*a, ")),
        format!("[{}]", fill("a: b, ")),
        format!("listeners: [{}]", fill("{x: 1},")),
        format!("listeners: [{}]", fill("\"${SET}\",")),
        format!("a: \"{}\"", fill("\\n")),
        format!("a: |\n{}", fill("  b\n")),
        format!("workers: {}", fill("1")),
        format!("shutdown: {{ drainDelay: {} }}", fill("1h")),
        format!("{}: 1", "k".repeat(1000)),
    ];
    for file in files {
        let start = Instant::now();
        ends(file.as_bytes());
        assert!(start.elapsed() < Duration::from_secs(20), "{file:.40}: {:?}", start.elapsed());
    }
}
