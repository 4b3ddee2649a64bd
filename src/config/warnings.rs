//! What works, though hardly as it was meant: things without a use, and settings that change nothing.

mod affinity;
mod shadow;
mod telemetry;

use super::problem::{Collector, Fault};
use super::tree::At;
use crate::model::{Algorithm, Answer, Backend, Listener, Match, Model, PathMatch, Route};
use std::collections::HashSet;

/// Warns about `model`, which is that of the valid document at `root`.
pub(super) fn warn(model: &Model, root: &At<'_>, found: &Collector) {
    let warner = Warner { model, found };
    warner.traces(model.traces.as_ref(), root);
    let (listeners, backends, routes) =
        (root.key("listeners"), root.key("backends"), root.key("routes"));
    for (index, listener) in model.listeners.iter().enumerate() {
        warner.listener(listener, &listeners.index(index));
    }
    for (index, backend) in model.backends.iter().enumerate() {
        warner.backend(backend, &backends.index(index));
    }
    // Without routes in the file there is one that takes everything.
    if root.has("routes") {
        for (index, route) in model.routes.iter().enumerate() {
            warner.route(route, &routes.index(index));
        }
        warner.unused(&listeners, &backends);
        warner.shadowed(&routes);
        warner.cookies(&backends);
    }
}

struct Warner<'m, 'p> {
    model: &'m Model,
    found: &'p Collector,
}

impl Warner<'_, '_> {
    fn say(&self, at: &At<'_>, message: impl Into<String>) {
        self.found.warn(at, Fault::new(message));
    }

    fn listener(&self, listener: &Listener, at: &At<'_>) {
        let at = at.key("trustedProxies");
        for (index, network) in listener.trusted_proxies.iter().enumerate() {
            if network.prefix_len() == 0 {
                let fault = Fault::new(
                    "every client is believed what it says of its own address, as if it were a proxy",
                );
                let allowed = "the networks of the proxies before this one, such as `10.0.0.0/8`";
                self.found.warn(&at.index(index), fault.allow(allowed));
            }
        }
    }

    fn backend(&self, backend: &Backend, at: &At<'_>) {
        let algorithm = backend.algorithm;
        let by_latency = matches!(algorithm, Algorithm::LeastResponseTime | Algorithm::PeakEwma);
        let without_probe = backend.health_probe.is_none() && backend.latency_probe.is_none();
        let several = backend.endpoints.len() > 1 || backend.source.followed().is_some();
        if by_latency && without_probe && several {
            let fault = Fault::new(format!(
                "{algorithm} without a probe: only requests tell how fast an endpoint is, and whether it is there at all"
            ));
            let allowed = "a `latencyProbe`, a `healthProbe`, or both";
            self.found.warn(&at.key("algorithm"), fault.allow(allowed));
        }
        if backend.hashing.is_some() && backend.slow_start.is_some() {
            self.say(
                &at.key("slowStart"),
                format!(
                    "`slowStart` has no effect under {algorithm}, where a growing share would move clients to and fro"
                ),
            );
        }
        if backend.hashing.is_some() && backend.session_affinity.is_some() {
            self.say(
                &at.key("sessionAffinity"),
                format!(
                    "with `sessionAffinity`, {algorithm} decides for a client's first request only"
                ),
            );
        }
        self.statuses(&backend.retry.statuses, &at.key("retry"));
        if backend.tls.insecure_skip_verify {
            let tls = at.key("tls");
            let fault = Fault::new(
                "INSECURE: any certificate will do, so whoever is on the way to the endpoints can read and change everything",
            );
            let allowed = "`caFile` with the CA of their certificates";
            self.found.warn(&tls.key("insecureSkipVerify"), fault.allow(allowed));
            if backend.tls.ca.is_some() {
                self.say(&tls.key("caFile"), "`caFile` has no effect under `insecureSkipVerify`");
            }
        }
    }

    /// Statuses that are no failure are hardly a reason to try again.
    fn statuses(&self, statuses: &[(u16, u16)], retry: &At<'_>) {
        for (index, (first, _)) in statuses.iter().enumerate() {
            if *first < 400 {
                let at = retry.key("statuses").index(index);
                self.say(&at, format!("`{}` is no failure, but a reason to try again", at.shown()));
            }
        }
    }

    fn route(&self, route: &Route, at: &At<'_>) {
        if let Some(answer) = &route.filters.answer {
            let kind = match answer {
                Answer::Redirect(_) => "redirect",
                Answer::Fixed(_) => "respond",
            };
            for key in ["timeouts", "retry"].into_iter().filter(|key| at.has(key)) {
                self.say(
                    &at.key(key),
                    format!("`{key}` has no effect: the filter `{kind}` answers every request"),
                );
            }
            if !route.filters.request_headers.is_empty() {
                self.say(
                    &at.key("filters"),
                    format!(
                        "`requestHeaders` has no effect: the filter `{kind}` answers every request"
                    ),
                );
            }
        }
        if let Some(statuses) = &route.overrides.retry_statuses {
            self.statuses(statuses, &at.key("retry"));
        }
        for (index, one) in route.matches.iter().enumerate() {
            self.path(one, &at.key("matches").index(index).key("path"));
        }
    }

    fn path(&self, one: &Match, at: &At<'_>) {
        let regex = match &one.path {
            PathMatch::Exact(path) => return self.no_wildcard(path, &at.key("exact")),
            PathMatch::Prefix(path) => return self.no_wildcard(path, &at.key("prefix")),
            PathMatch::Regex(regex) => regex,
        };
        let at = &at.key("regex");
        let text = regex.as_str();
        // A plain letter or digit at the beginning, and no other way to begin.
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let optional = matches!(text.as_bytes().get(1), Some(b'?' | b'*' | b'{'));
        if begins && !optional && !text.contains('|') {
            let fault = Fault::new(
                "no path is ever like this: the whole path is compared, and every path begins with `/`",
            );
            let suggestion = (!at.is_expanded()).then(|| format!("/{text}"));
            self.found.warn(at, fault.suggest(suggestion));
        }
    }

    fn no_wildcard(&self, path: &str, at: &At<'_>) {
        let Some(before) = path.strip_suffix('*') else { return };
        let before = before.trim_end_matches(['*', '/']);
        let fault = Fault::new("the `*` stands for itself here");
        let allowed = "`prefix`, which takes everything below it, or `regex`";
        let prefix = format!("prefix: {}", if before.is_empty() { "/" } else { before });
        let suggestion = (!at.is_expanded()).then_some(prefix);
        self.found.warn(at, fault.allow(allowed).suggest(suggestion));
    }

    fn cookies(&self, backends: &At<'_>) {
        for affinity::Clash { of, with } in affinity::clashes(self.model) {
            let at = backends.index(of).key("sessionAffinity");
            let other = backends.index(with).key("name").shown();
            let fault = Fault::new(format!(
                "clients lose their endpoints: the backend `{other}` has a cookie of the same name and path, and of the routes on one host some lead to the one and some to the other"
            ));
            self.found.warn(&at, fault.allow("a cookie of its own: `cookie: { name: … }`"));
        }
    }

    fn unused(&self, listeners: &At<'_>, backends: &At<'_>) {
        let routes = &self.model.routes;
        let used: HashSet<&str> =
            routes.iter().flat_map(|route| &route.backends).map(|backend| &*backend.name).collect();
        for (index, backend) in self.model.backends.iter().enumerate() {
            if !used.contains(&*backend.name) {
                let at = backends.index(index).key("name");
                self.say(&at, format!("no route sends requests to the backend `{}`", at.shown()));
            }
        }
        if routes.iter().any(|route| route.listeners.is_empty()) {
            return;
        }
        let served: HashSet<&str> =
            routes.iter().flat_map(|route| &route.listeners).map(|name| &**name).collect();
        for (index, listener) in self.model.listeners.iter().enumerate() {
            if !served.contains(&*listener.name) {
                let at = listeners.index(index).key("name");
                let shown = at.shown();
                self.say(
                    &at,
                    format!("no route takes requests of the listener `{shown}`: all get a 404"),
                );
            }
        }
    }

    fn shadowed(&self, routes: &At<'_>) {
        let place = |of: shadow::Id| {
            let route = routes.index(of.route);
            let matches = route.key("matches");
            // Without matches there is one that takes everything.
            if route.has("matches") { matches.index(of.index) } else { route }
        };
        let shadowed = shadow::shadowed(self.model);
        for (route, group) in grouped(&shadowed) {
            if group.len() == self.model.routes[route].matches.len() {
                let shadow = &group[0];
                let at = routes.index(route).key("name");
                let by = place(shadow.by);
                let message = format!("this route takes no request: {}", reason(shadow, &by));
                self.say(&at, message);
                continue;
            }
            for shadow in group {
                let by = place(shadow.by);
                let message = format!("this match takes no request: {}", reason(shadow, &by));
                self.say(&place(shadow.of), message);
            }
        }
    }
}

/// Neighbours of the same route together.
fn grouped(shadowed: &[shadow::Shadow]) -> impl Iterator<Item = (usize, &[shadow::Shadow])> {
    shadowed
        .chunk_by(|one, other| one.of.route == other.of.route)
        .map(|group| (group[0].of.route, group))
}

fn reason(shadow: &shadow::Shadow, by: &At<'_>) -> String {
    let by = &by.path;
    match shadow.reason {
        shadow::Reason::Earlier => format!("{by} takes all of them, and comes first"),
        shadow::Reason::Regex => {
            format!("the regular expression of {by} takes all of them, and comes before any prefix")
        }
    }
}
