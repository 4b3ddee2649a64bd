//! Who of a backend's endpoints may be picked, with what weight, and until when that holds.

use super::slow_start::{self, WHOLE};
use super::{Backend, Member};
use crate::balancer::{Candidate, Candidates};
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, Health};
use crate::model::{Algorithm, SlowStart};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{PoisonError, TryLockError};

/// The endpoints that a request may be given to.
#[derive(Debug)]
pub struct Eligible {
    /// They, prepared for the algorithm.
    pub candidates: Candidates,
    /// Whether too few were healthy, so that all count as healthy.
    pub panic: bool,
    /// The endpoints that it may not be given to, and why, in the order of the configuration.
    pub(super) excluded: Box<[Excluded]>,
    /// By member, whether a client that was given it before may stay: as for the candidates, but with weight 0, too.
    pub(super) may_stay: Box<[bool]>,
}

/// An endpoint that is no candidate.
#[derive(Debug)]
pub(super) struct Excluded {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) why: Exclusion,
}

/// Why an endpoint is no candidate.
#[derive(Clone, Debug)]
pub(super) enum Exclusion {
    /// Its weight is 0.
    NoWeight,
    /// Its health probes fail, if known for this reason.
    Unhealthy(Option<Arc<str>>),
    /// A connect failed lately.
    PassedOver,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWeight => f.write_str("weight 0"),
            Self::Unhealthy(None) => f.write_str("unhealthy"),
            Self::Unhealthy(Some(reason)) => write!(f, "unhealthy: {reason}"),
            Self::PassedOver => f.write_str("passed over: a connect failed lately"),
        }
    }
}

impl Backend {
    /// Decides anew who is eligible: to be called when an endpoint's health changed or a connect failed or succeeded
    /// again.
    pub fn refresh(&self, now: Nanos) {
        let _one_at_a_time = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        self.decide(now);
    }

    /// The same when it is due by itself. Of workers that find it due together one does it, and the others go on with what
    /// was decided before.
    #[cold]
    pub(super) fn refresh_if_due(&self, now: Nanos) {
        let _one_at_a_time = match self.refreshing.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if now.0 >= self.next_change.load(Relaxed) {
            self.decide(now);
        }
    }

    fn decide(&self, now: Nanos) {
        let weighted = |member: &&Member| member.weight > 0;
        let healthy = |member: &&Member| member.endpoint.health() != Health::Unhealthy;
        let count = self.members.iter().filter(weighted).count();
        let healthy_count = self.members.iter().filter(weighted).filter(healthy).count();
        let panic = self.panics(healthy_count, count);
        let serves = |member: &Member| panic || healthy(&member);
        let passed_over_until = |member: &Member| {
            Some(member.endpoint.passed_over_until()).filter(|until| *until > now)
        };
        let mut may_stay: Box<[bool]> = self
            .members
            .iter()
            .map(|member| serves(member) && passed_over_until(member).is_none())
            .collect();
        let nobody = !self.members.iter().zip(&may_stay).any(|(one, may)| *may && one.weight > 0);
        if nobody {
            // All are passed over: then a try is better than none.
            may_stay = self.members.iter().map(serves).collect();
        }
        let chosen =
            self.members.iter().zip(&may_stay).filter(|(one, may)| **may && one.weight > 0);
        let (list, next_step) = self.weighed(chosen.map(|(member, _)| member), now);
        let pass_over_ends =
            self.members.iter().filter(|member| serves(member)).filter_map(passed_over_until).min();
        let next_change = pass_over_ends.into_iter().chain(next_step).min();
        let excluded = self.excluded(&may_stay, panic);
        let candidates = self.prepare(list, &may_stay);
        self.next_change.store(next_change.map_or(u64::MAX, |moment| moment.0), Relaxed);
        self.eligible.store(Arc::new(Eligible { candidates, panic, excluded, may_stay }));
    }

    /// Why the others are no candidates.
    fn excluded(&self, may_stay: &[bool], panic: bool) -> Box<[Excluded]> {
        let why = |member: &Member, may_stay: bool| match member.weight {
            0 => Some(Exclusion::NoWeight),
            _ if may_stay => None,
            _ if !panic && member.endpoint.health() == Health::Unhealthy => {
                Some(Exclusion::Unhealthy(member.endpoint.health_report().reason))
            }
            _ => Some(Exclusion::PassedOver),
        };
        let members = self.members.iter().zip(may_stay);
        members
            .filter_map(|(member, may_stay)| {
                let why = why(member, *may_stay)?;
                Some(Excluded { endpoint: Arc::clone(&member.endpoint), why })
            })
            .collect()
    }

    /// The members as candidates with the weights that they have at `now`, and when a slow start changes these.
    fn weighed<'a>(
        &self,
        members: impl Iterator<Item = &'a Member>,
        now: Nanos,
    ) -> (Vec<Candidate>, Option<Nanos>) {
        let slow_start = self.slow_start();
        let part = |member: &Member| {
            let since = member.endpoint.slow_start_since();
            slow_start.map_or((WHOLE, None), |slow_start| slow_start::part(slow_start, since, now))
        };
        let parts: Vec<_> = members.map(|member| (member, part(member))).collect();
        let all_whole = parts.iter().all(|(_, (part, _))| *part == WHOLE);
        let candidate = |(member, (part, _)): &(&Member, (u32, _))| Candidate {
            endpoint: Arc::clone(&member.endpoint),
            weight: if all_whole { member.weight } else { member.weight * part },
        };
        let next_step = parts.iter().filter_map(|(_, (_, next))| *next).min();
        (parts.iter().map(candidate).collect(), next_step)
    }

    /// Its slow start. There is none where keys are hashed: a key belongs to its endpoint at once.
    fn slow_start(&self) -> Option<&SlowStart> {
        match self.model.algorithm {
            Algorithm::RoundRobin
            | Algorithm::Random
            | Algorithm::LeastConnections
            | Algorithm::LeastResponseTime
            | Algorithm::PowerOfTwoChoices
            | Algorithm::PeakEwma => self.model.slow_start.as_ref(),
            Algorithm::SourceIpHash | Algorithm::ConsistentHash => None,
        }
    }

    fn prepare(&self, list: Vec<Candidate>, may_stay: &[bool]) -> Candidates {
        let candidates = Candidates::new(self.model.algorithm, list);
        let Some((table, hashing)) = self.table.as_ref().zip(self.model.hashing.as_ref()) else {
            return candidates;
        };
        let mut count = 0;
        let index = |(member, may): (&Member, &bool)| {
            (*may && member.weight > 0).then(|| {
                count += 1;
                count - 1
            })
        };
        let indices = self.members.iter().zip(may_stay).map(index).collect();
        candidates.with_table(Arc::clone(table), indices, hashing.bounded_load)
    }

    /// Whether so few endpoints are healthy that health is not to be believed.
    fn panics(&self, healthy: usize, count: usize) -> bool {
        let Some(probe) = &self.model.health_probe else { return false };
        count > 0
            && (healthy == 0 || (healthy as f64) < probe.minimum_healthy.value() * count as f64)
    }
}
