//! What names a Service of Kubernetes and one of its ports.

use super::{Shape, Word};
use crate::config::problem::Fault;
use crate::config::tree::plain_type;
use crate::model::ServicePort;
use std::sync::Arc;

/// The longest label of DNS (RFC 1123), which names in Kubernetes are.
const LONGEST: usize = 63;

/// The name of a namespace or of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesName(pub String);

impl Word for KubernetesName {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "lower-case letters, digits and `-`, first and last a letter or digit, at most 63".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        match is_label(text) {
            true => Ok(Self(text.to_owned())),
            false => {
                let lower = text.to_ascii_lowercase();
                let suggestion = is_label(&lower).then_some(lower);
                Err(Fault::new("is not a name in Kubernetes").suggest(suggestion))
            }
        }
    }
}

/// A port of a Service: its name or its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOfService(pub ServicePort);

impl Word for PortOfService {
    fn expected() -> String {
        "the name of a port of the Service, or its number from 1 to 65535".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            let number = text.parse().ok().filter(|number| *number > 0 && !text.starts_with('0'));
            return match number {
                Some(number) => Ok(Self(ServicePort::Number(number))),
                None => Err(Fault::new("is out of range")),
            };
        }
        // What YAML takes for something else was hardly meant as a name.
        match is_label(text) && plain_type(text).is_none() {
            true => Ok(Self(ServicePort::Name(Arc::from(text)))),
            false => Err(Fault::new("is neither the name of a port nor a number")),
        }
    }
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.len() <= LONGEST
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}
