//! Looks up in `/proc` who has a port, and which addresses this machine has. Empty answers where there is no `/proc`.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A socket that stands in the way of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// It accepts connections; otherwise it is a connection.
    pub(super) listens: bool,
    pub(super) whose: Whose,
}

/// Whose socket it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    Process {
        pid: u32,
        command: String,
    },
    /// Of another user or another PID namespace.
    Unseen {
        uid: u32,
    },
}

/// A line of `/proc/net/tcp` (proc_net(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    local: SocketAddr,
    listens: bool,
    uid: u32,
    inode: u64,
}

/// The sockets on the port of `address` that conflict with it.
pub(super) fn rows_on(address: SocketAddr) -> Vec<Row> {
    let ours = sockets_of(Path::new("/proc/self"));
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(parse).collect::<Vec<_>>())
        // Without an inode it is a connection that nobody holds any more; SO_REUSEADDR passes over it.
        .filter(|line| line.inode != 0 && conflict(address, line.local))
        .map(|line| Row {
            listens: line.listens,
            whose: match ours.contains(&line.inode) {
                true => Whose::Ours,
                false => holder(line.inode).unwrap_or(Whose::Unseen { uid: line.uid }),
            },
        })
        .collect()
}

/// Whether two sockets on these addresses see the same connections, provided `[::]` takes IPv4, too.
fn conflict(a: SocketAddr, b: SocketAddr) -> bool {
    let (port, a, b) = (a.port() == b.port(), a.ip().to_canonical(), b.ip().to_canonical());
    let covers = |a: IpAddr, b: IpAddr| a.is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    port && (a == b || covers(a, b) || covers(b, a))
}

fn parse(line: &str) -> Option<Line> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (ip, port) = fields.get(1)?.split_once(':')?;
    // Words of 32 bits, each in the order of the machine.
    let mut bytes = Vec::with_capacity(16);
    for start in (0..ip.len()).step_by(8) {
        let word = u32::from_str_radix(ip.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip: IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        _ => <[u8; 16]>::try_from(bytes).ok()?.into(),
    };
    Some(Line {
        local: SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?),
        listens: *fields.get(3)? == "0A",
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// The process that has the socket open. The command's name alone: its arguments may contain secrets.
fn holder(inode: u64) -> Option<Whose> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        sockets_of(&entry.path()).contains(&inode).then(|| {
            let command = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            Whose::Process { pid, command: command.trim_end().to_owned() }
        })
    })
}

/// The inodes of the sockets that a process has open, as far as we may see them.
fn sockets_of(process: &Path) -> HashSet<u64> {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return HashSet::new() };
    files
        .flatten()
        .filter_map(|file| {
            let target = fs::read_link(file.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

/// The addresses of this machine.
pub(super) fn local_addresses() -> Vec<IpAddr> {
    let trie = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let six = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut addresses: Vec<IpAddr> = ipv4_in(&trie).into_iter().map(IpAddr::V4).collect();
    addresses.extend(six.lines().filter_map(|line| {
        let digits = u128::from_str_radix(line.split_whitespace().next()?, 16).ok()?;
        Some(IpAddr::V6(Ipv6Addr::from_bits(digits)))
    }));
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// An address of this machine is a leaf of the routing trie followed by `/32 host LOCAL`.
fn ipv4_in(trie: &str) -> Vec<Ipv4Addr> {
    let mut leaf: Option<Ipv4Addr> = None;
    let mut found = Vec::new();
    for line in trie.lines() {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_kernel_is_read_as_it_is_meant() {
        let four = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0";
        let expected = Line {
            local: "127.0.0.1:8080".parse().unwrap(),
            listens: true,
            uid: 1000,
            inode: 4711,
        };
        assert_eq!(parse(four), Some(expected));
        let six = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0";
        let parsed = parse(six).unwrap();
        assert_eq!((parsed.local, parsed.listens), ("[::1]:80".parse().unwrap(), false));
        assert_eq!(parse("  sl  local_address rem_address   st tx_queue"), None);
    }

    #[test]
    fn only_addresses_that_share_connections_conflict() {
        let conflict = |a: &str, b: &str| {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(conflict(a, b), conflict(b, a), "{a} {b}");
            conflict(a, b)
        };
        assert!(conflict("127.0.0.1:80", "127.0.0.1:80"));
        assert!(conflict("127.0.0.1:80", "0.0.0.0:80"));
        assert!(conflict("127.0.0.1:80", "[::]:80"));
        assert!(conflict("127.0.0.1:80", "[::ffff:127.0.0.1]:80"));
        assert!(conflict("[::1]:80", "[::]:80"));
        assert!(!conflict("[::1]:80", "0.0.0.0:80"));
        assert!(!conflict("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!conflict("127.0.0.1:80", "127.0.0.1:81"));
    }

    #[test]
    fn addresses_are_found_and_broadcasts_are_not() {
        let trie = "\
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.5
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
";
        assert_eq!(ipv4_in(trie), [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::LOCALHOST]);
    }
}
