//! Ports for listeners that must be known before they are bound.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// A port that nobody has, and nobody gets by chance: below those that systems give to outgoing connections.
///
/// # Panics
/// Ten thousand ports are taken.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other test processes begin elsewhere.
    let first = std::process::id() as u16 % 10_000;
    let ports = std::iter::repeat_with(|| 20_000 + (first + NEXT.fetch_add(1, Relaxed)) % 10_000);
    let free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    ports.take(10_000).find(free).expect("one of so many ports is free")
}
