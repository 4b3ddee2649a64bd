//! A connection to an endpoint.
