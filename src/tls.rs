//! TLS on both sides: certificates and their keys, whom we trust, and what rustls is told of them. Knows nothing of proxying.

mod certificate;
mod client;
mod names;
mod pem;
mod server;
mod stream;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, Stage};
pub use client::{Client, ClientOptions};
pub use server::{ClientAuth, Server, ServerOptions, revocation_ends};
pub use stream::Stream;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// A file and its content.
#[derive(Clone, Copy)]
pub struct File<'a> {
    /// For messages.
    pub path: &'a Path,
    /// PEM.
    pub bytes: &'a [u8],
}

/// The content may be a private key.
impl std::fmt::Debug for File<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct TlsError {
    /// The file.
    pub path: Arc<Path>,
    /// What is wrong with it, in an operator's words.
    pub reason: String,
}

impl TlsError {
    fn new(file: File<'_>, reason: impl Into<String>) -> Self {
        Self { path: file.path.into(), reason: reason.into() }
    }
}

/// The cryptography: aws-lc's, with X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem) as the first choice for key exchange, so that what is
/// recorded today stays secret when there are quantum computers.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}
