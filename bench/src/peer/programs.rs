//! The programs that are compared: where each is found, and how it is told what to do.

use crate::Result;
use crate::machine;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What stands between client and endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Nothing: the rig's own ceiling.
    Direct,
    /// NGINX, told to send `X-Forwarded-For`.
    Nginx,
    /// HAProxy, told to send `X-Forwarded-For`.
    Haproxy,
    /// Envoy as it sends by itself.
    Envoy,
    /// Caddy as it sends by itself.
    Caddy,
    /// Traefik as it sends by itself.
    Traefik,
    /// Outrigger.
    Outrigger,
}

/// The configurations of a program: the file that it is given first, and others beside it.
pub(super) type Templates = &'static [(&'static str, &'static str)];

impl Program {
    /// File names and templates.
    pub(super) fn templates(self) -> Templates {
        match self {
            Program::Direct => &[],
            Program::Nginx => &[("nginx.conf", include_str!("../../peers/nginx.conf"))],
            Program::Haproxy => &[
                ("haproxy.cfg", include_str!("../../peers/haproxy.cfg")),
                ("hosts.map", include_str!("../../peers/haproxy.map")),
            ],
            Program::Envoy => &[("envoy.yaml", include_str!("../../peers/envoy.yaml"))],
            Program::Caddy => &[("Caddyfile", include_str!("../../peers/Caddyfile"))],
            Program::Traefik => &[
                ("traefik.yaml", include_str!("../../peers/traefik.yaml")),
                ("dynamic.yaml", include_str!("../../peers/traefik-dynamic.yaml")),
            ],
            Program::Outrigger => &[("outrigger.yaml", include_str!("../../peers/outrigger.yaml"))],
        }
    }

    /// The command that runs it in `folder` with the configuration `file`. `reloads` says that it will be told to reload.
    pub(super) fn command(
        self,
        program: &Path,
        file: &Path,
        folder: &Path,
        reloads: bool,
    ) -> Vec<OsString> {
        let (file, folder): (OsString, OsString) = (file.into(), folder.into());
        let arguments: Vec<OsString> = match self {
            Program::Direct => vec![],
            Program::Nginx => {
                vec!["-e".into(), "stderr".into(), "-p".into(), folder, "-c".into(), file]
            }
            // Only a master can be told to reload.
            Program::Haproxy if reloads => vec!["-W".into(), "-db".into(), "-f".into(), file],
            Program::Haproxy => vec!["-db".into(), "-f".into(), file],
            Program::Envoy => {
                let options =
                    ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"];
                options.iter().map(Into::into).chain([file]).collect()
            }
            Program::Caddy => {
                vec!["run".into(), "--adapter".into(), "caddyfile".into(), "--config".into(), file]
            }
            Program::Traefik => {
                let mut option = OsString::from("--configFile=");
                option.push(file);
                vec![option]
            }
            Program::Outrigger => vec!["run".into(), "--config".into(), file],
        };
        [program.into()].into_iter().chain(arguments).collect()
    }

    /// What it must tell the endpoint, so that none saves work that others do.
    pub(super) fn headers(self, all: bool) -> &'static [&'static str] {
        const ALL: [&str; 5] = [
            "x-forwarded-for: ",
            "x-forwarded-proto: ",
            "x-forwarded-host: ",
            "via: ",
            "x-request-id: ",
        ];
        match self {
            Program::Direct => &[],
            Program::Outrigger => &ALL,
            _ if all => &ALL,
            Program::Nginx
            | Program::Haproxy
            | Program::Envoy
            | Program::Caddy
            | Program::Traefik => &ALL[..1],
        }
    }

    /// How it is asked for its version.
    pub(super) fn version_flag(self) -> &'static str {
        match self {
            Program::Nginx | Program::Haproxy => "-v",
            Program::Traefik => "version",
            Program::Direct | Program::Envoy | Program::Caddy | Program::Outrigger => "--version",
        }
    }
}

/// A peer's program: the distribution's when `name` is `nginx` or `haproxy`, else what `bench/peers/install` brought.
/// `None`, said on stderr, when it is not there; for the distribution's that is an error with `REQUIRE_TOOLS=1`.
pub(super) fn find(name: &str) -> Result<Option<PathBuf>> {
    if matches!(name, "nginx" | "haproxy") {
        let found = machine::find(name);
        if found.is_none() {
            machine::missing(name)?;
        }
        return Ok(found);
    }
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).ok_or("the program has no folder")?;
    let program = target.join("peers").join(name);
    if !program.is_file() {
        eprintln!("bench: {name} is left out: bench/peers/install has not brought it");
        return Ok(None);
    }
    Ok(Some(program))
}

/// The first thing in `program`'s answer to `flag` that looks like a version, and a commit after it.
pub(super) fn version(program: &Path, flag: &str) -> Result<String> {
    let name = program.display();
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name} {flag}: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    version_in(&String::from_utf8_lossy(&text))
        .ok_or_else(|| format!("{name} {flag} tells no version").into())
}

fn version_in(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split([' ', '/', '\n']).collect();
    let is_version =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    let mut rest = words
        .iter()
        .map(|word| word.strip_prefix('v').unwrap_or(word))
        .skip_while(|word| !is_version(word));
    let version = rest.next()?.split(['-', '+']).next()?;
    let commit = rest.next().filter(|word| word.starts_with('('));
    Some([Some(version), commit].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_program_tells_them() {
        let of = |text| version_in(text).unwrap_or_default();
        assert_eq!(of("nginx version: nginx/1.22.1\n"), "1.22.1");
        assert_eq!(
            of("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n"),
            "2.6.12"
        );
        assert_eq!(of("\nenvoy  version: 9e55809/1.40.0/Clean/RELEASE/BoringSSL\n"), "1.40.0");
        assert_eq!(of("v2.11.7 h1:yj0Y4fYZGPk\n"), "2.11.7");
        assert_eq!(of("Version:      3.7.15\nCodename:     langres\n"), "3.7.15");
        assert_eq!(of("outrigger 0.1.0 (abc1234)\n"), "0.1.0 (abc1234)");
        assert_eq!(version_in("outrigger\n"), None);
    }
}
