//! Whatever a client sends, what an endpoint receives is one request at a time, and says the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger::proxy::property::holds(bytes);
});
