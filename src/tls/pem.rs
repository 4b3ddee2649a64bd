//! Reads PEM files (RFC 7468), and says in an operator's words what is wrong with one.

use super::{File, TlsError};
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

/// The certificates in `file`, at least one.
pub(super) fn certificates(file: File<'_>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = sections(file)?;
    let all = decoded(file, CertificateDer::pem_slice_iter(file.bytes))?;
    match all.is_empty() {
        true => Err(found.lacks(file, "certificate")),
        false => Ok(all),
    }
}

/// The private key in `file`; the first, if there are several.
pub(super) fn private_key(file: File<'_>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let found = sections(file)?;
    if found.is_encrypted {
        return Err(TlsError::new(
            file,
            "the key is encrypted; decrypt it (openssl pkey -in FILE -out FILE), and let only Outrigger read it",
        ));
    }
    let first = PrivateKeyDer::pem_slice_iter(file.bytes).next();
    first.unwrap_or(Err(pem::Error::NoItemsFound)).map_err(|error| {
        malformed(file, &error).unwrap_or_else(|| found.lacks(file, "private key"))
    })
}

/// The authorities in `file`, at least one.
pub(super) fn roots(file: File<'_>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(file)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            let number = index + 1;
            TlsError::new(file, format!("certificate {number} in it cannot be used: {error}"))
        })?;
    }
    Ok(roots)
}

/// The revocation lists in `file`, at least one.
pub(super) fn revocation_lists(
    file: File<'_>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let found = sections(file)?;
    let all = decoded(file, CertificateRevocationListDer::pem_slice_iter(file.bytes))?;
    match all.is_empty() {
        true => Err(found.lacks(file, "certificate revocation list")),
        false => Ok(all),
    }
}

fn decoded<T: PemObject>(file: File<'_>, all: pem::SliceIter<'_, T>) -> Result<Vec<T>, TlsError> {
    // There is always something to say of an error but "nothing found", which an iterator does not give.
    let all: Result<Vec<T>, _> = all.collect();
    all.map_err(|error| {
        malformed(file, &error).unwrap_or_else(|| TlsError::new(file, error.to_string()))
    })
}

/// `None` if the file is well formed and what was looked for is just not in it.
fn malformed(file: File<'_>, error: &pem::Error) -> Option<TlsError> {
    match error {
        pem::Error::NoItemsFound => None,
        pem::Error::Base64Decode(_) => {
            Some(TlsError::new(file, "what stands between BEGIN and END is not base64"))
        }
        other => Some(TlsError::new(file, other.to_string())),
    }
}

/// What the lines of a file say that is in it.
struct Sections<'a> {
    labels: Vec<&'a str>,
    is_encrypted: bool,
}

impl Sections<'_> {
    fn lacks(&self, file: File<'_>, wanted: &str) -> TlsError {
        let mut found: Vec<_> = self.labels.iter().map(|label| words(label)).collect();
        found.dedup();
        TlsError::new(file, format!("there is no {wanted} in it, only {}", found.join(" and ")))
    }
}

fn words(label: &str) -> String {
    match label {
        "CERTIFICATE" => "a certificate".to_owned(),
        "X509 CRL" => "a certificate revocation list".to_owned(),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => "a certificate request".to_owned(),
        "PUBLIC KEY" => "a public key".to_owned(),
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => {
            "a private key".to_owned()
        }
        other => format!("“{other}”"),
    }
}

/// Finds the sections of `file`, at least one, and that each is whole.
fn sections(file: File<'_>) -> Result<Sections<'_>, TlsError> {
    if file.bytes.trim_ascii().is_empty() {
        return Err(TlsError::new(file, "the file is empty"));
    }
    let cut_off = |label: &str| {
        TlsError::new(file, format!("it is cut off: -----END {label}----- is missing"))
    };
    let mut sections = Sections { labels: Vec::new(), is_encrypted: false };
    let mut open = None;
    let lines = file.bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
    for line in lines.filter_map(|line| std::str::from_utf8(line).ok()).map(str::trim_end) {
        if let Some(rest) = line.strip_prefix("-----BEGIN ") {
            if let Some(label) = open {
                return Err(cut_off(label));
            }
            let Some(label) = rest.strip_suffix("-----") else {
                return Err(TlsError::new(file, format!("it is cut off in “{line}”")));
            };
            open = Some(label);
            sections.labels.push(label);
            sections.is_encrypted |= label == "ENCRYPTED PRIVATE KEY";
        } else if let Some(rest) = line.strip_prefix("-----END ") {
            open = open.filter(|label| rest.strip_suffix("-----") != Some(label));
        } else if line.starts_with("Proc-Type:") {
            sections.is_encrypted |= line.ends_with("ENCRYPTED");
        }
    }
    match open {
        Some(label) => Err(cut_off(label)),
        None if sections.labels.is_empty() => Err(match file.bytes[0] {
            // A sequence, with which everything in DER begins.
            0x30 => TlsError::new(
                file,
                "it is binary (DER); it must be text (PEM): openssl x509 or openssl pkey, with -inform DER, turns one into the other",
            ),
            _ => TlsError::new(file, "it is not PEM: no line in it begins with -----BEGIN"),
        }),
        None => Ok(sections),
    }
}
