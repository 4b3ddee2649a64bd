//! The whole product from outside: one binary for all of it, since each links everything anew.

#![forbid(unsafe_code)]

#[path = "e2e/algorithms.rs"]
mod algorithms;
#[path = "e2e/scene.rs"]
mod scene;
#[path = "e2e/smoke.rs"]
mod smoke;
