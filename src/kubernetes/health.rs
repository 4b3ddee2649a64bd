//! How well the watches do: counted for `/metrics`, and said once in the log.

use crate::telemetry::metrics::{self, Sample};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The endpoints of a Service.
    EndpointSlices,
    /// A Service itself, for the names of its ports.
    Services,
    /// The configuration.
    ConfigMaps,
}

/// Why a watch fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing says where the API server is, or what does cannot be used.
    Setup,
    /// There is no connection, or it broke.
    Unreachable,
    /// No answer came in time.
    Timeout,
    /// Our token is not accepted (401).
    Unauthorized,
    /// Our account may not (403).
    Forbidden,
    /// What we know is too old to go on from (410): everything is listed anew.
    Expired,
    /// The API server cannot at the moment: it has too much to do, or is about to start or to end (408, 429, 5xx).
    Unavailable,
    /// The API server answered something else that is no success.
    Refused,
    /// The answer is not what it should be.
    Malformed,
}

impl Resource {
    const ALL: [Self; 3] = [Self::EndpointSlices, Self::Services, Self::ConfigMaps];

    /// As the API calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointSlices => "endpointslices",
            Self::Services => "services",
            Self::ConfigMaps => "configmaps",
        }
    }

    /// What a role has to allow.
    const fn right(self) -> &'static str {
        match self {
            Self::EndpointSlices => "`endpointslices` in the group `discovery.k8s.io`",
            Self::Services => "`services`",
            Self::ConfigMaps => "`configmaps`",
        }
    }
}

impl Reason {
    const ALL: [Self; 9] = [
        Self::Setup,
        Self::Unreachable,
        Self::Timeout,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Expired,
        Self::Unavailable,
        Self::Refused,
        Self::Malformed,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Expired => "expired",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
        }
    }

    /// Whether it may be over without anybody's doing, so that the same is worth another try.
    pub(super) const fn passes(self) -> bool {
        match self {
            Self::Unreachable | Self::Timeout | Self::Unauthorized | Self::Unavailable => true,
            Self::Setup | Self::Forbidden | Self::Expired | Self::Refused | Self::Malformed => {
                false
            }
        }
    }

    /// That of an answer with this status.
    pub(super) const fn of_status(code: u16) -> Self {
        match code {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            410 => Self::Expired,
            408 | 429 | 500.. => Self::Unavailable,
            _ => Self::Refused,
        }
    }

    /// That of an error of the client, which is not ours and may get other variants.
    fn of(error: &kube::Error) -> Self {
        use kube::Error;
        match error {
            Error::Api(status) => Self::of_status(status.code),
            Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => Self::Unreachable,
            Error::SerdeError(_) | Error::FromUtf8(_) | Error::LinesCodecMaxLineLengthExceeded => {
                Self::Malformed
            }
            _ => Self::Setup,
        }
    }
}

/// What went wrong with a watch, or with something that was to be written.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// In the words of who noticed.
    pub(super) text: String,
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        let text = match &error {
            // Its own words have it twice, once for programmers.
            kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
            _ => causes(&error),
        };
        Self { reason: Reason::of(&error), text }
    }
}

impl Failure {
    pub(super) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.text)
    }
}

/// An error and what caused it, each once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        let words = one.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = one.source();
    }
    text
}

/// All watches of this process.
#[derive(Debug, Default)]
pub struct Watches {
    errors: [[AtomicU64; Reason::ALL.len()]; Resource::ALL.len()],
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_id: HashMap<u64, (Resource, Standing)>,
}

/// How a watch does.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// When all was known last; its begin at first.
    at: Instant,
    /// Whether it stands.
    stands: bool,
}

/// One watch; it is forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    watches: Arc<Watches>,
    id: u64,
    resource: Resource,
    /// What it is about, for people: `shop/web`.
    of: String,
    /// What was said last of its failure, and since when it fails.
    said: Mutex<Option<(Reason, Instant)>>,
}

impl Watches {
    pub(super) fn begin(self: &Arc<Self>, resource: Resource, of: impl Into<String>) -> Watch {
        let mut open = lock(&self.open);
        let id = open.next;
        open.next += 1;
        open.by_id.insert(id, (resource, Standing { at: Instant::now(), stands: false }));
        Watch { watches: Arc::clone(self), id, resource, of: of.into(), said: Mutex::default() }
    }

    /// How often watches of `resource` failed for `reason`.
    pub fn errors(&self, resource: Resource, reason: Reason) -> u64 {
        self.errors[resource as usize][reason as usize].load(Relaxed)
    }

    /// For `/metrics`: nothing where nothing is watched.
    pub fn samples(&self) -> Vec<Sample> {
        let open = lock(&self.open);
        let mut samples = Vec::new();
        for resource in Resource::ALL {
            let watches = open.by_id.values().filter(|(of, _)| *of == resource);
            let ages = watches.map(|(_, standing)| match standing.stands {
                true => 0.0,
                false => standing.at.elapsed().as_secs_f64(),
            });
            let oldest = ages.reduce(f64::max);
            if let Some(oldest) = oldest {
                samples.push(Sample::by(&metrics::WATCH_AGE, resource.name(), oldest));
            }
            for reason in Reason::ALL {
                let count = self.errors(resource, reason);
                // From zero on: who looks for an increase does not see the first otherwise.
                if count > 0 || oldest.is_some() {
                    samples.push(Sample::watch_errors(resource.name(), reason.name(), count));
                }
            }
        }
        samples
    }
}

impl Watch {
    /// All is known as it is now, whether or not it can be followed from here on.
    pub(super) fn listed(&self) {
        if let Some((_, standing)) = lock(&self.watches.open).by_id.get_mut(&self.id) {
            standing.at = Instant::now();
        }
    }

    /// From here on nothing is missed.
    pub(super) fn stands(&self) {
        self.note(true);
        if let Some((_, since)) = lock(&self.said).take() {
            let (resource, of) = (self.resource.name(), &self.of);
            let missed = since.elapsed().as_secs();
            tracing::info!("Kubernetes: {resource} of {of} are followed again, after {missed} s");
        }
    }

    /// Something may be missed from here on.
    pub(super) fn failed(&self, failure: &Failure) {
        self.watches.errors[self.resource as usize][failure.reason as usize].fetch_add(1, Relaxed);
        self.note(false);
        let (resource, of) = (self.resource.name(), &self.of);
        if !self.is_news(failure.reason) {
            tracing::debug!("Kubernetes: {resource} of {of}: {failure}");
            return;
        }
        let remedy = match failure.reason {
            Reason::Forbidden => format!(
                "; let a Role give this pod's ServiceAccount get, list and watch on {} there",
                self.resource.right()
            ),
            Reason::Setup => {
                "; outside a cluster, KUBECONFIG names the file that leads to one".to_owned()
            }
            Reason::Unreachable
            | Reason::Timeout
            | Reason::Unauthorized
            | Reason::Expired
            | Reason::Unavailable
            | Reason::Refused
            | Reason::Malformed => String::new(),
        };
        tracing::warn!(
            "Kubernetes: {resource} of {of} cannot be followed, what is known of them is kept: {failure}{remedy}"
        );
    }

    /// Whether a failure is to be said, which it is once.
    fn is_news(&self, reason: Reason) -> bool {
        // That is routine, and mended by the list that follows.
        if reason == Reason::Expired {
            return false;
        }
        let mut said = lock(&self.said);
        let since = said.map_or_else(Instant::now, |(_, since)| since);
        said.replace((reason, since)).is_none_or(|(before, _)| before != reason)
    }

    fn note(&self, stands: bool) {
        if let Some((_, standing)) = lock(&self.watches.open).by_id.get_mut(&self.id) {
            // A failure after another is no later knowledge.
            if stands || standing.stands {
                *standing = Standing { at: Instant::now(), stands };
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.watches.open).by_id.remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Value;
    use std::time::Duration;

    fn age(watches: &Watches) -> Option<f64> {
        let samples = watches.samples();
        let age = samples.iter().find(|sample| sample.metric == &metrics::WATCH_AGE)?;
        match age.value {
            Value::Number(age) => Some(age),
            Value::Durations(_) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_age_grows_from_the_first_failure_until_the_watch_stands_again() {
        let watches = Arc::new(Watches::default());
        assert_eq!(watches.samples(), []);
        let watch = watches.begin(Resource::EndpointSlices, "shop/web");
        let second = || tokio::time::advance(Duration::from_secs(1));
        second().await;
        assert_eq!(age(&watches), Some(1.0), "nothing is known yet");
        watch.stands();
        second().await;
        assert_eq!(age(&watches), Some(0.0));
        for failures in 0..3 {
            watch.failed(&Failure::new(Reason::Unreachable, "refused"));
            assert_eq!(age(&watches), Some(f64::from(failures)));
            second().await;
        }
        let other = watches.begin(Resource::EndpointSlices, "shop/api");
        other.stands();
        assert_eq!(age(&watches), Some(3.0), "the worst counts");
        watch.stands();
        assert_eq!(age(&watches), Some(0.0));
        assert_eq!(watches.errors(Resource::EndpointSlices, Reason::Unreachable), 3);
        drop((watch, other));
        assert_eq!(age(&watches), None, "nothing is watched any more");
    }

    #[tokio::test]
    async fn a_failure_is_said_once_until_the_watch_has_stood_or_the_reason_is_another() {
        let watch = Arc::<Watches>::default().begin(Resource::ConfigMaps, "edge/lb");
        let said = |reasons: &[Reason]| {
            reasons.iter().map(|reason| watch.is_news(*reason)).collect::<Vec<_>>()
        };
        use Reason::{Expired, Forbidden, Unreachable};
        let failures = [Unreachable, Unreachable, Expired, Unreachable, Forbidden, Forbidden];
        assert_eq!(said(&failures), [true, false, false, false, true, false]);
        watch.stands();
        assert_eq!(said(&[Expired, Forbidden, Forbidden]), [false, true, false]);
    }

    #[test]
    fn every_number_of_a_reason_and_of_a_resource_is_its_place() {
        assert!(Reason::ALL.iter().enumerate().all(|(place, one)| *one as usize == place));
        assert!(Resource::ALL.iter().enumerate().all(|(place, one)| *one as usize == place));
    }
}
