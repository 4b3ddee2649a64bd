//! The endpoints of the Services that the configuration names, followed while they come and go.

use super::Task;
use super::connection::Connection;
use super::health::Resource;
use super::slices::{self, Found};
use super::watch::{self, News, Objects, Selection};
use crate::lifecycle::ReadyGuard;
use crate::model::{Endpoint, Model, Service, ServicePort};
use k8s_openapi::api::core::v1 as core_v1;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Changes are taken together that come within this time: while pods come and go there are many, and each is a snapshot.
const TOGETHER: Duration = Duration::from_millis(50);

/// For each time that it takes to put endpoints to use, so many pass before the next: with many thousands of pods, a rollout must not
/// keep us busy with nothing else.
const REST: u32 = 9;

/// Endpoints that have changed are never waited for longer, however many there are.
const REST_AT_MOST: Duration = Duration::from_secs(1);

/// Carries the name of the Service that an EndpointSlice is of.
const LABEL: &str = "kubernetes.io/service-name";

/// Follows Services. One watch each, so that what we hear of is what we need, and a role for a single namespace will do.
#[derive(Debug)]
pub struct Discovery {
    connection: Connection,
    board: Arc<Board>,
    followed: BTreeMap<Service, Task>,
    /// Held until the endpoints of all Services have been known once.
    gate: Option<ReadyGuard>,
    /// What was taken last.
    taken: Taken,
}

/// Endpoints that were taken from the board.
#[derive(Debug, Default)]
struct Taken {
    /// The board's version.
    version: u64,
    /// When, as long as they are not in use.
    at: Option<Instant>,
    /// Others are taken from then on.
    next: Option<Instant>,
}

/// What is known of each Service.
#[derive(Debug, Default)]
struct Board {
    /// Nothing of one that was not asked for to the end yet, and `None` of one that nobody could tell of.
    known: Mutex<BTreeMap<Service, Option<Vec<Endpoint>>>>,
    /// Grows with each change.
    version: tokio::sync::watch::Sender<u64>,
}

impl Discovery {
    /// Follows nothing yet. `gate` keeps the process from getting ready until the endpoints of all Services that it follows by then are
    /// known and [in use](Discovery::in_use).
    pub fn new(connection: Connection, gate: Option<ReadyGuard>) -> Self {
        Self {
            connection,
            board: Arc::default(),
            followed: BTreeMap::new(),
            gate,
            taken: Taken::default(),
        }
    }

    /// Follows the Services that one of `models` names, and no others. Call within a tokio runtime.
    pub fn follow(&mut self, models: &[&Model]) {
        let backends = models.iter().flat_map(|model| &model.backends);
        let wanted: BTreeSet<_> =
            backends.filter_map(|backend| backend.source.followed()).collect();
        self.followed.retain(|service, _| wanted.contains(service));
        let followed = &self.followed;
        self.board.lock().retain(|service, _| followed.contains_key(service));
        for service in wanted {
            if !self.followed.contains_key(service) {
                let one = Follower {
                    service: service.clone(),
                    connection: self.connection.clone(),
                    board: Arc::clone(&self.board),
                };
                let task = Task(tokio::spawn(async move { one.run().await }));
                self.followed.insert(service.clone(), task);
            }
        }
    }

    /// Waits until the endpoints of all Services are known as far as they can be, at most so long.
    pub async fn settle(&self, at_most: Duration) {
        let mut version = self.board.version.subscribe();
        let asked = || {
            let known = self.board.lock();
            self.followed.keys().all(|service| known.contains_key(service))
        };
        // Whoever is not known by then comes later, as a change.
        let _ = tokio::time::timeout(at_most, version.wait_for(|_| asked())).await;
    }

    /// Waits for endpoints that were not [taken](Discovery::take). Cancel safe.
    pub async fn changed(&self) {
        let mut version = self.board.version.subscribe();
        // Cannot fail: the sender lives as long as `self`.
        let _ = version.wait_for(|version| *version != self.taken.version).await;
        if let Some(next) = self.taken.next {
            sleep_until(next).await;
        }
    }

    /// [Fills](Discovery::fill) `model`, which runs or is about to: what is known now is no [change](Discovery::changed) any more.
    pub fn take(&mut self, model: &mut Model) {
        let now = Instant::now();
        let version = *self.board.version.borrow();
        self.taken = Taken { version, at: Some(now), next: Some(now + TOGETHER) };
        self.fill(model);
    }

    /// Gives each backend of `model` that has its endpoints from a Service those that are known. One whose are not keeps what it has.
    pub fn fill(&self, model: &mut Model) {
        let known = self.board.lock();
        for backend in &mut model.backends {
            let service = backend.source.followed();
            if let Some(Some(endpoints)) = service.and_then(|service| known.get(service)) {
                backend.endpoints.clone_from(endpoints);
            }
        }
    }

    /// What was taken is in use: opens the gate if nothing is missing.
    pub fn in_use(&mut self) {
        if let Some(at) = self.taken.at.take() {
            let now = Instant::now();
            let rest = ((now - at) * REST).min(REST_AT_MOST);
            self.taken.next = self.taken.next.max(Some(now + rest));
        }
        let is_newest = self.taken.version == *self.board.version.borrow();
        let known = self.board.lock();
        let knows = |service| known.get(service).is_some_and(Option::is_some);
        if self.gate.is_some() && is_newest && self.followed.keys().all(knows) {
            self.gate = None;
        }
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Service, Option<Vec<Endpoint>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, service: &Service, endpoints: Vec<Endpoint>) {
        let now = Some(endpoints);
        let before = self.lock().insert(service.clone(), now.clone());
        if before != Some(now) {
            self.version.send_modify(|version| *version += 1);
        }
    }

    /// Nobody can tell: what is known is kept.
    fn give_up(&self, service: &Service) {
        let mut known = self.lock();
        if !known.contains_key(service) {
            known.insert(service.clone(), None);
            drop(known);
            self.version.send_modify(|version| *version += 1);
        }
    }
}

/// Follows one Service.
struct Follower {
    service: Service,
    connection: Connection,
    board: Arc<Board>,
}

/// What was heard of a Service, each `None` before the first list.
#[derive(Debug, Default)]
struct Heard {
    slices: Option<Objects<EndpointSlice>>,
    /// The Service itself, if there is one; where it does not matter it counts as heard of.
    itself: Option<Option<Arc<core_v1::Service>>>,
    /// What was remarked last.
    remark: Option<String>,
}

impl Follower {
    async fn run(self) {
        let Service { namespace, name, port, .. } = &self.service;
        let by_number = match port {
            ServicePort::Number(_) => true,
            ServicePort::Name(_) => false,
        };
        let itself = (!by_number).then_some(None);
        let heard = Mutex::new(Heard { itself, ..Heard::default() });
        let lock = || heard.lock().unwrap_or_else(PoisonError::into_inner);
        let of = format!("{namespace}/{name}");

        let slices = async {
            let watch = self.connection.watches().begin(Resource::EndpointSlices, &*of);
            let labels = Some(format!("{LABEL}={name}"));
            let selection = Selection { namespace: namespace.to_string(), labels, fields: None };
            let tell = |slices: News<'_, EndpointSlice>| match slices {
                Ok(slices) => {
                    let mut heard = lock();
                    heard.slices = Some(slices.clone());
                    self.take_in(&mut heard);
                }
                Err(_) => self.board.give_up(&self.service),
            };
            watch::follow(&self.connection, &selection, &watch, tell).await;
        };
        let itself = async {
            if by_number {
                let watch = self.connection.watches().begin(Resource::Services, &*of);
                let selection = Selection::named(namespace, name);
                let tell = |services: News<'_, core_v1::Service>| match services {
                    Ok(services) => {
                        let mut heard = lock();
                        heard.itself = Some(services.values().next().cloned());
                        self.take_in(&mut heard);
                    }
                    Err(_) => self.board.give_up(&self.service),
                };
                watch::follow(&self.connection, &selection, &watch, tell).await;
            }
        };
        tokio::join!(slices, itself);
    }

    fn take_in(&self, heard: &mut Heard) {
        let (Some(slices), Some(itself)) = (&heard.slices, &heard.itself) else { return };
        let slices = slices.values().map(|slice| &**slice);
        let Found { endpoints, remark } = slices::find(&self.service, slices, itself.as_deref());
        if remark != heard.remark {
            if let Some(remark) = &remark {
                let Service { namespace, name, .. } = &self.service;
                tracing::warn!("Kubernetes: service {namespace}/{name}: {remark}");
            }
            heard.remark = remark;
        }
        self.board.put(&self.service, endpoints);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::tests::model;

    /// K3: with many thousands of pods a rollout must leave time for other things.
    #[tokio::test(start_paused = true)]
    async fn what_takes_long_to_put_to_use_is_done_less_often() {
        let mut model = model("http");
        let service = model.backends[0].source.followed().unwrap().clone();
        let mut discovery = Discovery::new(Connection::inferred(), None);
        let mut rests = Vec::new();
        for (pod, takes) in (1..).zip([0, 40, 60_000, 0]) {
            discovery.take(&mut model);
            tokio::time::advance(Duration::from_millis(takes)).await;
            discovery.in_use();
            // What comes next is not put to use by this.
            discovery.in_use();
            let since = Instant::now();
            discovery.board.put(&service, vec![service.endpoint("10.0.0.1", pod, None)]);
            discovery.changed().await;
            rests.push(since.elapsed().as_millis());
        }
        assert_eq!(rests, [50, 360, 1000, 50]);
    }
}
