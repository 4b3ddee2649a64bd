//! Whatever an endpoint answers, it reads the same in whatever pieces it comes, and ends in one place.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger::backend::http1::property::holds(bytes);
});
