//! Outrigger in a real cluster, used as an operator uses it: `make test-cluster`.

#[path = "cluster/install.rs"]
mod install;
#[path = "cluster/jobs.rs"]
mod jobs;
#[path = "cluster/live.rs"]
mod live;
#[path = "cluster/outage.rs"]
mod outage;
#[path = "cluster/restart.rs"]
mod restart;
#[path = "cluster/rollout.rs"]
mod rollout;
#[path = "cluster/services.rs"]
mod services;
#[path = "cluster/sidecar.rs"]
mod sidecar;
