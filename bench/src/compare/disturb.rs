//! What goes on beside the load: somebody reads the metrics, or edits the configuration.

use crate::Result;
use crate::peer::{Peer, Running};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How soon an end is noticed.
const STOP_CHECK: Duration = Duration::from_millis(5);

/// Disturbs `peer` as its options say until `stop`; says how often it did.
pub(super) fn disturb(peer: &Peer, running: &Running, stop: &AtomicBool) -> Result<u64> {
    let mut count = 0;
    if peer.options.scraped {
        count += regularly(1, stop, |_| scrape(running.admin))?;
    }
    if let Some(rate) = peer.options.reloads.filter(|&rate| rate > 0) {
        count += regularly(rate, stop, |number| running.reload(peer.program, number))?;
    }
    Ok(count)
}

/// Does something `rate` times per second, the first time at once.
fn regularly(
    rate: u32,
    stop: &AtomicBool,
    mut act: impl FnMut(usize) -> Result<()>,
) -> Result<u64> {
    let start = Instant::now();
    for number in 0_u32.. {
        let due = start + Duration::from_secs(1) * number / rate;
        while Instant::now() < due {
            if stop.load(Ordering::Relaxed) {
                return Ok(number.into());
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()).min(STOP_CHECK));
        }
        act(number as usize)?;
    }
    Err("out of numbers".into())
}

fn scrape(admin: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.starts_with("HTTP/1.1 200 ") && answer.contains("# TYPE ") {
        true => Ok(()),
        false => Err(format!("/metrics: {:?}", &answer[..answer.len().min(200)]).into()),
    }
}
