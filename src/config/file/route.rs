//! Which requests go where, as typed.

use super::{List, RetryCondition};
use crate::config::decode::Field;
use crate::config::scalar::{
    AnyText, Duration, HeaderFieldName, HeaderText, Hidden, Host, HostHeader, MatchPath,
    MethodName, Name, Number, Pattern, Quantity, RedirectHost, RedirectStatus, Statuses, Text,
};
use crate::config::schema::notes::{also_spelt, answered_or_sent, exactly_one};
use crate::model::defaults;
use schemars::JsonSchema;
use serde::Deserialize;

/// Which requests go where.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name"]))]
#[schemars(transform = answered_or_sent)]
pub struct Route {
    /// Its name, unique among the routes.
    pub name: Field<Name>,
    /// The names of the listeners whose requests it takes; all by default.
    #[schemars(extend("minItems" = 1))]
    pub listeners: List<Name>,
    /// The hosts whose requests it takes; all by default.
    #[schemars(extend("minItems" = 1))]
    pub hosts: List<Host>,
    /// What requests must be like: one of these has to fit. By default all fit.
    #[schemars(extend("minItems" = 1))]
    pub matches: List<Match>,
    /// What is done to requests and responses, or answered without a backend. Each kind at most once; their order means nothing.
    #[schemars(extend("default" = []))]
    pub filters: List<Filter>,
    /// Instead of the timeouts of the backend.
    pub timeouts: Field<RouteTimeouts>,
    /// Instead of the retries of the backend.
    pub retry: Field<RouteRetry>,
    /// Size of a request's body, instead of the listener's limit; 0 is no limit.
    pub max_body_bytes: Field<Quantity<0, { u64::MAX }>>,
    /// Where requests go, by weight.
    #[schemars(extend("minItems" = 1))]
    pub backends: List<BackendRef>,
}

/// What a request must be like, all of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Match {
    /// Its path.
    #[schemars(extend("default" = { "prefix": "/" }))]
    pub path: Field<PathMatch>,
    /// Its method.
    pub method: Field<MethodName>,
    /// Its header fields.
    #[schemars(extend("default" = []))]
    pub headers: List<HeaderMatch>,
    /// The parameters of its query.
    #[schemars(extend("default" = []))]
    pub query: List<QueryMatch>,
}

/// What a path must be like: exactly one of the keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(transform = exactly_one(&["exact", "prefix", "regex"]))]
pub struct PathMatch {
    /// This path and no other.
    pub exact: Field<MatchPath>,
    /// This path and everything below it: `/shop` takes `/shop` and `/shop/cart`, but not `/shopping`.
    pub prefix: Field<MatchPath>,
    /// A regular expression that describes the whole path.
    pub regex: Field<Pattern>,
}

/// What one header field must be like: exactly one of `exact`, `regex` and `present`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name"]))]
#[schemars(transform = exactly_one(&["exact", "regex", "present"]))]
pub struct HeaderMatch {
    /// The field's name.
    pub name: Field<HeaderFieldName>,
    /// The whole value.
    pub exact: Field<Hidden<HeaderText>>,
    /// A regular expression that describes the whole value.
    pub regex: Field<Hidden<Pattern>>,
    /// `true`: the field is there, whatever it says; `false`: it is not.
    pub present: Field<bool>,
}

/// What one parameter of the query must be like: exactly one of `exact`, `regex` and `present`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name"]))]
#[schemars(transform = exactly_one(&["exact", "regex", "present"]))]
pub struct QueryMatch {
    /// The parameter's name.
    pub name: Field<Text>,
    /// The whole value.
    pub exact: Field<Hidden<AnyText>>,
    /// A regular expression that describes the whole value.
    pub regex: Field<Hidden<Pattern>>,
    /// `true`: the parameter is there, whatever it says; `false`: it is not.
    pub present: Field<bool>,
}

/// One filter: exactly one of the keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(transform = exactly_one(&["requestHeaders", "responseHeaders", "rewrite", "redirect", "respond"]))]
pub struct Filter {
    /// Changes of the request's header fields.
    pub request_headers: Field<HeaderChanges>,
    /// Changes of the response's header fields.
    pub response_headers: Field<HeaderChanges>,
    /// Another host or path for the endpoint.
    pub rewrite: Field<Rewrite>,
    /// The client is sent elsewhere.
    pub redirect: Field<Redirect>,
    /// A response that is always the same.
    pub respond: Field<Respond>,
}

/// Changes of header fields: first `remove`, then `set`, then `add`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct HeaderChanges {
    /// Fields that get this value and no other.
    #[schemars(extend("default" = []))]
    pub set: List<HeaderField>,
    /// Fields that get this value besides those they have.
    #[schemars(extend("default" = []))]
    pub add: List<HeaderField>,
    /// Fields that go.
    #[schemars(extend("default" = []))]
    pub remove: List<HeaderFieldName>,
}

/// A header field.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name", "value"]))]
pub struct HeaderField {
    /// Its name.
    pub name: Field<HeaderFieldName>,
    /// Its value.
    pub value: Field<Hidden<HeaderText>>,
}

/// Another host or path for the endpoint.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Rewrite {
    /// The `Host` that endpoints see.
    pub host: Field<HostHeader>,
    /// The path that endpoints see.
    pub path: Field<PathRewrite>,
}

/// Another path: exactly one of the keys. The query stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(transform = exactly_one(&["full", "prefix"]))]
pub struct PathRewrite {
    /// The whole path becomes this.
    pub full: Field<MatchPath>,
    /// The prefix that matched becomes this.
    pub prefix: Field<MatchPath>,
}

/// The client is sent elsewhere. What is left out stays as it was in the request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Redirect {
    /// The scheme of the URL that the client is sent to.
    pub scheme: Field<Scheme>,
    /// The host, without a port.
    pub host: Field<RedirectHost>,
    /// The port. With another scheme and no port, the scheme's own is meant.
    pub port: Field<Number<1, 65_535>>,
    /// The path.
    pub path: Field<PathRewrite>,
    /// The status of the response.
    #[schemars(extend("default" = defaults::REDIRECT_STATUS))]
    pub status: Field<RedirectStatus>,
}

/// A URL's scheme.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename = "scheme")]
#[schemars(rename = "Scheme")]
pub enum Scheme {
    /// Port 80.
    #[serde(alias = "http")]
    #[schemars(transform = also_spelt("http"))]
    Http,
    /// Port 443.
    #[serde(alias = "https")]
    #[schemars(transform = also_spelt("https"))]
    Https,
}

/// A response that is always the same.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Respond {
    /// Its status.
    #[schemars(extend("default" = defaults::RESPOND_STATUS))]
    pub status: Field<Number<200, 599>>,
    /// Its body; empty by default.
    #[schemars(extend("default" = ""))]
    pub body: Field<AnyText>,
    /// The `Content-Type` of a body that is not empty.
    #[schemars(extend("default" = defaults::RESPOND_CONTENT_TYPE))]
    pub content_type: Field<HeaderText>,
}

/// Instead of the timeouts of the backend. `0s` is no limit.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RouteTimeouts {
    /// From the end of the request's head to the response's head, all attempts together.
    pub request: Field<Duration>,
    /// The same for each attempt.
    pub attempt: Field<Duration>,
}

/// Instead of the retries of the backend, whose budget stays.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RouteRetry {
    /// Tries after the first; 0 turns retries off. A refused connect is none, while another endpoint is left that has refused none lately.
    pub attempts: Field<Number<0, 10>>,
    /// What is a reason to try again.
    #[schemars(extend("minItems" = 1))]
    pub conditions: List<RetryCondition>,
    /// Statuses of responses that are a reason to try again.
    pub statuses: List<Statuses>,
}

/// A backend that a route sends requests to: its name, or a map with the name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name"]))]
pub struct BackendRef {
    /// The backend's name.
    pub name: Field<Name>,
    /// Its share relative to the others'; 0 gets no requests.
    #[schemars(extend("default" = defaults::WEIGHT))]
    pub weight: Field<Number<0, { defaults::MAX_WEIGHT as u64 }>>,
}
