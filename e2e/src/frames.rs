//! HTTP/2 written frame by frame, as no library would: what attackers send.

use crate::dial::{Dial, Io};
use crate::wait::in_time;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Kinds of frames (RFC 9113, section 6).
#[expect(missing_docs, reason = "they are the RFC's")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
#[expect(missing_docs, reason = "they are the RFC's")]
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
}

/// How a client of HTTP/2 begins.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest payload that a peer takes unless it says otherwise.
pub const MAX_PAYLOAD: usize = 16_384;

/// Bytes that are gathered before they are written.
const GATHER: usize = 32 * 1024;

/// How long a peer that does not read is waited for: it has been told enough, then.
const STALLED: Duration = Duration::from_secs(5);

/// What the peer has sent.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Frames by their kind.
    pub frames: [u64; 10],
    /// The streams that it reset, with the codes.
    pub resets: Vec<(u32, u32)>,
    /// The code of its GOAWAY.
    pub go_away: Option<u32>,
    /// The bytes of DATA.
    pub data: u64,
    /// Whether it has closed.
    pub closed: bool,
}

/// A connection.
pub struct Frames {
    write: WriteHalf<Box<dyn Io>>,
    /// Held, so that the connection stays open, where nothing is read.
    _read: Option<ReadHalf<Box<dyn Io>>>,
    gathered: Vec<u8>,
    seen: watch::Receiver<Seen>,
    reader: Option<JoinHandle<()>>,
    scheme: &'static str,
}

impl Frames {
    /// Connects and sends the preface and settings: pairs of identifier and value.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn open(to: impl Into<Dial>, settings: &[(u16, u32)]) -> io::Result<Self> {
        let mut frames = Self::connect(to, true).await?;
        frames.begin(settings).await?;
        Ok(frames)
    }

    /// The same, but reads nothing that the peer sends.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn open_deaf(to: impl Into<Dial>) -> io::Result<Self> {
        let mut frames = Self::connect(to, false).await?;
        frames.begin(&[]).await?;
        Ok(frames)
    }

    async fn connect(to: impl Into<Dial>, reads: bool) -> io::Result<Self> {
        let dial = to.into().http2();
        let stream = dial.connect().await.map_err(io::Error::other)?;
        let (read, write) = tokio::io::split(stream);
        let sender = watch::Sender::new(Seen::default());
        let seen = sender.subscribe();
        let scheme = dial.scheme();
        let (reader, read) = match reads {
            true => (Some(tokio::spawn(watch_frames(read, sender))), None),
            false => (None, Some(read)),
        };
        Ok(Self { write, _read: read, gathered: Vec::new(), seen, reader, scheme })
    }

    async fn begin(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        self.gathered.extend_from_slice(PREFACE);
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| id.to_be_bytes().into_iter().chain(value.to_be_bytes()))
            .collect();
        self.frame(kind::SETTINGS, 0, 0, &payload).await?;
        self.flush().await
    }

    /// Sends a frame, at the latest with [`Frames::flush`].
    ///
    /// # Errors
    /// The peer has closed, or reads no more.
    pub async fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        self.gathered.extend_from_slice(&length.to_be_bytes()[1..]);
        self.gathered.extend_from_slice(&[kind, flags]);
        self.gathered.extend_from_slice(&stream.to_be_bytes());
        self.gathered.extend_from_slice(payload);
        if self.gathered.len() >= GATHER { self.flush().await } else { Ok(()) }
    }

    /// Sends what has been gathered.
    ///
    /// # Errors
    /// The peer has closed, or reads no more.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.seen.borrow().closed {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let sent = timeout(STALLED, async {
            self.write.write_all(&self.gathered).await?;
            self.write.flush().await
        });
        sent.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.gathered.clear();
        Ok(())
    }

    /// A request without a body.
    ///
    /// # Errors
    /// The peer has closed, or reads no more.
    pub async fn get(&mut self, stream: u32, path: &str) -> io::Result<()> {
        let block = self.head("GET", path, &[]);
        self.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &block).await
    }

    /// A request whose body is to come.
    ///
    /// # Errors
    /// The peer has closed, or reads no more.
    pub async fn post(&mut self, stream: u32, path: &str) -> io::Result<()> {
        let block = self.head("POST", path, &[]);
        self.frame(kind::HEADERS, flag::END_HEADERS, stream, &block).await
    }

    /// The head of a request, encoded.
    pub fn head(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let pseudo = [
            (":method", method),
            (":scheme", self.scheme),
            (":authority", "shop.example"),
            (":path", path),
        ];
        block(&[&pseudo[..], fields].concat())
    }

    /// What the peer has sent so far.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until what the peer has sent is as `wanted`.
    pub async fn until(&mut self, what: &str, wanted: impl FnMut(&Seen) -> bool) -> Seen {
        let seen = in_time(what, self.seen.wait_for(wanted)).await;
        seen.map(|seen| seen.clone()).unwrap_or_else(|_| panic!("nothing is read: {what}"))
    }

    /// Waits until the peer has closed.
    pub async fn until_closed(&mut self, what: &str) -> Seen {
        self.until(what, |seen| seen.closed).await
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

async fn watch_frames(mut read: ReadHalf<Box<dyn Io>>, seen: watch::Sender<Seen>) {
    let mut head = [0; 9];
    let mut payload = Vec::new();
    while read.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        payload.resize(length, 0);
        if read.read_exact(&mut payload).await.is_err() {
            break;
        }
        let number = |from: usize| {
            let bytes = payload.get(from..from + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_be_bytes)
        };
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        seen.send_modify(|seen| {
            if let Some(count) = seen.frames.get_mut(usize::from(head[3])) {
                *count += 1;
            }
            match head[3] {
                kind::DATA => seen.data += length as u64,
                kind::RST_STREAM => seen.resets.push((stream, number(0))),
                kind::GOAWAY => seen.go_away = Some(number(4)),
                _ => {}
            }
        });
    }
    seen.send_modify(|seen| seen.closed = true);
}

/// Fields encoded as literals that are not kept (RFC 7541, section 6.2.2). Names and values may be anything.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

/// A field encoded so that the peer keeps it in its table, under the index 62 if it is the last.
pub fn kept(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0x40];
    text(&mut block, name);
    text(&mut block, value);
    block
}

/// What [`kept`] put into the table last, once more: one byte.
pub const LAST_KEPT: u8 = 0x80 | 62;

fn text(block: &mut Vec<u8>, text: &str) {
    // An integer with a prefix of seven bits (RFC 7541, section 5.1).
    let mut length = text.len();
    if length < 127 {
        block.push(length as u8);
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push((length % 128) as u8 | 128);
            length /= 128;
        }
        block.push(length as u8);
    }
    block.extend_from_slice(text.as_bytes());
}
