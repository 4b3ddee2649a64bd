//! Raises the number of files and sockets this process may open, which is what limits its connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt;
use std::io;

/// How many files and sockets this process may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// The limit we were started with; none if unlimited.
    pub before: Option<u64>,
    /// The limit now; none if unlimited.
    pub now: Option<u64>,
}

impl OpenFiles {
    /// How many of them clients' connections may take. The others are for connections to endpoints, of which requests wait for
    /// one if need be, and for ourselves: sockets, probes, the admin port.
    pub fn for_clients(&self, workers: usize) -> usize {
        let Some(limit) = self.now else { return usize::MAX };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // An event queue, a waker, the listeners' sockets and a look-up or two for each worker.
        let ours = (64 + 8 * workers).min(limit / 2);
        (limit - ours) / 4 * 3
    }
}

impl fmt::Display for OpenFiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |limit: Option<u64>| limit.map_or("unlimited".into(), |limit| limit.to_string());
        write!(out, "open files: {}", show(self.now))?;
        if self.now != self.before {
            write!(out, " (raised from {})", show(self.before))?;
        }
        Ok(())
    }
}

/// Raises the soft limit of RLIMIT_NOFILE to the hard one, which needs no privilege.
///
/// The soft limit is 1024 on many systems for the sake of select(2), which we do not use.
pub fn raise_open_files() -> io::Result<OpenFiles> {
    let found = getrlimit(Resource::Nofile);
    // macOS calls its hard limit infinite and then refuses more than OPEN_MAX.
    let wanted = if cfg!(target_os = "macos") {
        Some(found.maximum.unwrap_or(u64::MAX).min(10_240).max(found.current.unwrap_or(u64::MAX)))
            .filter(|limit| *limit != u64::MAX)
    } else {
        found.maximum
    };
    if wanted != found.current {
        setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: found.maximum })?;
    }
    Ok(OpenFiles { before: found.current, now: wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_hard_one_afterwards() {
        let raised = raise_open_files().unwrap();
        let found = getrlimit(Resource::Nofile);
        assert_eq!(found.current, raised.now);
        if cfg!(target_os = "linux") {
            assert_eq!(found.current, found.maximum);
        }
    }

    #[test]
    fn clients_leave_files_for_endpoints_and_for_ourselves() {
        let files = |limit| OpenFiles { before: limit, now: limit };
        assert_eq!(files(None).for_clients(2), usize::MAX);
        assert_eq!(files(Some(1024)).for_clients(2), 708);
        // However small the limit is, and however many the workers are.
        assert_eq!(files(Some(128)).for_clients(64), 48);
    }

    #[test]
    fn the_report_says_what_was_raised() {
        let raised = OpenFiles { before: Some(1024), now: Some(4096) };
        assert_eq!(raised.to_string(), "open files: 4096 (raised from 1024)");
        let kept = OpenFiles { before: Some(4096), now: Some(4096) };
        assert_eq!(kept.to_string(), "open files: 4096");
    }
}
