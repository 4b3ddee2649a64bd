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
    fn the_report_says_what_was_raised() {
        let raised = OpenFiles { before: Some(1024), now: Some(4096) };
        assert_eq!(raised.to_string(), "open files: 4096 (raised from 1024)");
        let kept = OpenFiles { before: Some(4096), now: Some(4096) };
        assert_eq!(kept.to_string(), "open files: 4096");
    }
}
