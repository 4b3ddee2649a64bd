//! Real files in temporary directories. What must not wait has an hour to wait; what must not be half written
//! has time enough that a slow machine does not matter.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);

/// Time enough for a slow machine between the creation of a file and its first byte.
fn patient() -> Options {
    let (quiet, limit) = (Duration::from_millis(200), Duration::from_secs(10));
    Options { quiet, limit, ..Options::default() }
}

/// Only notifications find a change; a file written in place counts soon.
fn notified() -> Options {
    Options { poll: HOUR, ..patient() }
}

/// Only notifications find a change, and only what is swapped in counts before an hour is over.
fn at_once() -> Options {
    Options { poll: HOUR, quiet: HOUR, limit: HOUR, ..Options::default() }
}

/// Only polling finds a change.
fn polled() -> Options {
    Options { notifications: false, poll: Duration::from_millis(20), ..patient() }
}

fn start(path: &Path, options: Options) -> Watcher {
    Watcher::start(path, options).unwrap().1
}

async fn next(watcher: &mut Watcher) -> Event {
    tokio::time::timeout(Duration::from_secs(20), watcher.next()).await.expect("an event")
}

async fn changed(watcher: &mut Watcher) -> String {
    match next(watcher).await {
        Event::Changed(source) => text(&source),
        other => panic!("{other:?}"),
    }
}

async fn unchanged(watcher: &mut Watcher) -> String {
    match next(watcher).await {
        Event::Unchanged(source) => text(&source),
        other => panic!("{other:?}"),
    }
}

async fn failed(watcher: &mut Watcher) -> ReadError {
    match next(watcher).await {
        Event::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

fn text(source: &Source) -> String {
    String::from_utf8(source.bytes.to_vec()).unwrap()
}

fn folder_with(content: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    fs::write(&file, content).unwrap();
    (folder, file)
}

/// A file that was last written a while ago, as one that is about to be renamed should be.
fn write_of_old(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(10)).unwrap();
}

async fn followed(watcher: &mut Watcher) {
    match next(watcher).await {
        Event::Followed => {}
        other => panic!("{other:?}"),
    }
}

/// A watcher of `config.yaml` in `folder` that has begun to follow the other names there.
async fn following(folder: &TempDir, names: &[&str], options: Options) -> Watcher {
    let mut watcher = start(&folder.path().join("config.yaml"), options);
    watcher.follow(names.iter().map(|name| folder.path().join(name)).collect());
    followed(&mut watcher).await;
    watcher
}

/// A mounted ConfigMap as kubelet makes it.
struct ConfigMap(TempDir);

impl ConfigMap {
    fn new(content: &str) -> Self {
        let volume = Self(TempDir::new().unwrap());
        volume.update("..2026_01_01_00_00_00.1", content);
        symlink("..data/config.yaml", volume.file()).unwrap();
        volume
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("config.yaml")
    }

    /// What kubelet's AtomicWriter does: a new folder, a new link, a rename over the old link, the old folder removed.
    fn update(&self, stamp: &str, content: &str) {
        let root = self.0.path();
        let old = fs::read_link(root.join("..data")).ok();
        fs::create_dir(root.join(stamp)).unwrap();
        fs::write(root.join(stamp).join("config.yaml"), content).unwrap();
        symlink(stamp, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        if let Some(old) = old {
            fs::remove_dir_all(root.join(old)).unwrap();
        }
    }
}

/// K1
#[tokio::test]
async fn a_config_map_swap_counts_at_once_again_and_again() {
    let volume = ConfigMap::new("one");
    let (first, mut watcher) = Watcher::start(&volume.file(), at_once()).unwrap();
    assert_eq!(text(&first), "one");
    volume.update("..2026_01_01_00_01_00.2", "two");
    assert_eq!(changed(&mut watcher).await, "two");
    volume.update("..2026_01_01_00_02_00.3", "three");
    assert_eq!(changed(&mut watcher).await, "three");
}

/// K1
#[tokio::test]
async fn a_config_map_swap_is_found_without_notifications() {
    let volume = ConfigMap::new("one");
    let mut watcher = start(&volume.file(), polled());
    volume.update("..2026_01_01_00_01_00.2", "two");
    assert_eq!(changed(&mut watcher).await, "two");
}

#[tokio::test]
async fn a_config_map_swap_with_the_same_content_is_no_event() {
    let volume = ConfigMap::new("one");
    let mut watcher = start(&volume.file(), at_once());
    volume.update("..2026_01_01_00_01_00.2", "one");
    volume.update("..2026_01_01_00_02_00.3", "two");
    assert_eq!(changed(&mut watcher).await, "two");
}

#[tokio::test]
async fn a_rename_counts_at_once() {
    let (folder, file) = folder_with("one");
    let mut watcher = start(&file, at_once());
    for content in ["two", "three"] {
        let temporary = folder.path().join(".config.yaml.swp");
        write_of_old(&temporary, content);
        fs::rename(&temporary, &file).unwrap();
        assert_eq!(changed(&mut watcher).await, content);
    }
}

#[tokio::test]
async fn an_editor_that_moves_the_old_file_away_first_does_not_make_it_missing() {
    let (folder, file) = folder_with("one");
    let mut watcher = start(&file, Options { quiet: Duration::from_millis(500), ..notified() });
    fs::rename(&file, folder.path().join("config.yaml~")).unwrap();
    fs::write(&file, "two").unwrap();
    assert_eq!(changed(&mut watcher).await, "two");
}

#[tokio::test]
async fn a_write_in_place_is_noticed() {
    let (_folder, file) = folder_with("one");
    let mut watcher = start(&file, notified());
    for content in ["two", "three", "four"] {
        fs::write(&file, content).unwrap();
        assert_eq!(changed(&mut watcher).await, content);
    }
}

#[tokio::test]
async fn half_a_file_is_never_delivered() {
    for mut options in [notified(), polled()] {
        options.quiet = Duration::from_millis(500);
        options.limit = HOUR;
        let (_folder, file) = folder_with("listeners: []\n");
        let mut watcher = start(&file, options);
        fs::write(&file, "backends: [one").unwrap();
        // The writer's pause, not a wait for luck: half a file is what stands there meanwhile.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let mut writer = fs::File::options().append(true).open(&file).unwrap();
        std::io::Write::write_all(&mut writer, b", two]\n").unwrap();
        assert_eq!(changed(&mut watcher).await, "backends: [one, two]\n");
    }
}

#[tokio::test]
async fn half_a_file_is_never_delivered_when_it_was_removed_first() {
    let (_folder, file) = folder_with("listeners: []\n");
    let options = Options { quiet: Duration::from_millis(500), limit: HOUR, ..notified() };
    let mut watcher = start(&file, options);
    // Keeps the inode, so that the new file gets another, as it does after a rename.
    let _old = fs::File::open(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, "backends: [one").unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let mut writer = fs::File::options().append(true).open(&file).unwrap();
    std::io::Write::write_all(&mut writer, b", two]\n").unwrap();
    assert_eq!(changed(&mut watcher).await, "backends: [one, two]\n");
}

#[tokio::test]
async fn writes_without_end_do_not_keep_a_file_from_counting() {
    let (_folder, file) = folder_with("");
    let options = Options { quiet: HOUR, limit: Duration::from_millis(100), ..notified() };
    let mut watcher = start(&file, options);
    let mut log = fs::File::options().append(true).open(&file).unwrap();
    let writer = async {
        loop {
            std::io::Write::write_all(&mut log, b"# again\n").unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        content = changed(&mut watcher) => assert!(content.starts_with("# again\n")),
        () = writer => {}
    }
}

#[tokio::test]
async fn many_rapid_swaps_end_with_the_last_and_never_go_back() {
    let (folder, file) = folder_with("0");
    let mut watcher = start(&file, Options { quiet: Duration::from_millis(1), ..notified() });
    let temporary = folder.path().join("new");
    for version in 1..=300 {
        fs::write(&temporary, version.to_string()).unwrap();
        fs::rename(&temporary, &file).unwrap();
    }
    let mut last = 0;
    while last < 300 {
        let version: u32 = changed(&mut watcher).await.parse().unwrap();
        assert!(version > last, "{version} after {last}");
        last = version;
    }
}

#[tokio::test]
async fn the_same_content_is_no_event() {
    let (folder, file) = folder_with("one");
    let mut watcher = start(&file, at_once());
    fs::write(&file, "one").unwrap();
    let temporary = folder.path().join("new");
    write_of_old(&temporary, "one");
    fs::rename(&temporary, &file).unwrap();
    fs::write(folder.path().join("neighbour"), "noise").unwrap();
    write_of_old(&temporary, "two");
    fs::rename(&temporary, &file).unwrap();
    assert_eq!(changed(&mut watcher).await, "two");
}

#[tokio::test]
async fn a_deleted_file_is_reported_once_and_its_return_is_noticed() {
    for options in [notified(), polled()] {
        let (folder, file) = folder_with("one");
        let mut watcher = start(&file, options);
        fs::remove_file(&file).unwrap();
        let error = failed(&mut watcher).await;
        assert!(matches!(error, ReadError::Missing { .. }), "{error}");
        fs::write(folder.path().join("neighbour"), "noise").unwrap();
        fs::write(&file, "two").unwrap();
        assert_eq!(changed(&mut watcher).await, "two");
        fs::remove_file(&file).unwrap();
        failed(&mut watcher).await;
        fs::write(&file, "two").unwrap();
        assert_eq!(unchanged(&mut watcher).await, "two");
    }
}

#[tokio::test]
async fn a_directory_removed_and_made_again_is_watched_again() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("a/b");
    let file = folder.join("config.yaml");
    fs::create_dir_all(&folder).unwrap();
    fs::write(&file, "one").unwrap();
    let mut watcher = start(&file, notified());
    for content in ["two", "three"] {
        fs::remove_dir_all(root.path().join("a")).unwrap();
        failed(&mut watcher).await;
        fs::create_dir_all(&folder).unwrap();
        fs::write(&file, content).unwrap();
        assert_eq!(changed(&mut watcher).await, content);
    }
    fs::write(&file, "four").unwrap();
    assert_eq!(changed(&mut watcher).await, "four");
}

/// The new directory often gets the inode of the old one.
#[tokio::test]
async fn a_directory_made_again_before_we_looked_is_watched_again() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("live");
    let file = folder.join("config.yaml");
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "0").unwrap();
    let mut watcher = start(&file, notified());
    for round in 0..3 {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(&file, format!("{round} made again")).unwrap();
        assert_eq!(changed(&mut watcher).await, format!("{round} made again"));
        fs::write(&file, format!("{round} written")).unwrap();
        assert_eq!(changed(&mut watcher).await, format!("{round} written"));
    }
}

#[tokio::test]
async fn a_directory_that_another_took_the_place_of_is_watched() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("live");
    let file = folder.join("config.yaml");
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "one").unwrap();
    let mut watcher = start(&file, notified());
    let next = root.path().join("next");
    fs::create_dir(&next).unwrap();
    fs::write(next.join("config.yaml"), "two").unwrap();
    fs::rename(&folder, root.path().join("before")).unwrap();
    fs::rename(&next, &folder).unwrap();
    assert_eq!(changed(&mut watcher).await, "two");
    fs::write(&file, "three").unwrap();
    assert_eq!(changed(&mut watcher).await, "three");
}

#[tokio::test]
async fn a_link_into_another_directory_is_followed_wherever_it_changes() {
    let root = TempDir::new().unwrap();
    for name in ["etc", "first", "second"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    let file = root.path().join("etc/config.yaml");
    let (first, second) = (root.path().join("first/real"), root.path().join("second/real"));
    fs::write(&first, "one").unwrap();
    fs::write(&second, "three").unwrap();
    symlink(&first, &file).unwrap();
    let mut watcher = start(&file, notified());
    fs::write(&first, "two").unwrap();
    assert_eq!(changed(&mut watcher).await, "two");
    let link = root.path().join("etc/new");
    symlink("../second/real", &link).unwrap();
    fs::rename(&link, &file).unwrap();
    assert_eq!(changed(&mut watcher).await, "three");
    fs::write(&second, "four").unwrap();
    assert_eq!(changed(&mut watcher).await, "four");
}

#[tokio::test]
async fn a_forced_look_answers_even_if_nothing_changed() {
    let (_folder, file) = folder_with("one");
    let mut watcher = start(&file, at_once());
    watcher.force();
    assert_eq!(unchanged(&mut watcher).await, "one");
    watcher.force();
    assert_eq!(unchanged(&mut watcher).await, "one");
}

#[tokio::test]
async fn of_several_files_the_changed_one_is_named() {
    let (folder, certificate) = folder_with("certificate");
    let key = folder.path().join("key.pem");
    fs::write(&key, "key").unwrap();
    let paths = [certificate, key.clone()];
    let (sources, mut watcher) = Watcher::start_all(&paths, notified()).unwrap();
    assert_eq!(sources.iter().map(text).collect::<Vec<_>>(), ["certificate", "key"]);
    fs::write(&key, "new key").unwrap();
    let Event::Changed(source) = next(&mut watcher).await else { panic!() };
    assert_eq!((&*source.path, text(&source).as_str()), (key.as_path(), "new key"));
}

/// A notifier that never notifies: tells the test what it is asked for and answers with an error, if it has one.
#[derive(Debug)]
struct Mute {
    asked: Sender<PathBuf>,
    exhausted: bool,
}

impl notify::Watcher for Mute {
    fn new<F: notify::EventHandler>(_: F, _: notify::Config) -> notify::Result<Self> {
        unimplemented!()
    }
    fn watch(&mut self, path: &Path, _: RecursiveMode) -> notify::Result<()> {
        let _ = self.asked.send(path.into());
        match self.exhausted {
            true => Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)),
            false => Ok(()),
        }
    }
    fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
        Ok(())
    }
    fn kind() -> notify::WatcherKind {
        notify::WatcherKind::NullWatcher
    }
}

#[tokio::test]
async fn a_system_without_watches_left_is_polled() {
    let (_folder, file) = folder_with("one");
    let (wakes, woken) = channel();
    let notifier: Notifier = Box::new(Mute { asked: channel().0, exhausted: true });
    let mut watcher =
        Watcher::start_with(&[&file], polled(), Some(notifier), wakes, woken).unwrap().1;
    for content in ["two", "three"] {
        fs::write(&file, content).unwrap();
        assert_eq!(changed(&mut watcher).await, content);
    }
}

#[test]
fn a_watch_that_was_lost_is_renewed() {
    let (folder, file) = folder_with("one");
    let (wakes, woken) = channel();
    let (asked, asks) = channel();
    let notifier: Notifier = Box::new(Mute { asked, exhausted: false });
    let watcher = Watcher::start_with(&[&file], polled(), Some(notifier), wakes, woken).unwrap();
    for _ in 0..3 {
        let directory = asks.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(directory, folder.path().canonicalize().unwrap());
    }
    drop(watcher);
}

/// T1. An edit of the other file is awaited after each, so that an event too many would be seen.
#[tokio::test]
async fn a_file_that_is_followed_is_told_of_when_it_changes_goes_and_comes_back() {
    let (folder, config) = folder_with("one");
    let cert = folder.path().join("a.crt");
    write_of_old(&cert, "old");
    let mut watcher = following(&folder, &["a.crt", "missing.crt"], notified()).await;
    fs::write(&cert, "new").unwrap();
    followed(&mut watcher).await;
    fs::write(&config, "two").unwrap();
    assert_eq!(changed(&mut watcher).await, "two");
    fs::remove_file(&cert).unwrap();
    followed(&mut watcher).await;
    fs::write(&config, "three").unwrap();
    assert_eq!(changed(&mut watcher).await, "three");
    fs::write(&cert, "new").unwrap();
    followed(&mut watcher).await;
    fs::write(folder.path().join("missing.crt"), "here").unwrap();
    followed(&mut watcher).await;
    fs::write(&config, "four").unwrap();
    assert_eq!(changed(&mut watcher).await, "four");
}

/// T1, T2. A secret is one swap, whatever is in it.
#[tokio::test]
async fn the_swap_of_a_certificate_and_its_key_is_one_event_at_once() {
    let (folder, config) = folder_with("one");
    let volume = ConfigMap::new("unused");
    for name in ["a.crt", "a.key"] {
        fs::write(volume.0.path().join("..2026_01_01_00_00_00.1").join(name), "old").unwrap();
        symlink(format!("..data/{name}"), volume.0.path().join(name)).unwrap();
    }
    let mut watcher = start(&config, at_once());
    watcher.follow(["a.crt", "a.key"].map(|name| volume.0.path().join(name)).into());
    followed(&mut watcher).await;
    let next_folder = volume.0.path().join("..2026_01_01_00_01_00.2");
    fs::create_dir(&next_folder).unwrap();
    for name in ["a.crt", "a.key"] {
        fs::write(next_folder.join(name), "new").unwrap();
    }
    symlink(&next_folder, volume.0.path().join("..data_tmp")).unwrap();
    fs::rename(volume.0.path().join("..data_tmp"), volume.0.path().join("..data")).unwrap();
    followed(&mut watcher).await;
    let other = folder.path().join("other");
    write_of_old(&other, "two");
    fs::rename(&other, &config).unwrap();
    assert_eq!(changed(&mut watcher).await, "two");
}

/// T2
#[tokio::test]
async fn a_certificate_and_its_key_written_one_after_the_other_are_one_event() {
    let (folder, config) = folder_with("one");
    let mut watcher = following(&folder, &["a.crt", "a.key"], notified()).await;
    fs::write(folder.path().join("a.crt"), "new").unwrap();
    fs::write(folder.path().join("a.key"), "new").unwrap();
    followed(&mut watcher).await;
    fs::write(&config, "two").unwrap();
    assert_eq!(changed(&mut watcher).await, "two");
}

#[tokio::test]
async fn a_file_that_is_not_followed_any_more_is_not_told_of() {
    let (folder, config) = folder_with("one");
    let mut watcher = following(&folder, &["a.crt", "b.crt"], polled()).await;
    watcher.follow(vec![folder.path().join("b.crt")]);
    fs::write(folder.path().join("a.crt"), "new").unwrap();
    fs::write(&config, "two").unwrap();
    assert_eq!(changed(&mut watcher).await, "two");
    fs::write(folder.path().join("b.crt"), "new").unwrap();
    followed(&mut watcher).await;
}

#[tokio::test]
async fn a_forced_look_tells_of_followed_files_too() {
    let (folder, _) = folder_with("one");
    let mut watcher = following(&folder, &["a.crt"], notified()).await;
    watcher.force();
    assert_eq!(unchanged(&mut watcher).await, "one");
    followed(&mut watcher).await;
}

#[test]
fn what_cannot_be_read_at_the_start_is_explained() {
    let root = TempDir::new().unwrap();
    let root = root.path().canonicalize().unwrap();
    let error = |path: &Path| Watcher::start(path, polled()).unwrap_err().to_string();

    let missing = root.join("no/config.yaml");
    let expected = format!("{}: {} does not exist", missing.display(), root.join("no").display());
    assert_eq!(error(&missing), expected);

    assert!(error(&root).contains("is a directory; name a file in it"));

    let (a, b) = (root.join("a"), root.join("b"));
    symlink(&a, &b).unwrap();
    symlink(&b, &a).unwrap();
    assert!(error(&a).contains("links form a loop"));

    fs::write(root.join("file"), "").unwrap();
    assert!(error(&root.join("file/config.yaml")).contains("is a file, not a directory"));

    fs::write(root.join("large"), "12345").unwrap();
    let options = Options { max_bytes: 4, ..polled() };
    let error = Watcher::start(&root.join("large"), options).unwrap_err().to_string();
    assert!(error.contains("larger than 4 bytes"), "{error}");
}

#[test]
fn our_own_reads_do_not_wake_us() {
    assert!(is_read(EventKind::Access(AccessKind::Open(AccessMode::Any))));
    assert!(is_read(EventKind::Access(AccessKind::Close(AccessMode::Read))));
    assert!(!is_read(EventKind::Access(AccessKind::Close(AccessMode::Write))));
    assert!(!is_read(EventKind::Any));
}
