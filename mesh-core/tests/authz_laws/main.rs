//! The engine and a naive evaluator agree about random rules and requests.
//!
//! A few thousand pairs in an ordinary run. A release build does a million:
//! `cargo test --release -p mesh-core --test authz_laws`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

mod compiled;
mod dice;
mod naive;
mod requests;
mod spec;
mod words;

use std::collections::BTreeMap;

use mesh_core::authz::Ruleset;
use mesh_core::rng::XorShift;

use dice::Dice;
use naive::{Answer, Judge};
use spec::{Config, KINDS, Kind, Leaf, Request};

/// Each set of rules is asked about this many requests.
const REQUESTS: u64 = 10;

const CONFIGS: u64 = if cfg!(debug_assertions) { 600 } else { 100_000 };

#[test]
fn engine_and_naive_evaluator_agree() {
    let mut tally = Tally::default();
    for seed in 0..CONFIGS {
        let mut dice = Dice(XorShift::new(seed));
        let config = dice.config();
        let rules = compiled::ruleset(&config);
        for _ in 0..REQUESTS {
            let request = dice.request();
            let expect = Judge { request: &request, flip: None }.judge(&config);
            compare(&rules, &request, &expect, || format!("seed {seed}: {request:#?} {config:#?}"));
            tally.count(&config, &request, &expect);
        }
    }
    tally.check();
}

fn compare(rules: &Ruleset, request: &Request, expect: &Answer, context: impl Fn() -> String) {
    compiled::Sent::new(request).judged(|facts| {
        let decision = rules.evaluate(facts);
        assert_eq!(decision.is_allowed(), expect.allowed, "{decision} {}", context());
        if let Some(by) = &expect.by {
            assert_eq!(decision.policy.map(|name| &**name), by.as_deref(), "{}", context());
        }
    });
}

/// What the pairs have been like.
#[derive(Default)]
struct Tally {
    pairs: u64,
    allowed: u64,
    decided: BTreeMap<Kind, u64>,
}

impl Tally {
    fn count(&mut self, config: &Config, request: &Request, expect: &Answer) {
        self.pairs += 1;
        self.allowed += u64::from(expect.allowed);
        for kind in kinds(config) {
            let turned = Judge { request, flip: Some(kind) }.judge(config);
            *self.decided.entry(kind).or_default() += u64::from(turned.allowed != expect.allowed);
        }
    }

    fn check(&self) {
        let percent = |count: u64| count * 100 / self.pairs;
        println!(
            "{} pairs, {} % allowed, decided by: {:?}",
            self.pairs,
            percent(self.allowed),
            self.decided
        );
        assert!(percent(self.allowed) >= 30, "{} % allowed", percent(self.allowed));
        assert!(percent(self.pairs - self.allowed) >= 30, "{} % allowed", percent(self.allowed));
        for kind in KINDS {
            let decided = self.decided.get(&kind).copied().unwrap_or(0);
            assert!(decided * 100 >= self.pairs, "{kind:?} decides {decided} of {}", self.pairs);
        }
    }
}

/// The kinds of leaves in `config`.
fn kinds(config: &Config) -> Vec<Kind> {
    let mut found = Vec::new();
    config.each_leaf(&mut |leaf: &Leaf| {
        if !found.contains(&leaf.kind()) {
            found.push(leaf.kind());
        }
    });
    found
}
