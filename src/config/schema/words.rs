//! The schemas of single values. Their titles are the kinds that the documentation names.
//!
//! A pattern may allow what the value's reader refuses, never the reverse: an editor must not complain about a file that
//! loads. The patterns keep to what ECMA 262 and Rust's expressions both understand.

use crate::config::Field;
use crate::config::scalar::{
    Address, AnyText, CookieName, CookiePath, Duration, FilePath, HeaderFieldName, HeaderText,
    Hidden, Host, HostHeader, KubernetesName, LoadBound, MatchPath, MethodName, Name, Network,
    Number, OptionalAddress, OptionalCollector, Pattern, PortOfService, ProbePath, Quantity,
    RedirectHost, RedirectStatus, SecretHeaderText, ServerName, Share, Statuses, Text, Token, Url,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;
use std::borrow::Cow;

/// What only wraps a value has the value's schema.
macro_rules! wrappers {
    ($($type:ident)+) => {$(
        impl<T: JsonSchema> JsonSchema for $type<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }

            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }

            fn schema_id() -> Cow<'static, str> {
                T::schema_id()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    )+};
}

wrappers! { Field Hidden }

macro_rules! words {
    ($($type:ident: $schema:tt)+) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

words! {
    Duration: {
        "title": "duration",
        "description": "A number and a unit, as often as wanted; units: ns, us, ms, s, m, h; at most a year, which is `8760h`.",
        "examples": ["250ms", "5s", "1m30s"],
        "anyOf": [
            {
                "type": "string",
                "pattern": r"^(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)$"
            },
            { "const": 0 }
        ]
    }
    Share: {
        "title": "share",
        "description": "A percentage from `0%` to `100%`, or a number from 0 to 1.",
        "examples": ["20%", 0.2],
        "anyOf": [
            { "type": "string", "pattern": r"^(?:[0-9]+\.?[0-9]*|\.[0-9]+)%?$" },
            { "type": "number", "minimum": 0, "maximum": 1 }
        ]
    }
    Name: {
        "title": "name",
        "description": "Letters, digits, `-`, `_` and `.`; first a letter or digit; at most 253.",
        "examples": ["http", "shop-v1"],
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$"
    }
    KubernetesName: {
        "title": "name in Kubernetes",
        "description": "Lower-case letters, digits and `-`; first and last a letter or digit; at most 63.",
        "examples": ["shop"],
        "type": "string",
        "pattern": "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
    }
    PortOfService: {
        "title": "name or number of a port",
        "description": "The name of a port of the Service, or its number.",
        "examples": ["http", 80],
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$" }
        ]
    }
    Text: {
        "title": "text",
        "description": "Any text but none.",
        "type": "string",
        "minLength": 1
    }
    AnyText: {
        "title": "text",
        "description": "Any text, also none.",
        "type": "string"
    }
    ProbePath: {
        "title": "path and query",
        "description": "Begins with `/`; special characters are percent-encoded.",
        "examples": ["/health?full=1"],
        "type": "string",
        "pattern": r"^/[!$-;=?-\[\]_a-z~]*$"
    }
    MatchPath: {
        "title": "path",
        "description": "Begins with `/`, without a query; special characters are percent-encoded. It is compared in its normal form.",
        "examples": ["/shop"],
        "type": "string",
        "pattern": r"^/(?:[!$&-;=@-\[\]_a-z~]|%[0-9A-Fa-f]{2})*$"
    }
    CookiePath: {
        "title": "path of a cookie",
        "examples": ["/shop"],
        "type": "string",
        "pattern": "^/[!-:<-~]*$"
    }
    HostHeader: {
        "title": "host",
        "description": "A host name or IP address, with or without a port; IPv6 in brackets.",
        "examples": ["shop.internal", "10.0.0.1:8080"],
        "type": "string",
        "pattern": r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?$"
    }
    RedirectHost: {
        "title": "host without a port",
        "description": "A host name or IP address without a port; IPv6 in brackets.",
        "examples": ["www.example.com"],
        "type": "string",
        "pattern": r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)$"
    }
    Host: {
        "title": "host to match",
        "description": "A host without a port, or `*.` and a host for all hosts below it, at any depth.",
        "examples": ["shop.example.com", "*.example.com"],
        "type": "string",
        "pattern": r"^(?:\*\.)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)$"
    }
    Address: {
        "title": "address",
        "description": "An IP address and a port, no host name; IPv6 in brackets; port 0 lets the system choose.",
        "examples": ["127.0.0.1:8080", "[::]:8080"],
        "type": "string",
        "pattern": r"^(?:[0-9.]+|\[[0-9A-Fa-f:.]+(?:%[0-9]+)?\]):[0-9]{1,5}$"
    }
    OptionalAddress: {
        "title": "address or `\"\"`",
        "description": "An IP address and a port, or empty text for none.",
        "examples": ["127.0.0.1:9900", ""],
        "type": "string",
        "pattern": r"^(?:(?:[0-9.]+|\[[0-9A-Fa-f:.]+(?:%[0-9]+)?\]):[0-9]{1,5})?$"
    }
    Network: {
        "title": "address or network",
        "description": "An IP address, or a network in CIDR notation with no bits behind its prefix.",
        "examples": ["10.0.0.0/8", "::1"],
        "type": "string",
        "pattern": "^[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?$"
    }
    Url: {
        "title": "URL",
        "description": "`http://` or `https://`, a host, and if wanted a port and a path; no user, query or fragment.",
        "examples": ["http://localhost:8081", "https://10.0.0.1:8443/shop"],
        "type": "string",
        "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?$"
    }
    OptionalCollector: {
        "title": "URL or `\"\"`",
        "description": "`http://` or `https://`, a host, and if wanted a port and a path; no user, query or fragment. Empty text for none.",
        "examples": ["http://otel-collector:4317", "https://otel.example.com/v1/traces", ""],
        "type": "string",
        "pattern": r"^(?:[Hh][Tt][Tt][Pp][Ss]?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?)?$"
    }
    SecretHeaderText: {
        "title": "secret value of a header field",
        "description": "Visible ASCII, with spaces between. No message shows it.",
        "type": "string",
        "pattern": "^(?:[!-~](?:[ -~]*[!-~])?)?$"
    }
    Token: {
        "title": "secret",
        "description": "Visible ASCII without spaces, at least 16 characters. No message shows it.",
        "type": "string",
        "pattern": "^[!-~]{16,}$"
    }
    FilePath: {
        "title": "path of a file",
        "description": "Absolute, or seen from the folder of the configuration file.",
        "examples": ["tls/shop.crt", "/etc/tls/shop.key"],
        "type": "string",
        "pattern": r"^[^\x00-\x1f\x7f]+$"
    }
    ServerName: {
        "title": "host name or IP address",
        "description": "A host name or IP address without a port.",
        "examples": ["shop.internal", "10.0.0.1"],
        "type": "string",
        "pattern": r"^(?:\[?[0-9A-Fa-f:.]+\]?|[A-Za-z0-9._-]+)$"
    }
    Statuses: {
        "title": "status or range",
        "description": "A status, or a range of them, from 200 to 599.",
        "examples": [200, "200-299"],
        "anyOf": [
            { "type": "integer", "minimum": 200, "maximum": 599 },
            { "type": "string", "pattern": "^[2-5][0-9]{2}(?:-[2-5][0-9]{2})?$" }
        ]
    }
    HeaderFieldName: {
        "title": "name of a header field",
        "description": "Compared without regard to case.",
        "examples": ["x-user"],
        "type": "string",
        "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
    }
    HeaderText: {
        "title": "value of a header field",
        "description": "Text without control characters or space around it.",
        "type": "string",
        "pattern": r"^(?:[^\s\x00-\x1f\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\s\x00-\x1f\x7f])?)?$"
    }
    CookieName: {
        "title": "name of a cookie",
        "examples": ["session"],
        "type": "string",
        "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
    }
    MethodName: {
        "title": "method",
        "description": "Methods are case-sensitive. `CONNECT` is never forwarded.",
        "examples": ["GET", "POST"],
        "type": "string",
        "pattern": "^[A-Z0-9!#$%&'*+.^_`|~-]+$",
        "not": { "const": "CONNECT" }
    }
    Pattern: {
        "title": "regular expression",
        "description": "Describes the text from its beginning to its end, in the syntax of Rust's `regex`: no look-around, no back-references.",
        "examples": ["/v[0-9]+/.*"],
        "type": "string"
    }
    LoadBound: {
        "title": "number, 1 to 100",
        "description": "A multiple of the mean load.",
        "examples": [1.25],
        "type": "number",
        "minimum": 1,
        "maximum": 100
    }
    RedirectStatus: {
        "title": "301, 302, 303, 307 or 308",
        "type": "integer",
        "enum": [301, 302, 303, 307, 308]
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Number<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let range = range::<MIN, MAX>(u64::to_string);
        let mut schema = json_schema!({ "title": format!("number{range}"), "type": "integer" });
        bound::<MIN, MAX>(&mut schema);
        schema
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Quantity<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let range = range::<MIN, MAX>(|value| format!("`{}`", Self(*value)));
        let mut number = json_schema!({ "type": "integer" });
        bound::<MIN, MAX>(&mut number);
        json_schema!({
            "title": format!("quantity{range}"),
            "examples": ["64Ki", "10Mi"],
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+(?:Ki|Mi|Gi|Ti|k|M|G|T)?$" },
                number
            ]
        })
    }
}

/// What a title says of the bounds; nothing when there are none.
fn range<const MIN: u64, const MAX: u64>(show: impl Fn(&u64) -> String) -> String {
    match (MIN, MAX) {
        (0, u64::MAX) => String::new(),
        (_, u64::MAX) => format!(", from {}", show(&MIN)),
        _ => format!(", {} to {}", show(&MIN), show(&MAX)),
    }
}

fn bound<const MIN: u64, const MAX: u64>(schema: &mut Schema) {
    schema.insert("minimum".into(), json!(MIN));
    if MAX != u64::MAX {
        schema.insert("maximum".into(), json!(MAX));
    }
}
