//! Files that a configuration names are renewed while it runs. Real files, a real watcher.

mod config_map;
mod endpoints;

use super::*;
use crate::config::watch::{Options, Watcher};
use crate::kubernetes::Connection;
use std::fs;
use tempfile::TempDir;

const CONFIG: &str = "
listeners:
  - { name: https, address: '127.0.0.1:1', tls: { certificates: [{ certFile: a.crt, keyFile: a.key }] } }
backends: [{ name: shop, endpoints: ['http://127.0.0.1:9'] }]
";

/// Nothing outside the snapshot.
struct Nothing;

impl Effects for Nothing {
    type Prepared = ();

    fn prepare(&mut self, _: &Model) -> Result<(), String> {
        Ok(())
    }

    async fn resolve(&mut self, _: &Snapshot) {}

    fn commit(&mut self, (): (), _: &Snapshot) -> usize {
        0
    }
}

/// A process whose configuration is in a folder, with a certificate for `old.example`.
struct Running {
    folder: TempDir,
    store: Arc<Store>,
    source: Arc<SourceStatus>,
    outlets: Outlets,
    control: tokio::task::JoinHandle<()>,
}

/// A certificate for `name`, and its key.
fn issue(name: &str) -> (String, String) {
    let issued = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (issued.cert.pem(), issued.signing_key.serialize_pem())
}

impl Running {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (cert, key) = issue("old.example");
        for (name, text) in [("config.yaml", CONFIG), ("a.crt", &cert), ("a.key", &key)] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self::in_folder(folder, &Connection::inferred())
    }

    /// With what `config.yaml` in `folder` says.
    fn in_folder(folder: TempDir, kubernetes: &Connection) -> Self {
        let path = folder.path().join("config.yaml");
        let (source, watcher) = Watcher::start(&path, Options::default()).unwrap();
        Self::of(folder, (source, Input::File(watcher)), kubernetes)
    }

    fn of(folder: TempDir, opened: (Source, Input), kubernetes: &Connection) -> Self {
        Self::reporting(folder, opened, kubernetes, Reporter::default())
    }

    fn reporting(
        folder: TempDir,
        (source, input): (Source, Input),
        kubernetes: &Connection,
        reporter: Reporter,
    ) -> Self {
        let name = source.path.display().to_string();
        let loaded =
            config::load(&source.bytes, &name, &Surroundings::within(folder.path())).unwrap();
        let hash = config::hash(&source.bytes);
        let mut discovery = Discovery::new(kubernetes.clone(), None);
        discovery.follow(&[&loaded.model]);
        let snapshot = Snapshot::compile(Arc::new(loaded.model), hash.clone(), None, 1).unwrap();
        let store = Arc::new(Store::new(snapshot));
        let status = Arc::new(SourceStatus::default());
        let loaded_at = Some(SystemTime::now());
        let hash = Some(hash);
        status.store(source::Source { path: name.clone(), hash, loaded_at, refused: None });
        let origin = Origin { source, files: loaded.files };
        let outlets = crate::telemetry::Outlets::default();
        let mut control = Control {
            outlets: outlets.clone(),
            store: Arc::clone(&store),
            source: Arc::clone(&status),
            lifecycle: Lifecycle::new(),
            watcher: input,
            discovery,
            running: origin.clone(),
            latest: origin,
            effects: Nothing,
            reporter,
            path: name,
            folder: folder.path().to_owned(),
            workers: 1,
        };
        let control = tokio::task::spawn_local(async move { control.run().await });
        Self { folder, store, source: status, outlets, control }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// What is shown to clients.
    fn name(&self) -> String {
        let snapshot = self.store.load();
        snapshot.tls("https").unwrap().certificates[0].names[0].clone()
    }

    fn refused(&self) -> Option<String> {
        let refused = self.source.load().refused.clone()?;
        Some(refused.errors[0]["message"].as_str().unwrap().to_owned())
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..2000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} never held; generation {}", self.store.load().generation);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.control.abort();
    }
}

async fn local(test: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().run_until(test).await;
}

/// T1
#[tokio::test]
async fn a_renewed_certificate_is_shown_and_nothing_else_is_touched() {
    local(async {
        let running = Running::start();
        let before = running.store.load();
        for generation in 2..4 {
            let name = format!("new-{generation}.example");
            let (cert, key) = issue(&name);
            running.write("a.crt", &cert);
            running.write("a.key", &key);
            running.until("the new name", |running| running.name() == name).await;
            assert_eq!(running.store.load().generation, generation);
        }
        let after = running.store.load();
        assert!(Arc::ptr_eq(&before.backends[0], &after.backends[0]));
        assert_eq!(before.config_hash, after.config_hash);
        assert_eq!(running.source.counts(), (2, 0, 0));
        assert!(running.source.load().in_sync());
    })
    .await;
}

/// T2
#[tokio::test]
async fn a_key_beside_another_certificate_is_never_served_and_mended_by_its_own() {
    local(async {
        let running = Running::start();
        let (cert, key) = issue("new.example");
        running.write("a.crt", &cert);
        running.until("the refusal", |running| running.refused().is_some()).await;
        let said = running.refused().unwrap();
        assert!(said.contains("a.key: it is not the key of the certificate"), "{said}");
        assert_eq!((running.name().as_str(), running.store.load().generation), ("old.example", 1));
        running.write("a.key", &key);
        running.until("the new name", |running| running.name() == "new.example").await;
        running.until("no refusal", |running| running.refused().is_none()).await;
        assert_eq!(running.source.counts(), (1, 1, 0));
    })
    .await;
}

/// T1
#[tokio::test]
async fn a_certificate_that_is_gone_is_told_of_and_goes_on_serving_until_it_is_back() {
    local(async {
        let running = Running::start();
        let cert = fs::read_to_string(running.folder.path().join("a.crt")).unwrap();
        fs::remove_file(running.folder.path().join("a.crt")).unwrap();
        running.until("the refusal", |running| running.refused().is_some()).await;
        let said = running.refused().unwrap();
        assert!(said.ends_with("a.crt: there is no such file"), "{said}");
        assert_eq!(running.name(), "old.example");
        running.write("a.crt", &cert);
        running.until("no refusal", |running| running.refused().is_none()).await;
        assert_eq!(running.store.load().generation, 1);
    })
    .await;
}

/// T1. The mistake may stay for weeks.
#[tokio::test]
async fn a_certificate_is_renewed_while_a_mistyped_edit_is_refused() {
    local(async {
        let running = Running::start();
        running.write("config.yaml", "listeners: 7");
        running.until("the refusal", |running| running.refused().is_some()).await;
        let mistake = running.refused();
        let (cert, key) = issue("new.example");
        running.write("a.crt", &cert);
        running.write("a.key", &key);
        running.until("the new name", |running| running.name() == "new.example").await;
        assert_eq!(running.refused(), mistake);
        assert!(!running.source.load().in_sync());
        running.write("config.yaml", CONFIG);
        running.until("no refusal", |running| running.refused().is_none()).await;
        assert_eq!(running.name(), "new.example");
    })
    .await;
}

/// T1
#[tokio::test]
async fn the_files_of_an_edit_are_followed_and_so_are_those_of_one_that_was_refused() {
    local(async {
        let running = Running::start();
        running.write("config.yaml", &CONFIG.replace("a.crt", "b.crt").replace("a.key", "b.key"));
        running.until("the refusal", |running| running.refused().is_some()).await;
        for name in ["first.example", "second.example"] {
            let (cert, key) = issue(name);
            running.write("b.crt", &cert);
            running.write("b.key", &key);
            running.until("the new name", |running| running.name() == name).await;
        }
        running.until("no refusal", |running| running.refused().is_none()).await;
    })
    .await;
}
