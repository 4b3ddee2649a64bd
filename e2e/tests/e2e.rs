//! The whole product from outside: one binary for all of it, since each links everything anew.

#![forbid(unsafe_code)]

#[path = "e2e/admin.rs"]
mod admin;
#[path = "e2e/algorithms.rs"]
mod algorithms;
#[path = "e2e/attacks_http2.rs"]
mod attacks_http2;
#[path = "e2e/browser.rs"]
mod browser;
#[path = "e2e/certificates.rs"]
mod certificates;
#[path = "e2e/client_auth.rs"]
mod client_auth;
#[path = "e2e/dashboard.rs"]
mod dashboard;
#[path = "e2e/diff.rs"]
mod diff;
#[path = "e2e/edit.rs"]
mod edit;
#[path = "e2e/faults.rs"]
mod faults;
#[path = "e2e/grpc.rs"]
mod grpc;
#[path = "e2e/harness.rs"]
mod harness;
#[path = "e2e/health.rs"]
mod health;
#[path = "e2e/http2.rs"]
mod http2;
#[path = "e2e/ready.rs"]
mod ready;
#[path = "e2e/reload.rs"]
mod reload;
#[path = "e2e/reload_listeners.rs"]
mod reload_listeners;
#[path = "e2e/reload_settings.rs"]
mod reload_settings;
#[path = "e2e/reloads.rs"]
mod reloads;
#[path = "e2e/scene.rs"]
mod scene;
#[path = "e2e/secure.rs"]
mod secure;
#[path = "e2e/shutdown.rs"]
mod shutdown;
#[path = "e2e/smoke.rs"]
mod smoke;
#[path = "e2e/soak.rs"]
mod soak;
#[path = "e2e/start.rs"]
mod start;
#[path = "e2e/state.rs"]
mod state;
#[path = "e2e/switch.rs"]
mod switch;
#[path = "e2e/testssl.rs"]
mod testssl;
#[path = "e2e/tls.rs"]
mod tls;
#[path = "e2e/traces.rs"]
mod traces;
#[path = "e2e/traces_away.rs"]
mod traces_away;
#[path = "e2e/traces_kept.rs"]
mod traces_kept;
#[path = "e2e/upstream_tls.rs"]
mod upstream_tls;
#[path = "e2e/websocket.rs"]
mod websocket;
