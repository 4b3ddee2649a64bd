//! Whatever a file says, it is refused with places and words, or reads back equal.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger::config::property::holds(bytes);
});
