//! The normal form of a path is its own.

#![no_main]

libfuzzer_sys::fuzz_target!(|path: &str| {
    // The parser of requests gives no other.
    if path.starts_with('/') {
        outrigger::model::path::property::holds(path);
    }
});
