//! What TLS names: files and servers.

use super::{Shape, Word};
use crate::config::problem::Fault;
use crate::config::url::{host_name, parse_authority};
use std::net::IpAddr;
use std::path::PathBuf;

/// The path of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath(pub PathBuf);

impl Word for FilePath {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "the path of a file, absolute or seen from this file's folder".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "" => Err(Fault::new("is empty")),
            _ if text.starts_with("-----BEGIN ") => {
                Err(Fault::new("is not a path: it is what belongs into the file"))
            }
            _ if text.contains(char::is_control) => {
                Err(Fault::new("is not a path: it has control characters"))
            }
            _ => Ok(Self(PathBuf::from(text))),
        }
    }
}

/// The name that a server's certificate must have, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName(pub String);

impl Word for ServerName {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "a host name or IP address without a port".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.contains("://") {
            return Err(Fault::new("is not a host: it is a URL"));
        }
        let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = inside.unwrap_or(text).parse::<IpAddr>() {
            return Ok(Self(address.to_string()));
        }
        if text.starts_with("*.") {
            return Err(Fault::new("is not a host: one that the certificate is for is wanted"));
        }
        match parse_authority(text) {
            Ok((host, None)) => Ok(Self(host_name(&host).to_owned())),
            Ok((host, Some(_))) => Err(Fault::new("has a port").suggest(host)),
            Err(why) => Err(Fault::new(format!("is not a host: {why}"))),
        }
    }
}
