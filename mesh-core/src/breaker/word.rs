/// The state of a breaker in one word, so that it changes at once.
///
/// From the top: 40 bits for the end of the wait in milliseconds, 8 for how often in a row it
/// opened, 14 that count the changes, 2 for the phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// What a breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Lets requests pass.
    Closed,
    /// Refuses until the wait is over.
    Open,
    /// Refuses all but the one that is under way.
    Probing,
}

impl Word {
    pub(super) fn phase(self) -> Phase {
        match self.0 & 3 {
            0 => Phase::Closed,
            1 => Phase::Open,
            2.. => Phase::Probing,
        }
    }

    /// How often in a row the breaker opened.
    pub(super) fn openings(self) -> u32 {
        u32::from(self.0.to_be_bytes()[5])
    }

    /// The end of the wait, in milliseconds.
    pub(super) fn until(self) -> u64 {
        self.0 >> 24
    }

    /// The word after a change.
    pub(super) fn next(self, phase: Phase, openings: u32, until: u64) -> Self {
        let phase = match phase {
            Phase::Closed => 0,
            Phase::Open => 1,
            Phase::Probing => 2,
        };
        let changes = (self.0 >> 2).wrapping_add(1) & 0x3FFF;
        let until = until.min((1 << 40) - 1);
        Self(until << 24 | u64::from(openings.min(255)) << 16 | changes << 2 | phase)
    }
}
