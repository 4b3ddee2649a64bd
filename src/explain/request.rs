//! The request that is asked about, made from what was typed.

use super::{Question, Wrong};
use crate::model::path::{NormalPath, normalise};
use crate::model::{IpNet, Scheme};
use crate::proxy::client_address::behind_trusted;
use crate::router::Asked;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::net::IpAddr;

/// A request as it would come in.
#[derive(Debug)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Uri,
    /// In its normal form, or why it has none.
    pub(super) path: Result<NormalPath<'static>, &'static str>,
    /// With its `Host`.
    pub(super) headers: HeaderMap,
    peer: Option<IpAddr>,
    /// The host as text.
    host: String,
}

impl Request {
    /// The request that is asked about.
    ///
    /// # Errors
    /// When there cannot be such a request.
    pub fn new(question: &Question<'_>) -> Result<Self, Wrong> {
        let Question { url: typed, method, headers: fields, client_address } = *question;
        let wanted = || {
            let example = "http://shop.example.com/cart";
            Wrong::new("url", format!("{typed}: a URL with a host is wanted, such as {example}"))
        };
        let url: Uri = typed.parse().map_err(|_| wanted())?;
        let (Some("http" | "https"), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(wanted());
        };
        let authority = authority.as_str();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let mut headers = HeaderMap::new();
        for field in fields {
            let (name, value) = read_field(field).ok_or_else(|| {
                let example = "x-user: a";
                let wanted = format!("a name, a colon and a value are wanted, such as '{example}'");
                Wrong::new("header", format!("{field}: {wanted}"))
            })?;
            headers.append(name, value);
        }
        if !headers.contains_key(header::HOST) {
            let host = HeaderValue::from_str(host).map_err(|_| wanted())?;
            headers.insert(header::HOST, host);
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.ok_or_else(|| Wrong::new("header", "host: is no host"))?.to_owned();
        let path = normalise(url.path()).map(NormalPath::into_owned);
        Ok(Self { method: method.clone(), path, headers, peer: client_address, host, url })
    }

    /// The port that the client connects to.
    pub(super) fn port(&self) -> u16 {
        self.url.port_u16().unwrap_or(match self.scheme() {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    pub(super) fn scheme(&self) -> Scheme {
        if self.url.scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http }
    }

    pub(super) fn host(&self) -> &HeaderValue {
        &self.headers[header::HOST]
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.url.query()
    }

    /// What decides its route; `path` is its own.
    pub(super) fn asked<'a>(&'a self, path: &'a str) -> Asked<'a> {
        Asked {
            host: &self.host,
            path,
            query: self.query(),
            method: &self.method,
            headers: &self.headers,
        }
    }

    /// Whom it comes from, where these proxies are trusted.
    pub(super) fn client(&self, trusted: &[IpNet]) -> Option<IpAddr> {
        let peer = self.peer?;
        Some(behind_trusted(&self.headers, peer, trusted).ok()?.unwrap_or(peer))
    }
}

fn read_field(field: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = field.split_once(':')?;
    Some((name.trim().parse().ok()?, HeaderValue::from_str(value.trim()).ok()?))
}
