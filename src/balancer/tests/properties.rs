//! What holds for every set of candidates, weights and loads.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1u32..=20, 1..60)
}

fn weights_and_loads() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
    weights().prop_flat_map(|weights| {
        let loads = prop::collection::vec(0u32..6, weights.len());
        (Just(weights), loads)
    })
}

/// Whether it compares loads; those that hash have nothing to look up here, and go by chance.
fn compares(algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::LeastConnections
        | Algorithm::LeastResponseTime
        | Algorithm::PowerOfTwoChoices
        | Algorithm::PeakEwma => true,
        Algorithm::RoundRobin
        | Algorithm::Random
        | Algorithm::SourceIpHash
        | Algorithm::ConsistentHash => false,
    }
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn only_candidates_are_picked_and_the_count_is_the_one_that_was_seen(
        (weights, loads) in weights_and_loads(), algorithm in algorithm(), seed in any::<u64>(),
    ) {
        let candidates = candidates(algorithm, &weights);
        let _load = load(candidates.list(), &loads);
        let balancer = Balancer::new(algorithm);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..20 {
            let (picked, told) = pick_told(&balancer, &candidates, &mut rng);
            let picked = picked.unwrap();
            prop_assert!(picked.index < weights.len());
            let compares = compares(algorithm);
            prop_assert_eq!(picked.expected, compares.then_some(loads[picked.index]));
            prop_assert_eq!(told.draw.is_some(), !compares);
            if compares {
                prop_assert!(told.equals >= 1);
                prop_assert!(told.scores.iter().any(|(index, _)| *index == picked.index));
            }
        }
    }

    /// B5: nobody is looked at twice, and as many are looked at as promised.
    #[test]
    fn looks_are_distinct(
        (weights, loads) in weights_and_loads(), algorithm in algorithm(), seed in any::<u64>(),
    ) {
        let candidates = candidates(algorithm, &weights);
        let _load = load(candidates.list(), &loads);
        let mut rng = fastrand::Rng::with_seed(seed);
        let told = pick_told(&Balancer::new(algorithm), &candidates, &mut rng).1;
        let seen: HashSet<_> = told.scores.iter().map(|(index, _)| *index).collect();
        prop_assert_eq!(seen.len(), told.scores.len());
        let promised = match algorithm {
            _ if !compares(algorithm) => 0,
            Algorithm::PowerOfTwoChoices | Algorithm::PeakEwma => weights.len().min(2),
            _ if weights.len() <= 32 => weights.len(),
            _ => 8,
        };
        prop_assert_eq!(seen.len(), promised);
    }

    #[test]
    fn round_robin_gives_each_exactly_its_share_of_every_cycle(
        weights in prop::collection::vec(1u32..=20, 1..20), skipped in 0u32..100,
    ) {
        let candidates = candidates(Algorithm::RoundRobin, &weights);
        let balancer = Balancer::new(Algorithm::RoundRobin);
        let mut rng = fastrand::Rng::with_seed(1);
        counts(&balancer, &candidates, skipped, &mut rng);
        let cycle = weights.iter().sum();
        prop_assert_eq!(counts(&balancer, &candidates, cycle, &mut rng), weights);
    }

    /// Smooth: at no moment is anyone far ahead of or behind its share.
    #[test]
    fn round_robin_keeps_everyone_near_its_share_all_the_time(
        weights in prop::collection::vec(1u32..=20, 2..12),
    ) {
        let candidates = candidates(Algorithm::RoundRobin, &weights);
        let balancer = Balancer::new(Algorithm::RoundRobin);
        let mut rng = fastrand::Rng::with_seed(1);
        let total: u32 = weights.iter().sum();
        let mut had = vec![0.0; weights.len()];
        for picks in 1..=total {
            let picked = pick_told(&balancer, &candidates, &mut rng).0.unwrap();
            had[picked.index] += 1.0;
            for (had, weight) in had.iter().zip(&weights) {
                let due = f64::from(picks * weight) / f64::from(total);
                prop_assert!((had - due).abs() < 2.0, "{had} of {due} after {picks}");
            }
        }
    }

    /// R3: neither a reload nor a health change sends everybody to the first endpoint.
    #[test]
    fn round_robin_goes_on_where_it_was_when_candidates_change(
        sizes in prop::collection::vec(2usize..8, 50..100),
    ) {
        let all = list(&[1; 8]);
        let balancer = Balancer::new(Algorithm::RoundRobin);
        let mut rng = fastrand::Rng::with_seed(1);
        let mut picked = Vec::new();
        for (turn, size) in sizes.iter().enumerate() {
            let candidates = Candidates::new(Algorithm::RoundRobin, all[..*size].to_vec());
            let index = pick_told(&balancer, &candidates, &mut rng).0.unwrap().index;
            prop_assert_eq!(index, turn % size);
            picked.push(index);
        }
        prop_assert!(picked.iter().filter(|index| **index == 0).count() * 4 < picked.len() * 3);
    }

    /// B9 and B4: the least by exact arithmetic, a simple scan being the judge.
    #[test]
    fn least_connections_picks_the_least_for_its_weight(
        (weights, loads) in weights_and_loads(), seed in any::<u64>(),
    ) {
        let count = weights.len().min(32);
        let (weights, loads) = (&weights[..count], &loads[..count]);
        let candidates = candidates(Algorithm::LeastConnections, weights);
        let _load = load(candidates.list(), loads);
        let mut rng = fastrand::Rng::with_seed(seed);
        let (picked, told) =
            pick_told(&Balancer::new(Algorithm::LeastConnections), &candidates, &mut rng);
        let index = picked.unwrap().index;
        let less = |other: usize| {
            (loads[other] + 1) * weights[index] < (loads[index] + 1) * weights[other]
        };
        prop_assert!(!(0..count).any(less));
        let equal = |other: &usize| {
            (loads[*other] + 1) * weights[index] == (loads[index] + 1) * weights[*other]
        };
        prop_assert_eq!(told.equals, (0..count).filter(equal).count());
    }

    #[test]
    fn two_choices_take_the_better(
        (weights, loads) in weights_and_loads(), seed in any::<u64>(),
        algorithm in prop::sample::select(vec![Algorithm::PowerOfTwoChoices, Algorithm::PeakEwma]),
    ) {
        let candidates = candidates(algorithm, &weights);
        let _load = load(candidates.list(), &loads);
        let mut rng = fastrand::Rng::with_seed(seed);
        let (picked, told) = pick_told(&Balancer::new(algorithm), &candidates, &mut rng);
        let score = |index| told.scores.iter().find(|score| score.0 == index).unwrap().1;
        let best = told.scores.iter().map(|score| score.1).fold(f64::INFINITY, f64::min);
        prop_assert_eq!(score(picked.unwrap().index), best);
    }

    /// What is picked is within the band, and of those in it nobody has less in flight for its weight.
    #[test]
    fn least_response_time_picks_the_least_loaded_of_the_nearly_best(
        (weights, loads) in weights_and_loads(), seed in any::<u64>(),
    ) {
        let count = weights.len().min(32);
        let (weights, loads) = (&weights[..count], &loads[..count]);
        let candidates = candidates(Algorithm::LeastResponseTime, weights);
        let mut rng = fastrand::Rng::with_seed(seed);
        for candidate in candidates.list() {
            for _ in 0..rng.u32(0..20) {
                let sample = std::time::Duration::from_micros(rng.u64(200..20_000));
                candidate.endpoint.record_latency(START, sample);
            }
        }
        let _load = load(candidates.list(), loads);
        let (picked, told) =
            pick_told(&Balancer::new(Algorithm::LeastResponseTime), &candidates, &mut rng);
        let index = picked.unwrap().index;
        let best = told.scores.iter().map(|score| score.1).fold(f64::INFINITY, f64::min);
        let in_band = |other: usize| told.scores[other].1 <= best + (best * 0.25).max(500_000.0) + 1.0;
        prop_assert!(in_band(index));
        // Scores at the very edge of the band are left to rounding.
        let clearly = |other: usize| told.scores[other].1 < best + (best * 0.25).max(500_000.0) * 0.999;
        let less = |other: usize| loads[other] * weights[index] < loads[index] * weights[other];
        prop_assert!(!(0..count).any(|other| clearly(other) && less(other)));
    }
}

#[test]
fn without_candidates_nothing_is_picked() {
    for algorithm in Algorithm::ALL {
        let nobody = Candidates::new(algorithm, Vec::new());
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(pick_told(&Balancer::new(algorithm), &nobody, &mut rng).0, None);
    }
}

/// One position for all workers: together they give each exactly its share.
#[test]
fn workers_share_one_round_robin_position() {
    let candidates = candidates(Algorithm::RoundRobin, &[1, 2, 5]);
    let balancer = Balancer::new(Algorithm::RoundRobin);
    let one = || counts(&balancer, &candidates, 800, &mut fastrand::Rng::with_seed(1));
    let all = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let sum = |index: usize| all.iter().map(|counts| counts[index]).sum::<u32>();
    assert_eq!([sum(0), sum(1), sum(2)], [400, 800, 2000]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    /// A retry goes to another endpoint as long as there is one, and the evidence speaks of the whole list.
    #[test]
    fn a_retry_goes_to_another_endpoint(
        weights in prop::collection::vec(1u32..=20, 1..10), algorithm in algorithm(),
        failed in any::<u16>(), seed in any::<u64>(),
    ) {
        let candidates = candidates(algorithm, &weights);
        let failed = |index: usize| failed >> index & 1 == 1;
        let tried: Vec<_> = (0..weights.len())
            .filter(|index| failed(*index))
            .map(|index| candidates.list()[index].endpoint.id())
            .collect();
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut told = Told::default();
        let mut pick = Pick { now: START, hash: None, tried: &tried, rng: &mut rng };
        let picked = Balancer::new(algorithm).pick(&candidates, &mut pick, &mut told).unwrap();
        let all_failed = tried.len() == weights.len();
        prop_assert!(all_failed || !failed(picked.index));
        prop_assert!(all_failed || !told.scores.iter().any(|(index, _)| failed(*index)));
        let compared = told.scores.iter().any(|(index, _)| *index == picked.index);
        prop_assert_eq!(compared, compares(algorithm));
    }
}

/// Who is next in turn stays next while requests that failed elsewhere are tried again.
#[test]
fn a_retry_takes_nobodys_turn() {
    let candidates = candidates(Algorithm::RoundRobin, &[1, 1, 1]);
    let balancer = Balancer::new(Algorithm::RoundRobin);
    let mut rng = fastrand::Rng::with_seed(1);
    for turn in 0..9 {
        let picked = pick_told(&balancer, &candidates, &mut rng).0.unwrap();
        assert_eq!(picked.index, turn % 3);
        let tried = [candidates.list()[picked.index].endpoint.id()];
        let mut pick = Pick { now: START, hash: None, tried: &tried, rng: &mut rng };
        assert_ne!(balancer.pick(&candidates, &mut pick, &mut ()).unwrap().index, picked.index);
    }
}
