//! HTTP/1.1 and HTTP/2 test servers with chosen delays and faults: endpoints for the demo, the tests and the bench.
//!
//! A [`Server`] runs as tasks of the current tokio runtime, a [`Fleet`] is several of them. Every byte is
//! written by hand, since faults are what a well-behaved HTTP library will not send; requests are read
//! strictly, so that whatever a proxy lets through is seen. Under TLS, or if asked to, it speaks HTTP/2 too.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), testserver::StartError> {
//! use std::time::Duration;
//!
//! let slow = testserver::Server::builder().name("slow").delay(Duration::from_secs(4)).start().await?;
//! println!("{} answers {}", slow.name(), slow.url());
//! slow.stop().await;
//! # Ok(()) }
//! ```
//!
//! [`load`] is the other side: requests at a steady pace, and an account of what became of each.
//!
//! # What it answers
//!
//! Every answer carries `x-test-server: NAME`. A client that goes away, or that half-closes its side while
//! an answer is waited for, cancels its request.
//!
//! ```text
#![doc = include_str!("behaviours.txt")]
//! ```

#![forbid(unsafe_code)]

mod behaviours;
mod connection;
mod counters;
mod duration;
mod fleet;
mod http2;
pub mod load;
mod request;
mod response;
mod script;
mod server;
mod signals;
mod stream;

pub use behaviours::pattern;
pub use counters::Counts;
pub use duration::parse_duration;
pub use fleet::{Fleet, FleetError, Member, SEED};
pub use script::Step;
pub use server::{Builder, Server, StartError};
pub use signals::EndSignals;

/// The table of paths and what they answer, as text: also part of `testserver --help`.
pub const BEHAVIOURS: &str = include_str!("behaviours.txt");
