//! What a backend adds to its algorithm: eligibility, sessions, slow start, and what survives a reload.

mod decision;

use super::decision::Decision;
use super::*;
use crate::endpoint::{Health, Thresholds};
use crate::model::{
    Algorithm, EndpointUrl, HashKey, HashTable, Hashing, Ratio, SessionAffinity, SlowStart,
};
use proptest::prelude::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const THRESHOLDS: Thresholds = Thresholds { healthy_after: 1, unhealthy_after: 1 };

fn url(port: u16) -> EndpointUrl {
    EndpointUrl {
        scheme: crate::model::Scheme::Http,
        host: "localhost".into(),
        port,
        path: "".into(),
    }
}

/// A model with endpoints on these ports, with these weights.
fn model(algorithm: Algorithm, endpoints: &[(u16, u32)]) -> model::Backend {
    let endpoint = |(port, weight): &(u16, u32)| model::Endpoint {
        url: url(*port),
        weight: *weight,
        zone: None,
    };
    model::Backend {
        name: "demo".into(),
        algorithm,
        hashing: (algorithm == Algorithm::ConsistentHash).then(|| hashing(HashTable::Maglev)),
        session_affinity: None,
        slow_start: None,
        source: model::EndpointSource::Static,
        endpoints: endpoints.iter().map(endpoint).collect(),
        protocol: model::Protocol::Http1,
        tls: model::BackendTls::default(),
        proxy_protocol: None,
        health_probe: None,
        latency_probe: None,
        timeouts: model::Timeouts {
            connect: None,
            request: None,
            attempt: None,
            stream_idle: None,
            upgraded_idle: None,
            max_connection_age: None,
        },
        retry: model::Retry {
            attempts: 2,
            conditions: model::RetryConditions::ALL,
            statuses: Vec::new(),
            budget: model::RetryBudget { ratio: Ratio::new(0.2), min_per_second: 3 },
        },
    }
}

fn hashing(table: HashTable) -> Hashing {
    Hashing { key: HashKey::Path, table, bounded_load: None }
}

fn sticky() -> Option<SessionAffinity> {
    Some(SessionAffinity { cookie: "outrigger".into(), ttl: None, path: "/".into() })
}

fn slowly(window: Duration, minimum: f64) -> Option<SlowStart> {
    Some(SlowStart { window, minimum_weight: Ratio::new(minimum) })
}

fn start(model: &model::Backend) -> Arc<Backend> {
    Backend::compile(model, None, 1).unwrap()
}

fn reload(model: &model::Backend, before: &Arc<Backend>) -> Arc<Backend> {
    Backend::compile(model, Some(before), 1).unwrap()
}

fn endpoint(backend: &Backend, port: u16) -> &Arc<Endpoint> {
    &backend.member(&url(port)).unwrap().endpoint
}

fn set_health(backend: &Backend, port: u16, now: Nanos, healthy: bool) {
    let outcome = if healthy { Ok(()) } else { Err("status 503") };
    endpoint(backend, port).record_probe(now, outcome, THRESHOLDS);
    backend.refresh(now);
}

/// A pick at `now` of a client with this hash and token.
fn pick(backend: &Backend, now: Nanos, hash: Option<u64>, pinned: Option<u64>) -> Option<InFlight> {
    let ask = Ask { now, hash, pinned, tried: &[] };
    backend.pick(&ask, &mut fastrand::Rng::with_seed(1), &mut ())
}

fn port(in_flight: &InFlight) -> u16 {
    in_flight.endpoint().url().port
}

/// How many of `picks` at `now` each of the ports gets.
fn counts(backend: &Backend, now: Nanos, picks: usize, ports: &[u16]) -> Vec<usize> {
    let picked: Vec<_> =
        (0..picks).map(|_| port(&pick(backend, now, None, None).unwrap())).collect();
    ports.iter().map(|port| picked.iter().filter(|picked| *picked == port).count()).collect()
}

#[test]
fn a_client_stays_and_takes_no_turn() {
    let mut model = model(Algorithm::RoundRobin, &[(1, 1), (2, 1), (3, 1)]);
    model.session_affinity = sticky();
    let (backend, now) = (start(&model), Nanos::now());
    let token = Some(backend.affinity_token(endpoint(&backend, 2)));
    let first = port(&pick(&backend, now, None, None).unwrap());
    assert_eq!(first, 1);
    let ask = Ask { now, hash: None, pinned: token, tried: &[] };
    for _ in 0..5 {
        let mut decision = Decision::new(&[]);
        let kept = backend.pick(&ask, &mut fastrand::Rng::with_seed(1), &mut decision).unwrap();
        let how = decision.account(Some(kept.endpoint())).how;
        assert_eq!(how, "the client stays with the endpoint that it was given before");
        assert_eq!((port(&kept), endpoint(&backend, 2).in_flight()), (2, 1));
    }
    assert_eq!(port(&pick(&backend, now, None, None).unwrap()), 2, "the turn after the first");
}

/// Restarts and other replicas have the same tokens; a token of nobody, or of another backend, counts for nothing.
#[test]
fn a_token_outlives_the_process_and_an_unknown_one_is_no_error() {
    let mut model = model(Algorithm::RoundRobin, &[(1, 1), (2, 1)]);
    model.session_affinity = sticky();
    let token = {
        let before = start(&model);
        before.affinity_token(endpoint(&before, 2))
    };
    model.endpoints.reverse();
    let backend = start(&model);
    assert_eq!(port(&pick(&backend, Nanos::now(), None, Some(token)).unwrap()), 2);
    assert_eq!(counts(&backend, Nanos::now(), 2, &[1, 2]), [1, 1]);
    assert!(pick(&backend, Nanos::now(), None, Some(token + 1)).is_some());
    model.session_affinity = None;
    let without = start(&model);
    let ports: Vec<_> =
        (0..2).map(|_| port(&pick(&without, Nanos::now(), None, Some(token)).unwrap())).collect();
    assert_eq!(ports, [2, 1], "without session affinity it takes turns");
}

#[test]
fn a_client_goes_elsewhere_when_its_endpoint_is_gone_unhealthy_passed_over_or_tried() {
    let mut model = model(Algorithm::LeastConnections, &[(1, 1), (2, 1)]);
    model.session_affinity = sticky();
    let (backend, now) = (start(&model), Nanos::now());
    let token = backend.affinity_token(endpoint(&backend, 2));
    let stays = |backend: &Backend, now| port(&pick(backend, now, None, Some(token)).unwrap()) == 2;
    assert!(stays(&backend, now));
    set_health(&backend, 2, now, false);
    assert!(!stays(&backend, now));
    set_health(&backend, 2, now, true);
    assert!(stays(&backend, now));
    let (until, _) = endpoint(&backend, 2).connect_failed(now, &"refused");
    backend.refresh(now);
    assert!(!stays(&backend, now));
    assert!(stays(&backend, until));
    let ask =
        Ask { now: until, hash: None, pinned: Some(token), tried: &[endpoint(&backend, 2).id()] };
    let retried = backend.pick(&ask, &mut fastrand::Rng::with_seed(1), &mut ()).unwrap();
    assert_eq!(port(&retried), 1);
    model.endpoints.pop();
    assert!(!stays(&reload(&model, &backend), until));
}

/// As in HAProxy: weight 0 drains an endpoint of new sessions, not of those it has.
#[test]
fn with_weight_0_an_endpoint_keeps_its_sessions_and_gets_no_new_ones() {
    let mut model = model(Algorithm::RoundRobin, &[(1, 1), (2, 0)]);
    model.session_affinity = sticky();
    let (backend, now) = (start(&model), Nanos::now());
    let token = Some(backend.affinity_token(endpoint(&backend, 2)));
    assert_eq!(counts(&backend, now, 10, &[1, 2]), [10, 0]);
    assert_eq!(port(&pick(&backend, now, None, token).unwrap()), 2);
    set_health(&backend, 2, now, false);
    assert_eq!(port(&pick(&backend, now, None, token).unwrap()), 1);
}

/// The port of each of many keys.
fn ports_of_keys(backend: &Backend, now: Nanos) -> Vec<u16> {
    let key = |number: u64| crate::balancer::hash_key(&number.to_le_bytes());
    (0..500).map(|number| port(&pick(backend, now, Some(key(number)), None).unwrap())).collect()
}

/// Neither a change of health nor a failed connect makes a new table, and keys of others do not move.
#[test]
fn keys_stay_where_they_are_while_others_fail_and_come_back() {
    let endpoints = [(1, 1), (2, 1), (3, 1), (4, 2)];
    let mut model = model(Algorithm::ConsistentHash, &endpoints);
    let (backend, now) = (start(&model), Nanos::now());
    let before = ports_of_keys(&backend, now);
    set_health(&backend, 2, now, false);
    let during = ports_of_keys(&backend, now);
    let stayed = |(before, during): (&u16, &u16)| *before == 2 || before == during;
    assert!(before.iter().zip(&during).all(stayed) && !during.contains(&2));
    set_health(&backend, 2, now, true);
    let (until, _) = endpoint(&backend, 3).connect_failed(now, &"refused");
    backend.refresh(now);
    assert!(!ports_of_keys(&backend, now).contains(&3));
    assert_eq!(ports_of_keys(&backend, until), before);
    // Other policies and another order make no new one, either.
    model.session_affinity = sticky();
    let same = reload(&model, &backend);
    assert!(Arc::ptr_eq(same.table.as_ref().unwrap(), backend.table.as_ref().unwrap()));
    model.endpoints.reverse();
    assert_eq!(ports_of_keys(&reload(&model, &same), until), before);
}

/// R3: what an endpoint is known for, and whose turn is next, are not lost with a policy.
#[test]
fn a_change_of_policies_keeps_all_live_state() {
    let mut model = model(Algorithm::RoundRobin, &[(1, 1), (2, 1), (3, 1)]);
    let (before, now) = (start(&model), Nanos::now());
    let _first = pick(&before, now, None, None).unwrap();
    endpoint(&before, 1).record_latency(now, SECOND);
    endpoint(&before, 3).record_probe(now, Err("status 503"), THRESHOLDS);
    model.session_affinity = sticky();
    model.slow_start = slowly(30 * SECOND, 0.1);
    let after = reload(&model, &before);
    assert_eq!(endpoint(&after, 1).in_flight(), 1);
    assert_eq!(endpoint(&after, 1).latency(), Some(SECOND));
    assert_eq!(endpoint(&after, 3).health(), Health::Unhealthy);
    assert_eq!(port(&pick(&after, now, None, None).unwrap()), 2);
    let mut model = self::model(Algorithm::ConsistentHash, &[(1, 1), (2, 1)]);
    let before = start(&model);
    let _first = pick(&before, now, Some(7), None).unwrap();
    model.hashing = Some(hashing(HashTable::Ring));
    let after = reload(&model, &before);
    let in_flight = after.members().iter().map(|member| member.endpoint.in_flight()).sum::<u32>();
    assert_eq!(in_flight, 1);
    assert!(Arc::ptr_eq(&after.balancer, &before.balancer));
}

#[test]
fn a_backend_that_is_new_itself_has_no_slow_start() {
    let mut model = model(Algorithm::RoundRobin, &[(1, 1), (2, 3)]);
    model.slow_start = slowly(30 * SECOND, 0.1);
    let backend = start(&model);
    assert_eq!(counts(&backend, Nanos::now(), 8, &[1, 2]), [2, 6]);
    assert_eq!(backend.next_change.load(Relaxed), u64::MAX, "nothing to wake up for");
}

/// B6: shares are exact at every moment of the window, and no reload meanwhile changes them.
#[test]
fn a_new_endpoint_gets_the_share_of_its_time() {
    let mut model = model(Algorithm::RoundRobin, &[(1, 1), (2, 1), (3, 1)]);
    model.slow_start = slowly(20 * SECOND, 0.1);
    let mut backend = start(&model);
    model.endpoints.push(model::Endpoint { url: url(4), weight: 2, zone: None });
    backend = reload(&model, &backend);
    let since = endpoint(&backend, 4).slow_start_since();
    // Seconds since then, and what 2,000 picks for each whole weight come to.
    for (second, part) in
        [(0, 0.1), (1, 0.1), (2, 0.1), (3, 0.15), (10, 0.5), (19, 0.95), (20, 1.0)]
    {
        let now = since + SECOND * second;
        let whole = (2000.0 * (3.0 + 2.0 * part)) as usize;
        let due = (2000.0 * 2.0 * part) as usize;
        assert_eq!(
            counts(&backend, now, whole, &[1, 2, 3, 4]),
            [2000, 2000, 2000, due],
            "after {second} s"
        );
        // Anything that is another model.
        model.retry.attempts += 1;
        backend = reload(&model, &backend);
        assert_eq!(endpoint(&backend, 4).slow_start_since(), since);
    }
}

/// All that were down come back together: nobody has to be spared, and all have an equal share.
#[test]
fn endpoints_that_begin_together_share_equally() {
    let mut model = model(Algorithm::RoundRobin, &[(1, 1), (2, 1)]);
    model.slow_start = slowly(20 * SECOND, 0.1);
    let (backend, now) = (start(&model), Nanos::now());
    for healthy in [false, true] {
        set_health(&backend, 1, now, healthy);
        set_health(&backend, 2, now, healthy);
    }
    assert_eq!(counts(&backend, now + SECOND * 5, 40, &[1, 2]), [20, 20]);
}

/// Where loads are compared, the part counts as a weight: an endpoint with half of it holds half as many.
#[test]
fn under_load_a_beginner_holds_its_part() {
    for algorithm in [
        Algorithm::LeastConnections,
        Algorithm::LeastResponseTime,
        Algorithm::PowerOfTwoChoices,
        Algorithm::PeakEwma,
    ] {
        let mut model = model(algorithm, &[(1, 1), (2, 1)]);
        model.slow_start = slowly(20 * SECOND, 0.1);
        let (backend, now) = (start(&model), Nanos::now());
        for port in [1, 2] {
            endpoint(&backend, port).record_latency(now, 10 * SECOND);
        }
        set_health(&backend, 2, now, false);
        set_health(&backend, 2, now, true);
        let later = now + SECOND * 10;
        let held: Vec<_> = (0..300).map(|_| pick(&backend, later, None, None).unwrap()).collect();
        let share = held.iter().filter(|held| port(held) == 2).count();
        assert!((80..=120).contains(&share), "{algorithm}: {share} of 300");
    }
}

/// A key belongs to its endpoint at once: it would move twice otherwise.
#[test]
fn where_keys_are_hashed_nothing_begins_slowly() {
    let mut model = model(Algorithm::ConsistentHash, &[(1, 1), (2, 1)]);
    model.slow_start = slowly(20 * SECOND, 0.1);
    let (backend, now) = (start(&model), Nanos::now());
    let before = ports_of_keys(&backend, now);
    set_health(&backend, 2, now, false);
    set_health(&backend, 2, now, true);
    assert_eq!(ports_of_keys(&backend, now), before);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// B6: whatever comes and goes meanwhile, a beginner's part of its weight never falls and never jumps, and is whole when its
    /// window ends.
    #[test]
    fn a_ramp_is_monotonic_whatever_comes_and_goes(
        changes in prop::collection::vec((0u64..1500, 0u16..8, any::<bool>()), 1..40),
        minimum in 0.01f64..0.5,
    ) {
        let mut model = model(Algorithm::Random, &[(100, 7), (101, 7)]);
        model.slow_start = slowly(20 * SECOND, minimum);
        let mut backend = start(&model);
        model.endpoints.push(model::Endpoint { url: url(200), weight: 7, zone: None });
        backend = reload(&model, &backend);
        let since = endpoint(&backend, 200).slow_start_since();
        let mut now = since;
        let mut last = 0.0;
        for (pause, other, reloads) in changes {
            now = now + Duration::from_millis(pause);
            if reloads {
                let other = model::Endpoint { url: url(other), weight: 1 + u32::from(other), zone: None };
                match model.endpoints.iter().position(|one| one.url == other.url) {
                    Some(there) => drop(model.endpoints.remove(there)),
                    None => model.endpoints.insert(0, other),
                }
                backend = reload(&model, &backend);
                backend.refresh(now);
            } else if backend.member(&url(other)).is_some() {
                let was_healthy = endpoint(&backend, other).health() == Health::Healthy;
                set_health(&backend, other, now, !was_healthy);
            }
            drop(pick(&backend, now, None, None));
            let eligible = backend.eligible();
            let weight = |port: u16| {
                let mut list = eligible.candidates.list().iter();
                f64::from(list.find(|one| one.endpoint.url().port == port).unwrap().weight)
            };
            // The one that was there from the beginning has all of its weight.
            let part = weight(200) / weight(100);
            let elapsed = now.since(since).as_secs_f64() / 20.0;
            prop_assert!(part >= last);
            prop_assert!(part <= elapsed.max(minimum).min(1.0) + 0.001);
            prop_assert!(part >= (elapsed - 0.05).max(minimum).min(1.0) - 0.001);
            last = part;
        }
    }
}

/// As cold as a new one: nothing was sent to it.
#[test]
fn an_endpoint_whose_weight_was_0_begins_slowly() {
    let mut model = model(Algorithm::RoundRobin, &[(1, 1), (2, 0)]);
    model.slow_start = slowly(20 * SECOND, 0.1);
    let before = start(&model);
    model.endpoints[1].weight = 1;
    let after = reload(&model, &before);
    let since = endpoint(&after, 2).slow_start_since();
    assert_ne!(since, Nanos(0));
    assert_eq!(counts(&after, since, 1100, &[1, 2]), [1000, 100]);
    // What has a weight keeps its clock.
    model.endpoints[1].weight = 2;
    let later = reload(&model, &after);
    assert_eq!(endpoint(&later, 2).slow_start_since(), since);
}

/// K3: a pod that was not ready for a moment, with a long answer on its way.
#[test]
fn an_endpoint_that_comes_back_while_a_request_is_in_flight_on_it_is_the_same() {
    let (both, one) = (&[(1, 1), (2, 1)], &[(1, 1)]);
    let with = |endpoints: &[(u16, u32)]| model(Algorithm::LeastConnections, endpoints);
    let first = start(&with(both));
    let id = endpoint(&first, 2).id();
    let request = endpoint(&first, 2).begin();
    set_health(&first, 2, Nanos(1), false);
    let mut without = reload(&with(one), &first);
    drop(first);
    // Whatever else changes meanwhile.
    without = reload(&with(&[(1, 1), (3, 1)]), &without);
    let back = reload(&with(both), &without);
    assert_eq!((endpoint(&back, 2).id(), endpoint(&back, 2).in_flight()), (id, 1));
    assert_eq!(endpoint(&back, 2).health(), Health::Unknown, "nobody has probed it since");
    without = reload(&with(one), &back);
    drop((back, request));
    let another = reload(&with(both), &without);
    assert_ne!(endpoint(&another, 2).id(), id, "nothing was kept for its sake");
}
