//! Certificates, keys and what else TLS names, made once. What is wrong with a file is in its name.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa,
    KeyIdMethod, KeyPair, SerialNumber, date_time_ymd,
};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::LazyLock;

/// The content of a file, by its name: `missing.*`, `forbidden.*`, `empty.*`, `text.*`, `half.*`, `other.key`, `old.crt`
/// (until 2026-05-01), `early.crt` (from 2026-08-01), `soon.crt` (until 2026-06-10), `ca.crt`, `crl.pem`; any other `*.crt`
/// is a certificate from 2020 to 2040, whose key is in any other `*.key`.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    let pki = &*PKI;
    let text = match (stem, end) {
        ("missing", _) => return Err(ErrorKind::NotFound.into()),
        ("forbidden", _) => return Err(ErrorKind::PermissionDenied.into()),
        ("empty", _) => "",
        ("text", _) => "hello\n",
        ("half", "crt") => &pki.good[..pki.good.len() / 2],
        ("half", "key") => &pki.key[..pki.key.len() / 2],
        ("other", "key") => &pki.other_key,
        ("old", "crt") => &pki.old,
        ("early", "crt") => &pki.early,
        ("soon", "crt") => &pki.soon,
        ("ca", "crt") => &pki.ca,
        ("crl", "pem") => &pki.crl,
        ("overdue", "pem") => &pki.overdue,
        (_, "crt") => &pki.good,
        (_, "key") => &pki.key,
        _ => return Err(ErrorKind::NotFound.into()),
    };
    Ok(text.as_bytes().to_vec())
}

struct Pki {
    ca: String,
    crl: String,
    overdue: String,
    good: String,
    old: String,
    early: String,
    soon: String,
    key: String,
    other_key: String,
}

static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let mut params = CertificateParams::new(["ca.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = |from: (i32, u8, u8), until: (i32, u8, u8)| {
        let mut params = CertificateParams::new(["shop.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.signed_by(&key, &ca).unwrap().pem()
    };
    let crl = |until: i32| CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(until, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Pki {
        crl: crl(2040).signed_by(&ca).unwrap().pem().unwrap(),
        overdue: crl(2026).signed_by(&ca).unwrap().pem().unwrap(),
        good: certificate((2020, 1, 1), (2040, 1, 1)),
        old: certificate((2026, 2, 1), (2026, 5, 1)),
        early: certificate((2026, 8, 1), (2026, 11, 1)),
        soon: certificate((2026, 3, 1), (2026, 6, 10)),
        ca: ca.pem(),
        key: key.serialize_pem(),
        other_key: KeyPair::generate().unwrap().serialize_pem(),
    }
});
