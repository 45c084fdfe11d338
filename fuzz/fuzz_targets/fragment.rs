#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rlondiste::fuzz::check("fragment", data));
