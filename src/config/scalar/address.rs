//! Addresses to accept on.

use super::Word;
use crate::config::problem::Fault;
use crate::model::defaults;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An IP address with a port to accept on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl Word for Address {
    fn expected() -> String {
        "an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("is not an address: {why}"));
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if let Ok(port) = text.parse::<u16>() {
            return Err(wrong("it is only a port").suggest(format!("127.0.0.1:{port}")));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let unbracketed = text.rsplit_once(':').and_then(|(address, port)| {
                let port = port.parse::<u16>().ok()?;
                address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]:{port}"))
            });
            return Err(wrong("the port is missing").suggest(
                unbracketed.unwrap_or_else(|| SocketAddr::new(address, 8080).to_string()),
            ));
        }
        if let Some((_, rest)) = text.split_once("://") {
            let address = rest.trim_end_matches('/').parse::<SocketAddr>().ok();
            return Err(wrong("it is a URL").suggest(address.map(|address| address.to_string())));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(wrong("the port is missing"));
        };
        let Ok(port) = port.parse::<u16>() else {
            return Err(wrong("the port is not a number from 0 to 65535"));
        };
        match host {
            "" | "*" => Err(wrong("the IP address is missing").suggest(format!("0.0.0.0:{port}"))),
            "localhost" => {
                Err(wrong("a name instead of an IP address").suggest(format!("127.0.0.1:{port}")))
            }
            _ if host.bytes().any(|byte| byte.is_ascii_alphabetic()) && !host.contains(':') => {
                Err(wrong("a name instead of an IP address"))
            }
            _ => Err(wrong("the IP address is malformed")),
        }
    }
}

/// An address, or empty text for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalAddress(pub Option<SocketAddr>);

impl Word for OptionalAddress {
    fn expected() -> String {
        format!(
            "an IP address and a port, such as `{}`, or `\"\"` for none",
            defaults::ADMIN_ADDRESS
        )
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "" => Ok(Self(None)),
            text => Address::parse(text).map(|Address(address)| Self(Some(address))),
        }
    }
}
