//! One watch: lists the objects of a kind, hears of changes from then on, and never gives up.
//!
//! kube's own watcher does not tell that a watch stands again after a failure until something changes, which may be in a month; whether what
//! we know is the truth has to be known sooner.

use super::backoff::Backoff;
use super::connection::Connection;
use super::health::{Failure, Reason, Watch};
use futures_util::TryStreamExt;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the API server may take to begin an answer, and for a list to end it.
const ANSWER: Duration = Duration::from_secs(15);

/// How long a watch lasts, in seconds, before the API server ends it, as it is asked to: half-dead connections do not get old.
const LASTS: u32 = 240;

/// Without a word for this long a connection is dead: the API server sends a bookmark every minute.
const SILENCE: Duration = Duration::from_secs(90);

/// A watch that ends before it is this old has a reason to.
const SHORT: Duration = Duration::from_secs(1);

/// How long an API server that answers may keep us from going on before everything is listed anew. When it is overloaded, lists of all of
/// us are the last that it needs; but what it cannot go on from, such as a version that it does not know, it may never be able to.
const GOES_ON: Duration = Duration::from_secs(60);

/// Which objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub(super) namespace: String,
    /// What labels must say.
    pub(super) labels: Option<String>,
    /// What fields must say. A role may be for a single object only if its name is asked for here.
    pub(super) fields: Option<String>,
}

impl Selection {
    /// The one object of that name.
    pub(super) fn named(namespace: &str, name: &str) -> Self {
        let fields = Some(format!("metadata.name={name}"));
        Self { namespace: namespace.to_owned(), labels: None, fields }
    }
}

/// The objects by their names. Whoever keeps them shares them: there may be many, and each change tells of all.
pub(super) type Objects<K> = BTreeMap<String, Arc<K>>;

/// What is told of the objects: that they are these, or why nobody can say now. Then they may still be what they were.
pub(super) type News<'n, K> = Result<&'n Objects<K>, &'n Failure>;

/// Follows the objects of `selection` for ever: `tell` hears of them once they are known, whenever they are others, and of each failure.
/// Cancel safe.
pub(super) async fn follow<K>(
    connection: &Connection,
    selection: &Selection,
    watch: &Watch,
    mut tell: impl FnMut(News<'_, K>),
) where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Debug,
{
    let mut backoff = Backoff::new();
    loop {
        // Everything is listed again only if we cannot go on from what we know.
        let failure = match begin(connection, selection).await {
            Ok(mut known) => {
                watch.listed();
                tell(Ok(&known.objects));
                known.hear(watch, &mut backoff, &mut tell).await
            }
            Err(failure) => failure,
        };
        watch.failed(&failure);
        tell(Err(&failure));
        backoff.pause().await;
    }
}

/// What is known, and since when.
struct Known<'s, K> {
    api: Api<K>,
    selection: &'s Selection,
    objects: Objects<K>,
    version: String,
}

async fn begin<'s, K>(
    connection: &Connection,
    selection: &'s Selection,
) -> Result<Known<'s, K>, Failure>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Debug,
{
    let api = Api::<K>::namespaced(connection.client().await?, &selection.namespace);
    let params = ListParams {
        label_selector: selection.labels.clone(),
        field_selector: selection.fields.clone(),
        ..ListParams::default()
    };
    let list = in_time(api.list(&params)).await?;
    let version = list.metadata.resource_version.unwrap_or_default();
    let objects = list.items.into_iter().map(kept).collect();
    Ok(Known { api, selection, objects, version })
}

/// An object under its name, without what is of no use here: who changed which field when, which is as long as all the rest.
fn kept<K: Resource>(mut object: K) -> (String, Arc<K>) {
    object.managed_fields_mut().clear();
    (object.name_any(), Arc::new(object))
}

impl<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug> Known<'_, K> {
    /// Hears of changes, over one watch after the other, as long as the API server lets us go on from where we are.
    async fn hear(
        &mut self,
        watch: &Watch,
        backoff: &mut Backoff,
        tell: &mut impl FnMut(News<'_, K>),
    ) -> Failure {
        let mut kept_since = None;
        loop {
            let (began, from) = (Instant::now(), self.version.clone());
            let ended = self.hear_once(watch, backoff, tell).await;
            if self.version != from {
                kept_since = None;
            }
            let failure = match ended {
                Ok(()) if began.elapsed() >= SHORT => continue,
                // Who ends it at once would be asked without end.
                Ok(()) => {
                    backoff.pause().await;
                    continue;
                }
                Err(failure) => failure,
            };
            let goes_on = match failure.reason {
                Reason::Unreachable | Reason::Timeout => {
                    kept_since = None;
                    true
                }
                Reason::Unauthorized | Reason::Unavailable => {
                    kept_since.get_or_insert(began).elapsed() < GOES_ON
                }
                // What we know may be too old, or a role allows lists and no watches: then lists have to do.
                Reason::Setup
                | Reason::Forbidden
                | Reason::Expired
                | Reason::Refused
                | Reason::Malformed => false,
            };
            if !goes_on {
                return failure;
            }
            watch.failed(&failure);
            tell(Err(&failure));
            backoff.pause().await;
        }
    }

    /// Hears of changes until the API server ends the watch.
    async fn hear_once(
        &mut self,
        watch: &Watch,
        backoff: &mut Backoff,
        tell: &mut impl FnMut(News<'_, K>),
    ) -> Result<(), Failure> {
        let params = WatchParams {
            label_selector: self.selection.labels.clone(),
            field_selector: self.selection.fields.clone(),
            timeout: Some(LASTS),
            ..WatchParams::default()
        };
        let mut events = pin!(in_time(self.api.watch(&params, &self.version)).await?);
        watch.stands();
        loop {
            let event = timeout(SILENCE, events.try_next()).await;
            let silent = |_| Failure::new(Reason::Timeout, "not a word for too long");
            match event.map_err(silent)?? {
                None => return Ok(()),
                Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    self.version = object.resource_version().unwrap_or_default();
                    self.objects.extend([kept(object)]);
                    tell(Ok(&self.objects));
                }
                Some(WatchEvent::Deleted(object)) => {
                    self.version = object.resource_version().unwrap_or_default();
                    self.objects.remove(&object.name_any());
                    tell(Ok(&self.objects));
                }
                Some(WatchEvent::Bookmark(bookmark)) => {
                    self.version = bookmark.metadata.resource_version;
                }
                Some(WatchEvent::Error(status)) => {
                    return Err(kube::Error::Api(status).into());
                }
            }
            backoff.reset();
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    match timeout(ANSWER, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::new(Reason::Timeout, format!("no answer within {ANSWER:?}"))),
    }
}
