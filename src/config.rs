//! The configuration file: how it is watched, read and turned into a model.

pub mod watch;
