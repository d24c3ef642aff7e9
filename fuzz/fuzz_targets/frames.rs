//! The frame reader under bytes that a fuzzer chooses.

#![no_main]

#[path = "../body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::read(bytes));
