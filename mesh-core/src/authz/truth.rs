//! Three-valued truth.

use std::ops::Not;

/// What can be said of a condition (Kleene's logic): the least of several is their AND, the
/// greatest their OR.
///
/// A condition that cannot be decided is not false: a NOT around it would make it true. It stays
/// unknown under any number of NOTs, makes rules that deny fire, and never satisfies one that
/// allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    /// It does not hold.
    No,
    /// It may hold.
    Unknown,
    /// It holds.
    Yes,
}

impl Truth {
    /// The AND of `truths`, asked for one after the other until one is [`No`](Self::No).
    pub(super) fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::Yes;
        for truth in truths {
            all = all.min(truth);
            if all == Self::No {
                break;
            }
        }
        all
    }

    /// The OR of `truths`, asked for one after the other until one is [`Yes`](Self::Yes), and the
    /// position of the first that is as true.
    pub(super) fn any(truths: impl IntoIterator<Item = Self>) -> (Self, usize) {
        let mut any = (Self::No, 0);
        for (at, truth) in truths.into_iter().enumerate() {
            if truth > any.0 {
                any = (truth, at);
            }
            if truth == Self::Yes {
                break;
            }
        }
        any
    }

    /// What two ways to read the same thing come to: unknown if they differ.
    pub(super) fn agreed(self, other: Self) -> Self {
        if self == other { self } else { Self::Unknown }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}
