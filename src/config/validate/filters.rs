//! Filters: each kind once, one in each item, and together something that can be done.

use super::{Unique, Validator, number};
use crate::config::decode::Field;
use crate::config::file::{self, List};
use crate::config::problem::Fault;
use crate::config::tree::At;
use crate::model::{self, Answer, HostPattern, Match, PathMatch, PathRewrite, defaults};
use http::{HeaderName, HeaderValue};
use std::collections::HashMap;
use std::sync::Arc;

/// Header fields that no filter changes, and what does or why nothing can. They belong to one connection or delimit the
/// message (RFC 9110, section 7.6.1; RFC 9112, section 6), so that a change would break it or let a request be smuggled.
const PROTECTED: &[(&str, &str)] = &[
    ("connection", "it belongs to one connection, and each side has its own"),
    ("content-length", "it follows from the body"),
    ("keep-alive", "it belongs to one connection, and each side has its own"),
    ("proxy-connection", "it belongs to one connection, and each side has its own"),
    ("te", "it belongs to one connection, and each side has its own"),
    ("trailer", "it follows from the body"),
    ("transfer-encoding", "it follows from the body"),
    ("upgrade", "upgrades are passed on without a filter"),
    ("via", "every proxy adds itself to it"),
];

/// The filters of a route, with what is needed to hold them against the rest of it.
pub(super) struct Typed<'t> {
    pub(super) model: model::Filters,
    /// The key of the filter that answers, valid or not, and its place.
    pub(super) answer: Option<(&'static str, At<'t>)>,
    /// Where a prefix is replaced.
    prefix: Option<At<'t>>,
    /// A redirect without a mistake of its own.
    redirect: Option<At<'t>>,
}

impl Validator<'_> {
    pub(super) fn filters<'t>(&self, typed: &List<file::Filter>, route: &At<'t>) -> Typed<'t> {
        let mut out =
            Typed { model: model::Filters::default(), answer: None, prefix: None, redirect: None };
        let mut rewrite = None;
        let mut seen: HashMap<&'static str, String> = HashMap::new();
        for (filter, at) in self.any(typed, route, "filters") {
            let Some(kind) = self.kind(filter, &at) else { continue };
            let place = at.key(kind);
            if let Some(first) = seen.get(kind) {
                let fault = Fault::new(format!("a second filter `{kind}`"));
                let allowed = format!("each kind of filter once; the first is at {first}");
                self.problems.key(&place, fault.allow(allowed));
                continue;
            }
            seen.insert(kind, place.path.clone());
            if matches!(kind, "redirect" | "respond") {
                match &out.answer {
                    Some((other, _)) => {
                        let fault = Fault::new(format!("both `{other}` and `{kind}` answer"));
                        let allowed = "one filter that answers: `redirect` or `respond`";
                        self.problems.key(&place, fault.allow(allowed));
                    }
                    None => out.answer = Some((kind, place.clone())),
                }
            }
            if kind == "rewrite" {
                rewrite = Some(place.clone());
            }
            self.filter(filter, &place, &mut out);
        }
        if let (Some(rewrite), Some((answer, _))) = (rewrite, &out.answer) {
            let fault = Fault::new(format!(
                "nothing is sent to an endpoint, so nothing can be rewritten: `{answer}` answers"
            ));
            let allowed = match *answer {
                "redirect" => "`host` and `path` of `redirect`, without `rewrite`",
                _ => "either `rewrite` or `respond`",
            };
            self.problems.key(&rewrite, fault.allow(allowed));
        }
        out
    }

    /// The one key that a filter has.
    fn kind(&self, filter: &file::Filter, at: &At<'_>) -> Option<&'static str> {
        let keys = [
            ("requestHeaders", filter.request_headers.is_absent()),
            ("responseHeaders", filter.response_headers.is_absent()),
            ("rewrite", filter.rewrite.is_absent()),
            ("redirect", filter.redirect.is_absent()),
            ("respond", filter.respond.is_absent()),
        ];
        let mut there = keys.iter().filter(|(_, absent)| !absent).map(|(name, _)| *name);
        if let (Some(one), Some(other)) = (there.next(), there.next()) {
            let fault = Fault::new(format!("two filters in one item: `{one}` and `{other}`"));
            let allowed = format!("one filter for each `-`; begin another item with `- {other}:`");
            self.problems.key(&at.key(other), fault.allow(allowed));
            return None;
        }
        self.exactly_one(at, &keys)
    }

    fn filter<'t>(&self, filter: &file::Filter, at: &At<'t>, out: &mut Typed<'t>) {
        if let Some(changes) = filter.request_headers.get() {
            out.model.request_headers = self.header_changes(changes, at, Direction::Request);
        }
        if let Some(changes) = filter.response_headers.get() {
            out.model.response_headers = self.header_changes(changes, at, Direction::Response);
        }
        if let Some(rewrite) = filter.rewrite.get() {
            let host = rewrite.host.get().and_then(|host| HeaderValue::from_str(&host.0).ok());
            let path = self.path_rewrite(&rewrite.path, at, out);
            out.model.rewrite = model::Rewrite { host, path };
        }
        if let Some(redirect) = filter.redirect.get() {
            let path = self.path_rewrite(&redirect.path, at, out);
            let file::Redirect { scheme, host, port, path: typed_path, status: _ } = redirect;
            let is_whole = !matches!(scheme, Field::Invalid)
                && !matches!(host, Field::Invalid)
                && !matches!(port, Field::Invalid)
                && path.is_some() != typed_path.is_absent();
            out.redirect = is_whole.then(|| at.clone());
            out.model.answer = Some(Answer::Redirect(model::Redirect {
                scheme: redirect.scheme.get().map(|scheme| match scheme {
                    file::Scheme::Http => model::Scheme::Http,
                    file::Scheme::Https => model::Scheme::Https,
                }),
                host: redirect.host.get().map(|host| Arc::from(&*host.0)),
                port: redirect.port.get().map(|port| port.0 as u16),
                path,
                status: redirect.status.get().map_or(defaults::REDIRECT_STATUS, |status| status.0),
            }));
        }
        if let Some(respond) = filter.respond.get() {
            out.model.answer = Some(Answer::Fixed(self.respond(respond, at)));
        }
    }

    fn header_changes(
        &self,
        typed: &file::HeaderChanges,
        at: &At<'_>,
        direction: Direction,
    ) -> model::HeaderChanges {
        let mut seen = Unique::new("field");
        let set = self.header_fields(&typed.set, at, "set", direction);
        for (name, at) in &set {
            self.unique(&mut seen, name.0.clone(), &at.key("name"));
        }
        let add = self.header_fields(&typed.add, at, "add", direction);
        let mut remove = Vec::new();
        for (name, at) in self.any(&typed.remove, at, "remove") {
            self.unprotected(&name.0, direction, &at);
            remove.push(name.0.clone());
        }
        let plain = |fields: Vec<((HeaderName, HeaderValue), At<'_>)>| {
            fields.into_iter().map(|(field, _)| field).collect()
        };
        model::HeaderChanges { remove, set: plain(set), add: plain(add) }
    }

    fn header_fields<'t>(
        &self,
        typed: &List<file::HeaderField>,
        at: &At<'t>,
        key: &str,
        direction: Direction,
    ) -> Vec<((HeaderName, HeaderValue), At<'t>)> {
        let field = |(typed, at): (&file::HeaderField, At<'t>)| {
            let expected = || "the name of a header field".into();
            let name = self.required(&typed.name, &at, "name", expected);
            if let Some(name) = name {
                self.unprotected(&name.0, direction, &at.key("name"));
            }
            let expected = || "the field's value, which may be `\"\"`".into();
            let value = self.required(&typed.value, &at, "value", expected);
            Some(((name?.0.clone(), value?.0.0.clone()), at))
        };
        self.any(typed, at, key).into_iter().filter_map(field).collect()
    }

    fn unprotected(&self, name: &HeaderName, direction: Direction, at: &At<'_>) {
        if name == http::header::HOST && direction == Direction::Request {
            let fault = Fault::new("`host` is not changed like other fields");
            let allowed = "another filter, `rewrite: { host: … }`";
            self.problems.value(at, fault.allow(allowed));
        }
        if let Some((name, why)) = PROTECTED.iter().find(|(protected, _)| name == protected) {
            let fault = Fault::new(format!("`{name}` cannot be changed: {why}"));
            self.problems
                .value(at, fault.allow("fields that go from end to end, such as `x-user`"));
        }
    }

    fn path_rewrite<'t>(
        &self,
        typed: &Field<file::PathRewrite>,
        at: &At<'t>,
        out: &mut Typed<'t>,
    ) -> Option<PathRewrite> {
        let typed = typed.get()?;
        let at = at.key("path");
        let keys = [("full", typed.full.is_absent()), ("prefix", typed.prefix.is_absent())];
        self.exactly_one(&at, &keys)?;
        if let Some(path) = typed.full.get() {
            return Some(PathRewrite::Full(Arc::from(&*path.0)));
        }
        let at = at.key("prefix");
        let path = self.prefix(typed.prefix.get()?, &at);
        out.prefix = Some(at);
        Some(PathRewrite::Prefix(path))
    }

    fn respond(&self, typed: &file::Respond, at: &At<'_>) -> model::FixedResponse {
        let status = number(&typed.status, u64::from(defaults::RESPOND_STATUS)) as u16;
        let body = typed.body.get().map_or("", |body| &*body.0);
        // RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
        if matches!(status, 204 | 205 | 304) && !body.is_empty() {
            let fault = Fault::new(format!("a response with status {status} has no body"));
            self.problems.value(&at.key("body"), fault.allow("another `status`, or no `body`"));
        }
        let content_type = typed.content_type.get().map(|value| value.0.clone());
        model::FixedResponse {
            status,
            body: Arc::from(body),
            content_type: content_type
                .unwrap_or(HeaderValue::from_static(defaults::RESPOND_CONTENT_TYPE)),
        }
    }

    /// Holds what filters do to paths against what the route matches.
    pub(super) fn paths_fit(
        &self,
        filters: &Typed<'_>,
        hosts: &[HostPattern],
        matches: &[Match],
        route: &At<'_>,
    ) {
        let is_prefix = |one: &Match| matches!(one.path, PathMatch::Prefix(_));
        if let Some(at) = &filters.prefix
            && let Some(other) = matches.iter().position(|one| !is_prefix(one))
        {
            let other = route.key("matches").index(other).path;
            let fault = Fault::new(format!("there is no prefix to replace: {other} has none"));
            let allowed = "`full`, or a route that matches by `path: { prefix: … }` only";
            self.problems.value(at, fault.allow(allowed));
        }
        if let (Some(Answer::Redirect(redirect)), Some(at)) =
            (&filters.model.answer, &filters.redirect)
            && !changes_something(redirect, hosts, matches)
        {
            let fault = Fault::new("a redirect that changes nothing sends the client in circles");
            self.problems.value(at, fault.allow("another `scheme`, `host`, `port` or `path`"));
        }
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

/// Whether a request that is redirected may come back as another one.
fn changes_something(redirect: &model::Redirect, hosts: &[HostPattern], matches: &[Match]) -> bool {
    let same_host = |host: &Arc<str>| {
        !hosts.is_empty()
            && hosts.iter().all(|one| matches!(one, HostPattern::Exact(one) if one == host))
    };
    let same_path = |path: &PathRewrite| {
        matches.iter().all(|one| match (path, &one.path) {
            (PathRewrite::Full(new), PathMatch::Exact(old)) => new == old,
            (PathRewrite::Prefix(new), PathMatch::Prefix(old)) => new == old,
            _ => false,
        })
    };
    redirect.scheme.is_some()
        || redirect.port.is_some()
        || redirect.host.as_ref().is_some_and(|host| !same_host(host))
        || redirect.path.as_ref().is_some_and(|path| !same_path(path))
}
