//! The proxies that are compared: how each is found, configured and started.
//!
//! All get the same task: HTTP/1.1 keep-alive on both sides, one core, one endpoint, no access log, and
//! at least an `X-Forwarded-For` towards the endpoint.

use crate::Result;
use crate::machine;
use crate::process::Process;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What kind of thing stands between client and endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: the rig's own ceiling.
    Direct,
    /// NGINX, told to send `X-Forwarded-For`.
    Nginx,
    /// HAProxy, told to send `X-Forwarded-For` or all the headers that Outrigger sends.
    Haproxy { all_headers: bool },
    /// Outrigger, with or without its access log.
    Outrigger { access_log: bool },
}

impl Kind {
    /// What it must tell the endpoint, so that none saves work that others do.
    pub(crate) fn headers(self) -> &'static [&'static str] {
        const ALL: [&str; 5] = [
            "x-forwarded-for: ",
            "x-forwarded-proto: ",
            "x-forwarded-host: ",
            "via: ",
            "x-request-id: ",
        ];
        match self {
            Kind::Direct => &[],
            Kind::Nginx | Kind::Haproxy { all_headers: false } => &ALL[..1],
            Kind::Haproxy { all_headers: true } | Kind::Outrigger { .. } => &ALL,
        }
    }
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) label: String,
    pub(crate) kind: Kind,
    program: PathBuf,
}

/// A peer that runs.
pub(crate) struct Running {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// `None` for a direct connection.
    pub(crate) process: Option<Process>,
    folder: PathBuf,
}

impl Peer {
    /// No proxy at all.
    pub(crate) fn direct() -> Peer {
        Peer { label: "direct, no proxy".into(), kind: Kind::Direct, program: PathBuf::new() }
    }

    /// The distribution's NGINX; `None` when it is not installed (an error with `REQUIRE_TOOLS=1`).
    pub(crate) fn nginx() -> Result<Option<Peer>> {
        Peer::installed("nginx", Kind::Nginx, "NGINX")
    }

    /// The distribution's HAProxy; `None` as for NGINX.
    pub(crate) fn haproxy() -> Result<Option<Peer>> {
        Peer::installed("haproxy", Kind::Haproxy { all_headers: false }, "HAProxy")
    }

    /// This HAProxy with the headers that Outrigger sends.
    pub(crate) fn with_all_headers(&self) -> Peer {
        let label = format!("{}, all of Outrigger's headers", self.label);
        Peer { label, kind: Kind::Haproxy { all_headers: true }, ..self.clone() }
    }

    fn installed(name: &str, kind: Kind, title: &str) -> Result<Option<Peer>> {
        let Some(program) = machine::find(name) else {
            return machine::missing(name).map(|()| None);
        };
        let label = format!("{title} {}", version(&program, "-v")?);
        Ok(Some(Peer { label, kind, program }))
    }

    /// The Outrigger at `program`.
    pub(crate) fn outrigger(program: &Path, access_log: bool) -> Result<Peer> {
        let note = if access_log { ", access log on" } else { "" };
        let label = format!("Outrigger {}{note}", version(program, "--version")?);
        let kind = Kind::Outrigger { access_log };
        Ok(Peer { label, kind, program: program.to_owned() })
    }

    /// The same peer once more, under a label that says so: what differs between the two is noise.
    pub(crate) fn again(&self) -> Peer {
        Peer { label: format!("{}, again (A/A)", self.label), ..self.clone() }
    }

    /// Starts it on a free port and on `core`, in front of `endpoint`, and waits until it accepts.
    pub(crate) fn start(&self, core: usize, endpoint: SocketAddr, work: &Path) -> Result<Running> {
        let folder = work.join("peer");
        recreate(&folder)?;
        if self.kind == Kind::Direct {
            return Ok(Running { address: endpoint, process: None, folder });
        }
        let address = free_address()?;
        let file = folder.join("configuration");
        fs::write(&file, self.configuration(address, endpoint))?;
        let stdout = fs::File::create(folder.join("stdout.log"))?;
        let command = self.command(&file, &folder);
        let mut process = Process::start(core, &command, &folder, stdout.into())?;
        process.wait_until(|| TcpStream::connect(address).is_ok())?;
        Ok(Running { address, process: Some(process), folder })
    }

    fn command(&self, file: &Path, folder: &Path) -> Vec<OsString> {
        let (program, file, folder) =
            (self.program.as_os_str(), file.as_os_str(), folder.as_os_str());
        let arguments: &[_] = match self.kind {
            Kind::Direct => &[],
            Kind::Nginx => {
                &["-e".as_ref(), "stderr".as_ref(), "-p".as_ref(), folder, "-c".as_ref(), file]
            }
            Kind::Haproxy { .. } => &["-db".as_ref(), "-f".as_ref(), file],
            Kind::Outrigger { .. } => &["run".as_ref(), "--config".as_ref(), file],
        };
        [program].iter().chain(arguments).map(|&part| part.to_owned()).collect()
    }

    fn configuration(&self, address: SocketAddr, endpoint: SocketAddr) -> String {
        match self.kind {
            Kind::Direct => String::new(),
            Kind::Nginx => nginx(address, endpoint),
            Kind::Haproxy { all_headers } => haproxy(address, endpoint, all_headers),
            Kind::Outrigger { access_log } => outrigger(address, endpoint, access_log),
        }
    }
}

impl Running {
    /// Stops it, so that all is written, and says how many lines its stdout has.
    pub(crate) fn stop_and_count_lines(self) -> Result<u64> {
        drop(self.process);
        let mut file = fs::File::open(self.folder.join("stdout.log"))?;
        let (mut buffer, mut lines) = (vec![0; 1 << 20], 0);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(lines),
                count => {
                    lines += buffer[..count].iter().filter(|&&byte| byte == b'\n').count() as u64
                }
            }
        }
    }
}

/// A loopback port that nobody uses now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Makes `folder` empty.
pub(crate) fn recreate(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(fs::create_dir_all(folder)?),
    }
}

/// The first thing in `program`'s answer to `flag` that looks like a version, and a commit after it.
fn version(program: &Path, flag: &str) -> Result<String> {
    let name = program.display();
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name} {flag}: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    version_in(&String::from_utf8_lossy(&text))
        .ok_or_else(|| format!("{name} {flag} tells no version").into())
}

fn version_in(text: &str) -> Option<String> {
    let line = text.lines().next()?;
    let mut words =
        line.split([' ', '/']).skip_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
    let version = words.next()?.split(['-', '+']).next()?;
    let commit = words.next().filter(|word| word.starts_with('('));
    Some([Some(version), commit].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

fn nginx(address: SocketAddr, endpoint: SocketAddr) -> String {
    format!(
        "daemon off;
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream bench {{
        server {endpoint};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://bench;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"
    )
}

fn haproxy(address: SocketAddr, endpoint: SocketAddr, all_headers: bool) -> String {
    let more = match all_headers {
        false => "",
        true => {
            "    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header Via \"1.1 haproxy\"
    http-request set-header X-Request-Id %[uuid()]
"
        }
    };
    format!(
        "global
    nbthread 1
    maxconn 4096

defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 2s
    timeout client 60s
    timeout server 60s

frontend bench
    bind {address}
    option forwardfor
{more}    default_backend bench

backend bench
    server endpoint {endpoint}
"
    )
}

fn outrigger(address: SocketAddr, endpoint: SocketAddr, access_log: bool) -> String {
    format!(
        "admin: {{ address: \"\" }}
workers: 1
shutdown: {{ drainDelay: 0s, drainTimeout: 1s }}
telemetry: {{ accessLog: {{ enabled: {access_log} }} }}
listeners:
  - name: bench
    address: {address}
backends:
  - name: bench
    algorithm: RoundRobin
    endpoints: [\"http://{endpoint}\"]
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_program_tells_them() {
        let nginx = version_in("nginx version: nginx/1.22.1\n");
        let haproxy =
            version_in("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n");
        assert_eq!(nginx.as_deref(), Some("1.22.1"));
        assert_eq!(haproxy.as_deref(), Some("2.6.12"));
        assert_eq!(version_in("outrigger 0.1.0 (abc1234)\n").as_deref(), Some("0.1.0 (abc1234)"));
        assert_eq!(version_in("outrigger\n"), None);
    }
}
