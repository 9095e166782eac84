use crate::request::Criticality;

/// How much of a limit requests may use, by how much they matter.
///
/// When there is too much to do, the least critical requests find no place first, and the most
/// critical last. Default: 50 % for sheddable ones, then 75 %, 90 % for critical ones, and all of
/// it for the most critical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    percent: [u8; Criticality::ALL.len()],
}

impl Shares {
    /// The same, but requests of `criticality` may use `percent` of a limit, 100 at the most.
    #[must_use]
    pub fn with(mut self, criticality: Criticality, percent: u8) -> Self {
        for (known, share) in Criticality::ALL.into_iter().zip(&mut self.percent) {
            if known == criticality {
                *share = percent.min(100);
            }
        }
        self
    }

    /// The part of `limit` that requests of `criticality` may use: rounded up, so that none is
    /// shut out by a small limit.
    #[must_use]
    pub fn of(&self, criticality: Criticality, limit: u32) -> u32 {
        let found = Criticality::ALL.into_iter().zip(self.percent).find(|(c, _)| *c == criticality);
        let percent = found.map_or(100, |(_, percent)| u64::from(percent));
        u32::try_from((u64::from(limit) * percent).div_ceil(100)).unwrap_or(limit)
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self { percent: [50, 75, 90, 100] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_critical_may_use_less_and_nobody_nothing() {
        use Criticality::{Critical, CriticalPlus, Sheddable, SheddablePlus};
        let shares = Shares::default();
        let of =
            |limit| [Sheddable, SheddablePlus, Critical, CriticalPlus].map(|c| shares.of(c, limit));
        assert_eq!(of(100), [50, 75, 90, 100]);
        assert_eq!(of(10), [5, 8, 9, 10]);
        assert_eq!(of(1), [1, 1, 1, 1]);
        assert_eq!(of(0), [0, 0, 0, 0]);
        assert_eq!(of(u32::MAX)[3], u32::MAX);
        let shares = shares.with(Sheddable, 0).with(CriticalPlus, 200);
        assert_eq!((shares.of(Sheddable, 9), shares.of(CriticalPlus, 9)), (0, 9));
    }
}
