//! Where the configuration comes from, and what Kubernetes adds to it.

use super::{RESOLVE_AT_MOST, StartError};
use crate::config::watch::{Options, Source, Watcher, mount_warning};
use crate::config::{self, Expired, Loaded, Surroundings};
use crate::control::{Input, patiently};
use crate::kubernetes::{ConfigMapKey, Connection, Discovery, Reporter, ThisPod};
use crate::lifecycle::Lifecycle;
use crate::model::Model;
use crate::snapshot::source::{self, SourceStatus};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Where a configuration is.
#[derive(Clone, Debug)]
pub enum Configuration {
    /// In a file.
    File(PathBuf),
    /// In a ConfigMap of Kubernetes, read by the API.
    ConfigMap(ConfigMapKey),
}

impl From<PathBuf> for Configuration {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// A configuration that was read, and is followed.
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) watcher: Input,
    /// What it is called, for people.
    pub(super) name: String,
    /// The folder from which relative paths in it are seen.
    pub(super) folder: PathBuf,
}

/// Reads `configuration`, and follows it from then on.
pub(super) async fn open(
    configuration: Configuration,
    kubernetes: &Connection,
) -> Result<Opened, StartError> {
    match configuration {
        Configuration::File(path) => {
            let path = std::path::absolute(path)?;
            let (source, watcher) = Watcher::start(&path, Options::default())?;
            if let Some(warning) = mount_warning(&path) {
                tracing::warn!("{warning}");
            }
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            let watcher = Input::File(watcher);
            Ok(Opened { source, watcher, name: path.display().to_string(), folder })
        }
        Configuration::ConfigMap(key) => {
            let name = key.to_string();
            let (source, watcher) = Input::config_map(kubernetes, key).await?;
            Ok(Opened { source, watcher, name, folder: std::env::current_dir()? })
        }
    }
}

/// Reports on this pod, if it is one, beginning with the hash of what runs.
pub(super) fn reporter(kubernetes: &Connection, hash: &str) -> Reporter {
    let pod = ThisPod::told_by(|name| std::env::var(name).ok());
    let reporter = pod.map_or_else(Reporter::default, |pod| Reporter::start(kubernetes, pod));
    reporter.runs(hash);
    reporter
}

pub(super) async fn load(source: &Source, name: &str, folder: &Path) -> Result<Loaded, StartError> {
    let loaded = patiently(|| {
        // Other hosts need the process, even where a certificate is too old.
        let surroundings =
            Surroundings { expired: Expired::Warned, ..Surroundings::within(folder) };
        config::load(&source.bytes, name, &surroundings)
    });
    let loaded = loaded.await.map_err(StartError::Config)?;
    for warning in loaded.warnings.list() {
        tracing::warn!("{}", warning.0);
    }
    Ok(loaded)
}

/// Gives the backends of `model` the endpoints that their Services have, if they are known soon. Until they are, the process is
/// not ready.
pub(super) async fn discover(
    model: &mut Model,
    lifecycle: &Lifecycle,
    kubernetes: &Connection,
) -> Discovery {
    let has_services = model.backends.iter().any(|backend| backend.source.followed().is_some());
    let gate = has_services.then(|| lifecycle.hold_ready("endpoints from Kubernetes"));
    let mut discovery = Discovery::new(kubernetes.clone(), gate);
    discovery.follow(&[model]);
    discovery.settle(RESOLVE_AT_MOST).await;
    discovery.take(model);
    discovery
}

pub(super) fn source_status(name: &str, hash: String) -> Arc<SourceStatus> {
    let status = SourceStatus::default();
    status.store(source::Source {
        path: name.to_owned(),
        hash: Some(hash),
        loaded_at: Some(SystemTime::now()),
        refused: None,
    });
    Arc::new(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::testing::FakeApi;
    use serde_json::json;

    const SERVED: &str = "
listeners: [{ name: http, address: '127.0.0.1:1' }]
backends: [{ name: web, service: { namespace: shop, name: web, port: http } }]
";

    fn model() -> Model {
        config::load(SERVED.as_bytes(), "config.yaml", &Surroundings::none()).unwrap().model
    }

    async fn api() -> FakeApi {
        let api = FakeApi::start().await;
        let slice = json!({
            "metadata": { "labels": { "kubernetes.io/service-name": "web" } },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": ["10.0.0.1"] }],
            "ports": [{ "name": "http", "port": 8080 }],
        });
        api.put("namespaces/shop/endpointslices", "web-1", slice);
        api
    }

    #[tokio::test]
    async fn a_process_begins_with_the_endpoints_of_its_services_where_it_can() {
        let (api, lifecycle, mut model) = (api().await, Lifecycle::new(), model());
        let _starting = lifecycle.hold_ready("configuration");
        let kubernetes = Connection::plain(api.address());
        let mut discovery = discover(&mut model, &lifecycle, &kubernetes).await;
        assert_eq!(model.backends[0].endpoints[0].url.to_string(), "http://10.0.0.1:8080");
        assert_eq!(lifecycle.held_by(), ["configuration", "endpoints from Kubernetes"]);
        discovery.in_use();
        assert_eq!(lifecycle.held_by(), ["configuration"]);
    }

    #[tokio::test]
    async fn a_process_that_may_not_ask_begins_without_endpoints_and_is_not_ready() {
        let (api, lifecycle, mut model) = (api().await, Lifecycle::new(), model());
        api.refuse(Some((403, "Forbidden")));
        let kubernetes = Connection::plain(api.address());
        let mut discovery = discover(&mut model, &lifecycle, &kubernetes).await;
        discovery.in_use();
        assert_eq!(model.backends[0].endpoints, []);
        assert_eq!(lifecycle.held_by(), ["endpoints from Kubernetes"]);
    }

    #[tokio::test]
    async fn a_configuration_without_services_asks_nobody() {
        let api = api().await;
        let (lifecycle, kubernetes) = (Lifecycle::new(), Connection::plain(api.address()));
        let text = SERVED.replace("port: http", "port: 80, mode: ClusterIP");
        let loaded = config::load(text.as_bytes(), "config.yaml", &Surroundings::none());
        let mut model = loaded.unwrap().model;
        discover(&mut model, &lifecycle, &kubernetes).await;
        assert_eq!(model.backends[0].endpoints[0].url.to_string(), "http://web.shop.svc");
        assert_eq!((lifecycle.held_by(), api.requests()), (Vec::new(), Vec::new()));
    }
}
