//! How a backend's endpoints are spoken to by TLS.

use super::Backend;
use crate::model::{self, KeyPair, Pem, Protocol};
use crate::tls::{Client, ClientOptions, TlsError};
use std::sync::Arc;

/// TLS as `model` wants it: the very same as that of the backend before, with the sessions that it remembers, if it would be equal.
/// `None` if no endpoint has, or will have, an `https` URL.
pub(super) fn client(
    model: &model::Backend,
    previous: Option<&Backend>,
) -> Result<Option<Arc<Client>>, TlsError> {
    if !model.speaks_tls() {
        return Ok(None);
    }
    let same = previous.filter(|previous| {
        previous.model.tls == model.tls && previous.model.protocol == model.protocol
    });
    if let Some(client) = same.and_then(|previous| previous.tls.as_ref()) {
        return Ok(Some(Arc::clone(client)));
    }
    let certificate = model.tls.client_certificate.as_ref().map(KeyPair::load).transpose()?;
    let client = Client::new(ClientOptions {
        ca: model.tls.ca.as_ref().map(Pem::file),
        certificate: certificate.map(Arc::new),
        insecure_skip_verify: model.tls.insecure_skip_verify,
        http2: match model.protocol {
            Protocol::Http2 => true,
            Protocol::Http1 | Protocol::H2c => false,
        },
    })?;
    Ok(Some(Arc::new(client)))
}
