//! Consistent hashing: who keeps which key, how even it is, and what a bound on the load does.

use super::*;
use crate::balancer::{Table, hash_key};
use crate::model::{HashTable, Ratio};
use proptest::prelude::*;

const KINDS: [HashTable; 2] = [HashTable::Maglev, HashTable::Ring];

fn kind() -> impl Strategy<Value = HashTable> {
    prop::sample::select(KINDS.to_vec())
}

fn table_of(kind: HashTable, list: &[Candidate]) -> Arc<Table> {
    let endpoints = list.iter().map(|candidate| (candidate.endpoint.url(), candidate.weight));
    Arc::new(Table::new(kind, endpoints))
}

/// Candidates that are those of `all` which `eligible` says.
fn eligible(
    table: &Arc<Table>,
    all: &[Candidate],
    eligible: &[bool],
    bounded_load: Option<Ratio>,
) -> Candidates {
    let mut list = Vec::new();
    let index = |(candidate, eligible): (&Candidate, &bool)| {
        eligible.then(|| {
            list.push(candidate.clone());
            list.len() as u32 - 1
        })
    };
    let indices = all.iter().zip(eligible).map(index).collect();
    Candidates::new(Algorithm::ConsistentHash, list).with_table(
        Arc::clone(table),
        indices,
        bounded_load,
    )
}

fn key(number: u64) -> u64 {
    hash_key(&number.to_le_bytes())
}

/// The port of the endpoint that gets this key.
fn port(candidates: &Candidates, hash: u64, tried: &[u64]) -> u16 {
    let balancer = Balancer::new(Algorithm::ConsistentHash);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut pick = Pick { now: START, hash: Some(hash), tried, rng: &mut rng };
    let picked = balancer.pick(candidates, &mut pick, &mut ()).unwrap();
    candidates.list()[picked.index].endpoint.url().port
}

/// The ports that get the keys 0 to `keys`, all endpoints being eligible.
fn ports(kind: HashTable, list: &[Candidate], keys: u64) -> Vec<u16> {
    let candidates = eligible(&table_of(kind, list), list, &vec![true; list.len()], None);
    (0..keys).map(|number| port(&candidates, key(number), &[])).collect()
}

/// The share of the keys of others that move when the endpoint at `index` is removed from the configuration.
fn moved_without(kind: HashTable, list: &[Candidate], index: usize, keys: u64) -> f64 {
    let removed = list[index].endpoint.url().port;
    let mut fewer = list.to_vec();
    fewer.remove(index);
    let (before, after) = (ports(kind, list, keys), ports(kind, &fewer, keys));
    let others = || before.iter().zip(&after).filter(|(before, _)| **before != removed);
    others().filter(|(before, after)| before != after).count() as f64 / others().count() as f64
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// All replicas agree, whatever the order in which they were told of the endpoints.
    #[test]
    fn the_order_of_the_endpoints_does_not_matter(
        kind in kind(), weights in prop::collection::vec(1u32..5, 1..12), seed in any::<u64>(),
    ) {
        let list = list(&weights);
        let mut shuffled = list.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        prop_assert_eq!(ports(kind, &list, 2000), ports(kind, &shuffled, 2000));
    }

    /// Whoever leaves, for whatever time, moves its own keys only; whoever comes back gets exactly them.
    #[test]
    fn an_endpoint_that_is_not_eligible_moves_only_its_own_keys(
        kind in kind(), mut first in prop::collection::vec(prop::bool::weighted(0.6), 2..12),
        leaves in any::<prop::sample::Index>(), stays in any::<prop::sample::Index>(),
    ) {
        let list = list(&vec![1; first.len()]);
        let (leaves, stays) = (leaves.index(first.len()), stays.index(first.len()));
        prop_assume!(leaves != stays);
        (first[leaves], first[stays]) = (true, true);
        let mut second = first.clone();
        second[leaves] = false;
        let table = table_of(kind, &list);
        let (before, after) = (eligible(&table, &list, &first, None), eligible(&table, &list, &second, None));
        let left = list[leaves].endpoint.url().port;
        for number in 0..2000 {
            let (before, after) = (port(&before, key(number), &[]), port(&after, key(number), &[]));
            prop_assert!(before == after || before == left);
        }
    }

    /// Karger's promise.
    #[test]
    fn an_endpoint_that_is_removed_moves_only_its_own_keys_on_a_ring(
        weights in prop::collection::vec(1u32..20, 2..20), index in any::<prop::sample::Index>(),
    ) {
        let index = index.index(weights.len());
        prop_assert_eq!(moved_without(HashTable::Ring, &list(&weights), index, 3000), 0.0);
    }

    /// A retry goes to the next on its way: where the key would be if the endpoint that failed were not eligible.
    #[test]
    fn a_retry_goes_where_the_key_would_go_without_those_that_failed(
        kind in kind(), weights in prop::collection::vec(1u32..5, 3..10), number in any::<u64>(),
    ) {
        let list = list(&weights);
        let table = table_of(kind, &list);
        let mut left = vec![true; list.len()];
        let all = eligible(&table, &list, &left, None);
        let mut tried = Vec::new();
        while tried.len() < list.len() {
            let next = port(&all, key(number), &tried);
            prop_assert_eq!(next, port(&eligible(&table, &list, &left, None), key(number), &[]));
            let index = usize::from(next - 8081);
            left[index] = false;
            tried.push(list[index].endpoint.id());
        }
        prop_assert_eq!(port(&all, key(number), &tried), port(&all, key(number), &[]));
    }

    /// However keys and answers fall, nobody ever takes a request that lifts it above `ceil(c × mean)`.
    #[test]
    fn the_bound_on_the_load_is_never_exceeded(
        kind in kind(), weights in prop::collection::vec(1u32..6, 1..10), c in 100u64..200,
        keys in 1u64..20, seed in any::<u64>(),
    ) {
        let all = list(&weights);
        let table = table_of(kind, &all);
        let bound = Some(Ratio::new(c as f64 / 100.0));
        let candidates = eligible(&table, &all, &vec![true; all.len()], bound);
        let balancer = Balancer::new(Algorithm::ConsistentHash);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut guards = Vec::new();
        let whole: u64 = weights.iter().copied().map(u64::from).sum();
        for _ in 0..600 {
            if rng.u32(0..5) < 2 && !guards.is_empty() {
                guards.swap_remove(rng.usize(0..guards.len()));
                continue;
            }
            let hash = Some(key(rng.u64(0..keys)));
            let mut pick = Pick { now: START, hash, tried: &[], rng: &mut rng };
            let picked = balancer.pick(&candidates, &mut pick, &mut ()).unwrap();
            let endpoint = &candidates.list()[picked.index].endpoint;
            guards.push(endpoint.begin_if(picked.expected.unwrap()).unwrap());
            let limit = (c * guards.len() as u64 * u64::from(weights[picked.index])).div_ceil(100 * whole);
            prop_assert!(u64::from(endpoint.in_flight()) <= limit);
        }
    }

    /// Shares of a Maglev table are exact but for one place of 65,537, whatever the weights.
    #[test]
    fn maglev_places_follow_weights(weights in prop::collection::vec(0u32..=1000, 1..30)) {
        let whole: u64 = weights.iter().copied().map(u64::from).sum();
        prop_assume!(whole > 0);
        let table = table_of(HashTable::Maglev, &list(&weights));
        let mut places = vec![0u64; weights.len()];
        table.owners_from(0).for_each(|owner| places[owner] += 1);
        for (places, weight) in places.iter().zip(&weights) {
            prop_assert!((places * whole).abs_diff(65_537 * u64::from(*weight)) < whole);
        }
    }
}

/// What the documentation of the tables says of removed endpoints; and as it is the same way back, of added ones.
#[test]
fn an_endpoint_that_is_removed_moves_few_keys_of_others_under_maglev() {
    let equal = [3, 10, 100, 600].map(|count| vec![1; count]);
    for weights in equal.into_iter().chain([vec![10, 9, 8, 7, 6, 5, 4, 3, 2, 1], vec![9, 1, 1]]) {
        for index in [0, weights.len() / 2] {
            let moved = moved_without(HashTable::Maglev, &list(&weights), index, 20_000);
            assert!(moved < 0.01, "{moved} of {}", weights.len());
        }
    }
}

/// A canary that gets more weight takes its keys from the others, and nearly no others move.
#[test]
fn a_change_of_weight_moves_little_more_than_it_must() {
    let of = |weight| ports(HashTable::Maglev, &list(&[10, 10, 10, weight]), 20_000);
    let (before, after) = (of(1), of(2));
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    let must = 20_000.0 * (2.0 / 32.0 - 1.0 / 31.0);
    assert!((moved as f64) < must + 100.0, "{moved}, {must} must");
}

/// The busiest endpoint of a table has little more than the mean.
#[test]
fn keys_are_spread_evenly_and_by_weight() {
    let most = |kind, weights: &[u32]| {
        let list = list(weights);
        let mut keys = vec![0.0; weights.len()];
        ports(kind, &list, 50_000).iter().for_each(|port| keys[usize::from(port - 8081)] += 1.0);
        let mean = 50_000.0 / f64::from(weights.iter().sum::<u32>());
        let relative =
            keys.iter().zip(weights).map(|(keys, weight)| keys / f64::from(*weight) / mean);
        relative.fold(0.0, f64::max)
    };
    for weights in [[1; 8], [1, 2, 3, 4, 5, 6, 7, 8]] {
        let (maglev, ring) = (most(HashTable::Maglev, &weights), most(HashTable::Ring, &weights));
        assert!(maglev < 1.05 && ring < 1.25, "{maglev} {ring}");
    }
}

/// The keys of an endpoint that fails are shared by all others; they do not fall upon one.
#[test]
fn the_keys_of_an_endpoint_that_is_not_eligible_are_spread() {
    let fair = [(HashTable::Maglev, 0.18..0.22), (HashTable::Ring, 0.1..0.3)];
    for (kind, fair) in fair {
        let list = list(&[1; 6]);
        let table = table_of(kind, &list);
        let mut left = [true; 6];
        let all = eligible(&table, &list, &left, None);
        left[2] = false;
        let fewer = eligible(&table, &list, &left, None);
        let mut got = [0; 6];
        for number in (0..60_000).filter(|number| port(&all, key(*number), &[]) == 8083) {
            got[usize::from(port(&fewer, key(number), &[]) - 8081)] += 1;
        }
        let whole: u32 = got.iter().sum();
        let fair = |count: u32| fair.contains(&(f64::from(count) / f64::from(whole)));
        assert!((0..6).all(|index| index == 2 || fair(got[index])), "{kind:?}: {got:?}");
    }
}

/// Were this to fail after a change, the change would send clients elsewhere on every update.
#[test]
fn keys_belong_to_the_same_endpoints_for_good() {
    let list = list(&[1, 2, 1, 3]);
    let of = |kind| ports(kind, &list, 24).iter().map(|port| port - 8081).collect::<Vec<_>>();
    assert_eq!(
        of(HashTable::Maglev),
        [3, 1, 3, 1, 3, 1, 3, 3, 1, 1, 2, 3, 3, 3, 1, 3, 2, 3, 0, 3, 3, 3, 0, 2]
    );
    assert_eq!(
        of(HashTable::Ring),
        [1, 1, 3, 0, 1, 3, 3, 3, 3, 0, 3, 3, 0, 0, 1, 2, 3, 3, 1, 0, 3, 0, 0, 3]
    );
}

/// More than 655 endpoints have the larger table, and many weights fewer points for each; nobody is without keys.
#[test]
fn great_backends_have_a_place_for_everybody() {
    let mut weights = vec![1000; 700];
    weights[3] = 1;
    let list = list(&weights);
    for kind in KINDS {
        let table = table_of(kind, &list);
        let mut places = vec![0; 700];
        table.owners_from(0).for_each(|owner| places[owner] += 1);
        assert!(places.iter().all(|places| *places > 0), "{kind:?}");
        assert!(places.iter().sum::<u32>() <= 655_373, "{kind:?}");
    }
}

#[test]
fn a_request_without_a_key_goes_by_chance_and_weight() {
    for kind in KINDS {
        let list = list(&[1, 3]);
        let candidates = eligible(&table_of(kind, &list), &list, &[true; 2], None);
        let balancer = Balancer::new(Algorithm::ConsistentHash);
        let mut rng = fastrand::Rng::with_seed(1);
        let counts = counts(&balancer, &candidates, 10_000, &mut rng);
        assert!((f64::from(counts[0]) / 1e4 - 0.25).abs() < 0.03, "{kind:?}: {counts:?}");
    }
}

#[test]
fn the_evidence_is_the_hash_and_how_many_places_were_passed_over() {
    let list = list(&[1, 1]);
    let table = table_of(HashTable::Maglev, &list);
    let both = eligible(&table, &list, &[true; 2], Some(Ratio::ONE));
    let first = port(&both, key(7), &[]);
    let _load: Vec<_> = (0..5).map(|_| list[usize::from(first - 8081)].endpoint.begin()).collect();
    let mut told = Told::default();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut pick = Pick { now: START, hash: Some(key(7)), tried: &[], rng: &mut rng };
    let balancer = Balancer::new(Algorithm::ConsistentHash);
    let picked = balancer.pick(&both, &mut pick, &mut told).unwrap();
    assert_ne!(list[picked.index].endpoint.url().port, first);
    assert_eq!(picked.expected, Some(0));
    let (hash, from_key, passed_over) = told.hashed.unwrap();
    assert_eq!((hash, from_key), (key(7), true));
    assert!(passed_over >= 1);
    let mut told = Told::default();
    let mut pick = Pick { now: START, hash: None, tried: &[], rng: &mut rng };
    balancer.pick(&both, &mut pick, &mut told).unwrap();
    assert!(!told.hashed.unwrap().1);
}

/// A retry does not wait for room: it goes to an endpoint at its bound rather than to the one that failed.
#[test]
fn a_retry_prefers_an_endpoint_at_its_bound_to_one_that_failed() {
    let list = list(&[1, 1]);
    let both = eligible(&table_of(HashTable::Ring, &list), &list, &[true; 2], Some(Ratio::ONE));
    let first = port(&both, key(7), &[]);
    let failed = usize::from(first - 8081);
    let _load: Vec<_> = (0..5).map(|_| list[1 - failed].endpoint.begin()).collect();
    assert_eq!(port(&both, key(7), &[]), first);
    assert_ne!(port(&both, key(7), &[list[failed].endpoint.id()]), first);
}
