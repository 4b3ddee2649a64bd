//! A process of the real binary, with a configuration of its own.

use crate::access_log::Access;
use crate::binary::binary;
use crate::client::{Answer, Connection};
use crate::files;
use crate::lines::Lines;
use crate::status::Status;
use crate::wait::{eventually, in_time};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, kill_process};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

pub use rustix::process::Signal;

/// The part of a configuration that every test has: one listener and the admin port, both on free ports of loopback.
pub const PORTS: &str = "\
admin: { address: 127.0.0.1:0 }
listeners: [{ name: http, address: 127.0.0.1:0 }]
";

/// The name of the configuration file.
const CONFIG: &str = "config.yaml";

/// A running process; dropping it kills it.
#[derive(Debug)]
pub struct Outrigger {
    child: Child,
    directory: TempDir,
    admin: SocketAddr,
    address: SocketAddr,
    client: Mutex<Option<Connection>>,
    access_log: Lines<Access>,
    log: Lines<String>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// All that it wrote to standard error.
    pub log: String,
    /// All lines of the access log.
    pub access_log: Vec<Access>,
}

impl Outrigger {
    /// Starts a process with this configuration and waits until it is ready.
    ///
    /// # Panics
    /// It ends instead, or stays unready.
    pub async fn start(yaml: &str) -> Self {
        Self::start_with(&[], yaml).await
    }

    /// The same with these files, by their paths, in the folder of the configuration.
    ///
    /// # Panics
    /// It ends instead, or stays unready.
    pub async fn start_with(files: &[(&str, &str)], yaml: &str) -> Self {
        match Self::try_start_with(files, yaml).await {
            Ok(outrigger) => {
                outrigger.until_ready().await;
                outrigger
            }
            Err(ended) => {
                panic!("it does not start: {}\n{}\nwith:\n{yaml}", ended.status, ended.log)
            }
        }
    }

    /// Starts a process with these files and this configuration, and waits until it listens or ends.
    ///
    /// # Errors
    /// It ends.
    pub async fn try_start_with(files: &[(&str, &str)], yaml: &str) -> Result<Self, Ended> {
        let directory = tempfile::tempdir().expect("a directory for the configuration");
        for (name, text) in files {
            let path = directory.path().join(name);
            let folder = path.parent().expect("it is in the directory");
            std::fs::create_dir_all(folder).expect("the directory takes a folder");
            std::fs::write(path, text).expect("the directory takes a file");
        }
        Self::try_launch_in(directory, yaml).await
    }

    /// Starts a process with this configuration in this folder, which has the files it names, and waits until it listens or
    /// ends.
    ///
    /// # Errors
    /// It ends.
    pub async fn try_launch_in(directory: TempDir, yaml: &str) -> Result<Self, Ended> {
        let config = directory.path().join(CONFIG);
        std::fs::write(&config, yaml).expect("the directory takes a file");
        Self::try_launch_with(directory, |command| command.arg("run").arg("--config").arg(config))
            .await
    }

    /// Starts a process with this configuration and waits until it listens.
    ///
    /// # Panics
    /// It ends instead.
    pub async fn launch(yaml: &str) -> Self {
        match Self::try_launch(yaml).await {
            Ok(outrigger) => outrigger,
            Err(ended) => {
                panic!("it does not start: {}\n{}\nwith:\n{yaml}", ended.status, ended.log)
            }
        }
    }

    /// Starts a process with this configuration, which must have an admin port, and waits until it listens or ends.
    ///
    /// # Errors
    /// It ends.
    pub async fn try_launch(yaml: &str) -> Result<Self, Ended> {
        Self::try_start_with(&[], yaml).await
    }

    /// The same with other arguments; the configuration is whatever they name, `directory` is kept until the end. Where
    /// they send standard output elsewhere, its access log stays empty.
    ///
    /// # Errors
    /// It ends.
    pub async fn try_launch_with(
        directory: TempDir,
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Self, Ended> {
        let mut command = new_command(binary());
        arguments(&mut command);
        Self::try_spawn(directory, command).await
    }

    /// Starts a process with this configuration by a shell script, in which `"$@"` is its command, and waits until it is
    /// ready. The script ends with `exec`, so that the process is the one that was started.
    ///
    /// # Panics
    /// It ends instead, or stays unready.
    pub async fn start_by(script: &str, yaml: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the configuration");
        let config = directory.path().join(CONFIG);
        std::fs::write(&config, yaml).expect("the directory takes a file");
        let mut command = new_command("sh");
        command.arg("-c").arg(script).arg("sh").arg(binary());
        command.arg("run").arg("--config").arg(config);
        match Self::try_spawn(directory, command).await {
            Ok(outrigger) => {
                outrigger.until_ready().await;
                outrigger
            }
            Err(ended) => {
                panic!("it does not start: {}\n{}\nby:\n{script}", ended.status, ended.log)
            }
        }
    }

    async fn try_spawn(directory: TempDir, mut command: Command) -> Result<Self, Ended> {
        let mut child = command.spawn().expect("the binary runs");
        let mut access_log = match child.stdout.take() {
            Some(stdout) => Lines::of(stdout, Access::parse),
            // The arguments sent it elsewhere.
            None => Lines::of(tokio::io::empty(), Access::parse),
        };
        let mut log = Lines::of(child.stderr.take().expect("piped"), |line| line);
        let what = "the line that names the admin port";
        let admin = tokio::select! {
            line = log.find(what, |line| line.contains("admin on http://")) => address_in(&line),
            _ = child.wait() => return Err(end(&mut child, &mut access_log, &mut log).await),
        };
        let client = Mutex::new(None);
        let mut outrigger =
            Self { child, directory, admin, address: admin, client, access_log, log };
        outrigger.address = outrigger.status().await.listeners[0].address;
        Ok(outrigger)
    }

    /// Its first listener at its start.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its admin port.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its process id.
    ///
    /// # Panics
    /// It has been waited for.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process has ended")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join(CONFIG)
    }

    /// The directory of its configuration file.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its access log: standard output.
    pub fn access_log(&self) -> &Lines<Access> {
        &self.access_log
    }

    /// What it says of itself: standard error.
    pub fn log(&self) -> &Lines<String> {
        &self.log
    }

    /// Waits for a line of its log that contains `text`.
    pub async fn logged(&self, text: &str) -> String {
        self.log.find(&format!("a line of the log with {text:?}"), |line| line.contains(text)).await
    }

    /// Asks the admin port.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ask(&self, path: &str) -> Result<Answer, String> {
        let mut client = self.client.lock().await;
        let open = client.take().filter(Connection::is_open);
        let mut connection = match open {
            Some(connection) => connection,
            None => Connection::open(self.admin).await?,
        };
        let answer = connection.get(path).await?;
        *client = Some(connection);
        Ok(answer)
    }

    /// Its `/status`.
    ///
    /// # Panics
    /// It does not answer, or in another form than documented.
    pub async fn status(&self) -> Status {
        let answer = in_time("/status", self.ask("/status")).await.expect("/status answers");
        match serde_json::from_slice(&answer.body) {
            Ok(status) => status,
            Err(error) => panic!("/status: {error}: {}", answer.text()),
        }
    }

    /// Whether `/readyz` says that it is ready.
    pub async fn is_ready(&self) -> bool {
        self.ask("/readyz").await.is_ok_and(|answer| answer.status == 200)
    }

    /// Waits until it is ready.
    pub async fn until_ready(&self) {
        eventually("readiness", async || self.is_ready().await.then_some(())).await;
    }

    /// Waits until `/status` is as `wanted`, and returns it.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        eventually(what, async || Some(self.status().await).filter(&wanted)).await
    }

    /// Puts a new configuration in place by renaming a file that was written a second before.
    ///
    /// # Panics
    /// The directory is gone.
    pub fn write(&self, yaml: &str) {
        files::rename(self.directory.path(), CONFIG, yaml);
    }

    /// Puts a new configuration in place, which must say something new, and waits until it runs.
    ///
    /// # Panics
    /// It is refused.
    pub async fn reload(&self, yaml: &str) -> Status {
        let before = self.status().await;
        self.write(yaml);
        self.until("the next generation", |status| {
            let refused = status.reloads.refused > before.reloads.refused;
            assert!(!refused, "refused: {:#?}", status.refused);
            status.generation > before.generation && status.config_in_sync
        })
        .await
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the process is ours");
    }

    /// Waits until it has ended.
    pub async fn ended(mut self) -> Ended {
        in_time("the end of the process", end(&mut self.child, &mut self.access_log, &mut self.log))
            .await
    }

    /// Stops it by SIGINT, which spares the wait that SIGTERM makes for load balancers before it.
    ///
    /// # Panics
    /// It does not end well.
    pub async fn stop(self) -> Ended {
        self.signal(Signal::INT);
        let ended = self.ended().await;
        assert!(ended.status.success(), "{}\n{}", ended.status, ended.log);
        ended
    }

    /// Its resident memory in KiB.
    ///
    /// # Panics
    /// The system is not Linux, or the process has ended.
    pub fn resident_kib(&self) -> u64 {
        self.proc_status("VmRSS:")
    }

    /// How many threads it has.
    ///
    /// # Panics
    /// The system is not Linux, or the process has ended.
    pub fn threads(&self) -> u64 {
        self.proc_status("Threads:")
    }

    /// The number on a line of `/proc/PID/status`.
    fn proc_status(&self, name: &str) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("no {name} in {status}"))
    }

    /// The processor time it has used.
    ///
    /// # Panics
    /// The system is not Linux, or the process has ended.
    pub fn cpu_time(&self) -> Duration {
        let stat = self.proc("stat");
        // The name, which may have spaces, ends with the last parenthesis; then come the fields from the third on.
        let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
        let ticks: Vec<u64> =
            fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        assert_eq!(ticks.len(), 2, "no utime and stime in {stat}");
        Duration::from_secs_f64(ticks.iter().sum::<u64>() as f64 / clock_ticks_per_second() as f64)
    }

    /// How many files it has open.
    ///
    /// # Panics
    /// The system is not Linux, or the process has ended.
    pub fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid());
        std::fs::read_dir(path).expect("a system with /proc").count()
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.pid());
        std::fs::read_to_string(path).expect("a system with /proc")
    }
}

/// A command whose output is ours, and that dies with its handle.
fn new_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("OUTRIGGER_LOG").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn end(child: &mut Child, access_log: &mut Lines<Access>, log: &mut Lines<String>) -> Ended {
    let status = child.wait().await.expect("the process is ours");
    let access_log = access_log.drain().await;
    Ended { status, log: log.drain().await.join("\n"), access_log }
}

/// The address in a line such as `admin on http://127.0.0.1:41234: the dashboard`.
fn address_in(line: &str) -> SocketAddr {
    let after = line.split("http://").nth(1).unwrap_or("");
    let text = after.split(|c: char| c.is_whitespace() || c == ',').next().unwrap_or("");
    let address = text.trim_end_matches(':').parse();
    address.unwrap_or_else(|_| panic!("no address in {line:?}"))
}
