//! The file that the demo is about: an existing one as it is, or a new one.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The demo's configuration file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its full path.
    pub(super) path: PathBuf,
    /// Whether it was written just now.
    pub(super) written: bool,
}

/// Writes `content` to `path` unless there is something already, which is never touched.
pub(super) fn prepare(path: &Path, content: &str) -> io::Result<File> {
    let path = std::path::absolute(path)?;
    let written = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => {
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            true
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    Ok(File { path, written })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        assert!(prepare(&path, "first").unwrap().written);
        let again = prepare(&path, "second").unwrap();
        assert!(!again.written && again.path.is_absolute());
        assert_eq!(std::fs::read_to_string(path).unwrap(), "first");
    }

    #[test]
    fn a_dangling_link_is_not_followed_to_write_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(!prepare(&path, "content").unwrap().written);
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = prepare(&folder.path().join("none/config.yaml"), "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
