//! Whatever the routes, the router finds what its precedence says.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger::router::property::holds(bytes);
});
