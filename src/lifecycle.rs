//! The life of the process: starting, ready, draining, closing.
