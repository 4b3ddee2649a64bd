//! Runs the real binary between real clients and real test servers, and looks at what users see: answers, the access
//! log, `/status`, the exit code.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use e2e::{Load, Outrigger, PORTS};
//!
//! let endpoints = "backends: [{ name: demo, endpoints: [http://127.0.0.1:8081] }]";
//! let outrigger = Outrigger::start(&format!("{PORTS}{endpoints}\n")).await;
//! let tally = Load::on(outrigger.address()).connections(64).requests(1000).await;
//! tally.assert_all_ok();
//! outrigger.stop().await;
//! # }
//! ```
//!
//! A test that is not answered fails: nothing here waits longer than [`PATIENCE`]. What fails panics and says what it
//! saw, since the only callers are tests.

mod access_log;
mod alone;
mod authority;
mod binary;
mod client;
mod collector;
mod devtools;
mod dial;
mod files;
pub mod frames;
pub mod grpc;
mod lines;
mod load;
mod port;
mod process;
pub mod soak;
mod status;
mod tool;
mod wait;

pub use access_log::Access;
pub use alone::{Alone, alone};
pub use authority::{Authority, Key, Leaf, Request};
pub use binary::binary;
pub use client::{Answer, Connection};
pub use collector::{Collector, Happening, Otlp, Receiver, Span};
pub use devtools::{Browser, Canned};
pub use dial::{Dial, Handshake, Io, Tls};
pub use files::Put;
pub use lines::Lines;
pub use load::{Load, Running, Tally};
pub use port::free_port;
pub use process::{Ended, Outrigger, PORTS, Signal};
pub use status::{Backend, Endpoint, Health, Listener, Refused, Reloads, Status};
pub use tool::{Said, has_tool, run_tool, said};
pub use wait::{PATIENCE, eventually, in_time};
