#![no_main]

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each target calls one of them, and fails by panicking"
)]
#[path = "../../crates/registry/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    targets::answers(data);
});
