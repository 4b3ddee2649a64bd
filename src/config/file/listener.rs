//! Listeners and what a client may ask of them.

use super::{List, ListenerTls};
use crate::config::decode::Field;
use crate::config::scalar::{Address, Duration, Name, Network, Number, Quantity};
use crate::config::schema::notes::{bytes, proxy_protocol_needs_trust};
use crate::model::defaults;
use schemars::JsonSchema;
use serde::Deserialize;

/// An address to accept on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name", "address"]))]
#[schemars(transform = proxy_protocol_needs_trust)]
pub struct Listener {
    /// Its name, unique among the listeners.
    pub name: Field<Name>,
    /// The IP address and port; port 0 lets the system choose one.
    pub address: Field<Address>,
    /// TLS that ends here. Without it, clients speak plain HTTP.
    pub tls: Field<ListenerTls>,
    /// Whether each connection begins with a header of the PROXY protocol, by which a trusted proxy names the client.
    #[schemars(extend("default" = "Disabled"))]
    pub proxy_protocol: Field<ProxyProtocol>,
    /// What a client may ask of it. `0s` is no limit of time.
    pub limits: Field<Limits>,
    /// Addresses and networks of proxies before us, whose word on the client is believed.
    #[schemars(extend("default" = []))]
    pub trusted_proxies: List<Network>,
}

/// What a client may ask of a listener. A duration of `0s` is no limit.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// For a TLS handshake, and for a header of the PROXY protocol.
    #[schemars(extend("default" = Duration(defaults::HANDSHAKE_TIMEOUT)))]
    pub handshake_timeout: Field<Duration>,
    /// From the first byte of a request's head to its last.
    #[schemars(extend("default" = Duration(defaults::HEADER_TIMEOUT)))]
    pub header_timeout: Field<Duration>,
    /// Between two pieces of a request's body.
    #[schemars(extend("default" = Duration(defaults::BODY_TIMEOUT)))]
    pub body_timeout: Field<Duration>,
    /// How long a connection without a request is kept.
    #[schemars(extend("default" = Duration(defaults::IDLE_TIMEOUT)))]
    pub idle_timeout: Field<Duration>,
    /// How long a client may take nothing of what is to be written to it.
    #[schemars(extend("default" = Duration(defaults::WRITE_TIMEOUT)))]
    pub write_timeout: Field<Duration>,
    /// How old a connection may get before it is asked to close, give or take a tenth; what is in flight on it ends first.
    #[schemars(extend("default" = Duration(defaults::MAX_CONNECTION_AGE)))]
    pub max_connection_age: Field<Duration>,
    /// Connections at once, further ones wait to be accepted; 0 is no limit.
    #[schemars(extend("default" = 0))]
    pub max_connections: Field<Number<0, 10_000_000>>,
    /// Requests at once on one HTTP/2 connection.
    #[schemars(extend("default" = defaults::MAX_CONCURRENT_STREAMS))]
    pub max_concurrent_streams: Field<Number<1, 10_000>>,
    /// Size of a request's head.
    #[schemars(extend("default" = bytes(defaults::MAX_HEADER_BYTES)))]
    pub max_header_bytes: Field<Quantity<{ 8 << 10 }, { 1 << 20 }>>,
    /// Number of header fields of a request.
    #[schemars(extend("default" = defaults::MAX_HEADERS))]
    pub max_headers: Field<Number<1, 10_000>>,
    /// Size of a request's body; 0 is no limit.
    #[schemars(extend("default" = 0))]
    pub max_body_bytes: Field<Quantity<0, { u64::MAX }>>,
}

/// Whether connections begin with a header of the PROXY protocol. Only that of one of `trustedProxies` is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "mode")]
#[schemars(rename = "ProxyProtocol")]
pub enum ProxyProtocol {
    /// There is none.
    Disabled,
    /// Trusted proxies may send one, of version 1 or 2.
    Accept,
    /// Who sends none is turned away, and so is who is not trusted.
    Require,
}
