//! A line of the access log.

use serde::Deserialize;

/// One request, as the access log shows it. Fields that a line lacks are empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Access {
    /// `info`.
    pub level: String,
    /// What kind of line it is.
    pub msg: String,
    /// The endpoint, as the seed wrote it: with a slash at the end.
    pub url: Option<String>,
    /// Requests in flight on it just before this one.
    pub connections: Option<u32>,
    /// The request's method.
    pub method: String,
    /// The request's `Host`.
    pub host: Option<String>,
    /// The request's path and query.
    pub path: String,
    /// The answer's status.
    pub status: u16,
    /// Until the end of the answer, in milliseconds.
    pub duration_ms: f64,
    /// Length of the answer's body.
    pub bytes: u64,
    /// The backend's name.
    pub backend: Option<String>,
    /// The algorithm by which the endpoint was picked.
    pub algorithm: Option<String>,
    /// The generation that served it.
    pub generation: u64,
    /// Attempts, the first included.
    pub attempts: u32,
    /// `ok`, or why it went otherwise.
    pub reason: String,
    /// The same in words.
    pub detail: Option<String>,
    /// The request's id.
    pub request_id: String,
    /// The line itself.
    #[serde(skip)]
    pub text: String,
}

impl Access {
    /// Reads a line.
    ///
    /// # Panics
    /// It is not what the documentation says it is.
    pub(crate) fn parse(text: String) -> Self {
        match serde_json::from_str(&text) {
            Ok(access) => Self { text, ..access },
            Err(error) => panic!("standard output has other than access lines: {error}: {text}"),
        }
    }
}
