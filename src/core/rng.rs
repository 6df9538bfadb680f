//! Pseudorandom numbers that are the same on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): a counter in steps of 2⁶⁴/φ, mixed so that every bit depends on all. It serves
/// initial weights, the order of rows and test points, never secrets. The stream of a seed is part of the interface: results
/// name their seed, and must be reproducible with later versions.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Returns the stream of a seed.
    pub fn new(seed: u64) -> SplitMix64 {
        SplitMix64(seed)
    }

    /// Returns the `n`th stream of a seed, so that epoch 7 is shuffled the same with or without epochs 1 to 6 before it.
    pub(crate) fn stream(seed: u64, n: u64) -> SplitMix64 {
        SplitMix64(SplitMix64(seed).bits() ^ SplitMix64(n).bits())
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a multiple of 2⁻⁵³ in [0, 1): the 53 upper bits of the next number.
    #[allow(clippy::cast_precision_loss)] // 53 bits
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * f64::EPSILON / 2.0
    }

    /// Returns a multiple of 2⁻⁵² in [−1, 1).
    #[allow(clippy::cast_precision_loss)] // 53 bits
    pub(crate) fn signed_unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * f64::EPSILON - 1.0
    }

    /// Returns a multiple of 1/1024 in [−2, 2] that is not 0: a number exact in every precision.
    pub fn dyadic(&mut self) -> f64 {
        let steps = f64::from(u32::try_from(self.bits() % 2048).unwrap_or(0)) + 1.0;
        self.sign() * steps / 1024.0
    }

    /// Returns 1 or −1.
    pub fn sign(&mut self) -> f64 {
        if self.bits().is_multiple_of(2) { 1.0 } else { -1.0 }
    }

    /// Returns an index below `end`, or 0 if `end` is 0.
    pub fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.bits() % (end.max(1) as u64)).unwrap_or(0)
    }

    /// Returns 0 to count − 1 in random order (Fisher and Yates). The index to swap with is the upper half of a product of 128
    /// bits, which favours no index by more than count/2⁶⁴.
    #[allow(clippy::cast_possible_truncation)] // below `count`, which is a usize
    pub(crate) fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, ((u128::from(self.bits()) * (last as u128 + 1)) >> 64) as usize);
        }
        order
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
    fn a_permutation_contains_every_index_once() {
        let mut order = SplitMix64::stream(1, 2).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
