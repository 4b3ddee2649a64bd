//! TLS on both sides. A file that has another content is as much a change as one with another path.

use super::phrases::{Fate, Names, Phrases};
use crate::model::words::{date, list};
use crate::model::{BackendTls, ClientAuth, KeyPair, ListenerTls, Pem};
use crate::tls::{Certificate, File};

pub(super) fn say_listener(
    said: &mut Phrases,
    before: Option<&ListenerTls>,
    after: Option<&ListenerTls>,
) {
    match (before, after) {
        (None, None) => {}
        (None, Some(tls)) => {
            let names = list(tls.certificates.iter().map(|pair| pair.cert.path.display()));
            said.say(format_args!("tls added with {names}"));
        }
        (Some(_), None) => said.say("tls removed, clients speak plain HTTP"),
        (Some(ListenerTls { certificates, client_auth, min_version }), Some(after)) => {
            say_certificates(said, certificates, &after.certificates);
            say_client_auth(said, client_auth.as_ref(), after.client_auth.as_ref());
            let words = ToString::to_string;
            said.change("tls.minVersion", min_version, &after.min_version, words);
        }
    }
}

fn say_certificates(said: &mut Phrases, before: &[KeyPair], after: &[KeyPair]) {
    let names =
        Names { one: "certificate", many: "tls.certificates", order: ", the first is the default" };
    said.list(
        &names,
        (before, after),
        |pair| &pair.cert.path,
        |said, fate| match fate {
            Fate::Added(pair) => {
                said.say(format_args!("certificate {} added{}", path(&pair.cert), valid(pair)));
            }
            Fate::Removed(pair) => {
                said.say(format_args!("certificate {} removed", path(&pair.cert)));
            }
            Fate::Changed(before, after) => say_pair(said, before, after),
        },
    );
}

/// Says what is new in a pair whose certificate stays at its path.
fn say_pair(said: &mut Phrases, before: &KeyPair, after: &KeyPair) {
    let KeyPair { cert, key } = before;
    let name = path(&after.cert);
    if cert.bytes != after.cert.bytes {
        said.say(format_args!("certificate {name} renewed{}", valid(after)));
    }
    if key.path != after.key.path {
        said.of(format_args!("certificate {name}"), |said| {
            said.change("keyFile", key, &after.key, path);
        });
    } else if cert.bytes == after.cert.bytes {
        // The same key, written in another way.
        said.say(format_args!("certificate {name}: {} rewritten", path(&after.key)));
    }
}

fn say_client_auth(said: &mut Phrases, before: Option<&ClientAuth>, after: Option<&ClientAuth>) {
    match (before, after) {
        (None, None) => {}
        (None, Some(ClientAuth { ca, mode, .. })) => {
            said.say(format_args!("tls.clientAuth added, {mode}, CA {}", path(ca)));
        }
        (Some(_), None) => said.say("tls.clientAuth removed, no client shows a certificate"),
        (Some(ClientAuth { ca, crl, mode, forward_certificate }), Some(after)) => {
            said.of("tls.clientAuth", |said| {
                said.change("caFile", ca, &after.ca, path);
                said.change("crlFile", crl, &after.crl, optional);
                said.change("mode", mode, &after.mode, ToString::to_string);
                let words = bool::to_string;
                let forward = &after.forward_certificate;
                said.change("forwardCertificate", forward_certificate, forward, words);
            });
        }
    }
}

pub(super) fn say_backend(said: &mut Phrases, before: &BackendTls, after: &BackendTls) {
    let BackendTls { ca, server_name, client_certificate, insecure_skip_verify } = before;
    said.change("tls.caFile", ca, &after.ca, optional);
    said.change("tls.serverName", server_name, &after.server_name, |name| {
        name.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    });
    say_client_certificate(said, client_certificate, &after.client_certificate);
    let effect = match after.insecure_skip_verify {
        true => ", the certificates of endpoints are NOT checked",
        false => ", the certificates of endpoints are checked",
    };
    said.change_and(
        "tls.insecureSkipVerify",
        insecure_skip_verify,
        &after.insecure_skip_verify,
        bool::to_string,
        effect,
    );
}

/// Says what differs in what we show to who asks for a certificate.
fn say_client_certificate(said: &mut Phrases, before: &Option<KeyPair>, after: &Option<KeyPair>) {
    match (before, after) {
        (Some(before), Some(after)) if before.cert.path == after.cert.path => {
            if before != after {
                said.of("tls.clientCertificate", |said| say_pair(said, before, after));
            }
        }
        (before, after) => {
            let cert = |pair: &Option<KeyPair>| {
                pair.as_ref().map_or_else(|| "none".to_owned(), |pair| path(&pair.cert))
            };
            said.change("tls.clientCertificate", before, after, cert);
        }
    }
}

/// Says what differs in how a collector is spoken to.
pub(super) fn say_collector(
    said: &mut Phrases,
    before: (&Option<Pem>, &Option<KeyPair>),
    after: (&Option<Pem>, &Option<KeyPair>),
) {
    said.change("tls.caFile", before.0, after.0, optional);
    say_client_certificate(said, before.1, after.1);
}

/// Until when the certificate is valid.
fn valid(pair: &KeyPair) -> String {
    let KeyPair { cert, key } = pair;
    // A model's certificates have been loaded before.
    Certificate::load(file(cert), file(key)).map_or_else(
        |_| String::new(),
        |certificate| format!(", valid until {}", date(certificate.not_after)),
    )
}

fn file(pem: &Pem) -> File<'_> {
    File { path: &pem.path, bytes: &pem.bytes }
}

fn path(pem: &Pem) -> String {
    pem.path.display().to_string()
}

fn optional(pem: &Option<Pem>) -> String {
    pem.as_ref().map_or_else(|| "none".to_owned(), path)
}
