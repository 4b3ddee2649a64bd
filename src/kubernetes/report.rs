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
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The annotation with the hash of the configuration that runs.
const HASH: &str = "outrigger/config-hash";

/// The longest note of an Event, in bytes (the API takes 1 kB).
const LONGEST_NOTE: usize = 1024;

/// Reports that wait; further ones are lost, which only a flood of edits can bring about.
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

#[derive(Debug)]
enum Report {
    /// With its note.
    Edit(Edit, String),
    /// The configuration with this hash.
    Runs(String),
}

/// Reports; nothing where nobody listens.
#[derive(Clone, Debug, Default)]
pub struct Reporter(Option<(mpsc::Sender<Report>, Arc<Task>)>);

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
        let (sender, reports) = mpsc::channel(WAITING);
        let writer = Writer { connection: connection.clone(), pod, said: [false; 2] };
        let task = tokio::spawn(writer.run(reports));
        Self(Some((sender, Arc::new(Task(task)))))
    }

    /// An edit was applied: the configuration with this hash, if it is known; in the words of the log.
    pub fn applied(&self, hash: Option<&str>, text: &str) {
        self.send(Report::Edit(Edit::Applied, note(hash, text)));
    }

    /// An edit was refused, as [applied](Reporter::applied) ones are told.
    pub fn refused(&self, hash: Option<&str>, text: &str) {
        self.send(Report::Edit(Edit::Refused, note(hash, text)));
    }

    /// The configuration with this hash runs.
    pub fn runs(&self, hash: &str) {
        self.send(Report::Runs(hash.to_owned()));
    }

    fn send(&self, report: Report) {
        if let Some((sender, _)) = &self.0 {
            // Full, or the runtime ends.
            let _ = sender.try_send(report);
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
    /// Whether it was said that Events, or the annotation, cannot be written.
    said: [bool; 2],
}

impl Writer {
    async fn run(mut self, mut reports: mpsc::Receiver<Report>) {
        let mut backoff = Backoff::new();
        // An Event that is late is none; the annotation has to be true in the end.
        let (mut hash, mut last) = (None, None);
        loop {
            let report = tokio::select! {
                report = reports.recv() => match report {
                    Some(report) => Some(report),
                    None => return,
                },
                () = backoff.pause(), if hash.is_some() => None,
            };
            match report {
                Some(Report::Edit(edit, note)) => {
                    let written = self.write_event(edit, note).await;
                    self.tell(
                        0,
                        "Events",
                        "create on `events` in the group `events.k8s.io`",
                        written,
                    );
                    continue;
                }
                Some(Report::Runs(now)) if last.as_ref() == Some(&now) => continue,
                Some(Report::Runs(now)) => {
                    backoff.reset();
                    last = Some(now.clone());
                    hash = Some(now);
                }
                None => {}
            }
            let Some(now) = &hash else { continue };
            let written = self.annotate(now).await;
            let is_final = written.as_ref().err().is_none_or(|failure| match failure.reason {
                Reason::Unreachable | Reason::Timeout => false,
                Reason::Setup
                | Reason::Unauthorized
                | Reason::Forbidden
                | Reason::Expired
                | Reason::Refused
                | Reason::Malformed => true,
            });
            if is_final {
                hash = None;
            }
            self.tell(1, "the annotation outrigger/config-hash", "patch on `pods`", written);
        }
    }

    /// Says once that something cannot be written, and anew after it could.
    fn tell(&mut self, which: usize, what: &str, right: &str, written: Result<(), Failure>) {
        let said = std::mem::replace(&mut self.said[which], written.is_err());
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

    async fn written(api: &FakeApi, count: usize) -> Vec<(String, Value)> {
        for _ in 0..2000 {
            let written = api.written();
            if written.len() >= count {
                return written;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", api.requests());
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
        let written = written(&api, 4).await;
        let (path, patch) = &written[0];
        assert_eq!(path, "/api/v1/namespaces/edge/pods/lb-1");
        assert_eq!(patch["metadata"]["annotations"], json!({ HASH: "abc" }));
        let (path, event) = &written[1];
        assert_eq!(path, "/apis/events.k8s.io/v1/namespaces/edge/events");
        assert_eq!((&event["type"], &event["reason"]), (&json!("Normal"), &json!("ConfigApplied")));
        assert_eq!(event["note"], "configuration abc: generation 2");
        assert_eq!(event["regarding"]["uid"], "u-1");
        let (_, event) = &written[2];
        assert_eq!(
            (&event["type"], &event["reason"]),
            (&json!("Warning"), &json!("ConfigRefused"))
        );
        let note = event["note"].as_str().unwrap();
        assert!(note.len() <= LONGEST_NOTE && note.ends_with("ä…"), "{}", note.len());
        assert!(note.starts_with("configuration def: ä"), "{note}");
        assert_eq!(written[3].1["note"], "it is missing");
    }

    #[tokio::test]
    async fn the_hash_is_written_in_the_end_though_the_api_server_was_away() {
        let api = FakeApi::start().await;
        api.go_away(true);
        let reporter = Reporter::start(&Connection::plain(api.address()), pod());
        reporter.runs("old");
        reporter.runs("new");
        while api.requests().len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        api.go_away(false);
        let written = written(&api, 1).await;
        assert_eq!(written[0].1["metadata"]["annotations"][HASH], "new");
    }
}
