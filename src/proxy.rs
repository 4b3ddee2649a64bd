//! The data plane: listeners, and what happens to a request between them and an endpoint.

pub mod socket;
