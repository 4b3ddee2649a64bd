//! A certificate chain and its key.

use super::{File, TlsError, pem, provider};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;

/// A certificate whose key fits.
#[derive(Debug)]
pub struct Certificate {
    /// Chain and key, as rustls wants them.
    pub key: Arc<CertifiedKey>,
    /// The host names in it, lower case; may begin with `*.`.
    pub names: Vec<String>,
    /// From when it holds.
    pub not_before: SystemTime,
    /// Until when it holds.
    pub not_after: SystemTime,
    /// The file it came from.
    pub path: Arc<Path>,
}

/// Where a moment stands in the time for which a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before it.
    Early,
    /// In it.
    Holds,
    /// In it, but less than fourteen days before its end, or less than a third of it: most certificates are renewed before.
    Soon,
    /// After it.
    Late,
}

impl Stage {
    fn of(now: SystemTime, not_before: SystemTime, not_after: SystemTime) -> Self {
        if now < not_before {
            return Self::Early;
        }
        let Ok(left) = not_after.duration_since(now) else { return Self::Late };
        // Those that live for a few days are renewed when a third of their time is left.
        let whole = not_after.duration_since(not_before).unwrap_or_default();
        match left < SOON.min(whole / 3) {
            true => Self::Soon,
            false => Self::Holds,
        }
    }
}

/// How long before its end a certificate should have been renewed.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

impl Certificate {
    /// Where `now` stands in its time.
    pub fn stage(&self, now: SystemTime) -> Stage {
        Stage::of(now, self.not_before, self.not_after)
    }

    /// Reads a chain, the host's own certificate first, and its key: RSA (from 2048 bits), ECDSA (P-256, P-384, P-521) or Ed25519, in
    /// PKCS#8, PKCS#1 or SEC1. Both may be in one file. Says nothing of whether the certificate holds now.
    ///
    /// # Errors
    /// When either cannot be read, or they do not belong together.
    pub fn load(cert: File<'_>, key: File<'_>) -> Result<Self, TlsError> {
        let chain = pem::certificates(cert)?;
        let private = pem::private_key(key)?;
        let signing = provider().key_provider.load_private_key(private).map_err(|_| {
            let reason = "the key cannot be used: it is broken, or neither RSA (from 2048 bits) nor ECDSA (P-256, P-384, P-521) \
                          nor Ed25519";
            TlsError::new(key, reason)
        })?;
        let facts = facts(&chain).map_err(|reason| TlsError::new(cert, reason))?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|error| mismatch(cert, key, &certified, &error))?;
        let Facts { names, not_before, not_after } = facts;
        Ok(Self { key: Arc::new(certified), names, not_before, not_after, path: cert.path.into() })
    }
}

fn mismatch(cert: File<'_>, key: File<'_>, certified: &CertifiedKey, error: &Error) -> TlsError {
    if *error != Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
        return TlsError::new(cert, format!("the certificate cannot be used: {error}"));
    }
    let fits = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], Arc::clone(&certified.key))
            .keys_match()
            .is_ok()
    };
    match certified.cert.iter().position(fits) {
        Some(index) => TlsError::new(
            cert,
            format!(
                "the key {} is that of certificate {} in it; the host's own must come first",
                key.path.display(),
                index + 1
            ),
        ),
        None => TlsError::new(
            key,
            format!("it is not the key of the certificate {}", cert.path.display()),
        ),
    }
}

struct Facts {
    names: Vec<String>,
    not_before: SystemTime,
    not_after: SystemTime,
}

/// What the first certificate of `chain` says. The others must be certificates, too.
fn facts(chain: &[CertificateDer<'_>]) -> Result<Facts, String> {
    let mut facts = None;
    for (index, der) in chain.iter().enumerate() {
        let (_, certificate) = x509_parser::parse_x509_certificate(der)
            .map_err(|error| format!("certificate {} in it is broken: {error}", index + 1))?;
        facts.get_or_insert_with(|| Facts {
            names: host_names(&certificate),
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
        });
    }
    facts.ok_or_else(|| "there is no certificate in it".to_owned())
}

/// Where `now` stands in the time of the certificate `der`.
pub(super) fn stage(der: &CertificateDer<'_>, now: UnixTime) -> Result<Stage, String> {
    let Facts { not_before, not_after, .. } = facts(std::slice::from_ref(der))?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
    Ok(Stage::of(now, not_before, not_after))
}

/// From the subject's alternative names only, as clients do (RFC 9525, section 6.3): a common name counts for nothing.
fn host_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}

fn time(time: ASN1Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.timestamp().max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_in_its_last_fortnight_or_its_last_third() {
        let day = |day: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(day * 24 * 3600);
        let at = |now: u64, until: u64| Stage::of(day(now), day(10), day(until));
        assert_eq!([9, 10].map(|now| at(now, 100)), [Stage::Early, Stage::Holds]);
        assert_eq!(
            [86, 87, 100, 101].map(|now| at(now, 100)),
            [Stage::Holds, Stage::Soon, Stage::Soon, Stage::Late]
        );
        // Nine days of life.
        assert_eq!([16, 17].map(|now| at(now, 19)), [Stage::Holds, Stage::Soon]);
    }
}
