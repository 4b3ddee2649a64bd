//! Chi-square tests: what is left to chance has the distribution that is promised.
//!
//! Seeds are fixed, so that a test passes always or never; the critical values are those of p = 0.001.

use super::*;

/// Critical values of the chi-square distribution for p = 0.001, by degrees of freedom from 1.
const CRITICAL: [f64; 9] = [10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322, 26.124, 27.877];

fn assert_shares(counts: &[u32], shares: &[f64]) {
    let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    let whole: f64 = shares.iter().sum();
    let chi_square: f64 = counts
        .iter()
        .zip(shares)
        .map(|(count, share)| {
            let expected = total * share / whole;
            (f64::from(*count) - expected).powi(2) / expected
        })
        .sum();
    let critical = CRITICAL[counts.len() - 2];
    assert!(
        chi_square < critical,
        "chi² = {chi_square:.1} ≥ {critical}: {counts:?} for {shares:?}"
    );
}

fn shares_of(algorithm: Algorithm, weights: &[u32]) -> Vec<u32> {
    let candidates = candidates(algorithm, weights);
    counts(&Balancer::new(algorithm), &candidates, 40_000, &mut fastrand::Rng::with_seed(7))
}

#[test]
#[should_panic(expected = "chi²")]
fn the_test_itself_can_fail() {
    assert_shares(&[10_300, 9_700], &[1.0, 1.0]);
}

#[test]
fn random_picks_by_weight() {
    assert_shares(&shares_of(Algorithm::Random, &[1; 8]), &[1.0; 8]);
    assert_shares(&shares_of(Algorithm::Random, &[10, 20, 70]), &[1.0, 2.0, 7.0]);
}

/// One sequential client: all counts are 0 when it picks, so that two slow ones of eight get a quarter.
#[test]
fn idle_equal_endpoints_share_evenly_whatever_looks_at_them() {
    for algorithm in Algorithm::ALL {
        let counts = shares_of(algorithm, &[1; 8]);
        assert_shares(&counts, &[1.0; 8]);
        assert_shares(&[counts[0] + counts[1], counts[2..].iter().sum()], &[2.0, 6.0]);
    }
}

/// Ties are broken at random, never "first wins", also among some of all.
#[test]
fn ties_spread_over_all_that_are_equal() {
    for algorithm in [Algorithm::LeastConnections, Algorithm::LeastResponseTime] {
        let candidates = candidates(algorithm, &[1; 8]);
        let _load = load(candidates.list(), &[3, 1, 3, 1, 3, 1, 2, 1]);
        let mut rng = fastrand::Rng::with_seed(11);
        let counts = counts(&Balancer::new(algorithm), &candidates, 40_000, &mut rng);
        assert_shares(&[counts[1], counts[3], counts[5], counts[7]], &[1.0; 4]);
        assert_eq!(counts[0] + counts[2] + counts[4] + counts[6], 0);
    }
}

#[test]
fn equal_loads_for_their_weights_share_by_weight() {
    let candidates = candidates(Algorithm::LeastConnections, &[1, 2, 5]);
    let _load = load(candidates.list(), &[0, 1, 4]);
    let mut rng = fastrand::Rng::with_seed(13);
    let balancer = Balancer::new(Algorithm::LeastConnections);
    assert_shares(&counts(&balancer, &candidates, 40_000, &mut rng), &[1.0, 2.0, 5.0]);
}

/// Of many candidates, those that are looked at are drawn evenly too.
#[test]
fn the_draws_among_many_are_even() {
    for algorithm in [Algorithm::LeastConnections, Algorithm::LeastResponseTime] {
        let counts = shares_of(algorithm, &[1; 50]);
        let tenths: Vec<u32> = counts.chunks(5).map(|chunk| chunk.iter().sum()).collect();
        assert_shares(&tenths, &[1.0; 10]);
    }
}

/// B5: of two draws the first is even, and so is the second among the others.
#[test]
fn two_choices_draw_evenly() {
    for algorithm in [Algorithm::PowerOfTwoChoices, Algorithm::PeakEwma] {
        let (balancer, candidates) = (Balancer::new(algorithm), candidates(algorithm, &[1; 8]));
        let mut rng = fastrand::Rng::with_seed(17);
        let (mut first, mut distance) = ([0; 8], [0; 7]);
        for _ in 0..40_000 {
            let told = pick_told(&balancer, &candidates, &mut rng).1;
            let (one, two) = (told.scores[0].0, told.scores[1].0);
            first[one] += 1;
            distance[(two + 8 - one) % 8 - 1] += 1;
        }
        assert_shares(&first, &[1.0; 8]);
        assert_shares(&distance, &[1.0; 7]);
    }
}

/// Successive draws without repetition: the second of weights 1, 2, 5 has the probability that the formula gives.
#[test]
fn weighted_distinct_draws_have_their_probabilities() {
    let algorithm = Algorithm::PowerOfTwoChoices;
    let (balancer, candidates) = (Balancer::new(algorithm), candidates(algorithm, &[1, 2, 5]));
    let mut rng = fastrand::Rng::with_seed(19);
    let mut pairs = [0; 9];
    for _ in 0..40_000 {
        let told = pick_told(&balancer, &candidates, &mut rng).1;
        pairs[told.scores[0].0 * 3 + told.scores[1].0] += 1;
    }
    let weights = [1.0, 2.0, 5.0];
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for (one, two) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
        found.push(pairs[one * 3 + two]);
        expected.push(weights[one] / 8.0 * weights[two] / (8.0 - weights[one]));
    }
    assert_eq!(pairs[0] + pairs[4] + pairs[8], 0);
    assert_shares(&found, &expected);
}
