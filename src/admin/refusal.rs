//! What is said to those who ask for what there is not, or may not.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// Where answers are JSON, refusals too.
pub(super) const API: &str = "/api/v1/";

/// A refusal in words.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// What is wrong, without an end of line.
    pub(super) error: String,
    /// What would be right, where that can be listed.
    pub(super) allowed: Vec<String>,
}

/// A refusal as `/api/v1` gives it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Body {
    /// What is wrong.
    error: String,
    /// What would be right, where that can be listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed: Vec<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), allowed: Vec::new() }
    }

    pub(super) fn allow<T: Into<String>>(mut self, allowed: impl IntoIterator<Item = T>) -> Self {
        self.allowed = allowed.into_iter().map(Into::into).collect();
        self
    }

    /// The answer to a request for `path`: JSON below `/api/v1`, text elsewhere.
    pub(super) fn answer(self, path: &str) -> Response {
        if path.starts_with(API) {
            return self.into_response();
        }
        let Self { status, mut error, allowed } = self;
        error.push('\n');
        for one in allowed {
            error.push_str(&one);
            error.push('\n');
        }
        (status, error).into_response()
    }
}

impl IntoResponse for Refusal {
    /// As JSON.
    fn into_response(self) -> Response {
        let Self { status, error, allowed } = self;
        (status, Json(Body { error, allowed })).into_response()
    }
}
