//! Where a request goes, and why, by the very code that serves requests: `outrigger explain` and `/api/v1/explain`.

mod json;
mod request;
#[cfg(test)]
mod tests;
mod text;

pub use request::Request;

use crate::model::path::NormalPath;
use crate::model::{self, Listener, Model, Redirect};
use crate::proxy::error::ProxyError;
use crate::proxy::filters::rewrite_path;
use crate::proxy::hash_key::{Hashed, hash};
use crate::proxy::redirect;
use crate::router::{Asked, Considered, Criterion, Explanation, Mismatch, Rank};
use crate::snapshot::Snapshot;
use http::Method;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

/// A request that is asked about, as it is typed.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The URL that the client asks for.
    pub url: &'a str,
    /// The method.
    pub method: &'a Method,
    /// Header fields: a name, a colon and a value.
    pub headers: &'a [String],
    /// The address that the request comes from.
    pub client_address: Option<IpAddr>,
}

/// What is wrong with a question. It is shown after the name of the parameter: `url shop: a URL with a host is wanted`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parameter} {reason}")]
pub struct Wrong {
    parameter: &'static str,
    reason: String,
}

impl Wrong {
    fn new(parameter: &'static str, reason: impl Into<String>) -> Self {
        Self { parameter, reason: reason.into() }
    }
}

/// The listener that the request comes by, and whether that is a guess.
fn find_listener<'m>(
    model: &'m Model,
    name: Option<&str>,
    request: &Request,
) -> Result<(&'m Listener, bool), Wrong> {
    let wrong = |reason: String| {
        let one = |listener: &Listener| format!("{} (on {})", listener.name, listener.address);
        let all: Vec<_> = model.listeners.iter().map(one).collect();
        Wrong::new("listener", format!("{reason}; there are: {}", all.join(", ")))
    };
    if let Some(name) = name {
        let found = model.listeners.iter().find(|listener| *listener.name == *name);
        return found
            .map(|listener| (listener, false))
            .ok_or_else(|| wrong(format!("{name}: there is none of this name")));
    }
    let port = request.port();
    let fitting: Vec<_> =
        model.listeners.iter().filter(|listener| listener.address.port() == port).collect();
    match (&*fitting, &*model.listeners) {
        ([one], _) => Ok((one, false)),
        // Something before it has another port: a Service, a container's port mapping.
        ([], [only]) => Ok((only, true)),
        ([], _) => Err(wrong(format!("NAME is wanted: none has port {port}"))),
        _ => Err(wrong(format!("NAME is wanted: more than one has port {port}"))),
    }
}

/// A request, and everything that is told of it.
#[derive(Debug)]
pub struct Case<'a> {
    request: &'a Request,
    listener: &'a Listener,
    /// Whether the listener has another port than the URL.
    assumed: bool,
    /// `None` when the request's path is refused.
    explanation: Option<Explanation<'a>>,
}

impl<'a> Case<'a> {
    /// `request` as `snapshot` takes it: by the listener of the name `listener`, or without a name by that with the URL's port, or
    /// by the only one.
    ///
    /// # Errors
    /// When there is no such listener, or it takes a name to tell which.
    pub fn new(
        snapshot: &'a Snapshot,
        request: &'a Request,
        listener: Option<&str>,
    ) -> Result<Self, Wrong> {
        let (listener, assumed) = find_listener(&snapshot.model, listener, request)?;
        let asked = request.path.as_ref().ok().map(|path| request.asked(path.compared()));
        let explanation =
            asked.as_ref().map(|asked| snapshot.router.explain(&listener.name, asked));
        Ok(Self { request, listener, assumed, explanation })
    }

    /// Whether a route takes the request.
    pub fn is_taken(&self) -> bool {
        self.won().is_some()
    }

    /// The explanation for people.
    pub fn text(&self) -> String {
        text::tell(self)
    }

    /// The explanation for programs.
    pub fn json(&self) -> Value {
        json::tell(self)
    }

    /// The match that takes the request.
    fn won(&self) -> Option<&Considered<'a>> {
        let explanation = self.explanation.as_ref()?;
        explanation.winner.map(|winner| &explanation.considered[winner.position])
    }

    /// Why the request is answered by us, when no route takes it.
    fn refusal(&self) -> ProxyError {
        match &self.request.path {
            Err(why) => ProxyError::BadPath(why),
            Ok(_) => ProxyError::NoRoute,
        }
    }

    /// The matches that do not take the request, the nearest first.
    fn others(&self) -> Vec<&Considered<'a>> {
        let Some(explanation) = &self.explanation else { return Vec::new() };
        let won = explanation.winner.map(|winner| winner.position);
        let all = explanation.considered.iter().enumerate();
        let mut others: Vec<_> =
            all.filter(|(at, _)| Some(*at) != won).map(|(_, considered)| considered).collect();
        others.sort_by_key(|considered| match &considered.verdict {
            Ok(rank) => (false, 0, Some(std::cmp::Reverse(*rank))),
            Err(mismatches) => (mismatches.contains(&Mismatch::Host), mismatches.len(), None),
        });
        others
    }

    /// How much of the path the winner's prefix has.
    fn prefix(&self) -> Option<usize> {
        let path = self.request.path.as_ref().ok()?;
        match &self.won()?.wanted().path {
            model::PathMatch::Prefix(prefix) => {
                Some(path.sent_length(prefix.len().min(path.compared().len())))
            }
            model::PathMatch::Exact(_) | model::PathMatch::Regex(_) => None,
        }
    }

    fn path(&self) -> &str {
        self.request.path.as_ref().map_or("", NormalPath::sent)
    }

    /// Path and query as endpoints see them, below their own path.
    fn sent(&self, rewrite: &model::Rewrite) -> String {
        let path = match &rewrite.path {
            Some(rewrite) => rewrite_path(rewrite, self.path(), self.prefix()),
            None => self.path().to_owned(),
        };
        match self.request.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        }
    }

    /// Where a redirect leads.
    fn location(&self, redirect: &Redirect) -> Result<String, ProxyError> {
        let asked = redirect::Asked {
            scheme: self.request.scheme(),
            host: self.request.host(),
            path: self.path(),
            prefix: self.prefix(),
            query: self.request.query(),
        };
        let location = redirect::location(redirect, &asked)?;
        Ok(String::from_utf8_lossy(location.as_bytes()).into_owned())
    }

    /// The client's address, as far as it is known.
    fn client(&self) -> Option<IpAddr> {
        self.request.client(&self.listener.trusted_proxies)
    }

    /// Whether the request has what `hashing` wants; `None` when that is the client's address, which is not known.
    fn has_key(&self, hashing: &model::Hashing) -> Option<bool> {
        let client = match (self.client(), &hashing.key) {
            (None, model::HashKey::ClientAddress) => return None,
            (client, _) => client.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
        };
        let Asked { path, query, headers, .. } = self.request.asked(self.path());
        Some(hash(&hashing.key, &Hashed { headers, path, query, client }).is_some())
    }
}

/// What decides between the winner and another match that fits, said of the winner.
fn decided(winner: &Rank, other: &Rank) -> &'static str {
    match winner.decided_by(other) {
        Criterion::Host => "a more specific host",
        Criterion::Path => "a more specific path",
        Criterion::Method => "a method",
        Criterion::Headers => "more header fields",
        Criterion::Query => "more query parameters",
        Criterion::Order => "an earlier place in the file",
    }
}
