//! The one client of the API server.

use super::health::Watches;
use kube::{Client, Config};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// For a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to the API server, made when it is first used, and the watches over it; clones share it.
#[derive(Clone, Default)]
pub struct Connection(Arc<Shared>);

#[derive(Default)]
struct Shared {
    client: OnceCell<Client>,
    watches: Arc<Watches>,
}

impl Connection {
    /// By the file that `KUBECONFIG` or `~/.kube/config` names, else as the pod's service account, whose token is read again as it is
    /// renewed. Nothing is done before it is used.
    pub fn inferred() -> Self {
        Self::default()
    }

    /// To the API server at `address`, without TLS.
    #[cfg(test)]
    pub fn plain(address: std::net::SocketAddr) -> Self {
        let mut config = Config::new(format!("http://{address}").parse().unwrap());
        config.default_retry = false;
        let client = OnceCell::new_with(Some(Client::try_from(config).unwrap()));
        Self(Arc::new(Shared { client, watches: Arc::default() }))
    }

    /// How the watches do.
    pub fn watches(&self) -> &Arc<Watches> {
        &self.0.watches
    }

    /// The client.
    ///
    /// # Errors
    /// When nothing says where the API server is, or what does cannot be used. It is tried anew next time.
    pub(super) async fn client(&self) -> Result<Client, kube::Error> {
        let connect = async || {
            let mut config = Config::infer().await.map_err(kube::Error::InferConfig)?;
            config.connect_timeout = Some(CONNECT_TIMEOUT);
            // Who asks tries again, and counts it.
            config.default_retry = false;
            Client::try_from(config)
        };
        self.0.client.get_or_try_init(connect).await.cloned()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_made", &self.0.client.initialized()).finish()
    }
}
