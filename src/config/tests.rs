//! Valid files give the model that they say; every class of error has a test on its text.

use super::{BUILT_IN, load};
use crate::model::{Algorithm, Model, Ratio, defaults};
use std::time::Duration;

/// A file without variables, or the text of what is wrong with it.
fn read(text: &str) -> Result<Model, String> {
    load(text.as_bytes(), "config.yaml", &|_| None).map_err(|problems| problems.to_string())
}

const SMALLEST: &str = "
listeners: [{ name: http, address: 127.0.0.1:8080 }]
backends: [{ name: demo, endpoints: [http://localhost:8081] }]
";

#[test]
fn the_built_in_configuration_is_the_scene_of_the_demo() {
    let model = read(BUILT_IN).unwrap();
    assert_eq!(model.listeners[0].address, "127.0.0.1:8080".parse().unwrap());
    let backend = &model.backends[0];
    assert_eq!(backend.algorithm, Algorithm::LeastResponseTime);
    let ports: Vec<_> = backend.endpoints.iter().map(|endpoint| endpoint.url.port).collect();
    assert_eq!(ports, [8081, 8082, 8083, 8085, 8086, 8087, 8088, 8089]);
    assert_eq!(backend.latency_probe.as_ref().unwrap().probe.timeout, Duration::from_secs(5));
}

#[test]
fn what_is_not_typed_has_its_default() {
    let model = read(SMALLEST).unwrap();
    let backend = &model.backends[0];
    assert_eq!(model.admin, Some(defaults::ADMIN_ADDRESS.parse().unwrap()));
    assert_eq!(model.probes, None);
    assert_eq!(model.workers, 0);
    assert_eq!(model.shutdown.drain_delay, defaults::DRAIN_DELAY);
    assert!(model.access_log.enabled);
    assert_eq!(model.access_log.sample, Ratio::ONE);
    assert_eq!(model.listeners[0].limits.header_timeout, Some(defaults::HEADER_TIMEOUT));
    assert_eq!(model.listeners[0].limits.max_header_bytes, defaults::MAX_HEADER_BYTES);
    assert_eq!(model.listeners[0].limits.max_body_bytes, None);
    assert_eq!(backend.algorithm, Algorithm::RoundRobin);
    assert_eq!(backend.endpoints[0].weight, 1);
    assert_eq!((&backend.health_probe, &backend.latency_probe), (&None, &None));
    assert_eq!(backend.timeouts.request, Some(defaults::REQUEST_TIMEOUT));
    assert_eq!(backend.timeouts.attempt, None);
    assert_eq!(backend.retry.attempts, 2);
    assert!(backend.retry.on_connect_failure && backend.retry.on_reset);
}
