//! Keys of every kind, and what is said of files that cannot be used.

use super::{Authority, Pair, client, client_tls12, connect, file};
use crate::tls::{Certificate, Server, ServerOptions, TlsError};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, date_time_ymd,
};
use rustls::SignatureScheme;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::der_parser::parse_der;

fn load(cert: &str, key: &str) -> Result<Certificate, TlsError> {
    Certificate::load(file("a.crt", cert), file("a.key", key))
}

/// The error as an operator sees it.
fn fault(cert: &str, key: &str) -> String {
    load(cert, key).expect_err("nobody can use this").to_string()
}

fn pair() -> Pair {
    Authority::new("authority").issue(&["shop.example"])
}

fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
    }
    text + &format!("-----END {label}-----\n")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit =
        |group: u32, index: usize| char::from(DIGITS[(group >> (18 - 6 * index)) as usize & 63]);
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .chain([&0; 2])
            .take(3)
            .fold(0, |group, byte| group << 8 | u32::from(*byte));
        text.extend(
            (0..4).map(|index| if index <= chunk.len() { digit(group, index) } else { '=' }),
        );
    }
    text
}

/// The key inside a PKCS#8 document: PKCS#1 or SEC1.
fn inner(key: &KeyPair) -> Vec<u8> {
    let (_, document) = parse_der(key.serialized_der()).unwrap();
    document.as_sequence().unwrap()[2].as_slice().unwrap().to_vec()
}

#[tokio::test]
async fn keys_of_every_kind_serve_in_every_form() {
    let authority = Authority::new("authority");
    let kinds = [
        (&PKCS_RSA_SHA256, Some("RSA PRIVATE KEY")),
        (&PKCS_ECDSA_P256_SHA256, Some("EC PRIVATE KEY")),
        (&PKCS_ECDSA_P384_SHA384, Some("EC PRIVATE KEY")),
        (&PKCS_ECDSA_P521_SHA512, Some("EC PRIVATE KEY")),
        (&PKCS_ED25519, None),
    ];
    for (kind, traditional) in kinds {
        let key = KeyPair::generate_for(kind).unwrap();
        let old = traditional.map(|label| pem(label, &inner(&key)));
        let issued = authority.issue_with(&["shop.example"], key, |_| {});
        for key in [Some(issued.key.clone()), old].into_iter().flatten() {
            let pair = Pair { cert: issued.cert.clone(), key };
            let server = super::server(&pair, None, None);
            connect(&server, &client(&authority.pem(), None)).await.unwrap();
            connect(&server, &client_tls12(&authority.pem(), None)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_gets_the_certificate_whose_key_it_understands() {
    let authority = Authority::new("authority");
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let rsa = authority.issue_with(&["shop.example"], rsa, |_| {}).load();
    let ecdsa = authority.issue(&["shop.example"]).load();
    let options = ServerOptions {
        certificates: vec![Arc::clone(&ecdsa), Arc::clone(&rsa)],
        client_auth: None,
        only_tls13: false,
    };
    let server = Server::new(options, None).unwrap();
    let connected = connect(&server, &client(&authority.pem(), None)).await.unwrap();
    assert_eq!(connected.client().peer_certificates(), Some(&ecdsa.key.cert[..]));
    let names = crate::tls::names::ByName::new(&server.certificates);
    let found = names.find(Some("shop.example"), &[SignatureScheme::RSA_PSS_SHA256]).unwrap();
    assert!(Arc::ptr_eq(found, &rsa.key));
}

#[test]
fn a_certificate_tells_its_names_and_its_time() {
    let key = KeyPair::generate().unwrap();
    let names = ["Shop.Example", "*.shop.example", "127.0.0.1"];
    let pair = Authority::new("authority").issue_with(&names, key, |params| {
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2033, 5, 18);
    });
    let certificate = pair.load();
    assert_eq!(certificate.names, ["shop.example", "*.shop.example"]);
    assert_eq!(&*certificate.path, std::path::Path::new("a.crt"));
    let days = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 24 * 60 * 60);
    assert_eq!(certificate.not_before, days(19_723));
    assert_eq!(certificate.not_after, days(23_148));
}

#[test]
fn certificate_and_key_may_be_one_file_in_any_order() {
    let Pair { cert, key } = pair();
    for both in [format!("{cert}{key}"), format!("{key}{cert}")] {
        load(&both, &both).unwrap();
    }
}

#[test]
fn line_ends_and_text_around_do_not_matter() {
    let Pair { cert, key } = pair();
    let windows = |text: &str| text.replace('\n', "\r\n");
    load(&windows(&cert), &windows(&key)).unwrap();
    load(&format!("subject=shop.example\n\n{cert}\n"), key.trim_end()).unwrap();
}

#[test]
fn a_file_that_holds_something_else_is_named_for_what_it_holds() {
    let Pair { cert, key } = pair();
    assert_eq!(
        fault(&key, &key),
        ("a.crt: there is no certificate in it, only a private key".to_owned())
    );
    assert_eq!(
        fault(&cert, &cert),
        ("a.key: there is no private key in it, only a certificate".to_owned())
    );
    let trusted = pem("TRUSTED CERTIFICATE", b"x") + &pem("X509 CRL", b"y");
    assert_eq!(
        fault(&trusted, &key),
        (
            "a.crt: there is no certificate in it, only “TRUSTED CERTIFICATE” and a certificate revocation list".to_owned()));
}

#[test]
fn a_file_without_pem_is_refused() {
    let Pair { cert, key } = pair();
    assert_eq!(fault("", &key), ("a.crt: the file is empty".to_owned()));
    assert_eq!(fault(&cert, " \n"), ("a.key: the file is empty".to_owned()));
    assert_eq!(
        fault("hello", &key),
        ("a.crt: it is not PEM: no line in it begins with -----BEGIN".to_owned())
    );
    assert_eq!(
        fault("0\u{1}\u{2}", &key),
        (
            "a.crt: it is binary (DER); it must be text (PEM): openssl x509 or openssl pkey, with -inform DER, turns one into the other"
                .to_owned()));
}

/// T2.
#[test]
fn no_part_of_a_certificate_or_of_a_key_is_taken_for_the_whole() {
    let Pair { cert, key } = pair();
    for end in 0..cert.len() - "-----\n".len() {
        fault(&cert[..end], &key);
    }
    for end in 0..key.len() - "-----\n".len() {
        fault(&cert, &key[..end]);
    }
    assert_eq!(
        fault(&cert[..cert.len() / 2], &key),
        ("a.crt: it is cut off: -----END CERTIFICATE----- is missing".to_owned())
    );
    assert_eq!(fault(&cert, &key[..14]), ("a.key: it is cut off in “-----BEGIN PRI”".to_owned()));
    let lines: Vec<_> = cert.lines().collect();
    let second_cut = format!("{}\n{cert}", lines[..3].join("\n"));
    assert_eq!(
        fault(&second_cut, &key),
        "a.crt: it is cut off: -----END CERTIFICATE----- is missing"
    );
}

#[test]
fn what_is_broken_between_the_lines_is_refused() {
    let Pair { cert, key } = pair();
    let (first, rest) = cert.split_once('\n').unwrap();
    assert_eq!(
        fault(&format!("{first}\n!!!!{rest}"), &key),
        ("a.crt: what stands between BEGIN and END is not base64".to_owned())
    );
    let reason = fault(&pem("CERTIFICATE", b"nonsense"), &key);
    assert!(reason.starts_with("a.crt: certificate 1 in it is broken: "), "{reason}");
    let reason = fault(&(cert.clone() + &pem("CERTIFICATE", b"nonsense")), &key);
    assert!(reason.starts_with("a.crt: certificate 2 in it is broken: "), "{reason}");
    assert_eq!(
        fault(&cert, &pem("PRIVATE KEY", b"nonsense")),
        (
            "a.key: the key cannot be used: it is broken, or neither RSA (from 2048 bits) nor ECDSA (P-256, P-384, P-521) nor Ed25519"
                .to_owned()));
}

/// T2.
#[test]
fn a_key_of_another_certificate_is_refused() {
    let (one, two) = (pair(), pair());
    assert_eq!(
        fault(&one.cert, &two.key),
        ("a.key: it is not the key of the certificate a.crt".to_owned())
    );
}

#[test]
fn a_chain_in_the_wrong_order_is_told() {
    let authority = Authority::new("authority");
    let Pair { cert, key } = authority.issue(&["shop.example"]);
    assert_eq!(
        fault(&(authority.pem() + &cert), &key),
        ("a.crt: the key a.key is that of certificate 2 in it; the host's own must come first"
            .to_owned())
    );
    load(&(cert + &authority.pem()), &key).unwrap();
}

#[test]
fn an_encrypted_key_is_refused_with_the_way_out() {
    let Pair { cert, .. } = pair();
    let text = "a.key: the key is encrypted; decrypt it (openssl pkey -in FILE -out FILE), and let only Outrigger read it";
    let pkcs8 = pem("ENCRYPTED PRIVATE KEY", b"secret");
    assert_eq!(fault(&cert, &pkcs8), (text.to_owned()));
    let traditional = pem("RSA PRIVATE KEY", b"secret").replacen(
        "-----\n",
        "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
        1,
    );
    assert_eq!(fault(&cert, &traditional), (text.to_owned()));
}

#[test]
fn no_file_shows_its_content() {
    let Pair { key, .. } = pair();
    let shown = format!("{:?}", file("a.key", &key));
    assert_eq!(shown, r#"File { path: "a.key", .. }"#);
}
