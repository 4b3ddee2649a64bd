//! `outrigger routes`: which requests go where, as a table.

use super::exit::Failure;
use super::source::{Format, Source, columns, print, print_json, share};
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
