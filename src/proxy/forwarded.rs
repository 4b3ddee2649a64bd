//! What an endpoint is told of the client: `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host` and `Forwarded`.
//!
//! What a client says of itself is replaced. What a trusted proxy says is kept, and what we know is put behind it.
//!
//! Source: RFC 7239 for `Forwarded`, which is written only when a trusted proxy has begun it.

use super::headers::{
    CLIENT_CERT, Fields, Sink, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO,
};
use crate::model::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::IpAddr;

/// The peer of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address, as IPv4 if it can be.
    pub address: IpAddr,
    /// The scheme that it speaks.
    pub scheme: Scheme,
    /// Its certificate, if endpoints are told of it: the value of `Client-Cert`.
    certificate: Option<Box<str>>,
    /// The fields that name it as the client: the same for all requests of a connection.
    fields: Box<[u8]>,
}

impl Peer {
    /// The peer at `address`, which may have shown a certificate.
    pub fn new(address: IpAddr, is_tls: bool, certificate: Option<&str>) -> Self {
        let address = address.to_canonical();
        let scheme = if is_tls { Scheme::Https } else { Scheme::Http };
        let mut fields =
            format!("x-forwarded-for: {address}\r\nx-forwarded-proto: {}\r\n", scheme.as_str());
        if let Some(certificate) = certificate {
            fields.extend(["client-cert: ", certificate, "\r\n"]);
        }
        let fields = fields.into_bytes().into();
        Self { address, scheme, certificate: certificate.map(Into::into), fields }
    }
}

/// What an endpoint is told of the client of a request.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<'a> {
    /// Who sent it to us.
    pub peer: &'a Peer,
    /// The client that the peer names, if it is trusted to.
    pub client: Option<IpAddr>,
    /// The scheme that the client used, as far as we know.
    pub scheme: Scheme,
    /// The host that the client asked for; empty if it named none.
    pub host: &'a HeaderValue,
}

impl Forwarded<'_> {
    /// Whether what the peer says of the client is believed.
    pub fn is_believed(&self) -> bool {
        self.client.is_some()
    }

    /// Writes the fields for a request that came with `headers`.
    pub fn encode<S: Sink>(&self, headers: &HeaderMap, fields: &mut Fields<'_, S>) {
        match self.client {
            None if fields.put_lines(&self.peer.fields) => {}
            None => {
                fields.put(&X_FORWARDED_FOR, self.peer.address.to_string().as_bytes());
                fields.put(&X_FORWARDED_PROTO, self.peer.scheme.as_str().as_bytes());
                self.encode_certificate(fields);
            }
            Some(client) => {
                self.encode_chains(client, headers, fields);
                keep_or_put(&X_FORWARDED_PROTO, self.scheme.as_str().as_bytes(), headers, fields);
                self.encode_certificate(fields);
            }
        }
        match self.client {
            Some(_) if headers.contains_key(X_FORWARDED_HOST) => {
                keep_or_put(&X_FORWARDED_HOST, b"", headers, fields);
            }
            _ if self.host.is_empty() => {}
            _ => fields.put(&X_FORWARDED_HOST, self.host.as_bytes()),
        }
    }

    fn encode_certificate<S: Sink>(&self, fields: &mut Fields<'_, S>) {
        if let Some(certificate) = &self.peer.certificate {
            fields.put(&CLIENT_CERT, certificate.as_bytes());
        }
    }

    /// Puts the peer behind those whom it names.
    fn encode_chains<S: Sink>(
        &self,
        client: IpAddr,
        headers: &HeaderMap,
        fields: &mut Fields<'_, S>,
    ) {
        let peer = self.peer.address;
        let mut chain = joined(&X_FORWARDED_FOR, headers);
        if chain.is_empty() && client != peer {
            // Only `Forwarded` says it; who reads the other field is to know it, too.
            chain.extend_from_slice(client.to_string().as_bytes());
        }
        append(&mut chain, &peer.to_string());
        fields.put(&X_FORWARDED_FOR, &chain);
        let mut chain = joined(&header::FORWARDED, headers);
        if !chain.is_empty() {
            let node = match peer {
                IpAddr::V4(peer) => format!("for={peer}"),
                IpAddr::V6(peer) => format!("for=\"[{peer}]\""),
            };
            append(&mut chain, &node);
            fields.put(&header::FORWARDED, &chain);
        }
    }
}

/// All values of a field as one.
fn joined(name: &HeaderName, headers: &HeaderMap) -> Vec<u8> {
    let values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    values.join(&b", "[..])
}

fn append(chain: &mut Vec<u8>, item: &str) {
    if !chain.is_empty() {
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(item.as_bytes());
}

/// Writes a field as it came, or with `value` if it did not come.
fn keep_or_put<S: Sink>(
    name: &HeaderName,
    value: &[u8],
    headers: &HeaderMap,
    fields: &mut Fields<'_, S>,
) {
    if !headers.contains_key(name) {
        fields.put(name, value);
    }
    for kept in headers.get_all(name) {
        fields.keep(name, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HeaderChanges;
    use bytes::BytesMut;

    #[test]
    fn a_peer_with_an_ipv6_address_is_put_in_brackets_and_quotes_behind_the_others() {
        let mut headers = HeaderMap::new();
        for value in ["for=192.0.2.7", "for=unknown;proto=https"] {
            headers.append(header::FORWARDED, HeaderValue::from_static(value));
        }
        let peer = Peer::new("2001:db8::1".parse().unwrap(), false, None);
        let host = HeaderValue::from_static("a");
        let forwarded = Forwarded {
            peer: &peer,
            client: Some(peer.address),
            scheme: Scheme::Http,
            host: &host,
        };
        let (mut out, changes) = (BytesMut::new(), HeaderChanges::default());
        forwarded.encode(&headers, &mut Fields::new(&mut out, &changes));
        let written = String::from_utf8(out.to_vec()).unwrap();
        let expected =
            "forwarded: for=192.0.2.7, for=unknown;proto=https, for=\"[2001:db8::1]\"\r\n";
        assert!(written.contains(expected), "{written}");
    }
}
