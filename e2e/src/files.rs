//! The ways in which a file comes to have new content.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// A new file is renamed to the name of the old: editors, ACME clients.
    Rename,
    /// The file itself is written: `cp`.
    InPlace,
    /// A symbolic link to a folder of all files is swapped: what kubelet does with a Secret or ConfigMap.
    DataSwap,
}

impl Put {
    /// All ways.
    pub const ALL: [Self; 3] = [Self::Rename, Self::InPlace, Self::DataSwap];

    /// Gives the files of `folder` new content, in the order given. A folder that is swapped loses all others.
    ///
    /// # Panics
    /// The folder takes no file, or was written in another way before.
    pub fn put(self, folder: &Path, files: &[(&str, &str)]) {
        match self {
            Self::Rename => files.iter().for_each(|(name, text)| rename(folder, name, text)),
            Self::InPlace => files.iter().for_each(|(name, text)| {
                fs::write(folder.join(name), text).expect("the folder takes a file");
            }),
            Self::DataSwap => swap(folder, files),
        }
    }
}

/// Were it written and renamed within one tick of the file system's clock, 4 ms or so, it would look as if it had been
/// written in place, and would be watched for a while before it counts.
pub(crate) fn rename(folder: &Path, name: &str, text: &str) {
    let beside = folder.join(format!(".{name}.new"));
    fs::write(&beside, text).expect("the directory takes a file");
    let file = fs::File::options().write(true).open(&beside);
    let written = SystemTime::now() - Duration::from_secs(1);
    file.and_then(|file| file.set_modified(written)).expect("the file is ours");
    fs::rename(&beside, folder.join(name)).expect("the file can be renamed");
}

fn swap(volume: &Path, files: &[(&str, &str)]) {
    static VERSION: AtomicU64 = AtomicU64::new(1);
    let folder = format!("..2026_11_24_{}", VERSION.fetch_add(1, Relaxed));
    fs::create_dir(volume.join(&folder)).expect("a folder for the version");
    for (name, text) in files {
        fs::write(volume.join(&folder).join(name), text).expect("the folder takes a file");
    }
    let old = fs::read_link(volume.join("..data"));
    symlink(&folder, volume.join("..data_tmp")).expect("a link");
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("a swap");
    match old {
        Ok(old) => fs::remove_dir_all(volume.join(old)).expect("the old version goes"),
        Err(_) => files.iter().for_each(|(name, _)| {
            symlink(format!("..data/{name}"), volume.join(name)).expect("a link to the file");
        }),
    }
}
