//! A backend as it runs: its endpoints, who of them is eligible, and the pick.

pub mod affinity;
pub mod budget;
pub mod connection;
pub mod counters;
pub mod decision;
mod eligible;
pub mod exchange;
pub mod http1;
pub mod http2;
pub mod imbalance;
pub mod pool;
mod slow_start;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod tls;

pub use eligible::Eligible;

use crate::balancer::{Balancer, Candidates, Pick, Table};
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, InFlight, Resolution};
use crate::model;
use crate::tls::{Client, TlsError};
use affinity::Tokens;
use arc_swap::ArcSwap;
use budget::RetryBudget;
use connection::{Dial, Ends, Introduction, Key, Security};
use counters::Counters;
use decision::Witness;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

/// How often a pick that another worker overtook is made again before the count is taken as it comes.
const MAX_REPICKS: usize = 8;

/// A backend compiled for use.
///
/// What it has learnt (endpoints' live state, the balancer's position, the retry budget, counters) is shared with
/// the backend of the same name in the snapshot before, see [`Backend::compile`].
#[derive(Debug)]
pub struct Backend {
    model: model::Backend,
    /// There exactly when TLS is spoken to endpoints that it has or may come to have.
    tls: Option<Arc<Client>>,
    members: Vec<Member>,
    /// The index of each member.
    by_url: HashMap<model::EndpointUrl, usize>,
    /// Former members, as long as requests are in flight on them: a pod that is not ready for a moment is the same one after it.
    gone: HashMap<model::EndpointUrl, Weak<Endpoint>>,
    balancer: Arc<Balancer>,
    /// From hashes to members; there exactly when the algorithm hashes.
    table: Option<Arc<Table>>,
    /// Empty without session affinity.
    tokens: Tokens,
    budget: Arc<RetryBudget>,
    counters: Arc<Counters>,
    eligible: ArcSwap<Eligible>,
    /// When the eligible endpoints or their weights change by themselves, because a pass-over ends or a slow start goes on;
    /// `u64::MAX` for never.
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
    /// The endpoint that the client was given before: the [token](Backend::affinity_token) in its cookie. Without session
    /// affinity it counts for nothing.
    pub pinned: Option<u64>,
    /// The ids of endpoints that failed for this request: taken only if there is no other.
    pub tried: &'a [u64],
}

/// An endpoint of a backend.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its live state.
    pub endpoint: Arc<Endpoint>,
    /// Its weight; 0 gets no traffic but that of clients that were given it before and stay.
    pub weight: u32,
}

impl Backend {
    /// Compiles `model`, taking over from `previous`, the backend of that name that ran until now, all that still applies.
    /// An unchanged model gives the very same backend.
    ///
    /// # Errors
    /// When a file of its `tls` cannot be used.
    pub fn compile(
        model: &model::Backend,
        previous: Option<&Arc<Backend>>,
        workers: usize,
    ) -> Result<Arc<Self>, TlsError> {
        if let Some(previous) = previous.filter(|previous| previous.model == *model) {
            return Ok(Arc::clone(previous));
        }
        let tls = tls::client(model, previous.map(|previous| &**previous))?;
        let now = Nanos::now();
        let member = |configured: &model::Endpoint| Member {
            endpoint: previous.and_then(|previous| previous.member(&configured.url)).map_or_else(
                || {
                    let url = &configured.url;
                    let former = previous.and_then(|previous| previous.gone.get(url)?.upgrade());
                    let endpoint = match former {
                        Some(former) => {
                            former.forget_health(now);
                            former
                        }
                        None => Arc::new(Endpoint::new(url.clone(), workers)),
                    };
                    // In a backend that is new itself all are, and none has to wait for the others.
                    if previous.is_some() {
                        endpoint.begin_slow_start(now);
                    }
                    endpoint
                },
                |known| {
                    // One that got nothing is as cold as one that is new.
                    if known.weight == 0 && configured.weight > 0 {
                        known.endpoint.begin_slow_start(now);
                    }
                    Arc::clone(&known.endpoint)
                },
            ),
            weight: configured.weight,
        };
        let members: Vec<_> = model.endpoints.iter().map(member).collect();
        let urls = members.iter().map(|member| member.endpoint.url().clone());
        let by_url: HashMap<_, _> = urls.zip(0..).collect();
        let gone = previous.map(|previous| previous.gone_from(&by_url)).unwrap_or_default();
        let tokens = model.session_affinity.as_ref().map(|_| Tokens::new(&model.name, &members));
        let balancer = previous
            .map(|previous| &previous.balancer)
            .filter(|balancer| balancer.algorithm() == model.algorithm);
        let budget = previous
            .filter(|previous| previous.model.retry.budget == model.retry.budget)
            .map(|previous| &previous.budget);
        let backend = Self {
            model: model.clone(),
            tls,
            by_url,
            gone,
            table: table(model, previous.map(|previous| &**previous)),
            tokens: tokens.unwrap_or_default(),
            members,
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
                excluded: Box::default(),
                may_stay: Box::default(),
            }),
            next_change: AtomicU64::new(0),
            refreshing: Mutex::new(()),
        };
        backend.refresh(now);
        Ok(Arc::new(backend))
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.model.name
    }

    /// The configuration it was compiled from.
    pub fn model(&self) -> &model::Backend {
        &self.model
    }

    /// TLS as its endpoints with `https` URLs are spoken to.
    pub fn tls(&self) -> Option<&Arc<Client>> {
        self.tls.as_ref()
    }

    /// TLS as `endpoint` is spoken to, if it is.
    pub fn tls_for(&self, endpoint: &Endpoint) -> Option<&Arc<Client>> {
        self.tls().filter(|_| endpoint.url().scheme == model::Scheme::Https)
    }

    /// What a new connection to `endpoint`, which is one of its own, needs. With a PROXY protocol it speaks for the client at
    /// one of `ends`, or for ourselves.
    pub fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        resolution: &'a Resolution,
        ends: Option<Ends>,
    ) -> Dial<'a> {
        let security = self.tls_for(endpoint);
        Dial {
            url: endpoint.url(),
            resolution,
            timeout: self.model.timeouts.connect,
            security: security.map(|client| Security {
                config: &client.config,
                server_name: self.model.tls.server_name.as_deref(),
            }),
            http2: self.model.protocol != model::Protocol::Http1,
            introduction: self.model.proxy_protocol.map(|version| Introduction { version, ends }),
        }
    }

    /// What requests to `endpoint` must have in common to share connections; those that speak for clients, their `ends`, too.
    pub fn key(&self, endpoint: &Endpoint, ends: Option<Ends>) -> Key {
        Key { endpoint: endpoint.id(), ends, tls: self.tls_for(endpoint).map(|tls| tls.id()) }
    }

    /// Its endpoints, in the order of the configuration.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The endpoints that a request may be given to now.
    pub fn eligible(&self) -> arc_swap::Guard<Arc<Eligible>> {
        self.eligible.load()
    }

    /// Whether a request that endpoints with the ids `tried` were picked for may be given to another, to which no connect has failed lately.
    pub fn has_untried(&self, tried: &[u64], now: Nanos) -> bool {
        let eligible = self.eligible.load();
        let mut members = self.members.iter().zip(&eligible.may_stay);
        members.any(|(Member { endpoint, weight, .. }, may_stay)| {
            let is_candidate = *may_stay && *weight > 0;
            is_candidate && endpoint.passed_over_until() <= now && !tried.contains(&endpoint.id())
        })
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
        self.by_url.get(url).map(|index| &self.members[*index])
    }

    /// Those of its members, present and former, that `next` has not, and that somebody may hold.
    fn gone_from(
        &self,
        next: &HashMap<model::EndpointUrl, usize>,
    ) -> HashMap<model::EndpointUrl, Weak<Endpoint>> {
        let former = self.gone.values().filter_map(Weak::upgrade);
        let present = self.members.iter().map(|member| Arc::clone(&member.endpoint));
        let gone = former.chain(present).filter(|endpoint| !next.contains_key(endpoint.url()));
        gone.map(|endpoint| (endpoint.url().clone(), Arc::downgrade(&endpoint))).collect()
    }

    /// What stands for `endpoint` in the cookie of a client that is to stay with it.
    pub fn affinity_token(&self, endpoint: &Endpoint) -> u64 {
        affinity::token(self.name(), endpoint.url())
    }

    /// Whether `token` stands for one of its endpoints, eligible or not.
    pub fn has_token(&self, token: u64) -> bool {
        self.tokens.member(token).is_some()
    }

    /// Whether a client whose cookie holds `token` may stay with the endpoint that this stands for, as things are.
    pub fn may_stay(&self, token: u64) -> bool {
        self.tokens.member(token).is_some_and(|index| self.eligible.load().may_stay[index])
    }

    /// Picks an eligible endpoint and counts the request on it. `None` when no endpoint has a weight above 0.
    ///
    /// A client that is to stay with an endpoint gets it as long as it is eligible; with weight 0, too, so that an endpoint can be drained
    /// of its sessions (as in HAProxy), and then also when no other has a weight.
    pub fn pick(
        &self,
        ask: &Ask<'_>,
        rng: &mut fastrand::Rng,
        witness: &mut impl Witness,
    ) -> Option<InFlight> {
        if ask.now.0 >= self.next_change.load(Relaxed) {
            self.refresh_if_due(ask.now);
        }
        let eligible = self.eligible.load();
        witness.among(&eligible);
        if let Some(endpoint) = ask.pinned.and_then(|token| self.pinned(token, &eligible, ask)) {
            witness.pinned();
            return Some(endpoint.begin());
        }
        let candidates = &eligible.candidates;
        let mut pick = Pick { now: ask.now, hash: ask.hash, tried: ask.tried, rng };
        for _ in 0..MAX_REPICKS {
            let picked = self.balancer.pick(candidates, &mut pick, witness)?;
            let endpoint = &candidates.list()[picked.index].endpoint;
            match picked.expected {
                None => return Some(endpoint.begin()),
                Some(expected) => {
                    if let Some(in_flight) = endpoint.begin_if(expected) {
                        return Some(in_flight);
                    }
                    witness.among(&eligible);
                }
            }
        }
        let picked = self.balancer.pick(candidates, &mut pick, witness)?;
        Some(candidates.list()[picked.index].endpoint.begin())
    }

    /// The endpoint of `token`, if its client may stay with it.
    fn pinned(&self, token: u64, eligible: &Eligible, ask: &Ask<'_>) -> Option<&Arc<Endpoint>> {
        let index = self.tokens.member(token)?;
        let endpoint = &self.members[index].endpoint;
        (eligible.may_stay[index] && !ask.tried.contains(&endpoint.id())).then_some(endpoint)
    }
}

/// The table of a backend whose algorithm hashes: that of the backend before, if it would be the same.
fn table(model: &model::Backend, previous: Option<&Backend>) -> Option<Arc<Table>> {
    let kind = model.hashing.as_ref()?.table;
    let same = previous.filter(|previous| {
        previous.model.endpoints == model.endpoints
            && previous.model.hashing.as_ref().is_some_and(|hashing| hashing.table == kind)
    });
    if let Some(table) = same.and_then(|previous| previous.table.as_ref()) {
        return Some(Arc::clone(table));
    }
    let endpoints = model.endpoints.iter().map(|endpoint| (&endpoint.url, endpoint.weight));
    Some(Arc::new(Table::new(kind, endpoints)))
}
