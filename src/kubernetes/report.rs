//! What is told about this pod in Kubernetes, where its account may: an Event for each edit, and the hash of what runs as an annotation.

use super::Task;
use super::backoff::Backoff;
use super::connection::Connection;
use super::health::{Failure, Reason};
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// The annotation with the hash of the configuration that runs.
const HASH: &str = "outrigger/config-hash";

/// The longest note of an Event, in bytes (the API takes 1 kB).
const LONGEST_NOTE: usize = 1024;

/// Events that wait; further ones are lost, which only a flood of edits can bring about.
const WAITING: usize = 64;

/// For a write to be answered.
const ANSWER: Duration = Duration::from_secs(15);

/// The pod that this process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThisPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its unique id, by which `kubectl describe` finds its Events.
    pub uid: Option<String>,
}

/// What became of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Applied,
    Refused,
}

/// Reports; nothing where nobody listens.
#[derive(Clone, Debug, Default)]
pub struct Reporter(Option<Arc<Reports>>);

#[derive(Debug)]
struct Reports {
    /// Each with its note. An Event that is late is none, so one that finds no place is let go.
    edits: mpsc::Sender<(Edit, String)>,
    /// That of the configuration that runs. The annotation has to be true in the end.
    hash: watch::Sender<String>,
    _task: Task,
}

impl ThisPod {
    /// The one that `variables` tell of, as a chart sets them by the downward API, if the process is in a cluster.
    pub fn told_by(variables: impl Fn(&str) -> Option<String>) -> Option<Self> {
        variables("KUBERNETES_SERVICE_HOST")?;
        let told = |name| variables(name).filter(|value| !value.is_empty());
        let (namespace, name) = (told("POD_NAMESPACE")?, told("POD_NAME")?);
        Some(Self { namespace, name, uid: told("POD_UID") })
    }
}

impl Reporter {
    /// Reports about `pod` from now on. Call within a tokio runtime.
    pub fn start(connection: &Connection, pod: ThisPod) -> Self {
        let (edits, waiting) = mpsc::channel(WAITING);
        let (hash, runs) = watch::channel(String::new());
        let writer = Writer { connection: connection.clone(), pod };
        let task = tokio::spawn(async move {
            tokio::join!(writer.write_events(waiting), writer.keep_annotation(runs));
        });
        Self(Some(Arc::new(Reports { edits, hash, _task: Task(task) })))
    }

    /// An edit was applied: the configuration with this hash, if it is known; in the words of the log.
    pub fn applied(&self, hash: Option<&str>, text: &str) {
        self.edited(Edit::Applied, hash, text);
    }

    /// An edit was refused, as [applied](Reporter::applied) ones are told.
    pub fn refused(&self, hash: Option<&str>, text: &str) {
        self.edited(Edit::Refused, hash, text);
    }

    fn edited(&self, edit: Edit, hash: Option<&str>, text: &str) {
        if let Self(Some(reports)) = self {
            // Full, or the runtime ends.
            let _ = reports.edits.try_send((edit, note(hash, text)));
        }
    }

    /// The configuration with this hash runs.
    pub fn runs(&self, hash: &str) {
        if let Self(Some(reports)) = self {
            reports.hash.send_if_modified(|known| {
                let is_other = known != hash;
                hash.clone_into(known);
                is_other
            });
        }
    }
}

impl Edit {
    /// The Event's type and reason.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Applied => ("Normal", "ConfigApplied"),
            Self::Refused => ("Warning", "ConfigRefused"),
        }
    }
}

struct Writer {
    connection: Connection,
    pod: ThisPod,
}

impl Writer {
    async fn write_events(&self, mut edits: mpsc::Receiver<(Edit, String)>) {
        let mut said = false;
        while let Some((edit, note)) = edits.recv().await {
            let written = self.write_event(edit, note).await;
            let right = "create on `events` in the group `events.k8s.io`";
            self.tell(&mut said, "Events", right, written);
        }
    }

    async fn keep_annotation(&self, mut runs: watch::Receiver<String>) {
        let mut said = false;
        while runs.changed().await.is_ok() {
            let mut backoff = Backoff::new();
            loop {
                let hash = runs.borrow_and_update().clone();
                let written = self.annotate(&hash).await;
                let again = written.as_ref().is_err_and(|failure| failure.reason.passes());
                let what = "the annotation outrigger/config-hash";
                self.tell(&mut said, what, "patch on `pods`", written);
                if !again {
                    break;
                }
                backoff.pause().await;
            }
        }
    }

    /// Says once that something cannot be written, and anew after it could.
    fn tell(&self, said: &mut bool, what: &str, right: &str, written: Result<(), Failure>) {
        let said = std::mem::replace(said, written.is_err());
        if let (Err(failure), false) = (written, said) {
            let ThisPod { namespace, name, .. } = &self.pod;
            tracing::info!(
                "Kubernetes: {what} of pod {namespace}/{name} cannot be written: {failure}; where it is wanted, let a Role give this \
                 pod's ServiceAccount {right}"
            );
        }
    }

    async fn write_event(&self, edit: Edit, note: String) -> Result<(), Failure> {
        let (kind, reason) = edit.words();
        let ThisPod { namespace, name, uid } = &self.pod;
        let event = Event {
            action: Some("Reload".to_owned()),
            event_time: Some(MicroTime(k8s_openapi::jiff::Timestamp::now())),
            metadata: ObjectMeta {
                generate_name: Some(format!("{name}-")),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            note: Some(note),
            reason: Some(reason.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: Some(name.clone()),
                namespace: Some(namespace.clone()),
                uid: uid.clone(),
                ..ObjectReference::default()
            }),
            reporting_controller: Some("outrigger".to_owned()),
            reporting_instance: Some(name.chars().take(128).collect()),
            type_: Some(kind.to_owned()),
            ..Event::default()
        };
        let events = Api::<Event>::namespaced(self.connection.client().await?, namespace);
        in_time(events.create(&PostParams::default(), &event)).await
    }

    async fn annotate(&self, hash: &str) -> Result<(), Failure> {
        let ThisPod { namespace, name, .. } = &self.pod;
        let pods = Api::<Pod>::namespaced(self.connection.client().await?, namespace);
        let patch = json!({ "metadata": { "annotations": { HASH: hash } } });
        in_time(pods.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch))).await
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<(), Failure> {
    match timeout(ANSWER, answer).await {
        Ok(answer) => Ok(answer.map(|_| ())?),
        Err(_) => Err(Failure::new(Reason::Timeout, format!("no answer within {ANSWER:?}"))),
    }
}

/// The note of an Event, as long as it may be. The hash comes first: by it replicas are compared.
fn note(hash: Option<&str>, text: &str) -> String {
    let mut note = match hash {
        Some(hash) => format!("configuration {hash}: {text}"),
        None => text.to_owned(),
    };
    if note.len() > LONGEST_NOTE {
        note.truncate(note.floor_char_boundary(LONGEST_NOTE - '…'.len_utf8()));
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::testing::FakeApi;
    use serde_json::Value;

    fn pod() -> ThisPod {
        let variables = |name: &str| {
            let value = match name {
                "KUBERNETES_SERVICE_HOST" => "10.96.0.1",
                "POD_NAMESPACE" => "edge",
                "POD_NAME" => "lb-1",
                "POD_UID" => "u-1",
                _ => return None,
            };
            Some(value.to_owned())
        };
        ThisPod::told_by(variables).unwrap()
    }

    async fn until<T>(api: &FakeApi, found: impl Fn(&FakeApi) -> Option<T>) -> T {
        for _ in 0..2000 {
            if let Some(found) = found(api) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", api.requests());
    }

    /// The Events, once there are so many.
    async fn events(api: &FakeApi, count: usize) -> Vec<Value> {
        let path = "/apis/events.k8s.io/v1/namespaces/edge/events";
        let events = |api: &FakeApi| {
            let events: Vec<_> = written_to(api, path).collect();
            (events.len() >= count).then_some(events)
        };
        until(api, events).await
    }

    /// The hash that the annotation came to have.
    async fn annotated(api: &FakeApi) -> Value {
        let path = "/api/v1/namespaces/edge/pods/lb-1";
        let patch = until(api, |api| written_to(api, path).last()).await;
        patch["metadata"]["annotations"][HASH].clone()
    }

    fn written_to(api: &FakeApi, path: &str) -> impl Iterator<Item = Value> {
        api.written().into_iter().filter(move |(at, _)| at == path).map(|(_, body)| body)
    }

    #[test]
    fn without_the_names_of_the_pod_nothing_is_reported() {
        assert_eq!(ThisPod::told_by(|_| None), None);
        let unnamed = |name: &str| (name != "POD_NAME").then(|| "x".to_owned());
        assert_eq!(ThisPod::told_by(unnamed), None);
        Reporter::default().applied(None, "nobody listens");
    }

    #[tokio::test]
    async fn edits_are_events_of_the_pod_and_the_hash_is_its_annotation() {
        let api = FakeApi::start().await;
        let reporter = Reporter::start(&Connection::plain(api.address()), pod());
        reporter.runs("abc");
        reporter.applied(Some("abc"), "generation 2");
        reporter.refused(Some("def"), &"ä".repeat(1000));
        reporter.refused(None, "it is missing");
        assert_eq!(annotated(&api).await, "abc");
        let events = events(&api, 3).await;
        let event = &events[0];
        assert_eq!((&event["type"], &event["reason"]), (&json!("Normal"), &json!("ConfigApplied")));
        assert_eq!(event["note"], "configuration abc: generation 2");
        assert_eq!(event["regarding"]["uid"], "u-1");
        let event = &events[1];
        assert_eq!(
            (&event["type"], &event["reason"]),
            (&json!("Warning"), &json!("ConfigRefused"))
        );
        let note = event["note"].as_str().unwrap();
        assert!(note.len() <= LONGEST_NOTE && note.ends_with("ä…"), "{}", note.len());
        assert!(note.starts_with("configuration def: ä"), "{note}");
        assert_eq!(events[2]["note"], "it is missing");
    }

    #[tokio::test(start_paused = true)]
    async fn the_hash_is_written_in_the_end_though_the_api_server_was_away_or_could_not() {
        let api = FakeApi::start().await;
        api.go_away(true);
        let reporter = Reporter::start(&Connection::plain(api.address()), pod());
        reporter.runs("old");
        let asked = async |more: usize| {
            let from = api.requests().len();
            until(&api, |api| (api.requests().len() >= from + more).then_some(())).await;
        };
        asked(1).await;
        reporter.runs("new");
        for refusal in
            [(503, "ServiceUnavailable"), (429, "TooManyRequests"), (401, "Unauthorized")]
        {
            api.refuse(Some(refusal));
            api.go_away(false);
            asked(1).await;
        }
        api.refuse(None);
        assert_eq!(annotated(&api).await, "new");
    }

    #[tokio::test]
    async fn what_the_pod_may_not_write_is_not_tried_again_until_there_is_something_new() {
        let api = FakeApi::start().await;
        api.refuse(Some((403, "Forbidden")));
        let reporter = Reporter::start(&Connection::plain(api.address()), pod());
        reporter.runs("old");
        until(&api, |api| (api.requests().len() == 1).then_some(())).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(api.requests().len(), 1, "{:?}", api.requests());
        api.refuse(None);
        reporter.runs("new");
        assert_eq!(annotated(&api).await, "new");
    }
}
