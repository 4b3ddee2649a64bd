//! The test servers on real sockets: every behaviour's bytes.

#[path = "integration/client.rs"]
mod client;

#[path = "integration/bodies.rs"]
mod bodies;
#[path = "integration/faults.rs"]
mod faults;
#[path = "integration/load.rs"]
mod load;
#[path = "integration/load_program.rs"]
mod load_program;
#[path = "integration/ordinary.rs"]
mod ordinary;
#[path = "integration/program.rs"]
mod program;
#[path = "integration/running.rs"]
mod running;
#[path = "integration/upgrades.rs"]
mod upgrades;
