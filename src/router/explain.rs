//! Why a request goes where it goes: every match that was considered, and what speaks against those that do not fit.

use super::matching::{Host, header_fits, host_fits, method_fits, path_fits, query_fits};
use super::rank::{Criterion, HostRank, Rank};
use super::{Asked, Route};
use crate::model::{HeaderMatch, Match, QueryMatch};
use std::sync::Arc;

/// How the route of a request was found.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// The request's host as it was compared: in lower case, without a port and without a trailing dot.
    pub host: String,
    /// Every match of every route of the listener, in the order of the configuration.
    pub considered: Vec<Considered<'a>>,
    /// The one that takes the request.
    pub winner: Option<Winner>,
}

/// One match of a route, and what came of it.
#[derive(Clone, Debug)]
pub struct Considered<'a> {
    /// The route.
    pub route: &'a Arc<Route>,
    /// The position of the match in the route.
    pub at: usize,
    /// Its precedence when it fits, else all that speaks against it.
    pub verdict: Result<Rank, Vec<Mismatch<'a>>>,
}

impl<'a> Considered<'a> {
    /// The match.
    pub fn wanted(&self) -> &'a Match {
        &self.route.model.matches[self.at]
    }
}

/// What of a request is not as a match asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch<'a> {
    /// The host is none of the route's.
    Host,
    /// The path.
    Path,
    /// The method.
    Method,
    /// This header field.
    Header(&'a HeaderMatch),
    /// This parameter of the query.
    Query(&'a QueryMatch),
}

/// The match that takes the request. Positions are those of [`Explanation::considered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Winner {
    /// Its position.
    pub position: usize,
    /// Of the others that fit, the best, and what decided against it; `None` when no other fits.
    pub over: Option<(usize, Criterion)>,
}

/// Considers the matches of `members`, in order; `won` is the route (its position in `routes`) and the position in it of the
/// match that was found.
pub(super) fn explain<'a>(
    routes: &'a [Arc<Route>],
    members: &[usize],
    won: Option<(usize, usize)>,
    asked: &Asked<'_>,
) -> Explanation<'a> {
    let host = Host::of(asked.host);
    let mut considered = Vec::new();
    let mut winner = None;
    for position in members {
        let route = &routes[*position];
        for (at, wanted) in route.model.matches.iter().enumerate() {
            if won == Some((*position, at)) {
                winner = Some(considered.len());
            }
            considered.push(Considered { route, at, verdict: judge(route, wanted, &host, asked) });
        }
    }
    let winner = winner.map(|position| Winner { position, over: runner_up(&considered, position) });
    Explanation { host: String::from_utf8_lossy(&host).into_owned(), considered, winner }
}

fn judge<'a>(
    route: &'a Route,
    wanted: &'a Match,
    host: &[u8],
    asked: &Asked<'_>,
) -> Result<Rank, Vec<Mismatch<'a>>> {
    let host = match route.model.hosts.as_slice() {
        [] => Some(HostRank::Any),
        hosts => hosts.iter().filter(|own| host_fits(own, host)).map(HostRank::from).max(),
    };
    let mut mismatches = Vec::new();
    if host.is_none() {
        mismatches.push(Mismatch::Host);
    }
    if !path_fits(&wanted.path, asked.path) {
        mismatches.push(Mismatch::Path);
    }
    if !method_fits(wanted.method.as_ref(), asked.method) {
        mismatches.push(Mismatch::Method);
    }
    let headers = wanted.headers.iter().filter(|header| !header_fits(header, asked.headers));
    mismatches.extend(headers.map(Mismatch::Header));
    let query = wanted.query.iter().filter(|parameter| !query_fits(parameter, asked.query));
    mismatches.extend(query.map(Mismatch::Query));
    match host {
        Some(host) if mismatches.is_empty() => Ok(Rank::of(host, wanted)),
        Some(_) | None => Err(mismatches),
    }
}

/// The best that fits besides the one at `position`, and what decided between the two.
fn runner_up(considered: &[Considered<'_>], position: usize) -> Option<(usize, Criterion)> {
    let own = considered[position].verdict.as_ref().ok()?;
    let others = considered.iter().enumerate().filter(|(other, _)| *other != position);
    let fitting = others.filter_map(|(at, other)| Some((at, other.verdict.as_ref().ok()?)));
    // Of equals `max_by_key` takes the last, and the first is wanted.
    let (at, rank) = fitting.rev().max_by_key(|(_, rank)| **rank)?;
    Some((at, own.decided_by(rank)))
}
