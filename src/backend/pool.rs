//! A worker's idle connections to endpoints.
