//! A backend as it runs: its endpoints, who of them is eligible, and the pick.

pub mod budget;
pub mod connection;
pub mod http1;
pub mod pool;

use crate::balancer::{Balancer, Candidate, Candidates, Evidence, Pick, Picked};
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, Health, InFlight};
use crate::model;
use crate::telemetry::metrics::{DurationHistogram, RequestCounter};
use arc_swap::ArcSwap;
use budget::RetryBudget;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// How often a pick that another worker overtook is made again before the count is taken as it comes.
const MAX_REPICKS: usize = 8;

/// A backend compiled for use.
///
/// What it has learnt (endpoints' live state, the balancer's position, the retry budget, counters) is shared with
/// the backend of the same name in the snapshot before, see [`Backend::compile`].
#[derive(Debug)]
pub struct Backend {
    model: model::Backend,
    members: Vec<Member>,
    balancer: Arc<Balancer>,
    budget: Arc<RetryBudget>,
    counters: Arc<Counters>,
    eligible: ArcSwap<Eligible>,
    /// When the eligible endpoints change by themselves, because a pass-over ends; `u64::MAX` for never.
    next_change: AtomicU64,
    refreshing: Mutex<()>,
}

/// What a request asks of a pick.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The present moment.
    pub now: Nanos,
    /// The hash of the request's key, for algorithms that hash; `None` when the request has no such key.
    pub hash: Option<u64>,
    /// The endpoint that the client was given before, as its cookie names it.
    pub pinned: Option<u64>,
    /// The ids of endpoints that failed for this request: taken only if there is no other.
    pub tried: &'a [u64],
}

/// An endpoint of a backend.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its live state.
    pub endpoint: Arc<Endpoint>,
    /// Its weight; 0 gets no traffic.
    pub weight: u32,
}

/// What a backend counts as a whole.
#[derive(Debug)]
pub struct Counters {
    /// Requests that no endpoint answered, by the class of our own answer.
    pub unanswered: RequestCounter,
    /// Time from the request's head to the end of the response.
    pub duration: DurationHistogram,
    /// Tries after the first.
    pub retries: AtomicU64,
    /// Retries that the budget forbade.
    pub retries_refused: AtomicU64,
}

/// The endpoints that a request may be given to.
#[derive(Debug)]
pub struct Eligible {
    /// They, prepared for the algorithm.
    pub candidates: Candidates,
    /// Whether too few were healthy, so that all count as healthy.
    pub panic: bool,
}

impl Backend {
    /// Compiles `model`, taking over from `previous`, the backend of that name that ran until now, all that still applies.
    /// An unchanged model gives the very same backend.
    pub fn compile(
        model: &model::Backend,
        previous: Option<&Arc<Backend>>,
        workers: usize,
    ) -> Arc<Self> {
        if let Some(previous) = previous.filter(|previous| previous.model == *model) {
            return Arc::clone(previous);
        }
        let member = |configured: &model::Endpoint| {
            let known = previous.and_then(|previous| previous.member(&configured.url));
            Member {
                endpoint: known.map_or_else(
                    || Arc::new(Endpoint::new(configured.url.clone(), workers)),
                    |known| Arc::clone(&known.endpoint),
                ),
                weight: configured.weight,
            }
        };
        let balancer = previous
            .map(|previous| &previous.balancer)
            .filter(|balancer| balancer.algorithm() == model.algorithm);
        let budget = previous
            .filter(|previous| previous.model.retry.budget == model.retry.budget)
            .map(|previous| &previous.budget);
        let backend = Self {
            model: model.clone(),
            members: model.endpoints.iter().map(member).collect(),
            balancer: balancer.map_or_else(|| Arc::new(Balancer::new(model.algorithm)), Arc::clone),
            budget: budget
                .map_or_else(|| Arc::new(RetryBudget::new(model.retry.budget)), Arc::clone),
            counters: previous.map_or_else(
                || Arc::new(Counters::new(workers)),
                |previous| Arc::clone(&previous.counters),
            ),
            eligible: ArcSwap::from_pointee(Eligible {
                candidates: Candidates::new(model.algorithm, Vec::new()),
                panic: false,
            }),
            next_change: AtomicU64::new(0),
            refreshing: Mutex::new(()),
        };
        backend.refresh(Nanos::now());
        Arc::new(backend)
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.model.name
    }

    /// The configuration it was compiled from.
    pub fn model(&self) -> &model::Backend {
        &self.model
    }

    /// Its endpoints, in the order of the configuration.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The endpoints that a request may be given to now.
    pub fn eligible(&self) -> arc_swap::Guard<Arc<Eligible>> {
        self.eligible.load()
    }

    /// Its retry budget.
    pub fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// What it counts as a whole.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The member with this URL.
    pub fn member(&self, url: &model::EndpointUrl) -> Option<&Member> {
        self.members.iter().find(|member| member.endpoint.url() == url)
    }

    /// Picks an eligible endpoint and counts the request on it. `None` when no endpoint has a weight above 0.
    pub fn pick(
        &self,
        ask: &Ask<'_>,
        rng: &mut fastrand::Rng,
        evidence: &mut impl Evidence,
    ) -> Option<InFlight> {
        let Ask { now, tried, .. } = *ask;
        if now.0 >= self.next_change.load(Relaxed) {
            self.refresh(now);
        }
        let eligible = self.eligible.load();
        if tried.is_empty() {
            return self.begin(&eligible.candidates, Balancer::pick, ask, rng, evidence);
        }
        let untried = |candidate: &&Candidate| !tried.contains(&candidate.endpoint.id());
        let others: Vec<_> = eligible.candidates.list().iter().filter(untried).cloned().collect();
        if others.is_empty() {
            return self.begin(&eligible.candidates, Balancer::pick_again, ask, rng, evidence);
        }
        let others = Candidates::new(self.model.algorithm, others);
        self.begin(&others, Balancer::pick_again, ask, rng, evidence)
    }

    /// Counts the request on the endpoint that `pick` chooses.
    fn begin<E: Evidence>(
        &self,
        candidates: &Candidates,
        pick: impl Fn(&Balancer, &Candidates, &mut Pick<'_>, &mut E) -> Option<Picked>,
        ask: &Ask<'_>,
        rng: &mut fastrand::Rng,
        evidence: &mut E,
    ) -> Option<InFlight> {
        for _ in 0..MAX_REPICKS {
            let mut chance = Pick { now: ask.now, hash: ask.hash, rng };
            let picked = pick(&self.balancer, candidates, &mut chance, evidence)?;
            let endpoint = &candidates.list()[picked.index].endpoint;
            match picked.expected {
                None => return Some(endpoint.begin()),
                Some(expected) => {
                    if let Some(in_flight) = endpoint.begin_if(expected) {
                        return Some(in_flight);
                    }
                }
            }
        }
        let mut chance = Pick { now: ask.now, hash: ask.hash, rng };
        let picked = pick(&self.balancer, candidates, &mut chance, evidence)?;
        Some(candidates.list()[picked.index].endpoint.begin())
    }

    /// Decides anew who is eligible: to be called when an endpoint's health changed or a connect failed or succeeded
    /// again.
    pub fn refresh(&self, now: Nanos) {
        let _one_at_a_time = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let weighted = || self.members.iter().filter(|member| member.weight > 0);
        let healthy = |member: &&Member| member.endpoint.health() != Health::Unhealthy;
        let (count, healthy_count) = (weighted().count(), weighted().filter(healthy).count());
        let panic = self.panics(healthy_count, count);
        let passed_over = |member: &Member| member.endpoint.passed_over_until() > now;
        let all: Vec<&Member> = weighted().filter(|member| panic || healthy(member)).collect();
        let mut chosen: Vec<&Member> =
            all.iter().copied().filter(|member| !passed_over(member)).collect();
        if chosen.is_empty() {
            chosen.clone_from(&all);
        }
        let next_change = all
            .iter()
            .map(|member| member.endpoint.passed_over_until())
            .filter(|until| *until > now)
            .min()
            .map_or(u64::MAX, |until| until.0);
        let candidate = |member: &Member| Candidate {
            endpoint: Arc::clone(&member.endpoint),
            weight: member.weight,
        };
        let list = chosen.into_iter().map(candidate).collect();
        let candidates = Candidates::new(self.model.algorithm, list);
        self.next_change.store(next_change, Relaxed);
        self.eligible.store(Arc::new(Eligible { candidates, panic }));
    }

    /// Whether so few endpoints are healthy that health is not to be believed.
    fn panics(&self, healthy: usize, count: usize) -> bool {
        let Some(probe) = &self.model.health_probe else { return false };
        count > 0
            && (healthy == 0 || (healthy as f64) < probe.minimum_healthy.value() * count as f64)
    }
}

impl Counters {
    fn new(workers: usize) -> Self {
        Self {
            unanswered: RequestCounter::new(workers),
            duration: DurationHistogram::new(workers),
            retries: AtomicU64::new(0),
            retries_refused: AtomicU64::new(0),
        }
    }
}
