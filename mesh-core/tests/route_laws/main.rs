//! `Table::find` gives what a naive search gives, route by route in order.
//!
//! The oracle shares nothing with the compiled table: it compares strings as the definitions say,
//! from a plain description that the table is built from as well.

#![expect(clippy::unwrap_used, reason = "a test")]

mod compiled;
mod dice;
mod model;
mod naive;
mod pattern;

use mesh_core::rng::{Rng, XorShift};

use compiled::{build, compiled};
use dice::Dice;
use naive::naive;

/// Random tables per run; each is asked [`REQUESTS`] times.
const TABLES: u64 = 2_000;
const REQUESTS: usize = 12;

#[test]
fn compiled_and_naive_search_agree() {
    for seed in 0..TABLES {
        let mut dice = Dice(XorShift::new(seed));
        let config = dice.config();
        let table = build(&config);
        for _ in 0..REQUESTS {
            let request = dice.request(&config);
            let chance = dice.0.next_u64();
            let (mut ours, mut theirs) = (XorShift::new(chance), XorShift::new(chance));
            let expect = naive(&config, &request, &mut theirs);
            let context = || format!("seed {seed}: {request:#?} {config:#?}");
            assert_eq!(compiled(&table, &request, &mut ours), expect, "{}", context());
            assert_eq!(ours.state(), theirs.state(), "as many numbers drawn, {}", context());
        }
    }
}
