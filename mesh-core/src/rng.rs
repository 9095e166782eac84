//! Randomness as an argument.
//!
//! Decisions take `&mut dyn Rng`; shells own one seeded generator each. Implementations are never
//! `Clone`: two owners with the same state would make the same "random" choices.

/// A source of uniformly distributed bits.
pub trait Rng {
    /// The next 64 uniformly distributed bits.
    fn next_u64(&mut self) -> u64;

    /// A number in `0..bound`; `0` when `bound` is `0`.
    ///
    /// Multiply-shift (Lemire 2019) without the rejection step: the bias is below `bound / 2^32`.
    fn below(&mut self, bound: u32) -> u32 {
        let wide = (self.next_u64() >> 32) * u64::from(bound);
        u32::try_from(wide >> 32).unwrap_or(u32::MAX)
    }

    /// A number in `[0, 1)` with 53 bits of resolution.
    fn unit(&mut self) -> f64 {
        const SCALE: f64 = 1.0 / (1u64 << 53) as f64;
        (self.next_u64() >> 11) as f64 * SCALE
    }
}

/// `xorshift64*` (Vigna 2016): one multiply per number, good enough for spreading load.
///
/// Not for keys or anything an attacker must not guess.
#[derive(Debug)]
pub struct XorShift(u64);

impl XorShift {
    /// A generator started from `seed`; equal seeds give equal sequences.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // SplitMix64 spreads small seeds, and its one zero output is avoided by the `| 1`.
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((z ^ (z >> 31)) | 1)
    }

    /// The state, from which [`XorShift::from_state`] goes on.
    #[must_use]
    pub fn state(&self) -> u64 {
        self.0
    }

    /// Goes on from a state that [`XorShift::state`] returned.
    #[must_use]
    pub fn from_state(state: u64) -> Self {
        Self(state | u64::from(state == 0))
    }
}

impl Rng for XorShift {
    #[inline]
    fn next_u64(&mut self) -> u64 {
        let mut x = self.0;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0 = x;
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut rng = XorShift::new(1);
        let mut seen = [0u32; 5];
        for _ in 0..1_000 {
            seen[usize::try_from(rng.below(5)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| *n > 150), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn equal_seeds_give_equal_sequences() {
        let (mut a, mut b) = (XorShift::new(7), XorShift::new(7));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
    }
}
