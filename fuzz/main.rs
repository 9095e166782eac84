//! Hands what the fuzzer makes up to the target that `FUZZ_TARGET` names; without one, or with one
//! that there is not, it says which there are.
#![no_main]

use std::sync::OnceLock;

use mesh_fuzz::{BODIES, Body};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    static TARGET: OnceLock<Body> = OnceLock::new();
    let (_, body) = TARGET.get_or_init(|| {
        let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let names = || BODIES.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let found = BODIES.iter().find(|(name, _)| *name == wanted);
        *found.unwrap_or_else(|| panic!("FUZZ_TARGET is {wanted:?}, and none of {:?}", names()))
    });
    body(input);
});
