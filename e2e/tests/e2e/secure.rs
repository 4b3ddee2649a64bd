//! The scene of the tests of TLS: an authority, a process with one TLS listener, and one test server behind it.

use e2e::{Authority, Dial, Leaf, Outrigger, Tls};
use testserver::Server;

/// The name that the default certificate is for.
pub const HOST: &str = "shop.example";

/// A configuration with one TLS listener, whose certificate is `a.crt`. `listener` are further lines of it, `backend` of
/// the backend `demo`.
pub fn config(listener: &str, urls: &[String], backend: &str) -> String {
    with_tls("certificates: [{ certFile: a.crt, keyFile: a.key }]", listener, urls, backend)
}

/// The same with these entries of the listener's `tls`, in flow style.
pub fn with_tls(tls: &str, listener: &str, urls: &[String], backend: &str) -> String {
    let urls = urls.join(", ");
    format!(
        "admin: {{ address: 127.0.0.1:0 }}\nlisteners:\n  - name: https\n    address: 127.0.0.1:0\n    \
         tls: {{ {tls} }}\n{listener}backends:\n  - name: demo\n    algorithm: RoundRobin\n    \
         endpoints: [{urls}]\n{backend}"
    )
}

/// The scene.
pub struct Secure {
    pub authority: Authority,
    pub leaf: Leaf,
    pub server: Server,
    pub outrigger: Outrigger,
}

impl Secure {
    /// The scene with defaults.
    pub async fn start() -> Self {
        Self::with("", "").await
    }

    /// The scene with further lines of the listener and of the backend.
    pub async fn with(listener: &str, backend: &str) -> Self {
        let server = Server::builder().name("one").start().await.unwrap();
        let authority = Authority::new("test authority");
        let leaf = authority.leaf(&[HOST]);
        let files = [("a.crt", leaf.cert.as_str()), ("a.key", leaf.key.as_str())];
        let yaml = config(listener, &[server.url()], backend);
        let outrigger = Outrigger::start_with(&files, &yaml).await;
        Self { authority, leaf, server, outrigger }
    }

    /// A client that trusts the authority.
    pub fn tls(&self) -> Tls {
        Tls::new(&self.authority, HOST)
    }

    /// The way to the listener.
    pub fn dial(&self) -> Dial {
        Dial::to(self.outrigger.address()).tls(&self.tls())
    }

    /// The authority's certificate as a file beside the configuration, for programs.
    pub fn authority_file(&self) -> String {
        let path = self.outrigger.directory().join("authority.pem");
        std::fs::write(&path, self.authority.pem()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}
