//! Follows a path link by link, so that every directory in which a swap can happen is known.

use super::ReadError;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// As many as Linux follows; more is a loop.
const MAX_LINKS: usize = 40;

/// Where a path leads at one moment.
#[derive(Debug)]
pub(super) struct Trail {
    /// The symbolic links on the way and what each says.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    /// The directories, free of links, that hold a link, the file, or the place where the way ends.
    pub(super) directories: BTreeSet<PathBuf>,
    /// The file, free of links, or why there is none.
    pub(super) file: Result<PathBuf, ReadError>,
}

/// What tells one file from another that took its place, and whether it was complete when it did.
#[derive(Clone, Debug)]
pub(super) struct Place {
    links: Vec<(PathBuf, PathBuf)>,
    inode: (u64, u64),
    written: (i64, i64),
    changed: (i64, i64),
    empty: bool,
}

impl Trail {
    /// Follows `path`, which must be absolute.
    pub(super) fn follow(path: &Path) -> Self {
        let mut trail =
            Self { links: Vec::new(), directories: BTreeSet::new(), file: Ok(PathBuf::new()) };
        trail.file = trail.walk(path);
        trail
    }

    fn walk(&mut self, path: &Path) -> Result<PathBuf, ReadError> {
        let mut ahead = components(path);
        let mut here = PathBuf::from("/");
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            let found = match next.symlink_metadata() {
                Ok(found) => found,
                Err(error) => {
                    self.directories.insert(here);
                    return Err(failure(path, &next, &error));
                }
            };
            if found.is_symlink() {
                let target = match next.read_link() {
                    Ok(target) => target,
                    Err(error) => return Err(failure(path, &next, &error)),
                };
                self.directories.insert(here.clone());
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for name in components(&target).into_iter().rev() {
                    ahead.push_front(name);
                }
                self.links.push((next, target));
                if self.links.len() > MAX_LINKS {
                    let reason = "its symbolic links form a loop".into();
                    return Err(ReadError::Unreadable { path: path.into(), reason });
                }
            } else if found.is_dir() {
                here = next;
            } else {
                self.directories.insert(here);
                let reason = match (ahead.is_empty(), found.is_file()) {
                    (true, true) => return Ok(next),
                    (true, false) => format!("{} is not a regular file", next.display()),
                    (false, _) => format!("{} is a file, not a directory", next.display()),
                };
                return Err(ReadError::Unreadable { path: path.into(), reason });
            }
        }
        let reason = format!("{} is a directory; name a file in it", here.display());
        if let Some(parent) = here.parent() {
            self.directories.insert(parent.into());
        }
        Err(ReadError::Unreadable { path: path.into(), reason })
    }

    /// Reads the file at the end of the trail of `path`, at most `limit` bytes.
    pub(super) fn read(self, path: &Path, limit: u64) -> Result<(Vec<u8>, Place), ReadError> {
        let file = self.file?;
        let mut bytes = Vec::new();
        // The metadata of the opened file, since the name may have moved on, and taken after the read: a write
        // during the read shows in the times.
        let mut read = || -> io::Result<Metadata> {
            let mut opened = std::fs::File::open(&file)?;
            opened.by_ref().take(limit + 1).read_to_end(&mut bytes)?;
            opened.metadata()
        };
        let metadata = read().map_err(|error| failure(path, &file, &error))?;
        if bytes.len() as u64 > limit {
            let reason = format!("it is larger than {limit} bytes");
            return Err(ReadError::Unreadable { path: path.into(), reason });
        }
        let place = Place {
            links: self.links,
            inode: (metadata.dev(), metadata.ino()),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            empty: bytes.is_empty(),
        };
        Ok((bytes, place))
    }
}

impl Place {
    /// Whether this file was put where `before` was in one step, complete: by the swap of a link or by a rename.
    ///
    /// Another inode is not enough, since a file that was deleted and is being written anew has one, too. A
    /// rename sets the time of change, a write sets both times.
    pub(super) fn replaces(&self, before: &Place) -> bool {
        let swapped = self.links.iter().any(|link| !before.links.contains(link));
        let renamed = self.inode != before.inode && self.changed > self.written;
        !self.empty && (swapped || renamed)
    }
}

fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

fn failure(path: &Path, at: &Path, error: &io::Error) -> ReadError {
    let place = if at == path { "it".to_owned() } else { at.display().to_string() };
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing { path, place: at.to_owned() },
        io::ErrorKind::PermissionDenied => ReadError::Unreadable {
            path,
            reason: format!(
                "no permission to read {place}; let the user this process runs as read it \
                 (chmod, or fsGroup and defaultMode in Kubernetes)"
            ),
        },
        _ => ReadError::Unreadable { path, reason: format!("cannot read {place}: {error}") },
    }
}
