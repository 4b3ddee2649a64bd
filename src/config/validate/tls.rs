//! TLS: what its keys say, and what is in the files that they name.

use super::{Unique, Validator};
use crate::config::decode::Field;
use crate::config::file;
use crate::config::problem::Fault;
use crate::config::scalar::{FilePath, Word};
use crate::config::surroundings::Expired;
use crate::config::tree::At;
use crate::model::words::moment;
use crate::model::{self, EndpointSource, Model, Pem, Scheme};
use crate::tls::{self, Stage, TlsError};
use std::path::PathBuf;
use std::sync::Arc;

/// A file that is named, and its content.
struct Named<'t> {
    pem: Pem,
    at: At<'t>,
    /// Its path for messages.
    shown: PathBuf,
}

impl Named<'_> {
    fn file(&self) -> tls::File<'_> {
        tls::File { path: &self.shown, bytes: &self.pem.bytes }
    }
}

/// A certificate and its key, as they are typed, and as they are used.
struct Pair {
    typed: model::KeyPair,
    certificate: Arc<tls::Certificate>,
}

impl Validator<'_> {
    pub(super) fn listener_tls(
        &self,
        typed: &Field<file::ListenerTls>,
        listener: &At<'_>,
    ) -> Option<model::ListenerTls> {
        let typed = typed.get()?;
        let at = listener.key("tls");
        let mut names = Unique::new("certificate");
        let mut pairs = Vec::new();
        for (pair, at) in self.items(&typed.certificates, &at, "certificates") {
            if let Some(path) = pair.cert_file.get() {
                self.unique(&mut names, path.0.clone(), &at.key("certFile"));
            }
            pairs.extend(self.key_pair(pair, &at));
        }
        let min_version = match typed.min_version.get() {
            Some(file::TlsVersion::Tls13) => model::TlsVersion::Tls13,
            Some(file::TlsVersion::Tls12) | None => model::TlsVersion::Tls12,
        };
        let client_auth = typed
            .client_auth
            .get()
            .and_then(|typed| self.client_auth(typed, &at.key("clientAuth"), &pairs, min_version));
        let certificates = pairs.into_iter().map(|pair| pair.typed).collect();
        Some(model::ListenerTls { certificates, client_auth, min_version })
    }

    fn client_auth(
        &self,
        typed: &file::ClientAuth,
        at: &At<'_>,
        pairs: &[Pair],
        min_version: model::TlsVersion,
    ) -> Option<model::ClientAuth> {
        let ca = self.named(&typed.ca_file, at, "caFile");
        let crl = match typed.crl_file.is_absent() {
            true => None,
            false => Some(self.named(&typed.crl_file, at, "crlFile")?),
        };
        let ca = ca?;
        let mode = match typed.mode.get() {
            Some(file::ClientAuthMode::Optional) => model::ClientAuthMode::Optional,
            Some(file::ClientAuthMode::Required) | None => model::ClientAuthMode::Required,
        };
        let options = tls::ServerOptions {
            certificates: pairs.iter().map(|pair| Arc::clone(&pair.certificate)).collect(),
            client_auth: Some(tls::ClientAuth {
                ca: ca.file(),
                crl: crl.as_ref().map(Named::file),
                required: mode == model::ClientAuthMode::Required,
            }),
            only_tls13: min_version == model::TlsVersion::Tls13,
        };
        let tried = match pairs {
            // A server wants a certificate; what is wrong with the CA can be known without.
            [] => self.try_ca(&ca),
            _ => tls::Server::new(options, None).map(|_| ()),
        };
        if let Err(error) = tried {
            self.unusable(&error, [Some(&ca), crl.as_ref()]);
        } else if let Some(crl) = &crl {
            self.list_in_time(crl);
        }
        Some(model::ClientAuth {
            ca: ca.pem,
            crl: crl.map(|crl| crl.pem),
            mode,
            forward_certificate: typed.forward_certificate.get().copied().unwrap_or(false),
        })
    }

    /// How the endpoints of a backend are spoken to; `endpoints` are those that are valid.
    pub(super) fn backend_tls(
        &self,
        typed: &file::Backend,
        backend: &At<'_>,
        source: &EndpointSource,
        endpoints: &[model::Endpoint],
    ) -> model::BackendTls {
        let Some(tls) = typed.tls.get() else { return model::BackendTls::default() };
        let at = backend.key("tls");
        let plain = match source {
            EndpointSource::Service(service) => service.scheme == Scheme::Http,
            EndpointSource::Static => {
                let all = typed.endpoints.get().is_some_and(|all| all.len() == endpoints.len());
                all && endpoints.iter().all(|endpoint| endpoint.url.scheme == Scheme::Http)
            }
        };
        if plain {
            let fault =
                Fault::new("`tls` without an endpoint to use it: no URL begins with `https`");
            self.problems.key(
                &at,
                fault.allow(
                    "endpoints with `https://…`, a `service` with `scheme: https`, or no `tls`",
                ),
            );
        }
        let (ca, client_certificate) =
            self.client_files(&tls.ca_file, &tls.client_certificate, &at);
        model::BackendTls {
            ca,
            server_name: tls.server_name.get().map(|name| Arc::from(&*name.0)),
            client_certificate,
            insecure_skip_verify: tls.insecure_skip_verify.get().copied().unwrap_or(false),
        }
    }

    /// Who is trusted as the collector of `traces`, and what it is shown.
    pub(super) fn collector_tls(
        &self,
        typed: &Field<file::CollectorTls>,
        traces: &At<'_>,
    ) -> (Option<Pem>, Option<model::KeyPair>) {
        let Some(tls) = typed.get() else { return (None, None) };
        self.client_files(&tls.ca_file, &tls.client_certificate, &traces.key("tls"))
    }

    /// `caFile` and `clientCertificate` of `at`.
    fn client_files(
        &self,
        ca: &Field<FilePath>,
        pair: &Field<file::KeyPair>,
        at: &At<'_>,
    ) -> (Option<Pem>, Option<model::KeyPair>) {
        let ca = match ca.is_absent() {
            true => None,
            false => self.named(ca, at, "caFile"),
        };
        if let Some(ca) = &ca
            && let Err(error) = self.try_ca(ca)
        {
            self.unusable(&error, [Some(ca), None]);
        }
        let pair = pair.get().and_then(|pair| self.key_pair(pair, &at.key("clientCertificate")));
        (ca.map(|ca| ca.pem), pair.map(|pair| pair.typed))
    }

    fn try_ca(&self, ca: &Named<'_>) -> Result<(), TlsError> {
        let options = tls::ClientOptions {
            ca: Some(ca.file()),
            certificate: None,
            insecure_skip_verify: false,
            http2: false,
        };
        tls::Client::new(options).map(|_| ())
    }

    fn key_pair(&self, typed: &file::KeyPair, at: &At<'_>) -> Option<Pair> {
        let cert = self.named(&typed.cert_file, at, "certFile");
        let key = self.named(&typed.key_file, at, "keyFile");
        let (cert, key) = (cert?, key?);
        match tls::Certificate::load(cert.file(), key.file()) {
            Ok(certificate) => {
                self.in_time(&certificate, &cert);
                Some(Pair {
                    typed: model::KeyPair { cert: cert.pem, key: key.pem },
                    certificate: Arc::new(certificate),
                })
            }
            Err(error) => {
                self.unusable(&error, [Some(&cert), Some(&key)]);
                None
            }
        }
    }

    /// Holds a certificate to its time.
    fn in_time(&self, certificate: &tls::Certificate, named: &Named<'_>) {
        let tls::Certificate { not_before, not_after, .. } = *certificate;
        let surroundings = self.files.surroundings();
        let said = match certificate.stage(surroundings.now) {
            Stage::Holds => return,
            Stage::Soon => {
                let path = named.shown.display();
                let until = moment(not_after);
                let fault = Fault::new(format!("{path}: the certificate expires soon, at {until}"));
                return self.problems.warn(&named.at, fault);
            }
            Stage::Early => format!("is not valid before {}", moment(not_before)),
            Stage::Late => format!("expired at {}", moment(not_after)),
        };
        let path = named.shown.display();
        let runs = surroundings.running.is_some_and(|model| has(model, &named.pem));
        match surroundings.expired {
            Expired::Refused if !runs => {
                let fault = Fault::new(format!("{path}: the certificate {said}"));
                self.problems.file(&named.at, fault);
            }
            Expired::Refused | Expired::Warned => {
                let who = "whoever is shown it turns away";
                let fault = Fault::new(format!("{path}: the certificate {said}: {who}"));
                self.problems.warn(&named.at, fault.allow("a renewed certificate in this file"));
            }
        }
    }

    /// Warns of a revocation list that is overdue.
    fn list_in_time(&self, crl: &Named<'_>) {
        let Ok(Some(end)) = tls::revocation_ends(crl.file()) else { return };
        if end < self.files.surroundings().now {
            let path = crl.shown.display();
            let fault = Fault::new(format!(
                "{path}: the revocation list was to be renewed by {}: until it is, every client's certificate is refused",
                moment(end)
            ));
            self.problems.warn(&crl.at, fault.allow("a list of this date, in this file"));
        }
    }

    /// Says why one of the files cannot be used, where it is named.
    fn unusable(&self, error: &TlsError, named: [Option<&Named<'_>>; 2]) {
        let mut named = named.into_iter().flatten();
        let culprit = named.clone().find(|named| named.shown == *error.path);
        if let Some(named) = culprit.or_else(|| named.next()) {
            self.problems.file(&named.at, Fault::new(error.to_string()));
        }
    }

    /// The file that is named by `key` of `at`, which has to be there.
    fn named<'t>(&self, typed: &Field<FilePath>, at: &At<'t>, key: &str) -> Option<Named<'t>> {
        let path = self.required(typed, at, key, FilePath::expected)?;
        let at = at.key(key);
        // What a variable holds is shown to nobody.
        let shown = match at.is_expanded() {
            true => PathBuf::from(at.shown()),
            false => self.files.surroundings().folder.join(&path.0),
        };
        match self.files.content(&path.0) {
            Ok(bytes) => Some(Named { pem: Pem { path: Arc::from(&*path.0), bytes }, at, shown }),
            Err(why) => {
                self.problems.file(&at, Fault::new(format!("{}: {why}", shown.display())));
                None
            }
        }
    }
}

/// Whether `model` has a file with this content.
fn has(model: &Model, pem: &Pem) -> bool {
    model.files().any(|known| known.bytes == pem.bytes)
}
