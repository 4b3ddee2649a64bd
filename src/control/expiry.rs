//! Says of certificates that nobody renews.

use crate::model::words::{date, moment};
use crate::snapshot::{Snapshot, User};
use crate::tls::{Certificate, Stage};
use std::sync::Arc;
use std::time::SystemTime;

/// Says in the log which certificates are near their end or past it. For once a day: at a reload it is said beside the other warnings.
pub(super) fn tell(snapshot: &Snapshot, now: SystemTime) {
    for (is_over, text) in texts(snapshot, now) {
        match is_over {
            true => tracing::error!("{text}"),
            false => tracing::warn!("{text}"),
        }
    }
}

/// What there is to say, and whether it is too late.
fn texts(snapshot: &Snapshot, now: SystemTime) -> Vec<(bool, String)> {
    let text = |(user, certificate): (User<'_>, &Arc<Certificate>)| {
        let (is_over, says) = match certificate.stage(now) {
            Stage::Early | Stage::Holds => return None,
            Stage::Soon => (false, format!("is valid until {} only", date(certificate.not_after))),
            Stage::Late => (true, format!("expired at {}", moment(certificate.not_after))),
        };
        let user = match user {
            User::Listener(name) => format!("listener {name}"),
            User::Backend(name) => format!("backend {name}"),
        };
        Some((is_over, format!("{user}: the certificate {} {says}", certificate.path.display())))
    };
    snapshot.certificates().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};
    use crate::model::{KeyPair, ListenerTls, Pem, TlsVersion};
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn a_certificate_near_its_end_or_past_it_is_told_of() {
        let text = "
listeners: [{ name: https, address: '127.0.0.1:1' }]
backends: [{ name: shop, endpoints: ['http://127.0.0.1:9'] }]
";
        let mut model =
            config::load(text.as_bytes(), "config.yaml", &Surroundings::none()).unwrap().model;
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["shop.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let pem = |path: &str, text: &str| Pem {
            path: Path::new(path).into(),
            bytes: text.as_bytes().into(),
        };
        let cert = pem("a.crt", &params.self_signed(&key).unwrap().pem());
        model.listeners[0].tls = Some(ListenerTls {
            certificates: vec![KeyPair { cert, key: pem("a.key", &key.serialize_pem()) }],
            client_auth: None,
            min_version: TlsVersion::Tls12,
        });
        let snapshot = Snapshot::compile(Arc::new(model), String::new(), None, 1).unwrap();
        let end = snapshot.certificates().next().unwrap().1.not_after;
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        assert_eq!(texts(&snapshot, end - days(15)), []);
        assert_eq!(
            texts(&snapshot, end - days(13)),
            [(
                false,
                "listener https: the certificate a.crt is valid until 2026-04-01 only".to_owned()
            )]
        );
        let (is_over, said) = texts(&snapshot, end + days(1)).remove(0);
        assert!(
            is_over
                && said.starts_with("listener https: the certificate a.crt expired at 2026-04-01"),
            "{said}"
        );
    }
}
