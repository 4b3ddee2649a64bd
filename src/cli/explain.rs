//! `outrigger explain`: where a request goes, and why.

use super::exit::{Answer, Failure, Reason};
use super::source::{Format, Source, print, print_json};
use crate::explain::{Case, Question, Request, Wrong};
use crate::snapshot::Snapshot;
use http::Method;
use std::net::IpAddr;
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
    let usage = |wrong: Wrong| Failure::new(Reason::Usage, format_args!("--{wrong}"));
    let Arguments { source, url, method, headers, listener, client_address, format } = arguments;
    let question = Question { url, method, headers, client_address: *client_address };
    let request = Request::new(&question).map_err(usage)?;
    let snapshot = Snapshot::compile(Arc::new(source.model()?), String::new(), None, 1)
        .map_err(|reason| Failure::new(Reason::Configuration, reason))?;
    let case = Case::new(&snapshot, &request, listener.as_deref()).map_err(usage)?;
    match format {
        Format::Text => print(&case.text())?,
        Format::Json => print_json(&case.json())?,
    }
    Ok(if case.is_taken() { Answer::Yes } else { Answer::No })
}
