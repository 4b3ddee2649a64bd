//! Whatever a connection begins with, it is a header of the PROXY protocol, or not, for good.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger::proxy_protocol::property::holds(bytes);
});
