//! Outrigger in a real cluster: `make test-cluster`.
