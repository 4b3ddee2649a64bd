//! HTTP test servers.
