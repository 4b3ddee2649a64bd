//! The normal form of a path is its own.

#![no_main]

libfuzzer_sys::fuzz_target!(|path: &str| {
    outrigger::model::path::property::holds(path);
});
