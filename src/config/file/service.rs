//! A Service of Kubernetes as a source of endpoints.

use super::Scheme;
use crate::config::decode::Field;
use crate::config::scalar::{KubernetesName, PortOfService};
use schemars::JsonSchema;
use serde::Deserialize;

/// A Service of Kubernetes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["namespace", "name", "port"]))]
pub struct Service {
    /// Its namespace; `${POD_NAMESPACE}` is that of the pod, where the chart tells it.
    pub namespace: Field<KubernetesName>,
    /// Its name.
    pub name: Field<KubernetesName>,
    /// The name or the number of one of its ports.
    pub port: Field<PortOfService>,
    /// Whether TLS is spoken. With `protocol: Http2` it is `https` by default.
    #[schemars(extend("default" = "http"))]
    pub scheme: Field<Scheme>,
    /// Who chooses among its pods.
    #[schemars(extend("default" = "EndpointSlices"))]
    pub mode: Field<ServiceMode>,
    /// Which addresses of pods with several are used.
    #[schemars(extend("default" = "PreferIPv4"))]
    pub ip_family: Field<IpFamily>,
}

/// Who chooses among the pods of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "mode")]
#[schemars(rename = "ServiceMode")]
pub enum ServiceMode {
    /// The backend's algorithm: each pod is an endpoint.
    EndpointSlices,
    /// Kubernetes: the Service is one endpoint, by its name in the cluster's DNS. `port` is a number.
    #[serde(rename = "ClusterIP")]
    ClusterIp,
}

/// Which addresses of pods with several are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "ipFamily")]
#[schemars(rename = "IpFamily")]
pub enum IpFamily {
    /// IPv6 only while no endpoint can be used by IPv4.
    #[serde(rename = "PreferIPv4")]
    PreferIpv4,
    /// IPv4 only while no endpoint can be used by IPv6.
    #[serde(rename = "PreferIPv6")]
    PreferIpv6,
    /// All: a pod with two addresses is two endpoints.
    Both,
}
