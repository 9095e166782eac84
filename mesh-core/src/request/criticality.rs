use std::fmt;

/// How much it matters that a request is served, for those who have to choose: when there is too
/// much to do, the least critical requests are refused first.
///
/// Set by whoever knows what a request is for, and handed down to the calls that serving it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Criticality {
    /// It may fail for a long time: work that is tried again later anyway.
    Sheddable,
    /// It may fail for a while: what nobody waits for.
    SheddablePlus,
    /// Somebody waits for it. The default.
    #[default]
    Critical,
    /// It must be served as long as anything is.
    CriticalPlus,
}

impl Criticality {
    /// From the least critical to the most.
    pub const ALL: [Self; 4] =
        [Self::Sheddable, Self::SheddablePlus, Self::Critical, Self::CriticalPlus];

    /// The value of `x-mesh-criticality` that says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sheddable => "sheddable",
            Self::SheddablePlus => "sheddable_plus",
            Self::Critical => "critical",
            Self::CriticalPlus => "critical_plus",
        }
    }

    /// What a value of `x-mesh-criticality` says; `None` if it is none of the words.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str().as_bytes() == value)
    }
}

impl fmt::Display for Criticality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for known in Criticality::ALL {
            assert_eq!(Criticality::parse(known.as_str().as_bytes()), Some(known));
        }
        assert!(Criticality::ALL.is_sorted());
        for unknown in ["", "Critical", "critical ", "high"] {
            assert_eq!(Criticality::parse(unknown.as_bytes()), None, "{unknown}");
        }
    }
}
