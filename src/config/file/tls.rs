//! TLS on both sides.

use super::List;
use crate::config::decode::Field;
use crate::config::scalar::{FilePath, ServerName};
use schemars::JsonSchema;
use serde::Deserialize;

/// TLS that ends at a listener.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["certificates"]))]
pub struct ListenerTls {
    /// The certificates, chosen by the names in them. The first is for clients that name no host, or one that none has.
    #[schemars(extend("minItems" = 1))]
    pub certificates: List<KeyPair>,
    /// Has clients show certificates. Off by default.
    pub client_auth: Field<ClientAuth>,
    /// The oldest version that is spoken.
    #[schemars(extend("default" = "TLSv1.2"))]
    pub min_version: Field<TlsVersion>,
}

/// A certificate and its private key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["certFile", "keyFile"]))]
pub struct KeyPair {
    /// The certificate in PEM, and behind it those that lead to its CA.
    pub cert_file: Field<FilePath>,
    /// Its private key in PEM: PKCS#8, PKCS#1 or SEC1.
    pub key_file: Field<FilePath>,
}

/// How clients' certificates are checked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["caFile"]))]
pub struct ClientAuth {
    /// The certificates of the CAs that may have issued them, in PEM.
    pub ca_file: Field<FilePath>,
    /// Whether a client must show one.
    #[schemars(extend("default" = "Required"))]
    pub mode: Field<ClientAuthMode>,
    /// Certificates that are revoked, in PEM.
    pub crl_file: Field<FilePath>,
    /// Whether endpoints are told of a client's certificate, in the field `Client-Cert` (RFC 9440).
    #[schemars(extend("default" = false))]
    pub forward_certificate: Field<bool>,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "mode")]
#[schemars(rename = "ClientAuthMode")]
pub enum ClientAuthMode {
    /// It must.
    Required,
    /// It may; one that it shows must be valid.
    Optional,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "version")]
#[schemars(rename = "TlsVersion")]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "TLSv1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

/// How endpoints with `https` URLs are spoken to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct BackendTls {
    /// The certificates of the CAs that may have issued theirs, in PEM; the system's CAs by default.
    pub ca_file: Field<FilePath>,
    /// The name that their certificates must have, and that is asked for (SNI); the host of the URL by default.
    pub server_name: Field<ServerName>,
    /// What is shown to endpoints that ask for a certificate.
    pub client_certificate: Field<KeyPair>,
    /// Whether any certificate will do. Whoever is on the way can then read and change everything.
    #[schemars(extend("default" = false))]
    pub insecure_skip_verify: Field<bool>,
}
