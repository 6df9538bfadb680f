//! Pseudorandom numbers that are the same on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): a counter in steps of 2⁶⁴/φ, mixed so that every bit depends on all. Enough
/// for initial weights and the order of rows, and for nothing that must be secret.
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> SplitMix64 {
        SplitMix64(seed)
    }

    /// A stream of its own for each `n`, so that epoch 7 is shuffled the same whether or not epochs 1 to 6 were run.
    pub(crate) fn stream(seed: u64, n: u64) -> SplitMix64 {
        let mut seeds = SplitMix64(seed);
        SplitMix64(seeds.bits() ^ SplitMix64(n).bits())
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in [−1, 1), a multiple of 2⁻⁵².
    #[allow(clippy::cast_precision_loss)] // 53 bits
    pub(crate) fn signed(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * f64::EPSILON - 1.0
    }

    /// 0 to count − 1 in random order (Fisher and Yates).
    pub(crate) fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }

    /// A whole number below `bound`, by the upper half of a product; no number is favoured by more than bound/2⁶⁴.
    #[allow(clippy::cast_possible_truncation)] // below `bound`, which is a usize
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_seed_1234567_is_the_published_one() {
        // The reference implementation's first numbers (S. Vigna, splitmix64.c).
        let mut random = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn an_order_holds_every_row_once() {
        let mut order = SplitMix64::stream(1, 2).order(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
