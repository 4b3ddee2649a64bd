//! Watches files and yields their bytes when the content changed and is complete.
//!
//! What is watched is every *directory* in which a swap can happen: the file's own and those of all symbolic
//! links on the way, because a ConfigMap is updated by renaming the link `..data` and an editor renames, too.
//! Notifications only say "look again", whatever their kind; what counts is the hash of the content. A look
//! every few seconds stands in where notifications fail.

mod mount;
mod settle;
mod trail;

pub use mount::mount_warning;

use bytes::Bytes;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecursiveMode};
use settle::{Print, Settle, Verdict};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::time::Instant;
use trail::{Place, Trail};

/// How patient a [`Watcher`] is. The default is right for everything but tests.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether to ask the operating system for notifications; without, only `poll` finds changes.
    pub notifications: bool,
    /// Looks happen at least this often, whatever the notifications say.
    pub poll: Duration,
    /// Looks that follow notifications are at least this far apart, so that a burst is one look.
    pub debounce: Duration,
    /// Two reads of a file written in place count when they are equal and this far apart.
    pub quiet: Duration,
    /// A file that is written without end counts after this time as it is.
    pub limit: Duration,
    /// Larger files, in bytes, are refused.
    pub max_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            notifications: true,
            poll: Duration::from_secs(2),
            debounce: Duration::from_millis(10),
            quiet: Duration::from_millis(50),
            limit: Duration::from_secs(1),
            max_bytes: 16 << 20,
        }
    }
}

/// The content of a file at one moment.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as it was given to [`Watcher::start`].
    pub path: Arc<Path>,
    /// The whole content.
    pub bytes: Bytes,
    /// The SHA-256 of `bytes`.
    pub hash: [u8; 32],
    /// When it was read.
    pub read_at: SystemTime,
}

/// Why there is no content, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing is at the path, or a link on the way leads nowhere.
    #[error("{}{} does not exist", if place == path { String::new() } else { format!("{}: ", path.display()) }, place.display())]
    Missing {
        /// The path, made absolute.
        path: PathBuf,
        /// What exactly does not exist: the path, or something on the way to it.
        place: PathBuf,
    },
    /// Something is at the path that cannot be read.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The path, made absolute.
        path: PathBuf,
        /// What it is, and what would be right.
        reason: String,
    },
}

/// What a [`Watcher`] has to say about one of its files.
#[derive(Clone, Debug)]
pub enum Event {
    /// The content differs from the last that was yielded.
    Changed(Source),
    /// The content is the last that was yielded: a look was forced, or the file had been missing and is back.
    Unchanged(Source),
    /// The file is gone or cannot be read; said once. The last content remains the one to go by.
    Failed(ReadError),
    /// Something became of the files that are [followed](Watcher::follow): who uses them reads them again.
    Followed,
}

/// Watches a set of files until it is dropped.
///
/// Looks and reads happen on a thread of their own, so that a file system that hangs stops nothing else.
#[derive(Debug)]
pub struct Watcher {
    wakes: Sender<Wake>,
    events: mpsc::Receiver<Event>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wake {
    Notified,
    Forced,
    Follow(Vec<PathBuf>),
    Stop,
}

impl Watcher {
    /// Reads the file at `path` as it is now and watches it from then on.
    pub fn start(path: &Path, options: Options) -> Result<(Source, Self), ReadError> {
        let (mut sources, watcher) = Self::start_all(&[path], options)?;
        // One path gives one source.
        Ok((sources.remove(0), watcher))
    }

    /// Reads the files at `paths`, all or none, and watches them from then on; the sources are in the order of
    /// the paths.
    pub fn start_all(
        paths: &[impl AsRef<Path>],
        options: Options,
    ) -> Result<(Vec<Source>, Self), ReadError> {
        let (wakes, woken) = channel();
        let notifier = options.notifications.then(|| notifier(wakes.clone())).flatten();
        Self::start_with(paths, options, notifier, wakes, woken)
    }

    fn start_with(
        paths: &[impl AsRef<Path>],
        options: Options,
        notifier: Option<Notifier>,
        wakes: Sender<Wake>,
        woken: Receiver<Wake>,
    ) -> Result<(Vec<Source>, Self), ReadError> {
        // One place: who is slow to take an event finds the newest content behind it, not a queue.
        let (yields, events) = mpsc::channel(1);
        let mut eye = Eye {
            files: Vec::new(),
            followed: Vec::new(),
            news: false,
            notifier,
            watched: BTreeMap::new(),
            warned: false,
            options,
        };
        let mut sources = Vec::new();
        for path in paths {
            let given = path.as_ref();
            let absolute = std::path::absolute(given).map_err(|error| ReadError::Unreadable {
                path: given.into(),
                reason: format!("cannot find the working directory it is relative to: {error}"),
            })?;
            let (bytes, place) = Trail::follow(&absolute).read(&absolute, eye.options.max_bytes)?;
            let source = Source::new(given.into(), bytes);
            let settle = Settle::new(source.hash, eye.options.quiet, eye.options.limit);
            let place = Some(place);
            eye.files.push(File { path: source.path.clone(), absolute, place, settle });
            sources.push(source);
        }
        let first = paths.first().map(|path| path.as_ref().to_owned()).unwrap_or_default();
        std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || eye.run(&woken, &yields))
            .map_err(|error| ReadError::Unreadable {
                path: first,
                reason: format!("cannot start the thread that watches it: {error}"),
            })?;
        Ok((sources, Self { wakes, events }))
    }

    /// Follows the files at `paths` besides, and none that it followed before and that is not among them. They need not be there.
    ///
    /// [`Event::Followed`] says that one of them has other content, is gone, or is back; several that are written one after the other,
    /// as a certificate and its key are, make one event. It also comes once the watch of a new one has begun: what was read before may
    /// have changed unseen.
    pub fn follow(&self, paths: Vec<PathBuf>) {
        // Fails only after the thread has ended, which `next` reports.
        let _ = self.wakes.send(Wake::Follow(paths));
    }

    /// Looks at every file now and yields one event for each, and one for all that are followed, even if
    /// nothing changed.
    pub fn force(&self) {
        // Fails only after the thread has ended, which `next` reports.
        let _ = self.wakes.send(Wake::Forced);
    }

    /// The next event. Cancel safe.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => {
                tracing::error!(
                    "the thread that watches files has ended; changes are not noticed until a restart"
                );
                std::future::pending().await
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.wakes.send(Wake::Stop);
    }
}

impl Source {
    /// The content `bytes` of what is called `path`, read now.
    pub fn new(path: Arc<Path>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let hash = Sha256::digest(&bytes).into();
        Self { path, bytes, hash, read_at: SystemTime::now() }
    }
}

type Notifier = Box<dyn notify::Watcher + Send>;

/// The thread's state.
struct Eye {
    files: Vec<File>,
    followed: Vec<File>,
    /// Whether something became of the followed files that was not said yet.
    news: bool,
    options: Options,
    notifier: Option<Notifier>,
    watched: BTreeMap<PathBuf, Identity>,
    warned: bool,
}

/// Device, inode and birth of a directory. One that was removed and made again is another, which takes a new watch,
/// and often has the inode of the old one.
type Identity = (u64, u64, Option<SystemTime>);

struct File {
    path: Arc<Path>,
    absolute: PathBuf,
    /// Of the content that was accepted last.
    place: Option<Place>,
    settle: Settle,
}

/// Nobody takes the events any more.
struct Closed;

impl Eye {
    fn run(mut self, woken: &Receiver<Wake>, yields: &mpsc::Sender<Event>) {
        let mut renewed = Instant::now();
        loop {
            // Also right away: something may have changed between the first read and the first watch.
            let looked = Instant::now();
            let renew = looked >= renewed + self.options.poll;
            if renew {
                renewed = looked;
            }
            let Ok(next) = self.look(looked, renew, yields) else { return };
            let mut wake = match woken.recv_timeout(next.saturating_duration_since(Instant::now()))
            {
                Ok(wake) => Some(wake),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if matches!(wake, Some(Wake::Notified)) {
                let earliest = looked + self.options.debounce;
                std::thread::sleep(earliest.saturating_duration_since(Instant::now()));
            }
            while let Some(reason) = wake {
                match reason {
                    Wake::Notified => {}
                    Wake::Forced => {
                        let all = self.files.iter_mut().chain(&mut self.followed);
                        all.for_each(|file| file.settle.force());
                    }
                    Wake::Follow(paths) => self.retarget(paths),
                    Wake::Stop => return,
                }
                wake = woken.try_recv().ok();
            }
        }
    }

    /// Looks at every file and says when to look again at the latest.
    fn look(
        &mut self,
        now: Instant,
        renew: bool,
        yields: &mpsc::Sender<Event>,
    ) -> Result<Instant, Closed> {
        let trails = self.survey(renew);
        let mut next = now + self.options.poll;
        let mut trails = trails.into_iter();
        for (file, trail) in self.files.iter_mut().zip(&mut trails) {
            let (verdict, event) = file.look(trail, self.options.max_bytes);
            if let Verdict::LookAgain(at) = verdict {
                next = next.min(at);
            }
            if let Some(event) = event {
                yields.blocking_send(event).map_err(|_| Closed)?;
            }
        }
        let mut unsettled = false;
        for (file, trail) in self.followed.iter_mut().zip(trails) {
            match file.look(trail, self.options.max_bytes).0 {
                Verdict::Nothing => {}
                Verdict::LookAgain(at) => {
                    next = next.min(at);
                    unsettled = true;
                }
                Verdict::Changed | Verdict::Unchanged | Verdict::Failed => self.news = true,
            }
        }
        // Who was told of the first of two that belong together would find the other half written.
        if self.news && !unsettled {
            self.news = false;
            yields.blocking_send(Event::Followed).map_err(|_| Closed)?;
        }
        Ok(next)
    }

    /// Follows the files at `paths` and no others; what is known of those that stay is kept.
    fn retarget(&mut self, paths: Vec<PathBuf>) {
        let Options { quiet, limit, .. } = self.options;
        let mut known: BTreeMap<_, _> =
            self.followed.drain(..).map(|file| (Arc::clone(&file.path), file)).collect();
        for path in paths {
            let unseen = || File {
                path: path.as_path().into(),
                absolute: std::path::absolute(&path).unwrap_or_else(|_| path.clone()),
                place: None,
                settle: Settle::unseen(quiet, limit),
            };
            self.followed.push(known.remove(path.as_path()).unwrap_or_else(unseen));
        }
    }

    /// Follows all paths and watches the directories on the way, until no new one turns up: what is read
    /// afterwards cannot change without a notification.
    fn survey(&mut self, renew: bool) -> Vec<Trail> {
        // Bounded, because somebody may move directories around faster than we follow.
        for round in 0..8 {
            let trails = self.follow();
            if !self.aim(&trails, renew && round == 0) {
                return trails;
            }
        }
        self.follow()
    }

    fn follow(&self) -> Vec<Trail> {
        let all = self.files.iter().chain(&self.followed);
        all.map(|file| Trail::follow(&file.absolute)).collect()
    }

    /// Watches the directories of `trails` and no others. Says whether there were new ones.
    ///
    /// `renew` asks again for those that are watched, which does nothing to a watch that is intact: notify forgets
    /// one when it hears late that a former directory of that name was removed.
    fn aim(&mut self, trails: &[Trail], renew: bool) -> bool {
        let Some(notifier) = &mut self.notifier else { return false };
        let wanted: BTreeMap<PathBuf, Identity> = trails
            .iter()
            .flat_map(|trail| &trail.directories)
            .filter_map(|directory| {
                let metadata = directory.metadata().ok()?;
                let identity = (metadata.dev(), metadata.ino(), metadata.created().ok());
                Some((directory.clone(), identity))
            })
            .collect();
        self.watched.retain(|directory, identity| {
            let keep = wanted.get(directory) == Some(identity);
            if !keep {
                // An error says that it is not watched any more, because it is gone.
                let _ = notifier.unwatch(directory);
            }
            keep
        });
        let mut new = false;
        for (directory, identity) in wanted {
            if !renew && self.watched.contains_key(&directory) {
                continue;
            }
            match notifier.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => new |= self.watched.insert(directory, identity).is_none(),
                // Gone between the look and the watch.
                Err(_) if !directory.exists() => {}
                Err(error) if self.warned => {
                    tracing::debug!(directory = %directory.display(), %error, "still cannot watch");
                }
                Err(error) => {
                    self.warned = true;
                    warn_of_polling(&error, &format!("changes in {}", directory.display()));
                }
            }
        }
        new
    }
}

impl File {
    fn look(&mut self, trail: Trail, max_bytes: u64) -> (Verdict, Option<Event>) {
        let read = trail.read(&self.absolute, max_bytes);
        // After the read, so that two reads are at least as far apart as their times say.
        let now = Instant::now();
        match read {
            Ok((bytes, place)) => {
                let source = Source::new(self.path.clone(), bytes);
                let at_once = self.place.as_ref().is_some_and(|before| place.replaces(before));
                let verdict = self.settle.judge(Print::Content(source.hash), at_once, now);
                if !matches!(verdict, Verdict::LookAgain(_)) {
                    self.place = Some(place);
                }
                let event = match verdict {
                    Verdict::Changed => Some(Event::Changed(source)),
                    Verdict::Unchanged => Some(Event::Unchanged(source)),
                    Verdict::Nothing | Verdict::LookAgain(_) | Verdict::Failed => None,
                };
                (verdict, event)
            }
            Err(error) => {
                let print = match error {
                    ReadError::Missing { .. } => Print::Missing,
                    ReadError::Unreadable { .. } => Print::Unreadable,
                };
                let verdict = self.settle.judge(print, false, now);
                let event = (verdict == Verdict::Failed).then_some(Event::Failed(error));
                (verdict, event)
            }
        }
    }
}

/// Turns notifications into wake-ups.
fn notifier(wakes: Sender<Wake>) -> Option<Notifier> {
    let handler = move |event: notify::Result<notify::Event>| {
        if event.as_ref().is_ok_and(notify::Event::need_rescan) {
            tracing::warn!("notifications of changes of files were lost; all files are looked at");
        }
        // An error may mean that notifications were lost, which is a reason to look.
        if event.is_ok_and(|event| is_read(event.kind)) {
            return;
        }
        // Fails only after the thread has ended, and the notifier with it.
        let _ = wakes.send(Wake::Notified);
    };
    notify::recommended_watcher(handler)
        .inspect_err(|error| warn_of_polling(error, "changes of files"))
        .map(|watcher| Box::new(watcher) as Notifier)
        .ok()
}

/// The one kind that is passed over: our own looks would wake us for ever.
fn is_read(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

fn warn_of_polling(error: &notify::Error, what: &str) {
    tracing::warn!(
        "the system does not tell us of {what} ({error}); they are looked for every few seconds instead. \
         If its limit is reached, raise fs.inotify.max_user_watches and fs.inotify.max_user_instances (sysctl)."
    );
}

#[cfg(test)]
mod tests;
