//! What is spoken: on which scheme, and whether a proxy may say who the client is.

use super::Validator;
use crate::config::decode::Field;
use crate::config::file;
use crate::config::problem::Fault;
use crate::config::tree::At;
use crate::model;

impl Validator<'_> {
    pub(super) fn proxy_protocol(
        &self,
        typed: &file::Listener,
        at: &At<'_>,
    ) -> model::ProxyProtocol {
        let mode = match typed.proxy_protocol.get() {
            Some(file::ProxyProtocol::Disabled) | None => return model::ProxyProtocol::Disabled,
            Some(file::ProxyProtocol::Accept) => model::ProxyProtocol::Accept,
            Some(file::ProxyProtocol::Require) => model::ProxyProtocol::Require,
        };
        let nobody = match &typed.trusted_proxies {
            Field::Absent => true,
            Field::Invalid => false,
            Field::Present(networks) => networks.is_empty(),
        };
        if nobody {
            let at = at.key("proxyProtocol");
            let shown = at.shown();
            let fault = Fault::new(format!(
                "`{shown}` without `trustedProxies`: nobody is believed who the client is"
            ));
            let allowed =
                "`trustedProxies` with the networks of the proxies before this one, or `Disabled`";
            self.problems.value(&at, fault.allow(allowed));
        }
        mode
    }

    /// Holds the schemes of the endpoints to the protocol that is spoken to them.
    pub(super) fn schemes(&self, backend: &file::Backend, protocol: model::Protocol, at: &At<'_>) {
        let (wanted, allowed) = match protocol {
            model::Protocol::Http1 => return,
            model::Protocol::Http2 => (
                model::Scheme::Https,
                "`https://…`, or `protocol: H2c`, which is HTTP/2 without TLS",
            ),
            model::Protocol::H2c => {
                (model::Scheme::Http, "`http://…`, or `protocol: Http2`, which is HTTP/2 over TLS")
            }
        };
        for (endpoint, at) in self.any(&backend.endpoints, at, "endpoints") {
            let Some(url) = endpoint.url.get().map(|url| &url.0) else { continue };
            if url.scheme != wanted {
                let scheme = url.scheme.as_str();
                let fault = Fault::new(format!("`{scheme}` is not for `protocol: {protocol}`"));
                self.problems.value(&at.key("url"), fault.allow(allowed));
            }
        }
    }
}
