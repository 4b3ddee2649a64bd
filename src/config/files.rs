//! The files that a configuration names: certificates, keys, CAs, revocation lists.

use super::surroundings::Surroundings;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Larger files, in bytes, are refused: the CAs of a whole system are a quarter of this.
pub const MAX_BYTES: u64 = 1 << 20;

/// Reads a file that a configuration names.
///
/// # Errors
/// When it cannot be read, is larger than [`MAX_BYTES`], or is no regular file: a pipe would never end.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let other = |why: &str| Err(io::Error::other(why));
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return other("it is a folder");
    }
    if !metadata.is_file() {
        return other("it is no regular file");
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => other("it is larger than 1Mi"),
        false => Ok(bytes),
    }
}

/// The content of a file, or why there is none.
type Content = Result<Arc<[u8]>, String>;

/// The files that one configuration names, each read once, so that all who name it see the same.
#[derive(Debug)]
pub(super) struct Files<'s> {
    surroundings: &'s Surroundings<'s>,
    /// By their absolute paths.
    asked: RefCell<BTreeMap<PathBuf, Content>>,
}

impl<'s> Files<'s> {
    pub(super) fn new(surroundings: &'s Surroundings<'s>) -> Self {
        Self { surroundings, asked: RefCell::default() }
    }

    pub(super) fn surroundings(&self) -> &'s Surroundings<'s> {
        self.surroundings
    }

    /// The content of the file that the configuration calls `path`.
    pub(super) fn content(&self, path: &Path) -> Content {
        let path = absolute(&self.surroundings.folder.join(path));
        let mut asked = self.asked.borrow_mut();
        let read = |path: &Path| match (self.surroundings.files)(path) {
            Ok(bytes) if bytes.is_empty() => Err("it is empty".to_owned()),
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(reason(&error)),
        };
        asked.entry(path).or_insert_with_key(|path| read(path)).clone()
    }

    /// The paths of all that were asked for, absolute.
    pub(super) fn finish(self) -> Vec<PathBuf> {
        self.asked.into_inner().into_keys().collect()
    }
}

/// The path itself where it cannot be made absolute: when the present folder is gone.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "this process may not read it".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let why = |path: &Path| reason(&read(path).unwrap_err());
        assert_eq!(why(&path), "there is no such file");
        assert_eq!(why(folder.path()), "it is a folder");
        assert_eq!(why(Path::new("/dev/zero")), "it is no regular file");
        std::fs::write(&path, vec![0; MAX_BYTES as usize]).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, MAX_BYTES);
        std::fs::write(&path, vec![0; MAX_BYTES as usize + 1]).unwrap();
        assert_eq!(why(&path), "it is larger than 1Mi");
    }
}
