//! What is shown, and what must be seen: the expectations are here, never taken from the resources.

use crate::load::Caller;

/// One change of configuration.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) title: &'static str,
    /// The resources of this step, besides `base.yaml`.
    pub(crate) files: [&'static str; 2],
    /// What happens to version 2's backend before.
    pub(crate) event: Event,
    pub(crate) expect: &'static [Expect],
    /// Whether shares of chance are measured, for which many calls are needed.
    pub(crate) is_by_chance: bool,
}

/// What happens to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Nothing,
    Drains,
    Returns,
}

/// Whose calls are answered by whom.
#[derive(Debug)]
pub(crate) struct Expect {
    pub(crate) caller: Caller,
    /// In percent.
    pub(crate) shares: &'static [(&'static str, f64)],
    /// In points.
    pub(crate) tolerance: f64,
}

const TO_V1: &[(&str, f64)] = &[("v1-a", 50.0), ("v1-b", 50.0)];
const TO_V2: &[(&str, f64)] = &[("v2", 100.0)];
const ALL_TO_V2: &[Expect] = &[Expect { caller: Caller::User, shares: TO_V2, tolerance: 0.0 }];

/// Of two backends that take turns, each connection counts its own turns.
const TURNS: f64 = 1.5;

pub(crate) const STEPS: [Step; 5] = [
    Step {
        title: "canary, 10 % to v2",
        files: ["routes-canary.yaml", "endpoints.yaml"],
        event: Event::Nothing,
        expect: &[Expect {
            caller: Caller::User,
            shares: &[("v1-a", 45.0), ("v1-b", 45.0), ("v2", 10.0)],
            tolerance: 1.5,
        }],
        is_by_chance: true,
    },
    Step {
        title: "canary for testers only",
        files: ["routes-header.yaml", "endpoints.yaml"],
        event: Event::Nothing,
        expect: &[
            Expect { caller: Caller::User, shares: TO_V1, tolerance: TURNS },
            Expect { caller: Caller::Tester, shares: TO_V2, tolerance: 0.0 },
        ],
        is_by_chance: false,
    },
    Step {
        title: "all to v2",
        files: ["routes-v2.yaml", "endpoints.yaml"],
        event: Event::Nothing,
        expect: ALL_TO_V2,
        is_by_chance: false,
    },
    Step {
        title: "v2 drains, v1 takes over",
        files: ["routes-v2.yaml", "endpoints-drained.yaml"],
        event: Event::Drains,
        expect: &[Expect { caller: Caller::User, shares: TO_V1, tolerance: TURNS }],
        is_by_chance: false,
    },
    Step {
        title: "v2 returns",
        files: ["routes-v2.yaml", "endpoints.yaml"],
        event: Event::Returns,
        expect: ALL_TO_V2,
        is_by_chance: false,
    },
];
