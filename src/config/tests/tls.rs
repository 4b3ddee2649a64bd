//! TLS, HTTP/2 and the PROXY protocol: what is valid, what is wrong with keys and with the files that they name.

use super::*;
use crate::model::{
    ClientAuthMode, Pem, ProbeCheck, Protocol, ProxyProtocol, ProxyProtocolVersion, Scheme,
    TlsVersion, defaults,
};

/// A file with these lines in its listener.
fn listener(lines: &str) -> String {
    format!(
        "listeners:\n  - name: http\n    address: 127.0.0.1:8080\n{lines}\nbackends:\n  - name: demo\n    endpoints: [http://localhost:8081]\n"
    )
}

/// A file whose listener has these certificates.
fn certificates(list: &str) -> String {
    listener(&format!("    tls:\n      certificates:\n{list}"))
}

/// A file whose listener has this certificate and this key.
fn pair(cert: &str, key: &str) -> String {
    certificates(&format!("        - certFile: {cert}\n          keyFile: {key}"))
}

/// A file whose listener has a good certificate and checks those of clients.
fn client_auth(text: &str) -> String {
    listener(&format!(
        "    tls:\n      certificates: [{{ certFile: a.crt, keyFile: a.key }}]\n      clientAuth: {{ {text} }}"
    ))
}

/// A file with an endpoint that speaks TLS, and this in the `tls` of its backend.
fn upstream(text: &str) -> String {
    backend(&format!("tls: {{ {text} }}")).replace("http://localhost", "https://localhost")
}
