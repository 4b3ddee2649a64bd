//! `outrigger explain`: where a request goes, and why, by the very code that serves requests.

mod json;
mod request;
mod text;

use super::exit::{Answer, Failure, Reason};
use super::source::{Format, Source, print, print_json};
use crate::model::path::NormalPath;
use crate::model::{self, Listener, Model, Redirect};
use crate::proxy::error::ProxyError;
use crate::proxy::filters::rewrite_path;
use crate::proxy::hash_key::{Hashed, hash};
use crate::proxy::redirect;
use crate::router::{Asked, Considered, Criterion, Explanation, Mismatch, Rank};
use crate::snapshot::Snapshot;
use http::Method;
use request::Request;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The URL that the client asks for
    #[arg(long)]
    url: String,
    /// The request's method
    #[arg(long, default_value_t = Method::GET)]
    method: Method,
    /// A header field of the request, such as 'x-user: a'; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The listener that the request comes by; without it, the one with the URL's port, or the only one
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The address that the request comes from
    #[arg(long, value_name = "IP")]
    client_address: Option<IpAddr>,
    /// How the explanation is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the explanation. The answer is whether a route takes the request.
pub(super) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let usage = |error: String| Failure::new(Reason::Usage, error);
    let request = Request::new(arguments).map_err(usage)?;
    let model = Arc::new(arguments.source.model()?);
    let (listener, assumed) = listener(&model, arguments, &request).map_err(usage)?;
    let snapshot = Snapshot::compile(Arc::clone(&model), String::new(), None, 1)
        .map_err(|reason| Failure::new(Reason::Configuration, reason))?;
    let asked = request.path.as_ref().ok().map(|path| request.asked(path.compared()));
    let explanation = asked.as_ref().map(|asked| snapshot.router.explain(&listener.name, asked));
    let case = Case { request: &request, listener, assumed, explanation };
    match arguments.format {
        Format::Text => print(&text::tell(&case))?,
        Format::Json => print_json(&json::tell(&case))?,
    }
    Ok(if case.won().is_some() { Answer::Yes } else { Answer::No })
}

/// The listener that the request comes by, and whether that is a guess.
fn listener<'m>(
    model: &'m Model,
    arguments: &Arguments,
    request: &Request,
) -> Result<(&'m Listener, bool), String> {
    let described = || {
        let one = |listener: &Listener| format!("{} (on {})", listener.name, listener.address);
        model.listeners.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    if let Some(name) = &arguments.listener {
        let found = model.listeners.iter().find(|listener| *listener.name == **name);
        return found
            .map(|listener| (listener, false))
            .ok_or_else(|| format!("there is no listener {name}; there are: {}", described()));
    }
    let port = request.port();
    let fitting: Vec<_> =
        model.listeners.iter().filter(|listener| listener.address.port() == port).collect();
    match (&*fitting, &*model.listeners) {
        ([one], _) => Ok((one, false)),
        // Something before it has another port: a Service, a container's port mapping.
        ([], [only]) => Ok((only, true)),
        ([], _) => {
            Err(format!("no listener has port {port}; name one with --listener: {}", described()))
        }
        _ => Err(format!(
            "more than one listener has port {port}; name one with --listener: {}",
            described()
        )),
    }
}

/// Everything that is told.
struct Case<'a> {
    request: &'a Request,
    listener: &'a Listener,
    /// Whether the listener has another port than the URL.
    assumed: bool,
    /// `None` when the request's path is refused.
    explanation: Option<Explanation<'a>>,
}

impl<'a> Case<'a> {
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

#[cfg(test)]
mod tests;
