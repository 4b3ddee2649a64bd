//! `outrigger routes`: which requests go where, as a table.

use super::exit::Failure;
use super::source::{Format, Source, print, print_json};
use crate::model::words::{columns, share};
use crate::model::{
    Answer, BackendRef, HeaderMatch, HostPattern, Match, Model, PathMatch, QueryMatch, Route,
};
use crate::router::{HostRank, Rank};
use serde_json::json;
use std::cmp::Reverse;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// How the table is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A longer cell is cut in a table for people.
const WIDEST: usize = 40;

/// One way in: a host and a match of a route.
struct Row<'a> {
    route: &'a Route,
    host: Option<&'a HostPattern>,
    wanted: &'a Match,
}

/// Prints the table.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let model = arguments.source.model()?;
    let rows = rows(&model);
    match arguments.format {
        Format::Text => print(&text(&rows)),
        Format::Json => print_json(&rows.iter().map(Row::json).collect()),
    }
}

/// Every way in. Of two rows that take the same request, the upper one wins.
fn rows(model: &Model) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for route in &model.routes {
        let any = route.hosts.is_empty().then_some(None);
        for host in route.hosts.iter().map(Some).chain(any) {
            rows.extend(route.matches.iter().map(|wanted| Row { route, host, wanted }));
        }
    }
    // The rows of a host stand together; the sort keeps the file's order where nothing else decides.
    rows.sort_by_cached_key(|row| {
        let host = row.host.map_or(HostRank::Any, HostRank::from);
        (Reverse(host), row.host, Reverse(Rank::of(host, row.wanted)))
    });
    rows
}

impl Row<'_> {
    fn cells(&self) -> Vec<String> {
        let Route { name, listeners, backends, .. } = self.route;
        let Match { path, method, headers, query } = self.wanted;
        let all = |text: String| if text.is_empty() { "*".to_owned() } else { text };
        let headers = headers.iter().map(HeaderMatch::to_string);
        let conditions = headers.chain(query.iter().map(QueryMatch::to_string));
        let mut to: Vec<_> =
            shares(backends).map(|(name, share)| format!("{name} {share}")).collect();
        if let ([_], [only]) = (to.as_slice(), backends.as_slice()) {
            to = vec![only.name.to_string()];
        }
        vec![
            all(listeners.join(",")),
            self.host.map_or_else(|| "*".to_owned(), HostPattern::to_string),
            path.to_string(),
            method.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string),
            conditions.collect::<Vec<_>>().join(", "),
            name.to_string(),
            filter_names(self.route).join(", "),
            to.join(", "),
        ]
    }

    fn json(&self) -> serde_json::Value {
        let Route { name, listeners, filters, backends, .. } = self.route;
        let Match { path, method, headers, query } = self.wanted;
        let (kind, value) = match path {
            PathMatch::Exact(path) => ("exact", &**path),
            PathMatch::Prefix(path) => ("prefix", &**path),
            PathMatch::Regex(regex) => ("regex", regex.as_str()),
        };
        json!({
            "listeners": listeners.iter().map(|name| &**name).collect::<Vec<_>>(),
            "host": self.host.map(HostPattern::to_string),
            "path": { kind: value },
            "method": method.as_ref().map(|method| method.as_str()),
            "headers": headers.iter().map(HeaderMatch::to_string).collect::<Vec<_>>(),
            "query": query.iter().map(QueryMatch::to_string).collect::<Vec<_>>(),
            "route": &**name,
            "filters": filters.phrases(),
            "backends": backends
                .iter()
                .map(|backend| json!({ "name": &*backend.name, "weight": backend.weight }))
                .collect::<Vec<_>>(),
        })
    }
}

/// The names of its filters, short.
fn filter_names(route: &Route) -> Vec<String> {
    let filters = &route.filters;
    let mut names = Vec::new();
    let mut note = |there: bool, name: &str| {
        if there {
            names.push(name.to_owned());
        }
    };
    note(filters.rewrite != Default::default(), "rewrite");
    note(!filters.request_headers.is_empty(), "requestHeaders");
    note(!filters.response_headers.is_empty(), "responseHeaders");
    names.extend(filters.answer.as_ref().map(|answer| match answer {
        Answer::Redirect(redirect) => format!("redirect {}", redirect.status),
        Answer::Fixed(response) => format!("respond {}", response.status),
    }));
    names
}

/// The backends' names and shares.
pub(super) fn shares(backends: &[BackendRef]) -> impl Iterator<Item = (&str, String)> {
    let total = backends.iter().map(|backend| u64::from(backend.weight)).sum();
    backends.iter().map(move |backend| (&*backend.name, share(backend.weight, total)))
}

fn text(rows: &[Row<'_>]) -> String {
    let head = ["LISTENER", "HOST", "PATH", "METHOD", "CONDITIONS", "ROUTE", "FILTERS", "BACKENDS"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|row| row.cells().into_iter().map(cut).collect()));
    // A column that says nothing is left out.
    for column in (0..head.len()).rev() {
        if table[1..].iter().all(|row| row[column].is_empty()) {
            table.iter_mut().for_each(|row| drop(row.remove(column)));
        }
    }
    columns("", &table)
}

fn cut(cell: String) -> String {
    match cell.char_indices().nth(WIDEST) {
        Some(_) => cell.chars().take(WIDEST - 1).chain(['…']).collect(),
        None => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const FILE: &str = "
listeners: [{ name: http, address: 127.0.0.1:1 }, { name: more, address: 127.0.0.1:2 }]
routes:
  - { name: rest, backends: [one] }
  - name: shop
    listeners: [more]
    hosts: ['*.example.com', shop.example.com]
    matches: [{ path: { prefix: /a } }, { path: { prefix: /api }, method: GET, headers: [{ name: x-user, regex: a+ }] }]
    filters: [{ requestHeaders: { set: [{ name: x-key, value: s3cret }] } }]
    backends: [{ name: one, weight: 2 }, { name: two, weight: 1 }]
  - { name: gone, matches: [{ path: { exact: /gone } }, { path: { regex: '/v[0-9]+' } }], filters: [{ respond: { status: 410 } }] }
backends:
  - { name: one, endpoints: [http://a:1] }
  - { name: two, endpoints: [http://a:1] }
";

    #[test]
    fn the_table_stands_in_the_order_of_precedence() {
        let model =
            config::load(FILE.as_bytes(), "test", &config::Surroundings::none()).unwrap().model;
        let expected = "\
LISTENER  HOST              PATH         METHOD  CONDITIONS      ROUTE  FILTERS         BACKENDS
more      shop.example.com  /api/*       GET     x-user ~ \"a+\"   shop   requestHeaders  one 66.7%, two 33.3%
more      shop.example.com  /a/*         *                       shop   requestHeaders  one 66.7%, two 33.3%
more      *.example.com     /api/*       GET     x-user ~ \"a+\"   shop   requestHeaders  one 66.7%, two 33.3%
more      *.example.com     /a/*         *                       shop   requestHeaders  one 66.7%, two 33.3%
*         *                 = /gone      *                       gone   respond 410
*         *                 ~ /v[0-9]+   *                       gone   respond 410
*         *                 /*           *                       rest                   one
";
        let rows = rows(&model);
        let squeeze = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let drawn = text(&rows);
        assert_eq!(squeeze(&drawn), squeeze(expected), "{drawn}");
        let json: Vec<_> = rows.iter().map(Row::json).collect();
        assert_eq!(json[0]["path"], json!({ "prefix": "/api" }));
        assert_eq!(json[6]["host"], serde_json::Value::Null);
        assert!(!json!(json).to_string().contains("s3cret"), "a header's value may be a secret");
    }

    #[test]
    fn a_long_cell_is_cut() {
        assert_eq!(cut("ä".repeat(41)), format!("{}…", "ä".repeat(39)));
        assert_eq!(cut("ä".repeat(40)), "ä".repeat(40));
    }
}
