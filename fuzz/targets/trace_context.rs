//! Whatever fields a request has, what the next one is told of its trace is valid.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger::telemetry::context::property::holds(bytes);
});
