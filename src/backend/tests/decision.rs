//! The evidence of picks, in words.

use super::*;
use crate::backend::decision::TOLD;

/// What is told of a pick at `now` that passes `tried` over.
fn told(backend: &Backend, now: Nanos, tried: &[u64]) -> serde_json::Value {
    let mut decision = Decision::new(tried);
    let ask = Ask { now, hash: Some(3), pinned: None, tried };
    let pick = backend.pick(&ask, &mut fastrand::Rng::with_seed(1), &mut decision);
    let chosen = pick.as_ref().map(|pick| &**pick.endpoint());
    decision.account(chosen).tell(chosen.map(|chosen| &**chosen.label()), TOLD)
}

fn names(told: &serde_json::Value, list: &str) -> Vec<String> {
    let names = told[list].as_array().unwrap().iter();
    names.map(|one| one["endpoint"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_lowest_score_is_told_first_with_those_that_it_beat() {
    let backend = start(&model(Algorithm::LeastConnections, &[(1, 1), (2, 2), (3, 1)]));
    let (_one, _two) = (endpoint(&backend, 1).begin(), endpoint(&backend, 3).begin());
    let told = told(&backend, Nanos::now(), &[]);
    assert_eq!(told["chosen"], "http://localhost:2");
    assert_eq!(names(&told, "candidates")[0], "http://localhost:2");
    let scores: Vec<_> =
        told["candidates"].as_array().unwrap().iter().map(|one| &one["score"]).collect();
    assert_eq!(scores, [0.5, 2.0, 2.0]);
    assert_eq!(told["how"], "the lowest score of 3");
    assert_eq!((&told["equals"], &told["panic"]), (&1.into(), &false.into()));
}

#[test]
fn equals_are_counted() {
    let backend = start(&model(Algorithm::LeastConnections, &[(1, 1), (2, 1), (3, 1)]));
    let told = told(&backend, Nanos::now(), &[]);
    assert_eq!(told["how"], "the lowest score of 3: one of 3 equals, by load and chance");
}

#[test]
fn every_endpoint_that_was_no_candidate_has_a_reason() {
    let mut model = model(Algorithm::RoundRobin, &[(1, 1), (2, 1), (3, 0), (4, 1), (5, 1)]);
    model.health_probe = Some(model::HealthProbe {
        probe: model::Probe { check: model::ProbeCheck::Tcp, interval: SECOND, timeout: SECOND },
        healthy_after: 1,
        unhealthy_after: 1,
        minimum_healthy: Ratio::ZERO,
    });
    let (backend, now) = (start(&model), Nanos::now());
    set_health(&backend, 1, now, false);
    endpoint(&backend, 4).connect_failed(now, &"refused");
    backend.refresh(now);
    let tried = endpoint(&backend, 5).id();
    let told = told(&backend, now, &[tried]);
    assert_eq!(told["chosen"], "http://localhost:2");
    let reasons: Vec<_> = told["excluded"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["endpoint"].as_str().unwrap(), one["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("http://localhost:5", "has failed for this request"),
            ("http://localhost:1", "unhealthy: status 503"),
            ("http://localhost:3", "weight 0"),
            ("http://localhost:4", "passed over: a connect failed lately"),
        ]
    );
}

/// O2
#[test]
fn a_pick_that_found_nobody_is_told_too() {
    let backend = start(&model(Algorithm::RoundRobin, &[(1, 0)]));
    let told = told(&backend, Nanos::now(), &[]);
    assert_eq!(told["chosen"], serde_json::Value::Null);
    assert_eq!(told["how"], "there was nobody to choose");
    assert_eq!(names(&told, "excluded"), ["http://localhost:1"]);
}

#[test]
fn a_hash_is_told_with_whose_it_is() {
    let backend = start(&model(Algorithm::ConsistentHash, &[(1, 1), (2, 1)]));
    let told = told(&backend, Nanos::now(), &[]);
    assert_eq!(told["how"], "the place of the hash of the request's key");
    assert_eq!(told["hash"]["value"], "0000000000000003");
    assert_eq!(told["hash"]["fromKey"], true);
}

#[test]
fn of_many_endpoints_some_are_told_and_the_others_counted() {
    let endpoints: Vec<_> = (1..=100).map(|port| (port, 1)).collect();
    let backend = start(&model(Algorithm::LeastConnections, &endpoints));
    let told = told(&backend, Nanos::now(), &[]);
    assert_eq!((names(&told, "candidates").len(), &told["moreCandidates"]), (8, &92.into()));
    assert_eq!(told["candidates"][7]["score"], 1.0, "those that were compared");
    let backend = start(&model(Algorithm::RoundRobin, &endpoints));
    let told = self::told(&backend, Nanos::now(), &[]);
    assert_eq!((names(&told, "candidates").len(), &told["moreCandidates"]), (32, &68.into()));
}

#[test]
fn a_retry_tells_who_was_compared_this_time_and_once_who_was_not() {
    let backend = start(&model(Algorithm::LeastConnections, &[(1, 1), (2, 1), (3, 1)]));
    let tried = endpoint(&backend, 1).id();
    let first = told(&backend, Nanos::now(), &[tried, tried]);
    let compared = names(&first, "candidates");
    assert_eq!(compared.len(), 2);
    assert!(!compared.contains(&"http://localhost:1".to_owned()), "{first}");
    assert!(first["candidates"].as_array().unwrap().iter().all(|one| one["score"] == 1.0));
    assert_eq!((names(&first, "excluded").len(), &first["moreExcluded"]), (1, &0.into()));
    // Where all have failed, none is passed over.
    let all: Vec<_> = (1..=3).map(|port| endpoint(&backend, port).id()).collect();
    let again = told(&backend, Nanos::now(), &all);
    assert_eq!((names(&again, "candidates").len(), names(&again, "excluded").len()), (3, 0));
}

/// R8
#[test]
fn what_is_told_keeps_no_endpoint_alive() {
    let backend = start(&model(Algorithm::LeastConnections, &[(1, 1), (2, 1)]));
    let mut decision = Decision::new(&[]);
    let ask = Ask { now: Nanos::now(), hash: None, pinned: None, tried: &[] };
    let pick = backend.pick(&ask, &mut fastrand::Rng::with_seed(1), &mut decision).unwrap();
    let account = decision.account(Some(pick.endpoint()));
    let endpoints: Vec<_> = [1, 2].map(|port| Arc::downgrade(endpoint(&backend, port))).into();
    drop((backend, decision, pick));
    assert!(endpoints.iter().all(|endpoint| endpoint.upgrade().is_none()));
    assert_eq!(account.candidates.len(), 2);
}
