//! Listeners and what clients may ask of them.

use super::phrases::{Fate, Names, Phrases, drains};
use super::tls;
use crate::model::words::{bytes, limit};
use crate::model::{Limits, Listener};
use std::time::Duration;

pub(super) fn say(said: &mut Phrases, before: &[Listener], after: &[Listener], drain: Duration) {
    let names = Names { one: "listener", many: "listeners", order: "" };
    said.list(
        &names,
        (before, after),
        |listener| &*listener.name,
        |said, fate| match fate {
            Fate::Added(listener) => {
                said.say(format_args!("listener {} added on {}", listener.name, listener.address));
            }
            Fate::Removed(listener) => {
                said.say(format_args!("listener {} removed, {}", listener.name, drains(drain)));
            }
            Fate::Changed(before, after) => {
                said.of(format_args!("listener {}", after.name), |said| {
                    say_listener(said, before, after)
                });
            }
        },
    );
}

fn say_listener(said: &mut Phrases, before: &Listener, after: &Listener) {
    let Listener { name: _, address, tls, proxy_protocol, limits, trusted_proxies } = before;
    let kept = ", open connections stay";
    said.change_and("address", address, &after.address, ToString::to_string, kept);
    tls::say_listener(said, tls.as_ref(), after.tls.as_ref());
    let words = ToString::to_string;
    said.change("proxyProtocol", proxy_protocol, &after.proxy_protocol, words);
    say_limits(said, limits, &after.limits);
    let names = Names { one: "trusted proxy", many: "trustedProxies", order: "" };
    said.set(&names, trusted_proxies, &after.trusted_proxies, ToString::to_string, "none");
}

fn say_limits(said: &mut Phrases, before: &Limits, after: &Limits) {
    let Limits {
        handshake_timeout,
        header_timeout,
        body_timeout,
        idle_timeout,
        write_timeout,
        max_connection_age,
        max_connections,
        max_concurrent_streams,
        max_header_bytes,
        max_headers,
        max_body_bytes,
    } = before;
    let time = |time: &Option<Duration>| limit(*time);
    said.change("limits.handshakeTimeout", handshake_timeout, &after.handshake_timeout, time);
    said.change("limits.headerTimeout", header_timeout, &after.header_timeout, time);
    said.change("limits.bodyTimeout", body_timeout, &after.body_timeout, time);
    said.change("limits.idleTimeout", idle_timeout, &after.idle_timeout, time);
    said.change("limits.writeTimeout", write_timeout, &after.write_timeout, time);
    said.change("limits.maxConnectionAge", max_connection_age, &after.max_connection_age, time);
    said.change("limits.maxConnections", max_connections, &after.max_connections, |most| {
        most.map_or_else(|| "none".to_owned(), |most| most.to_string())
    });
    let streams = u32::to_string;
    said.change(
        "limits.maxConcurrentStreams",
        max_concurrent_streams,
        &after.max_concurrent_streams,
        streams,
    );
    let size = |size: &usize| bytes(*size as u64);
    said.change("limits.maxHeaderBytes", max_header_bytes, &after.max_header_bytes, size);
    said.change("limits.maxHeaders", max_headers, &after.max_headers, usize::to_string);
    let size = |size: &Option<u64>| size.map_or_else(|| "none".to_owned(), bytes);
    said.change("limits.maxBodyBytes", max_body_bytes, &after.max_body_bytes, size);
}
