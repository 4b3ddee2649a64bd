//! Drives a real Kubernetes cluster as a user would, with kubectl and Helm, and looks at what comes of it through the API
//! server, so that any cluster will do: pods are reached by port-forward, load comes from a pod.
//!
//! `make test-cluster` starts a cluster where `KUBECONFIG` names none, and tells the tests about it by these variables:
//!
//! | variable | |
//! |---|---|
//! | `KUBECONFIG` | the cluster |
//! | `CLUSTER_OWN` | `1` where it is the one of `node-cluster`, whose parts may be stopped |
//! | `IMAGE_OUTRIGGER`, `IMAGE_TESTSERVER`, `IMAGE_BUSYBOX` | images that its nodes have |
//! | `KUBECTL`, `HELM` | programs, if not those of `PATH` |
//!
//! What fails panics and says what it saw, since the only callers are tests.

mod forward;
mod helm;
mod images;
mod kubectl;
mod load;
mod log;
mod manifest;
mod namespace;
mod outage;
mod outrigger;
mod servers;
mod wait;

pub use forward::Said;
pub use helm::{Chart, helm};
pub use images::{Images, images};
pub use kubectl::{apply, kubectl};
pub use load::{Load, Options, Report};
pub use log::{Line, log};
pub use manifest::{documents, manifest};
pub use namespace::{Left, Namespace};
pub use outage::{Outage, is_own};
pub use outrigger::{PodStatus, Pods};
pub use servers::Servers;
pub use wait::{PATIENCE, eventually};

use std::path::{Path, PathBuf};

/// A file or folder of the repository.
pub fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}
