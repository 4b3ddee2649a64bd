//! A collector of traces: the OpenTelemetry Collector, where Go can build it, else a receiver that lives in the test. Both write what
//! they got as OTLP's JSON, a line for each export.

mod build;
mod receiver;
mod span;

pub use receiver::Receiver;
pub use span::{Happening, Span};

use crate::authority::{Authority, Leaf};
use crate::port::free_port;
use crate::wait::eventually;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The transport of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otlp {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

impl Otlp {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "Grpc",
            Self::Http => "HttpProtobuf",
        }
    }

    /// The path of a collector's URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Grpc => "",
            Self::Http => "/v1/traces",
        }
    }
}

/// A collector with a port for each transport, which it keeps when it is stopped and started again.
#[derive(Debug)]
pub struct Collector {
    folder: TempDir,
    grpc: u16,
    http: u16,
    scheme: &'static str,
    running: Option<Running>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "each ends when it is dropped")]
enum Running {
    Process(Child),
    Here(Receiver, Receiver),
}

const SPANS: &str = "spans.jsonl";
const CONFIG: &str = "collector.yaml";

impl Collector {
    /// One without TLS.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start() -> Self {
        Self::with("http", "").await
    }

    /// One that shows `leaf` and wants a certificate of `clients`; `None` where there is no Go to build it.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with_tls(leaf: &Leaf, clients: &Authority) -> Option<Self> {
        build::collector()?;
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("the folder takes a file");
            path.display().to_string()
        };
        let tls = format!(
            ", tls: {{ cert_file: {}, key_file: {}, client_ca_file: {} }}",
            file("a.crt", &leaf.cert),
            file("a.key", &leaf.key),
            file("clients.crt", &clients.pem())
        );
        Some(Self::of(folder, "https", &tls).await)
    }

    async fn with(scheme: &'static str, tls: &str) -> Self {
        Self::of(tempfile::tempdir().expect("a folder"), scheme, tls).await
    }

    async fn of(folder: TempDir, scheme: &'static str, tls: &str) -> Self {
        let (grpc, http) = (free_port(), free_port());
        let spans = folder.path().join(SPANS);
        let config = format!(
            "receivers:\n  otlp:\n    protocols:\n      grpc: {{ endpoint: \"127.0.0.1:{grpc}\"{tls} }}\n      \
             http: {{ endpoint: \"127.0.0.1:{http}\"{tls} }}\n\
             exporters:\n  file: {{ path: {}, append: true, flush_interval: 20ms }}\n\
             service:\n  pipelines:\n    traces: {{ receivers: [otlp], exporters: [file] }}\n",
            spans.display()
        );
        std::fs::write(folder.path().join(CONFIG), config).expect("the folder takes a file");
        let mut collector = Self { folder, grpc, http, scheme, running: None };
        collector.restart().await;
        collector
    }

    /// Stops it; what it has is kept.
    pub async fn stop(&mut self) {
        if let Some(Running::Process(mut child)) = self.running.take() {
            // Its last lines are not written by a process that is killed.
            let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
            let pid = pid.and_then(rustix::process::Pid::from_raw).expect("it runs");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = child.wait().await;
        }
    }

    /// Starts it again where it was.
    ///
    /// # Panics
    /// It does not start.
    pub async fn restart(&mut self) {
        let running = match build::collector() {
            Some(program) => {
                let mut command = Command::new(program);
                command.arg("--config").arg(self.folder.path().join(CONFIG));
                command.stdin(Stdio::null()).kill_on_drop(true);
                Running::Process(command.spawn().expect("the collector starts"))
            }
            None => {
                let file = self.file();
                let grpc = Receiver::start_at(Otlp::Grpc, self.grpc, Some(&file)).await;
                let http = Receiver::start_at(Otlp::Http, self.http, Some(&file)).await;
                Running::Here(grpc, http)
            }
        };
        self.running = Some(running);
        for port in [self.grpc, self.http] {
            eventually("the collector", async || {
                TcpStream::connect(("127.0.0.1", port)).await.ok()
            })
            .await;
        }
    }

    /// Its URL, as the configuration wants it.
    pub fn endpoint(&self, otlp: Otlp) -> String {
        let port = match otlp {
            Otlp::Grpc => self.grpc,
            Otlp::Http => self.http,
        };
        format!("{}://127.0.0.1:{port}{}", self.scheme, otlp.path())
    }

    /// All spans that it has got.
    pub fn spans(&self) -> Vec<Span> {
        span::read(&self.file())
    }

    /// Waits until its spans are as `wanted`, which makes something of them.
    ///
    /// # Panics
    /// They never are.
    pub async fn until<T>(&self, what: &str, wanted: impl Fn(&[Span]) -> Option<T>) -> T {
        eventually(what, async || wanted(&self.spans())).await
    }

    fn file(&self) -> std::path::PathBuf {
        Path::join(self.folder.path(), SPANS)
    }
}
