//! Bets on values that are counted in buckets.

use serde::{Deserialize, Serialize};

use super::bets::Bets;
use super::wealth::{Wealth, lanes};
use crate::arm::{Arm, Arms};
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};
use crate::sequential::process::{Process, Schema, texts};
use crate::sequential::stage::Split;
use crate::telemetry::{Histogram, MAX_COUNT};

/// The buckets of a [`BucketRankProcess`], and what it bets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketRankDesign {
    /// The finite upper edges, ascending, as in a [`Histogram`].
    #[serde(with = "texts")]
    pub edges: Vec<f64>,
    /// The bets.
    pub bets: Bets,
}

/// Evidence that the canary's values are larger (or smaller) than the baseline's, from values in buckets: the anytime Mann-Whitney test
/// in bounded memory.
///
/// A value's score is the mid-rank of its bucket in the histogram of the earlier values of both arms and its own. Scores are renewed whenever these
/// have become more by a 64th (so after each of the first 64), and for an interval always. Exact for any edges, since any
/// predictable score is; edges that separate nothing find nothing. A value costs some 15 ns, with either number of bets; the state is one
/// count and one score a bucket and one number a bet.
///
/// There is no `merge`: a score depends on what came before. Evidence of shards that were kept apart is multiplied.
///
/// ```
/// use serinus::{Arm, Arms, telemetry::Histogram};
/// use serinus::sequential::{Bets, BucketRankDesign, BucketRankProcess, Process, Split};
/// let edges = vec![0.1, 0.2];
/// let mut ranks = BucketRankProcess::new(BucketRankDesign { edges: edges.clone(), bets: Bets::new(vec![0.5], vec![1.0])? })?;
/// ranks.update(Split::EVEN, Arm::Baseline, 0.05)?; // nothing to be compared with: no bet
/// ranks.update(Split::EVEN, Arm::Canary, 0.15)?; // the second of two: the score is 0.5
/// assert!((ranks.e_value().value() - 1.125).abs() < 1e-15); // 1 + 0.5 * (1 - 0.5) * 0.5
///
/// // An interval of four values: their scores are those of buckets with 1, 1 and 0 earlier values: -1/3, 1/3 and 2/3.
/// let histogram = |counts: Vec<u64>| Histogram::new(edges.clone(), counts);
/// ranks.update_interval(Arms { baseline: &histogram(vec![1, 1, 0])?, canary: &histogram(vec![0, 1, 1])? })?;
/// let expected = 1.125 * (1.0 + 0.25 / 3.0) * (1.0 - 0.25 / 3.0) * (1.0 + 0.25 / 3.0) * (1.0 + 0.5 / 3.0);
/// assert!((ranks.e_value().value() - expected).abs() < 1e-14);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Saved", try_from = "Saved")]
pub struct BucketRankProcess {
    design: BucketRankDesign,
    wealth: Wealth,
    past: Past,
    /// In lanes.
    sizes: Vec<f64>,
}

/// All values so far, of both arms together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Past {
    counts: Vec<u64>,
    total: u64,
    /// What the next value of each bucket is scored.
    #[serde(with = "texts")]
    scores: Vec<f64>,
    /// With so many values the scores are renewed.
    due: u64,
}

impl Past {
    fn new(buckets: usize) -> Past {
        Past { counts: vec![0; buckets], total: 0, scores: vec![0.0; buckets], due: Past::due_after(0) }
    }

    fn due_after(total: u64) -> u64 {
        total + total / 64 + 1
    }

    /// Whether some run can have left it.
    fn is_possible(&self, buckets: usize) -> bool {
        let sum = self.counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        self.counts.len() == buckets
            && self.scores.len() == buckets
            && self.total <= MAX_COUNT
            && sum == Some(self.total)
            && self.scores.iter().all(|score| (-1.0..=1.0).contains(score))
            && self.scores.windows(2).all(|pair| pair[0] <= pair[1])
            && self.total < self.due
            && self.due <= Past::due_after(self.total)
    }

    fn renew(&mut self) {
        for (score, exact) in self.scores.iter_mut().zip(scores(&self.counts, self.total)) {
            *score = exact;
        }
        self.due = Past::due_after(self.total);
    }

    #[inline]
    fn push(&mut self, bucket: usize) {
        self.counts[bucket] += 1;
        self.total += 1;
        if self.total == self.due {
            self.renew();
        }
    }

    fn add(&mut self, histogram: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(histogram.counts()) {
            *count += more;
        }
        self.total += histogram.total();
        self.renew();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: BucketRankDesign,
    wealth: Wealth,
    past: Past,
}

impl From<BucketRankProcess> for Saved {
    fn from(process: BucketRankProcess) -> Saved {
        let BucketRankProcess { design, wealth, past, .. } = process;
        Saved { schema: Schema, design, wealth, past }
    }
}

impl TryFrom<Saved> for BucketRankProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<BucketRankProcess, Error> {
        let Saved { design, wealth, past, .. } = saved;
        let fresh = BucketRankProcess::new(design)?;
        if wealth.bets() == fresh.wealth.bets() && past.is_possible(fresh.past.counts.len()) {
            Ok(BucketRankProcess { wealth, past, ..fresh })
        } else {
            Err(Error::new(ErrorKind::State, "products or counts that do not fit the bets and edges"))
        }
    }
}

/// What an interval says beside the bets: for a guard that allows for dependence between requests.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct RankContribution {
    /// `d = w (mean score of the canary - mean score of the baseline)`, `w = n_c n_b/(n_c + n_b)`: scores from -1 to 1.
    pub difference: f64,
    /// The variance of d if the arms were drawn at random from the interval's values: `w sum (s - mean)^2/(n - 1)`.
    pub variance: f64,
}

impl BucketRankProcess {
    /// Before the first value.
    ///
    /// # Errors
    /// Edges that a [`Histogram`] would not take.
    pub fn new(design: BucketRankDesign) -> Result<BucketRankProcess, Error> {
        let buckets = design.edges.len() + 1;
        let empty = Histogram::new(design.edges, vec![0; buckets])?;
        let design = BucketRankDesign { edges: empty.edges().to_vec(), bets: design.bets };
        Ok(BucketRankProcess {
            wealth: Wealth::new(design.bets.shares()),
            sizes: lanes(design.bets.sizes(), 0.0),
            past: Past::new(buckets),
            design,
        })
    }

    /// One value of one arm, and the split of the traffic at that moment, which must have been fixed before the value came: the planned
    /// one, or any that was known.
    ///
    /// # Errors
    /// A value that is NaN, or more than 2^53 values.
    pub fn update(&mut self, split: Split, arm: Arm, value: f64) -> Result<(), Error> {
        if value.is_nan() {
            return Err(Error::value("NaN has no rank").at("value"));
        }
        if self.past.total >= MAX_COUNT {
            return Err(Error::value("more than 2^53 values"));
        }
        let bucket = bucket_of(value, &self.design.edges);
        let (most, outcome) = stake(split, arm);
        self.wealth.multiply(&self.sizes, most, outcome * self.past.scores[bucket]);
        self.past.push(bucket);
        Ok(())
    }

    /// One interval of both arms, whose own split counts. The order in which its values came makes no difference: all are scored by
    /// what came before the interval, so that the first one bets nothing. An interval without values of one of the arms bets nothing
    /// either; its values join the past.
    ///
    /// An interval in which the split changed **and** the values moved is to be cut at the change: the arms' values then come from
    /// different moments.
    ///
    /// # Errors
    /// Other edges than the design's, or more than 2^53 values in all.
    pub fn update_interval(&mut self, interval: Arms<&Histogram>) -> Result<(), Error> {
        self.check(interval)?;
        if let Some(split) = split_of(interval) {
            let most = most_of(split);
            let [canary, baseline] = [1.0 - split.canary(), -split.canary()];
            // Of all that came before, were it a single value since the scores were last renewed.
            self.past.renew();
            let scores = &self.past.scores;
            let logarithms = self.design.bets.sizes().iter().map(|size| {
                let size = size.clamp(-most, most);
                let of = |count: u64, outcome: f64| {
                    if count == 0 { 0.0 } else { count as f64 * libm::log1p(size * outcome) }
                };
                let counts = interval.canary.counts().iter().zip(interval.baseline.counts());
                let buckets = counts.zip(scores);
                buckets.map(|((c, b), score)| of(*c, canary * score) + of(*b, baseline * score)).sum::<f64>()
            });
            self.wealth.multiply_exp(logarithms);
        }
        self.past.add(interval.baseline);
        self.past.add(interval.canary);
        Ok(())
    }

    /// What an interval says against the past, **before** it is given to [`update_interval`](BucketRankProcess::update_interval): for
    /// [`SignFlip`](super::SignFlip). Positive where the canary's values are the larger. `None` without values of one of the arms.
    ///
    /// # Errors
    /// As `update_interval`.
    pub fn contribution(&self, interval: Arms<&Histogram>) -> Result<Option<RankContribution>, Error> {
        self.check(interval)?;
        let size = interval.map(|histogram| histogram.total() as f64);
        if size.baseline == 0.0 || size.canary == 0.0 {
            return Ok(None);
        }
        let sum = |histogram: &Histogram, of: &dyn Fn(f64) -> f64| -> f64 {
            let buckets = histogram.counts().iter().zip(scores(&self.past.counts, self.past.total));
            buckets.map(|(count, score)| *count as f64 * of(score)).sum()
        };
        let sums = interval.map(|histogram| sum(histogram, &|score| score));
        let n = size.baseline + size.canary;
        let weight = size.canary * (size.baseline / n);
        let mean = (sums.baseline + sums.canary) / n;
        let squares = interval.map(|histogram| sum(histogram, &|score| (score - mean) * (score - mean)));
        Ok(Some(RankContribution {
            difference: weight * (sums.canary / size.canary - sums.baseline / size.baseline),
            variance: weight * ((squares.baseline + squares.canary) / (n - 1.0)),
        }))
    }

    /// How many values there were in each bucket so far, of both arms together.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.past.counts
    }

    fn check(&self, interval: Arms<&Histogram>) -> Result<(), Error> {
        for (arm, histogram) in [(Arm::Baseline, interval.baseline), (Arm::Canary, interval.canary)] {
            if histogram.edges() != self.design.edges {
                let message = format!("edges {:?}, not {:?}", histogram.edges(), self.design.edges);
                return Err(Error::value(message).at(arm.to_string()));
            }
        }
        // Each is at most 2^53.
        let total = self.past.total + interval.baseline.total() + interval.canary.total();
        if total > MAX_COUNT {
            return Err(Error::value(format!("{total} values are more than 2^53")));
        }
        Ok(())
    }
}

/// `2u - 1` of the next value in each bucket, where u is its mid-rank among so many values and itself.
fn scores(counts: &[u64], total: u64) -> impl Iterator<Item = f64> {
    let mut below = 0;
    counts.iter().map(move |count| {
        let twice = 2 * below + count + 1;
        below += count;
        twice as f64 / (total + 1) as f64 - 1.0
    })
}

/// How many edges lie below a value.
#[inline]
fn bucket_of(value: f64, edges: &[f64]) -> usize {
    // Of few edges all at once: to halve them again and again is to wait for each comparison before the next.
    if edges.len() <= 64 {
        edges.iter().map(|edge| u64::from(*edge < value)).sum::<u64>() as usize
    } else {
        edges.partition_point(|edge| *edge < value)
    }
}

/// The largest size at a split, and what a value of an arm with score 1 multiplies it by.
#[inline]
pub(super) fn stake(split: Split, arm: Arm) -> (f64, f64) {
    // 1 - pi or -pi, without a branch that would be guessed wrong half the time.
    let assigned = f64::from(u8::from(arm == Arm::Canary));
    (most_of(split), assigned - split.canary())
}

/// No value costs more than 0.9 of a bet.
#[inline]
fn most_of(split: Split) -> f64 {
    let canary = split.canary();
    0.9 / if canary > 0.5 { canary } else { 1.0 - canary }
}

/// The split that was observed; `None` without values of one of the arms.
fn split_of(interval: Arms<&Histogram>) -> Option<Split> {
    let size = interval.map(|histogram| histogram.total() as f64);
    Split::new(size.canary / (size.canary + size.baseline)).ok()
}

impl Process for BucketRankProcess {
    type Design = BucketRankDesign;

    fn design(&self) -> &BucketRankDesign {
        &self.design
    }

    fn e_value(&self) -> EValue {
        self.wealth.e_value()
    }

    fn p_value(&self) -> PValue {
        self.wealth.p_value()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Exact
    }

    fn assumptions(&self) -> &'static [&'static str] {
        super::ASSUMPTIONS
    }
}
