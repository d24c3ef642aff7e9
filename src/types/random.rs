//! Seeded chance.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::text::numbers::nanos;

/// Seeded chance. The same seed gives the same numbers on every machine and in every version (`ChaCha8`).
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Random {
        Random(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A stream of its own, for one part of a run: drawing from it does not disturb this one's later draws
    /// beyond the one that seeds it.
    #[must_use]
    pub fn fork(&mut self) -> Random {
        Random::new(self.bits())
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number within `0..bound`; `bound` is above zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a number below zero does not exist");
        // Multiply and shift: the bias is below bound / 2^64, which no run can notice.
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the product of two 64-bit numbers, shifted by 64")
    }

    /// A number within `low..=high`.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "an empty range has no number");
        match (high - low).checked_add(1) {
            Some(width) => low + self.below(width),
            None => self.bits(),
        }
    }

    /// A duration within `low..=high`.
    pub fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        Duration::from_nanos(self.within(nanos(low), nanos(high)))
    }

    /// True with this probability, given in parts of a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    /// One of these, each as likely; none of none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        if choices.is_empty() {
            return None;
        }
        let index = self.below(choices.len() as u64);
        choices.get(usize::try_from(index).expect("below a length in memory"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_in_every_version() {
        let mut random = Random::new(7);
        let drawn = [random.below(1000), random.below(1000), random.below(1000)];
        let mut again = Random::new(7);
        assert_eq!(drawn, [again.below(1000), again.below(1000), again.below(1000)]);
    }
}
