//! The data plane, seen as bytes from both ends: a client that writes what it likes, and test servers that keep what they
//! receive.

#[path = "proxy/client.rs"]
mod client;
#[path = "proxy/harness.rs"]
mod harness;
#[path = "proxy/http2_endpoint.rs"]
mod http2_endpoint;

#[path = "proxy/affinity.rs"]
mod affinity;
#[path = "proxy/arrival.rs"]
mod arrival;
#[path = "proxy/attack.rs"]
mod attack;
#[path = "proxy/bodies.rs"]
mod bodies;
#[path = "proxy/conformance.rs"]
mod conformance;
#[path = "proxy/connections.rs"]
mod connections;
#[path = "proxy/errors.rs"]
mod errors;
#[path = "proxy/expect.rs"]
mod expect;
#[path = "proxy/fields.rs"]
mod fields;
#[path = "proxy/filters.rs"]
mod filters;
#[path = "proxy/http10.rs"]
mod http10;
#[path = "proxy/http2.rs"]
mod http2;
#[path = "proxy/introductions.rs"]
mod introductions;
#[path = "proxy/malformed.rs"]
mod malformed;
#[path = "proxy/messages.rs"]
mod messages;
#[path = "proxy/metrics.rs"]
mod metrics;
#[path = "proxy/normalisation.rs"]
mod normalisation;
#[path = "proxy/own_answers.rs"]
mod own_answers;
#[path = "proxy/policies.rs"]
mod policies;
#[path = "proxy/process.rs"]
mod process;
#[path = "proxy/retries.rs"]
mod retries;
#[path = "proxy/routing.rs"]
mod routing;
#[path = "proxy/slow_readers.rs"]
mod slow_readers;
#[path = "proxy/smuggling.rs"]
mod smuggling;
#[path = "proxy/timeouts.rs"]
mod timeouts;
#[path = "proxy/trace_context.rs"]
mod trace_context;
#[path = "proxy/trust.rs"]
mod trust;
#[path = "proxy/upgrades.rs"]
mod upgrades;
#[path = "proxy/upstream_http2.rs"]
mod upstream_http2;
