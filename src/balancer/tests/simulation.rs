//! A discrete-event simulation: endpoints, clients and latency probes on a virtual clock.

use super::*;
use crate::model::{LatencyProbe, Probe, ProbeCheck};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What an endpoint makes of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// The response's head comes after this time.
    After(Duration),
    /// The connection is reset after this time.
    Reset(Duration),
    /// The connect is refused after this time.
    Refused(Duration),
}

/// An endpoint: what it answers at a moment since the start, by chance too.
pub(super) type Behaviour = Box<dyn Fn(Duration, &mut fastrand::Rng) -> Answer>;

pub(super) fn always(latency: Duration) -> Behaviour {
    Box::new(move |_, _| Answer::After(latency))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Request { client: usize },
    Response { client: usize },
    Probe { index: usize },
    ProbeEnd { index: usize },
}

#[derive(Debug)]
struct Pending {
    index: usize,
    since: Nanos,
    answer: Answer,
    guard: InFlight,
}

/// A backend in its world.
pub(super) struct Simulation {
    pub(super) now: Nanos,
    pub(super) list: Vec<Candidate>,
    /// Requests answered or failed, by endpoint.
    pub(super) counts: Vec<u32>,
    /// The time that a client waits between an answer and its next request.
    pub(super) think: Duration,
    algorithm: Algorithm,
    balancer: Balancer,
    behaviours: Vec<Behaviour>,
    candidates: Candidates,
    eligible: Vec<usize>,
    pending: Vec<Option<Pending>>,
    probes: Vec<(Nanos, Answer)>,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    scheduled: u64,
    rng: fastrand::Rng,
}

impl Simulation {
    pub(super) fn new(algorithm: Algorithm, behaviours: Vec<Behaviour>, seed: u64) -> Self {
        let weights = vec![1; behaviours.len()];
        Self::weighted(algorithm, behaviours, &weights, seed)
    }

    pub(super) fn weighted(
        algorithm: Algorithm,
        behaviours: Vec<Behaviour>,
        weights: &[u32],
        seed: u64,
    ) -> Self {
        let list = list(weights);
        Self {
            now: START,
            counts: vec![0; list.len()],
            think: Duration::ZERO,
            algorithm,
            balancer: Balancer::new(algorithm),
            candidates: Candidates::new(algorithm, list.clone()),
            eligible: (0..list.len()).collect(),
            pending: Vec::new(),
            probes: vec![(START, Answer::After(Duration::ZERO)); list.len()],
            events: BinaryHeap::new(),
            scheduled: 0,
            rng: fastrand::Rng::with_seed(seed),
            behaviours,
            list,
        }
    }

    const INTERVAL: Duration = Duration::from_secs(1);

    /// Starts a latency probe for each endpoint: every second, or as soon as the one before has ended.
    pub(super) fn probed(mut self) -> Self {
        let probe = LatencyProbe {
            probe: Probe {
                check: ProbeCheck::Tcp,
                interval: Self::INTERVAL,
                timeout: Duration::from_secs(5),
            },
        };
        for index in 0..self.list.len() {
            self.list[index].endpoint.set_latency_probe(Some(&probe));
            let jitter = Duration::from_millis(self.rng.u64(0..100));
            self.at(self.now + jitter, Event::Probe { index });
        }
        self
    }

    /// Lets so many clients in, each with one request at a time.
    pub(super) fn add_clients(&mut self, count: usize) {
        for _ in 0..count {
            let client = self.pending.len();
            self.pending.push(None);
            self.at(self.now, Event::Request { client });
        }
    }

    /// Adds an endpoint that nobody knows.
    pub(super) fn add_endpoint(&mut self, behaviour: Behaviour) {
        self.list.extend(list(&[1]));
        self.behaviours.push(behaviour);
        self.counts.push(0);
        self.probes.push((self.now, Answer::After(Duration::ZERO)));
    }

    fn at(&mut self, when: Nanos, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((when, self.scheduled, event)));
    }

    /// Lets time pass.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.events.peek().is_some_and(|Reverse((when, ..))| *when <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets so many requests end and returns who got them.
    pub(super) fn run_requests(&mut self, requests: u32) -> Vec<u32> {
        let before = self.counts.clone();
        let goal = before.iter().sum::<u32>() + requests;
        while self.counts.iter().sum::<u32>() < goal {
            self.step();
        }
        self.counts.iter().zip(&before).map(|(after, before)| after - before).collect()
    }

    fn step(&mut self) {
        let Reverse((now, _, event)) = self.events.pop().expect("there is always a next event");
        self.now = now;
        match event {
            Event::Request { client } => self.request(client),
            Event::Response { client } => self.response(client),
            Event::Probe { index } => {
                let answer = self.behaviours[index](now.since(START), &mut self.rng);
                self.probes[index] = (now, answer);
                self.at(now + answer.time(), Event::ProbeEnd { index });
            }
            Event::ProbeEnd { index } => {
                let (since, answer) = self.probes[index];
                self.learn(index, since, answer);
                self.at((since + Self::INTERVAL).max(now), Event::Probe { index });
            }
        }
    }

    fn request(&mut self, client: usize) {
        self.refresh();
        let mut pick = Pick { now: self.now, hash: None, tried: &[], rng: &mut self.rng };
        let picked = self.balancer.pick(&self.candidates, &mut pick, &mut ()).unwrap();
        let index = self.eligible[picked.index];
        let endpoint = &self.list[index].endpoint;
        let guard = match picked.expected {
            Some(expected) => endpoint.begin_if(expected).expect("nobody else picks"),
            None => endpoint.begin(),
        };
        let answer = self.behaviours[index](self.now.since(START), &mut self.rng);
        self.pending[client] = Some(Pending { index, since: self.now, answer, guard });
        self.at(self.now + answer.time(), Event::Response { client });
    }

    fn response(&mut self, client: usize) {
        let Pending { index, since, answer, guard } = self.pending[client].take().unwrap();
        drop(guard);
        self.counts[index] += 1;
        self.learn(index, since, answer);
        self.at(self.now + self.think, Event::Request { client });
    }

    fn learn(&mut self, index: usize, since: Nanos, answer: Answer) {
        let endpoint = &self.list[index].endpoint;
        match answer {
            Answer::After(_) => {
                endpoint.connected(self.now);
                endpoint.record_latency(self.now, self.now.since(since));
            }
            Answer::Reset(_) => {
                endpoint.connected(self.now);
                endpoint.record_failure(self.now);
            }
            Answer::Refused(_) => {
                endpoint.connect_failed(self.now, &"refused");
            }
        }
    }

    /// What a backend does when eligibility changes.
    fn refresh(&mut self) {
        let eligible: Vec<usize> = (0..self.list.len())
            .filter(|index| self.list[*index].endpoint.passed_over_until() <= self.now)
            .collect();
        if eligible != self.eligible {
            let list = eligible.iter().map(|index| self.list[*index].clone()).collect();
            self.candidates = Candidates::new(self.algorithm, list);
            self.eligible = eligible;
        }
    }
}

impl Answer {
    fn time(self) -> Duration {
        match self {
            Self::After(time) | Self::Reset(time) | Self::Refused(time) => time,
        }
    }
}
