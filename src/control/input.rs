//! Where the configuration comes from: a file, or a ConfigMap by the API. The files that it names are files either way.

use crate::config::watch::{Event, Options, ReadError, Source, Watcher};
use crate::kubernetes::{ConfigMapKey, ConfigMapWatch, Connection, Content};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long the first answer of the API server is waited for.
const FIRST_AT_MOST: Duration = Duration::from_secs(15);

/// Yields the configuration whenever it may be another, and says when a file that it names is.
#[derive(Debug)]
pub enum Input {
    /// A file.
    File(Watcher),
    /// A key of a ConfigMap.
    ConfigMap(Box<ConfigMapInput>),
}

/// A key of a ConfigMap, and the files that what is in it names.
#[derive(Debug)]
pub struct ConfigMapInput {
    files: Watcher,
    map: ConfigMapWatch,
    /// What it is called, for people.
    name: Arc<Path>,
    /// The hash of the content that was yielded last.
    last: [u8; 32],
    forced: Notify,
}

impl Input {
    /// The content of `key` as it is now, and an input that follows it. Call within a tokio runtime.
    ///
    /// # Errors
    /// When there is no such ConfigMap or key, or the API server does not tell.
    pub async fn config_map(
        connection: &Connection,
        key: ConfigMapKey,
    ) -> Result<(Source, Self), ReadError> {
        let path = PathBuf::from(key.to_string());
        let mut map = ConfigMapWatch::start(connection, key);
        let bytes = match map.first(FIRST_AT_MOST).await {
            Some(Content::Present(bytes)) => bytes,
            Some(Content::Missing(reason)) => return Err(ReadError::Unreadable { path, reason }),
            None => {
                let reason = format!(
                    "the API server has not told it within {FIRST_AT_MOST:?}; why, the log says"
                );
                return Err(ReadError::Unreadable { path, reason });
            }
        };
        let (_, files) = Watcher::start_all(&[] as &[&Path], Options::default())?;
        let name: Arc<Path> = path.into();
        let source = Source::new(Arc::clone(&name), bytes);
        let last = source.hash;
        let input = ConfigMapInput { files, map, name, last, forced: Notify::new() };
        Ok((source, Self::ConfigMap(Box::new(input))))
    }

    /// Follows the files at `paths` besides: see [`Watcher::follow`].
    pub fn follow(&self, paths: Vec<PathBuf>) {
        match self {
            Self::File(watcher) => watcher.follow(paths),
            Self::ConfigMap(input) => input.files.follow(paths),
        }
    }

    /// Yields an event for what is there now, even if nothing changed: see [`Watcher::force`].
    pub fn force(&self) {
        match self {
            Self::File(watcher) => watcher.force(),
            Self::ConfigMap(input) => {
                input.files.force();
                input.forced.notify_one();
            }
        }
    }

    /// The next event. Cancel safe.
    pub async fn next(&mut self) -> Event {
        match self {
            Self::File(watcher) => watcher.next().await,
            Self::ConfigMap(input) => input.next().await,
        }
    }
}

impl ConfigMapInput {
    async fn next(&mut self) -> Event {
        loop {
            let content = tokio::select! {
                event = self.files.next() => return event,
                content = self.map.changed() => Some(content),
                () = self.forced.notified() => self.map.now(),
            };
            if let Some(content) = content {
                return self.judge(content);
            }
        }
    }

    fn judge(&mut self, content: Content) -> Event {
        match content {
            Content::Missing(reason) => {
                let path = self.name.to_path_buf();
                Event::Failed(ReadError::Unreadable { path, reason })
            }
            Content::Present(bytes) => {
                let source = Source::new(Arc::clone(&self.name), bytes);
                // It was missing and is back, or somebody asked.
                if source.hash == self.last {
                    return Event::Unchanged(source);
                }
                self.last = source.hash;
                Event::Changed(source)
            }
        }
    }
}
