//! Finds files that can never be swapped because they are mount points themselves (a Kubernetes `subPath`).

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What to tell the operator if `path` is a mount point of its own, as with `subPath` in Kubernetes or
/// `--volume file:file` in Docker; such a mount keeps showing the old file when it is replaced.
///
/// None where `/proc` does not exist.
pub fn mount_warning(path: &Path) -> Option<String> {
    let file = path.canonicalize().ok()?;
    let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
    is_mount_point(&file, &mounts).then(|| {
        format!(
            "{} is mounted as a single file (subPath in Kubernetes, a file volume in Docker): when it is \
             replaced, this process keeps seeing the old one until it restarts. Mount its directory instead.",
            path.display()
        )
    })
}

/// Whether `mountinfo` (proc_pid_mountinfo(5)) lists `file`.
fn is_mount_point(file: &Path, mountinfo: &[u8]) -> bool {
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .any(|field| unescape(field) == file)
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| *first == b'\\');
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
90 21 8:1 /pods/7/volumes/cm /etc/outrigger ro - ext4 /dev/sda1 rw
91 21 8:1 /pods/7/volume-subpaths/cm/0 /etc/app/config.yaml ro - ext4 /dev/sda1 rw
92 21 8:1 /x /etc/with\\040space\\134.yaml ro - ext4 /dev/sda1 rw
";

    /// K2
    #[test]
    fn a_sub_path_is_told_from_a_mounted_directory() {
        assert!(is_mount_point(Path::new("/etc/app/config.yaml"), MOUNTS));
        assert!(!is_mount_point(Path::new("/etc/outrigger/config.yaml"), MOUNTS));
        assert!(is_mount_point(Path::new("/etc/with space\\.yaml"), MOUNTS));
    }

    /// K2
    #[test]
    fn an_ordinary_file_gives_no_warning() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(mount_warning(file.path()), None);
    }

    /// K2: containers mount /etc/resolv.conf as a single file, which is the case in point.
    #[test]
    fn a_mounted_file_gives_a_warning_that_says_what_to_do() {
        let Ok(mounts) = std::fs::read("/proc/self/mountinfo") else { return };
        let file = Path::new("/etc/resolv.conf");
        if file.canonicalize().is_ok_and(|file| is_mount_point(&file, &mounts)) {
            assert!(mount_warning(file).unwrap().contains("Mount its directory"));
        }
    }
}
