//! Random numbers for permutation tests: the same for a seed on every target, whatever the order of the replicates.
//!
//! SplitMix64 (Steele, Lea and Flood 2014, figure 17): a counter that grows by an odd constant, and a bijective mixture of
//! its bits. The counter of each replicate starts at the mixture of seed and index, so that a replicate needs none of those
//! before it. Not for secrets.

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// One replicate's random numbers.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64 {
    counter: u64,
}

impl SplitMix64 {
    /// Those of the replicate with this index.
    pub(crate) fn of_replicate(seed: u64, index: u64) -> SplitMix64 {
        SplitMix64 { counter: mixed(mixed(seed.wrapping_add(STEP)).wrapping_add(index)) }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(STEP);
        mixed(self.counter)
    }

    /// Evenly from 0, 1, ... `count - 1`; no probability is off by more than 2^-64.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(count)) >> 64) as u64
    }
}

fn mixed(counter: u64) -> u64 {
    let x = (counter ^ (counter >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::SplitMix64;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // The C code of Vigna (2015), https://prng.di.unimi.it/splitmix64.c, from x = 1234567.
        let mut random = SplitMix64 { counter: 1_234_567 };
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn replicates_differ_and_choices_are_even() {
        let mut seen: Vec<u64> = (0..1000).map(|i| SplitMix64::of_replicate(7, i).next()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
        let mut counts = [0_u32; 7];
        for i in 0..70_000 {
            counts[SplitMix64::of_replicate(3, i).below(7) as usize] += 1;
        }
        // 10,000 each, with a standard deviation of 93.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 400), "{counts:?}");
        assert_eq!(SplitMix64::of_replicate(0, 0).below(1), 0);
    }
}
