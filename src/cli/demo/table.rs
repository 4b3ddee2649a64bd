//! The demo's last words: a line per generation, so that the algorithms can be compared.

use super::tally::Generation;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Draws the table of `generations`.
pub(super) fn draw(generations: &BTreeMap<u64, Generation>) -> String {
    if generations.is_empty() {
        return "No request was served.\n".to_owned();
    }
    let endpoints: BTreeSet<_> =
        generations.values().flat_map(|generation| generation.endpoints.keys()).collect();
    let endpoints: Vec<_> = endpoints.into_iter().collect();
    let (prefix, labels) = shorten(&endpoints);
    let fixed = ["generation", "algorithm", "requests", "p50", "p99"];
    let mut rows: Vec<Vec<String>> =
        vec![fixed.iter().map(ToString::to_string).chain(labels).collect()];
    for (number, generation) in generations {
        let [p50, p99] = generation.percentiles([0.5, 0.99]);
        let mut row = vec![
            number.to_string(),
            generation.algorithm.to_owned(),
            generation.requests.to_string(),
            time(p50),
            time(p99),
        ];
        row.extend(endpoints.iter().map(|endpoint| {
            let count = generation.endpoints.get(*endpoint).copied().unwrap_or_default();
            share(count, generation.requests)
        }));
        rows.push(row);
    }

    let mut text = String::from("What each generation did, and which share of its requests");
    let _ = match prefix {
        "" => writeln!(text, " each endpoint got:\n"),
        prefix => writeln!(text, " each endpoint {prefix}… got:\n"),
    };
    align(&mut text, &rows);
    let failures: u64 = generations.values().map(|generation| generation.failures).sum();
    let _ = match failures {
        0 => writeln!(text, "\nNo request failed."),
        count => {
            writeln!(text, "\nRequests answered with an error (status 500 and above): {count}")
        }
    };
    text
}

/// What the names of all endpoints begin with, up to a separator, and the rest of each.
fn shorten<'a>(endpoints: &[&'a Arc<str>]) -> (&'a str, Vec<String>) {
    let whole = |endpoint: &&Arc<str>| endpoint.to_string();
    let Some(first) = endpoints.first().filter(|_| endpoints.len() > 1) else {
        return ("", endpoints.iter().map(whole).collect());
    };
    let mut ends = first.match_indices([':', '/', '.']).map(|(at, separator)| at + separator.len());
    let common =
        |end: &usize| endpoints.iter().all(|e| e.len() > *end && e.starts_with(&first[..*end]));
    let end = ends.rfind(common).unwrap_or_default();
    let rest = |endpoint: &&Arc<str>| endpoint[end..].trim_end_matches('/').to_owned();
    (&first[..end], endpoints.iter().map(rest).collect())
}

/// Writes `rows` in columns: words to the left, figures to the right.
fn align(text: &mut String, rows: &[Vec<String>]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column).unwrap_or_default();
            // The algorithm's name is the only column of words.
            let _ = match column {
                1 => write!(line, "  {cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// A share in whole percent; what is not nothing is not shown as nothing.
fn share(count: u64, of: u64) -> String {
    let percent = count as f64 * 100.0 / of.max(1) as f64;
    match count {
        0 => "0%".to_owned(),
        _ if percent < 1.0 => "<1%".to_owned(),
        _ => format!("{percent:.0}%"),
    }
}

/// A duration with three significant digits or fewer.
fn time(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1e3;
    match milliseconds {
        m if m >= 1000.0 => format!("{:.2} s", m / 1e3),
        m if m >= 100.0 => format!("{m:.0} ms"),
        m if m >= 10.0 => format!("{m:.1} ms"),
        m => format!("{m:.2} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;
    use crate::telemetry::observe::Completed;

    fn record(tally: &Tally, generation: u64, algorithm: &'static str, url: &str, seconds: f64) {
        tally.record(&Completed {
            generation,
            algorithm,
            endpoint: Some(Arc::from(url)),
            duration: Duration::from_secs_f64(seconds),
            status: 200,
        });
    }

    #[test]
    fn generations_can_be_compared_line_by_line() {
        let tally = Tally::default();
        for port in [8081, 8083, 8085, 8086] {
            let seconds = if port == 8081 { 4.0 } else { 0.0012 };
            record(&tally, 1, "RoundRobin", &format!("http://localhost:{port}/"), seconds);
        }
        for _ in 0..200 {
            record(&tally, 2, "LeastResponseTime", "http://localhost:8083/", 0.000_95);
        }
        record(&tally, 2, "LeastResponseTime", "http://localhost:8081/", 4.0);
        let expected = "\
What each generation did, and which share of its requests each endpoint http://localhost:… got:

  generation  algorithm          requests      p50      p99  8081  8083  8085  8086
           1  RoundRobin                4  1.20 ms   4.00 s   25%   25%   25%   25%
           2  LeastResponseTime       201  0.95 ms  0.95 ms   <1%  100%    0%    0%

No request failed.
";
        assert_eq!(draw(&tally.generations()), expected);
    }

    #[test]
    fn endpoints_of_different_hosts_keep_what_tells_them_apart() {
        let names: Vec<Arc<str>> = vec!["http://a.test:80".into(), "http://b.test:80".into()];
        let (prefix, labels) = shorten(&names.iter().collect::<Vec<_>>());
        assert_eq!(prefix, "http://");
        assert_eq!(labels, ["a.test:80", "b.test:80"]);
        let one: Vec<Arc<str>> = vec!["http://localhost:8081".into()];
        let (prefix, labels) = shorten(&one.iter().collect::<Vec<_>>());
        assert_eq!((prefix, labels.as_slice()), ("", &["http://localhost:8081".to_owned()][..]));
    }

    #[test]
    fn failures_are_not_hidden() {
        let tally = Tally::default();
        tally.record(&Completed {
            generation: 1,
            algorithm: "Random",
            endpoint: None,
            duration: Duration::ZERO,
            status: 503,
        });
        assert!(draw(&tally.generations()).contains("error (status 500 and above): 1"));
    }

    #[test]
    fn no_requests_no_table() {
        assert_eq!(draw(&BTreeMap::new()), "No request was served.\n");
    }
}
