//! The log of a container, with the times at which the node got its lines.

use crate::Namespace;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// When the node's container runtime got it.
    pub at: Timestamp,
    /// What it says.
    pub text: String,
}

/// What a container has said so far.
///
/// # Errors
/// When the API server does not tell.
pub async fn log(namespace: &Namespace, pod: &str, container: &str) -> Result<Vec<Line>, String> {
    let wanted = LogParams {
        container: Some(container.to_owned()),
        timestamps: true,
        ..LogParams::default()
    };
    let text =
        namespace.api::<Pod>().logs(pod, &wanted).await.map_err(|error| error.to_string())?;
    text.lines().map(|line| parsed(line).ok_or_else(|| format!("no time: {line}"))).collect()
}

fn parsed(line: &str) -> Option<Line> {
    let (at, text) = line.split_once(' ')?;
    Some(Line { at: at.parse().ok()?, text: text.to_owned() })
}
