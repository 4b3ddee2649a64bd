//! What a configuration is read in: what its file does not say.

use super::files;
use crate::model::Model;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// What a configuration is read in.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// What `${NAME}` stands for.
    pub variables: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file that the configuration names, by its absolute path.
    pub files: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// The folder from which relative paths of files are seen: that of the configuration file.
    pub folder: &'a Path,
    /// The present time: certificates hold for a time.
    pub now: SystemTime,
    /// The model that runs. A certificate that it has is no reason to refuse another one, whatever the time.
    pub running: Option<&'a Model>,
    /// What becomes of a certificate whose time is over, or has not come.
    pub expired: Expired,
}

/// What becomes of a certificate whose time is over, or has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// It is a problem.
    Refused,
    /// It is a warning.
    Warned,
}

impl<'a> Surroundings<'a> {
    /// Those of this process, now, for the configuration in `file`: its environment, the files on disk. No model runs, and
    /// expired certificates are refused.
    pub fn of(file: &'a Path) -> Self {
        Self::within(file.parent().unwrap_or(Path::new("")))
    }

    /// The same for a configuration whose relative paths are seen from `folder`.
    pub fn within(folder: &'a Path) -> Self {
        Self {
            variables: &|name| std::env::var(name).ok(),
            files: &files::read,
            folder,
            now: SystemTime::now(),
            running: None,
            expired: Expired::Refused,
        }
    }

    /// No variables and no files, for configurations that need none; now.
    pub fn none() -> Self {
        Self {
            variables: &|_| None,
            files: &|_| Err(io::ErrorKind::NotFound.into()),
            ..Self::of(Path::new(""))
        }
    }
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("folder", &self.folder)
            .field("now", &self.now)
            .field("expired", &self.expired)
            .finish_non_exhaustive()
    }
}
