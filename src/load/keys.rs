//! Which key a command is about: each as often, or a few much more often than the rest.

use crate::text::numbers::{float, whole};
use crate::types::Random;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Keys {
    Uniform(u64),
    /// The key of rank r in proportion to r^-s (Zipf), by Walker's table of aliases: one draw for any number of
    /// keys.
    Zipfian(Vec<Cell>),
}

/// A key and another that shares its place: below the bound it is the key itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cell {
    bound: u32,
    alias: u32,
}

impl Keys {
    /// This many keys, at least one; with an exponent, zipfian.
    pub(super) fn new(count: u64, exponent: Option<f64>) -> Keys {
        match exponent {
            None => Keys::Uniform(count),
            Some(exponent) => Keys::Zipfian(aliases(count, exponent)),
        }
    }

    /// The number of a key, from zero.
    pub(super) fn draw(&self, random: &mut Random) -> u64 {
        match self {
            Keys::Uniform(count) => random.below(*count),
            Keys::Zipfian(cells) => {
                let drawn = random.below((cells.len() as u64) << 32);
                let (place, fine) = (drawn >> 32, drawn & u64::from(u32::MAX));
                let cell = cells[usize::try_from(place).expect("below a length in memory")];
                if fine < u64::from(cell.bound) { place } else { u64::from(cell.alias) }
            }
        }
    }
}

fn aliases(count: u64, exponent: f64) -> Vec<Cell> {
    let weights: Vec<f64> = (1..=count).map(|rank| float(rank).powf(-exponent)).collect();
    let mean = weights.iter().sum::<f64>() / float(count);
    let mut shares: Vec<f64> = weights.into_iter().map(|weight| weight / mean).collect();
    let number = |place: usize| u32::try_from(place).expect("the plan bounds the number of keys");
    let mut cells: Vec<Cell> =
        (0..shares.len()).map(|place| Cell { bound: u32::MAX, alias: number(place) }).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..shares.len()).partition(|place| shares[*place] < 1.0);
    while let (Some(poor), Some(rich)) = (small.pop(), large.pop()) {
        let bound = whole(shares[poor] * float(u64::from(u32::MAX)));
        cells[poor] = Cell { bound: u32::try_from(bound).unwrap_or(u32::MAX), alias: number(rich) };
        shares[rich] -= 1.0 - shares[poor];
        if shares[rich] < 1.0 { small.push(rich) } else { large.push(rich) }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(keys: &Keys, times: u64) -> Vec<u64> {
        let mut random = Random::new(7);
        let mut counts = vec![0; 100];
        for _ in 0..times {
            counts[usize::try_from(keys.draw(&mut random)).expect("a small number")] += 1;
        }
        counts
    }

    #[test]
    fn uniform_keys_come_as_often_and_zipfian_ones_by_their_rank() {
        let uniform = drawn(&Keys::new(100, None), 100_000);
        assert!(uniform.iter().all(|count| (800..1_200).contains(count)), "{uniform:?}");
        // The weights 1, 1/2, 1/3 ... add up to 5.187 for a hundred keys.
        let zipfian = drawn(&Keys::new(100, Some(1.0)), 100_000);
        assert!((18_500..20_000).contains(&zipfian[0]), "{zipfian:?}");
        assert!((9_000..10_300).contains(&zipfian[1]), "{zipfian:?}");
        assert!(zipfian[99] > 100, "{zipfian:?}");
    }

    #[test]
    fn one_key_is_always_drawn() {
        let mut random = Random::new(1);
        assert!((0..100).all(|_| Keys::new(1, Some(0.99)).draw(&mut random) == 0));
    }
}
