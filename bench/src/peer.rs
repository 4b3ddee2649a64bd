//! The proxies that are compared: how each is configured, started and told to reload.
//!
//! All get the same task: one core, the same protocols on both sides with connections kept alive, and at least an
//! `X-Forwarded-For` towards the endpoint. Their configurations are the templates in `bench/peers`.

mod programs;

use crate::Result;
use crate::exchange::{Exchange, HOST, Protocol};
use crate::load::{self, Shape};
use crate::process::{Process, Signal};
use crate::template::{Value, Values, fill};
use crate::tls::Identity;
pub(crate) use programs::Program;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The two algorithms between which Outrigger's file is switched.
const ALGORITHMS: [&str; 2] = ["RoundRobin", "LeastConnections"];

/// What a row does beyond what all do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Write a line per request to stdout, which is a file.
    pub(crate) access_log: bool,
    /// Send the endpoint all the headers that Outrigger sends.
    pub(crate) all_headers: bool,
    /// Offer metrics on a port of their own.
    pub(crate) metrics: bool,
    /// Have them read once a second meanwhile.
    pub(crate) scraped: bool,
    /// Reloads per second meanwhile, if any are wanted.
    pub(crate) reloads: Option<u32>,
    /// Have the client offer a post-quantum group.
    pub(crate) post_quantum: bool,
    /// Trace so many percent of the requests, if there are traces.
    pub(crate) traces: Option<u32>,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) label: String,
    pub(crate) program: Program,
    pub(crate) options: Options,
    pub(crate) file: PathBuf,
    /// Whether another row is the very same.
    pub(crate) again: bool,
}

/// What a peer is configured for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) endpoints: &'a [SocketAddr],
    /// A host each, or none: then everything goes to the endpoints.
    pub(crate) hosts: &'a [String],
    /// The load that it will have.
    pub(crate) shape: &'a Shape,
    pub(crate) exchange: &'a Exchange,
    /// Its certificate, where the load is within TLS.
    pub(crate) identity: Option<&'a Identity>,
    /// Where traces go.
    pub(crate) collector: Option<SocketAddr>,
}

/// A peer that runs.
pub(crate) struct Running {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Where it offers its metrics, when it does.
    pub(crate) admin: SocketAddr,
    /// `None` for a direct connection.
    pub(crate) process: Option<Process>,
    folder: PathBuf,
}

impl Peer {
    /// No proxy at all.
    pub(crate) fn direct() -> Peer {
        let (file, options) = (PathBuf::new(), Options::default());
        Peer {
            label: "direct, no proxy".into(),
            program: Program::Direct,
            options,
            file,
            again: false,
        }
    }

    /// All peers that are installed; the others are named on stderr. (An error with `REQUIRE_TOOLS=1` for the
    /// distribution's.)
    pub(crate) fn installed() -> Result<Vec<Peer>> {
        let peers = [
            ("nginx", Program::Nginx, "NGINX"),
            ("nginx-new", Program::Nginx, "NGINX (musl wheel)"),
            ("haproxy", Program::Haproxy, "HAProxy"),
            ("envoy", Program::Envoy, "Envoy"),
            ("traefik", Program::Traefik, "Traefik"),
            ("caddy", Program::Caddy, "Caddy"),
        ];
        let peer = |(name, program, title)| -> Result<Option<Peer>> {
            let found = programs::find(name)?;
            found.map(|file| Peer::new(title, program, &file)).transpose()
        };
        peers.into_iter().filter_map(|it| peer(it).transpose()).collect()
    }

    /// The Outrigger at `file`, which `note` tells from others.
    pub(crate) fn outrigger(note: &str, file: &Path) -> Result<Peer> {
        let peer = Peer::new("Outrigger", Program::Outrigger, file)?;
        Ok(if note.is_empty() { peer } else { peer.noted(note) })
    }

    fn new(title: &str, program: Program, file: &Path) -> Result<Peer> {
        let label = format!("{title} {}", programs::version(file, program.version_flag())?);
        Ok(Peer {
            label,
            program,
            options: Options::default(),
            file: file.to_owned(),
            again: false,
        })
    }

    /// The same with other options.
    pub(crate) fn with(&self, note: &str, options: Options) -> Peer {
        Peer { options, ..self.noted(note) }
    }

    /// The same once more, under a label that says so: what differs between the two is noise.
    pub(crate) fn again(&self) -> Peer {
        Peer { again: true, ..self.noted("again (A/A)") }
    }

    /// The same with a note in its label.
    pub(crate) fn noted(&self, note: &str) -> Peer {
        Peer { label: format!("{}, {note}", self.label), ..self.clone() }
    }

    /// Starts it on a free port and on `core`, and waits until it passes requests on.
    pub(crate) fn start(&self, core: usize, setting: &Setting<'_>, work: &Path) -> Result<Running> {
        let mut running = self.spawn(core, setting, work)?;
        if let Some(process) = &mut running.process {
            let host = setting.hosts.first().map_or(HOST, String::as_str);
            let plain = setting.exchange.protocol == Protocol::Http1 && setting.identity.is_none();
            process.wait_until(|| match plain {
                true => answers(running.address, host),
                false => load::answers(running.address, setting.shape, setting.exchange),
            })?;
        }
        Ok(running)
    }

    /// Starts it and waits for nothing.
    pub(crate) fn spawn(&self, core: usize, setting: &Setting<'_>, work: &Path) -> Result<Running> {
        let folder = work.join("peer");
        recreate(&folder)?;
        if self.program == Program::Direct {
            let address = *setting.endpoints.first().ok_or("no endpoint")?;
            return Ok(Running { address, admin: address, process: None, folder });
        }
        let (address, admin) = (free_address()?, free_address()?);
        let values = self.values(address, admin, setting, ALGORITHMS[0]);
        for (name, template) in self.program.templates() {
            fs::write(folder.join(name), fill(template, &values)?)?;
        }
        if self.options.reloads.is_some() && self.program == Program::Outrigger {
            for (index, algorithm) in ALGORITHMS.iter().enumerate() {
                let values = self.values(address, admin, setting, algorithm);
                let (_, template) = self.program.templates()[0];
                fs::write(folder.join(format!("next{index}")), fill(template, &values)?)?;
            }
        }
        let configuration = folder.join(self.program.templates()[0].0);
        let command = self.program.command(
            &self.file,
            &configuration,
            &folder,
            self.options.reloads.is_some(),
        );
        let stdout = fs::File::create(folder.join("stdout.log"))?;
        let process = Process::start(core, &command, &folder, stdout.into())?;
        Ok(Running { address, admin, process: Some(process), folder })
    }

    /// Fails when it has saved work that the others do. `head` is what it sent, `lines` are those of its stdout.
    pub(crate) fn check_fairness(&self, head: &str, lines: u64) -> Result<()> {
        let wanted = self.program.headers(self.options.all_headers);
        if let Some(absent) = wanted.iter().find(|header| !head.contains(*header)) {
            return Err(format!("unfair: it sends no {absent:?}, but {head:?}").into());
        }
        let is_told = head.contains("\r\ntraceparent:");
        if is_told != self.options.traces.is_some() {
            return Err(format!("with traces {:?} it sends {head:?}", self.options.traces).into());
        }
        match (self.options.access_log, lines > 0) {
            (true, false) => Err("unfair: it should write an access log, and does not".into()),
            (false, true) => Err("unfair: it writes to stdout, and should not".into()),
            _ => Ok(()),
        }
    }

    fn values(
        &self,
        address: SocketAddr,
        admin: SocketAddr,
        setting: &Setting<'_>,
        algorithm: &str,
    ) -> Values {
        let text = |text: &dyn ToString| Value::Text(text.to_string());
        let endpoint = |(index, endpoint): (usize, &SocketAddr)| {
            Values::from([
                ("index", text(&index)),
                ("host", text(&endpoint.ip())),
                ("port", text(&endpoint.port())),
            ])
        };
        let host = |(index, host): (usize, &String)| {
            Values::from([("index", text(&index)), ("name", text(host))])
        };
        // Each request to the endpoint may need a connection of its own.
        let clients = setting.shape.connections.max(setting.shape.in_flight);
        let mut values = Values::from([
            ("address", text(&address)),
            ("host", text(&address.ip())),
            ("port", text(&address.port())),
            ("algorithm", text(&algorithm)),
            ("accessLog", Value::Flag(self.options.access_log)),
            ("allHeaders", Value::Flag(self.options.all_headers)),
            ("metrics", Value::Flag(self.options.metrics)),
            (
                "endpoints",
                Value::List(setting.endpoints.iter().enumerate().map(endpoint).collect()),
            ),
            ("routes", Value::List(setting.hosts.iter().enumerate().map(host).collect())),
            ("manyRoutes", Value::Flag(!setting.hosts.is_empty())),
            ("hosts", text(&setting.hosts.join(" "))),
            // Some reserve memory for each: as many as it takes on both sides, and a few more.
            ("maxClients", text(&(clients + 512))),
            ("maxConnections", text(&(clients * 2 + setting.endpoints.len() + 512))),
            ("keepAlive", text(&(setting.shape.in_flight.max(128) + setting.endpoints.len()))),
            ("tls", Value::Flag(setting.identity.is_some())),
            ("http2", Value::Flag(setting.exchange.protocol != Protocol::Http1)),
            ("grpc", Value::Flag(setting.exchange.protocol == Protocol::Grpc)),
        ]);
        if let Some(Identity { certificate, key, bundle, .. }) = setting.identity {
            let path = |path: &Path| Value::Text(path.display().to_string());
            values.extend([
                ("certificate", path(certificate)),
                ("key", path(key)),
                ("bundle", path(bundle)),
            ]);
        }
        if self.options.metrics {
            values.insert("admin", text(&admin));
        }
        if let Some((percent, collector)) = self.options.traces.zip(setting.collector) {
            values.insert("collector", text(&collector));
            values.insert("sample", text(&(f64::from(percent) / 100.0)));
        }
        values
    }
}

impl Running {
    /// Has it load its configuration once more; Outrigger's differs each time, by the `number`.
    pub(crate) fn reload(&self, program: Program, number: usize) -> Result<()> {
        let process = self.process.as_ref().ok_or("nothing to reload")?;
        match program {
            Program::Outrigger => {
                let new = self.folder.join("new");
                fs::copy(self.folder.join(format!("next{}", (number + 1) % 2)), &new)?;
                Ok(fs::rename(new, self.folder.join(program.templates()[0].0))?)
            }
            Program::Nginx => process.signal_leader(Signal::HUP),
            Program::Haproxy => process.signal_leader(Signal::USR2),
            Program::Direct | Program::Envoy | Program::Caddy | Program::Traefik => {
                Err("the bench does not know how to reload it".into())
            }
        }
    }

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

/// Whether the proxy at `address` passes on a request for `host`. One that only accepts may not know its routes yet.
pub(crate) fn answers(address: SocketAddr, host: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "GET /api/start HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_filled_for_every_load() {
        let endpoint = SocketAddr::from(([127, 0, 0, 1], 9));
        let options =
            Options { access_log: true, all_headers: true, metrics: true, ..Options::default() };
        let all = [
            Program::Nginx,
            Program::Haproxy,
            Program::Envoy,
            Program::Caddy,
            Program::Traefik,
            Program::Outrigger,
        ];
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::create(folder.path()).unwrap();
        let shape = Shape::keep_alive(64);
        let http2 = Exchange { protocol: Protocol::Http2, ..Exchange::small() };
        for program in all {
            let peer = Peer { program, options, ..Peer::direct() };
            let filled = |setting: &Setting<'_>| -> String {
                let values = peer.values(endpoint, endpoint, setting, ALGORITHMS[0]);
                let templates = program.templates().iter();
                templates.map(|(_, template)| fill(template, &values).unwrap()).collect()
            };
            let (exchange, endpoints) = (&Exchange::small(), &[endpoint, endpoint][..]);
            for hosts in [&[][..], &["a.example".to_owned(), "b.example".to_owned()]] {
                let setting = Setting {
                    endpoints,
                    hosts,
                    shape: &shape,
                    exchange,
                    identity: None,
                    collector: None,
                };
                let text = filled(&setting);
                assert!(text.contains("127.0.0.1") && !text.contains("{{"), "{text}");
                assert_eq!(text.contains("b.example"), !hosts.is_empty(), "{text}");
                assert!(!text.contains(".pem"), "{text}");
            }
            let setting = Setting {
                endpoints,
                hosts: &[],
                shape: &shape,
                exchange,
                identity: None,
                collector: None,
            };
            let plain = filled(&setting);
            let grpc = filled(&Setting { exchange: &Exchange::grpc(), ..setting });
            assert!(grpc != plain, "nothing tells {program:?} to speak HTTP/2 to the endpoint");
            for exchange in [exchange, &http2] {
                let text = filled(&Setting { identity: Some(&identity), exchange, ..setting });
                assert!(text.contains(".pem") && !text.contains("{{"), "{text}");
            }
        }
    }
}
