//! Whole scenes: what users of other load balancers suffered does not happen here.

use super::simulation::{Answer, Behaviour, Simulation, always};
use super::*;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn share(counts: &[u32], index: usize) -> f64 {
    f64::from(counts[index]) / f64::from(counts.iter().sum::<u32>())
}

/// An answer of about `latency`: half of it fixed, half exponential.
fn noisy(latency: Duration) -> Behaviour {
    Box::new(move |_, rng| Answer::After(latency.mul_f64(0.5 - 0.5 * (1.0 - rng.f64()).ln())))
}

/// The seed's eight endpoints of which the first two are slow; `quick` makes the others.
fn seed(algorithm: Algorithm, slow: Duration, quick: impl Fn() -> Behaviour) -> Simulation {
    let behaviours = (0..8).map(|index| if index < 2 { always(slow) } else { quick() }).collect();
    Simulation::new(algorithm, behaviours, 42)
}

fn assert_slow_avoided_and_quick_even(counts: &[u32], what: &str) {
    let slow = share(counts, 0) + share(counts, 1);
    assert!(slow < 0.01, "{what}: the slow ones got {slow}: {counts:?}");
    for index in 2..8 {
        assert!(share(counts, index) >= 0.05, "{what}: {index} starves: {counts:?}");
    }
}

#[test]
fn least_response_time_avoids_the_slow_and_shares_among_the_quick() {
    // First answers are slower, as they are when everything is cold.
    let cold = || -> Behaviour {
        Box::new(|since, rng| {
            let factor = if since < SECOND { 8.0 * rng.f64() } else { 1.0 };
            Answer::After(MS.mul_f64(factor * (0.5 + rng.f64()) + 0.1))
        })
    };
    // One answer in a hundred takes 30 ms, as on a machine that is shared.
    let hiccups = || -> Behaviour {
        Box::new(|_, rng| Answer::After(if rng.u32(0..100) == 0 { 30 * MS } else { MS }))
    };
    type Quick<'a> = (&'a str, &'a dyn Fn() -> Behaviour);
    let quick: [Quick; 4] = [
        ("steady", &|| always(MS)),
        ("noisy", &|| noisy(MS)),
        ("cold", &cold),
        ("hiccups", &hiccups),
    ];
    for (name, quick) in quick {
        for slow in [300 * MS, 4 * SECOND] {
            for clients in [1, 64] {
                let mut scene = seed(Algorithm::LeastResponseTime, slow, quick).probed();
                scene.run_for(5 * SECOND);
                scene.add_clients(clients);
                let counts = scene.run_requests(5000);
                let what = format!("{name}, {slow:?}, {clients} clients");
                assert_slow_avoided_and_quick_even(&counts, &what);
            }
        }
    }
}

/// The demo: four requests per second, for two minutes.
#[test]
fn least_response_time_avoids_the_slow_when_there_is_little_traffic() {
    let mut scene = seed(Algorithm::LeastResponseTime, 4 * SECOND, || noisy(MS)).probed();
    scene.run_for(5 * SECOND);
    scene.think = 250 * MS;
    scene.add_clients(1);
    assert_slow_avoided_and_quick_even(&scene.run_requests(480), "4/s");
}

/// Without a probe, first samples come from traffic, and the slow are tried again from time to time.
#[test]
fn without_a_probe_the_slow_are_found_by_traffic() {
    for clients in [1, 64] {
        let mut scene = seed(Algorithm::LeastResponseTime, 4 * SECOND, || noisy(MS));
        scene.think = 10 * MS;
        scene.add_clients(clients);
        scene.run_for(5 * SECOND);
        let counts = scene.run_requests(10_000);
        assert_slow_avoided_and_quick_even(&counts, &format!("{clients} clients"));
    }
}

#[test]
fn under_round_robin_and_sequential_least_connections_the_slow_get_a_quarter() {
    for (algorithm, tolerance) in
        [(Algorithm::RoundRobin, 0.001), (Algorithm::LeastConnections, 0.03)]
    {
        let mut scene = seed(algorithm, 4 * SECOND, || always(MS)).probed();
        scene.run_for(5 * SECOND);
        scene.add_clients(1);
        let counts = scene.run_requests(2000);
        let slow = share(&counts, 0) + share(&counts, 1);
        assert!((slow - 0.25).abs() <= tolerance, "{algorithm}: {slow}");
    }
}

/// Under load the slow hold as many requests as the others, and therefore answer few.
#[test]
fn under_load_least_connections_holds_equal_counts() {
    let mut scene = seed(Algorithm::LeastConnections, 4 * SECOND, || always(MS));
    scene.add_clients(64);
    for _ in 0..1000 {
        scene.run_requests(17);
        // All that happens at the same moment: who got an answer has sent his next request.
        scene.run_for(Duration::ZERO);
        let in_flight: Vec<_> =
            scene.list.iter().map(|candidate| candidate.endpoint.in_flight()).collect();
        let mean = f64::from(in_flight.iter().sum::<u32>()) / 8.0;
        let far = |count: &u32| (f64::from(*count) - mean).abs() > 1.0;
        assert!(!in_flight.iter().any(far), "{in_flight:?}");
    }
    assert!(share(&scene.counts, 0) < 0.01, "{:?}", scene.counts);
}

/// No herd: of six equal endpoints none has much more than its share in flight at any time.
#[test]
fn under_least_response_time_no_herd_forms() {
    let behaviours = (0..6).map(|_| noisy(20 * MS)).collect();
    let mut scene = Simulation::new(Algorithm::LeastResponseTime, behaviours, 3).probed();
    scene.run_for(5 * SECOND);
    scene.add_clients(60);
    scene.run_requests(1000);
    for _ in 0..500 {
        scene.run_requests(20);
        for candidate in &scene.list {
            let in_flight = candidate.endpoint.in_flight();
            assert!(in_flight <= 20, "{in_flight} of 60 in flight on one of six");
        }
    }
}

/// B1: five identical endpoints, jobs of different length, 1,500 requests. Elsewhere one of them got 5.
#[test]
fn an_identical_endpoint_is_not_starved_by_jobs_of_different_length() {
    let jobs = || -> Behaviour {
        Box::new(|_, rng| Answer::After([20 * MS, 100 * MS, 400 * MS][rng.usize(0..3)]))
    };
    for algorithm in [Algorithm::LeastResponseTime, Algorithm::PeakEwma] {
        for clients in [1, 4, 16] {
            for seed in 0..5 {
                let mut scene = Simulation::new(algorithm, (0..5).map(|_| jobs()).collect(), seed);
                scene.add_clients(clients);
                let counts = scene.run_requests(1500);
                for index in 0..5 {
                    let share = share(&counts, index);
                    assert!(share > 0.1, "{algorithm}, {clients} clients, {seed}: {counts:?}");
                }
            }
        }
    }
}

/// B1: an endpoint whose very first answer was bad is one of five again, with a probe and without.
#[test]
fn one_bad_sample_does_not_starve_an_endpoint() {
    for probed in [false, true] {
        for bad in [50 * MS, SECOND] {
            let behaviours = (0..5).map(|_| noisy(5 * MS)).collect();
            let mut scene = Simulation::new(Algorithm::LeastResponseTime, behaviours, 5);
            scene.list[2].endpoint.record_latency(START, bad);
            if probed {
                scene = scene.probed();
            }
            scene.think = 20 * MS;
            scene.add_clients(1);
            let counts = scene.run_requests(1500);
            assert!(share(&counts, 2) > 0.05, "probed {probed}, {bad:?}: {counts:?}");
            let counts = scene.run_requests(1500);
            assert!(share(&counts, 2) > 0.1, "probed {probed}, {bad:?}, later: {counts:?}");
        }
    }
}

/// B2: a new endpoint counts as its peers do, neither as the quickest nor as the slowest.
#[test]
fn a_new_endpoint_is_neither_flooded_nor_starved() {
    for algorithm in [Algorithm::LeastResponseTime, Algorithm::PeakEwma] {
        let behaviours = (0..5).map(|_| noisy(50 * MS)).collect();
        let mut scene = Simulation::new(algorithm, behaviours, 9);
        scene.add_clients(32);
        scene.run_requests(5000);
        scene.add_endpoint(noisy(50 * MS));
        for _ in 0..20 {
            let counts = scene.run_requests(600);
            assert!((0.03..0.4).contains(&share(&counts, 5)), "{algorithm}: {counts:?}");
            let in_flight = scene.list[5].endpoint.in_flight();
            assert!(in_flight <= 16, "{algorithm}: {in_flight} of 32 in flight on the new one");
        }
    }
}

/// B3: an endpoint that fails at once looks quick to a naive average and swallows everything.
#[test]
fn an_endpoint_that_fails_fast_attracts_nobody() {
    for algorithm in [Algorithm::LeastResponseTime, Algorithm::PeakEwma] {
        for latency in [5 * MS, 2 * SECOND, 20 * SECOND] {
            for clients in [1, 32] {
                // Two choices among five cannot make up for a peer with 30 slow requests in flight.
                if (algorithm, latency, clients) == (Algorithm::PeakEwma, 20 * SECOND, 32) {
                    continue;
                }
                let mut behaviours: Vec<_> = (0..4).map(|_| noisy(latency)).collect();
                behaviours.push(Box::new(move |_, _| Answer::Reset(MS)));
                let mut scene = Simulation::new(algorithm, behaviours, 21);
                scene.add_clients(clients);
                let counts = scene.run_requests(3000);
                let limit = if latency < SECOND { 0.02 } else { 0.2 };
                let failed = share(&counts, 4);
                let what = format!("{algorithm}, {latency:?}, {clients} clients");
                assert!(failed < limit, "{what}: {failed} failed: {counts:?}");
            }
        }
    }
}

/// B4: an endpoint that reboots has nothing in flight and refuses at once; under every algorithm it gets next to nothing,
/// and its share again when it is back.
#[test]
fn an_endpoint_that_refuses_connections_swallows_nothing_and_comes_back() {
    let down = 10 * SECOND;
    for algorithm in Algorithm::ALL {
        let mut behaviours: Vec<_> = (0..3).map(|_| noisy(5 * MS)).collect();
        behaviours.push(Box::new(move |since, _| {
            if since < down { Answer::Refused(MS / 10) } else { Answer::After(5 * MS) }
        }));
        let mut scene = Simulation::new(algorithm, behaviours, 33);
        scene.add_clients(16);
        scene.think = 5 * MS;
        scene.run_for(down);
        let refused = scene.counts[3];
        assert!(refused < 16 * 10, "{algorithm}: {refused} refused in 10 s");
        scene.run_for(5 * SECOND + SECOND);
        let counts = scene.run_requests(5000);
        assert!(share(&counts, 3) > 0.1, "{algorithm}: {counts:?}");
    }
}

/// B9: at low load too, weighted least-connections gives each its share.
#[test]
fn weighted_least_connections_is_exact_at_low_load() {
    let behaviours = (0..3).map(|_| always(10 * MS)).collect();
    let mut scene = Simulation::weighted(Algorithm::LeastConnections, behaviours, &[1, 2, 3], 1);
    scene.add_clients(6);
    let counts = scene.run_requests(6000);
    for (index, due) in [1.0, 2.0, 3.0].into_iter().enumerate() {
        let share = share(&counts, index);
        assert!((share - due / 6.0).abs() < 0.02, "{counts:?}");
    }
}

/// Under load each algorithm that knows weights keeps to them, also where one endpoint has most of the weight.
#[test]
fn under_load_shares_follow_weights() {
    for algorithm in Algorithm::ALL {
        let behaviours = (0..8).map(|_| noisy(10 * MS)).collect();
        let weights = [9, 1, 1, 1, 1, 1, 1, 1];
        let mut scene = Simulation::weighted(algorithm, behaviours, &weights, 4).probed();
        scene.add_clients(160);
        scene.run_requests(2000);
        let counts = scene.run_requests(20_000);
        let heavy = share(&counts, 0);
        assert!((heavy - 9.0 / 16.0).abs() < 0.08, "{algorithm}: {heavy}: {counts:?}");
    }
}

/// A slow endpoint that becomes quick gets its share within seconds.
#[test]
fn an_endpoint_that_recovers_shares_again() {
    let recovery = 20 * SECOND;
    let mut behaviours: Vec<_> = (0..5).map(|_| noisy(MS)).collect();
    behaviours.push(Box::new(move |since, _| {
        Answer::After(if since < recovery { 4 * SECOND } else { MS })
    }));
    let mut scene = Simulation::new(Algorithm::LeastResponseTime, behaviours, 8).probed();
    scene.think = 4 * MS;
    scene.add_clients(1);
    scene.run_for(recovery);
    assert!(share(&scene.counts, 5) < 0.01, "{:?}", scene.counts);
    scene.run_for(15 * SECOND);
    let counts = scene.run_requests(2000);
    assert!(share(&counts, 5) > 0.1, "{counts:?}");
}

/// B1, the quiet form: who had a lucky answer gets everything, and the others' stale figures are the median that keeps them
/// out.
#[test]
fn a_lucky_endpoint_does_not_get_everything_for_good() {
    for clients in [1, 4] {
        for think in [5 * MS, 20 * MS, 100 * MS] {
            for seed in 0..4 {
                let behaviours = (0..5).map(|_| noisy(5 * MS)).collect();
                let mut scene = Simulation::new(Algorithm::LeastResponseTime, behaviours, seed);
                scene.think = think;
                scene.add_clients(clients);
                for counts in [scene.run_requests(1500), scene.run_requests(1500)] {
                    let starves = (0..5).any(|index| share(&counts, index) < 0.1);
                    assert!(!starves, "{clients} clients, {think:?}, {seed}: {counts:?}");
                }
            }
        }
    }
}
