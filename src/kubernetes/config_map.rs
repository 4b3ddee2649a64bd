//! The configuration in a ConfigMap, read from the API: an edit counts at once, while a mounted volume lags behind by up to a minute.

use super::Task;
use super::connection::Connection;
use super::health::Resource;
use super::watch::{self, News, Selection};
use bytes::Bytes;
use k8s_openapi::api::core::v1::ConfigMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::watch::{Receiver, channel};

/// The key that is read where none is named.
const DEFAULT_KEY: &str = "config.yaml";

/// A key of a ConfigMap: `NAMESPACE/NAME` or `NAMESPACE/NAME:KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMapKey {
    /// The ConfigMap's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// What is under the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// This.
    Present(Bytes),
    /// Nothing, for this reason.
    Missing(String),
}

/// Follows a key of a ConfigMap until it is dropped.
#[derive(Debug)]
pub struct ConfigMapWatch {
    /// `None` before the first list.
    content: Receiver<Option<Content>>,
    _task: Task,
}

impl FromStr for ConfigMapKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (map, key) = text.split_once(':').unwrap_or((text, DEFAULT_KEY));
        let (namespace, name) = map.split_once('/').unwrap_or_default();
        let is_plain = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !part.is_empty() && part.len() <= 253 && part.bytes().all(plain)
        };
        match [namespace, name, key].into_iter().all(is_plain) {
            true => Ok(Self { namespace: namespace.into(), name: name.into(), key: key.into() }),
            false => Err("wanted is NAMESPACE/NAME or NAMESPACE/NAME:KEY".to_owned()),
        }
    }
}

impl fmt::Display for ConfigMapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, key } = self;
        write!(f, "configmap {namespace}/{name}:{key}")
    }
}

impl ConfigMapWatch {
    /// Begins to follow `key`. Call within a tokio runtime.
    pub fn start(connection: &Connection, key: ConfigMapKey) -> Self {
        let (sender, content) = channel(None);
        let connection = connection.clone();
        let task = tokio::spawn(async move {
            let of = format!("{}/{}", key.namespace, key.name);
            let watch = connection.watches().begin(Resource::ConfigMaps, of);
            let selection = Selection::named(&key.namespace, &key.name);
            let tell = |maps: News<'_, ConfigMap>| {
                // What is known is kept.
                let Ok(maps) = maps else { return };
                let now = Some(key.content(maps.values().next().map(|map| &**map)));
                sender.send_if_modified(|known| {
                    let is_other = *known != now;
                    *known = now;
                    is_other
                });
            };
            watch::follow(&connection, &selection, &watch, tell).await;
        });
        Self { content, _task: Task(task) }
    }

    /// What is there, as soon as that is known; `None` if it is not within `at_most`.
    pub async fn first(&mut self, at_most: Duration) -> Option<Content> {
        let known = self.content.wait_for(Option::is_some);
        let known = tokio::time::timeout(at_most, known).await.ok()?.ok()?;
        known.clone()
    }

    /// What is there now, as far as it is known.
    pub fn now(&self) -> Option<Content> {
        self.content.borrow().clone()
    }

    /// What is there once it is something else than what was told last. Cancel safe.
    pub async fn changed(&mut self) -> Content {
        loop {
            if self.content.changed().await.is_err() {
                // The task ends with this only.
                std::future::pending::<()>().await;
            }
            if let Some(content) = self.content.borrow_and_update().clone() {
                return content;
            }
        }
    }
}

impl ConfigMapKey {
    fn content(&self, map: Option<&ConfigMap>) -> Content {
        let Some(map) = map else {
            return Content::Missing("there is no such ConfigMap".to_owned());
        };
        let text = map.data.as_ref().and_then(|data| data.get(&self.key));
        let binary = map.binary_data.as_ref().and_then(|data| data.get(&self.key));
        match (text, binary) {
            (Some(text), _) => Content::Present(Bytes::copy_from_slice(text.as_bytes())),
            (None, Some(bytes)) => Content::Present(Bytes::copy_from_slice(&bytes.0)),
            (None, None) => {
                let keys = [
                    map.data.iter().flatten().map(|(key, _)| &**key).collect::<Vec<_>>(),
                    map.binary_data.iter().flatten().map(|(key, _)| &**key).collect(),
                ]
                .concat();
                let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
                Content::Missing(format!("the ConfigMap has no key {}; its keys: {keys}", self.key))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::testing::FakeApi;
    use serde_json::json;

    const MAPS: &str = "namespaces/edge/configmaps";

    #[test]
    fn a_key_is_named_by_namespace_name_and_key() {
        let read = |text: &str| text.parse::<ConfigMapKey>().map(|key| key.to_string());
        assert_eq!(read("edge/lb"), Ok("configmap edge/lb:config.yaml".to_owned()));
        assert_eq!(read("edge/lb:b.yaml"), Ok("configmap edge/lb:b.yaml".to_owned()));
        for wrong in ["", "lb", "/lb", "edge/", "edge/lb:", "a/b/c", "edge/lb:a:b", "edge/l b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn each_edit_of_the_key_is_told_at_once_and_no_other() {
        let api = FakeApi::start().await;
        api.put(MAPS, "other", json!({ "data": { "config.yaml": "other" } }));
        let connection = Connection::plain(api.address());
        let mut map = ConfigMapWatch::start(&connection, "edge/lb".parse().unwrap());
        let missing = |why: &str| Content::Missing(why.to_owned());
        let present = |text: &'static str| Content::Present(Bytes::from_static(text.as_bytes()));
        let first = map.first(Duration::from_secs(20)).await;
        assert_eq!(first, Some(missing("there is no such ConfigMap")));
        api.put(MAPS, "lb", json!({ "data": { "config.yaml": "one", "b": "x" } }));
        assert_eq!(map.changed().await, present("one"));
        api.put(MAPS, "lb", json!({ "data": { "config.yaml": "one", "b": "y" } }));
        api.put(MAPS, "lb", json!({ "binaryData": { "config.yaml": "dHdv" } }));
        assert_eq!(map.changed().await, present("two"));
        api.put(MAPS, "lb", json!({ "data": { "a": "x", "b": "y" } }));
        let why = "the ConfigMap has no key config.yaml; its keys: a, b";
        assert_eq!(map.changed().await, missing(why));
        api.delete(MAPS, "lb");
        assert_eq!(map.changed().await, missing("there is no such ConfigMap"));
        assert_eq!(map.now(), Some(missing("there is no such ConfigMap")));
    }
}
