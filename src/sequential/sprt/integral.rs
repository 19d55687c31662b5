//! How a normal random walk leaves an interval: integral equations on the nodes of a quadrature.
//!
//! Steps have the density `phi(y - x - drift)`. The probability u(x) of leaving at the top from x solves Fredholm's equation
//! `u(x) = P(step above) + integral of phi(y - x - drift) u(y) dy` over the interval (Page 1954), and likewise the expected number
//! of steps with 1 in the first place. On the nodes this is a linear system whose rows sum to less than one, so that
//! elimination needs no pivots; entries further than nine deviations from the diagonal are below the last bit.
//! With a truncation the density itself is carried on, step by step.

use super::characteristic::Effort;
use crate::error::Error;
use crate::special::normal::ln_normal_sf;
use crate::special::quadrature::{Node, nodes, panels};

/// Products for an elimination, after which a caller has waited long enough: a tenth of a second, and 30 MB.
const MOST_SIZE: f64 = 2e8;
/// The same for a truncated test: about a second.
const MOST_WORK: f64 = 1e9;
/// The probability inside that is no longer followed.
const NEGLIGIBLE: f64 = 1e-15;
/// The length of a panel in standard deviations, and how far a step is followed.
const PANEL: f64 = 2.0;
const FAR: f64 = 9.0;

/// A walk from 0 with normal steps of variance 1, in an interval around 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct NormalWalk {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) drift: f64,
}

/// How it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) inside: f64,
    pub(super) expected: f64,
}

impl NormalWalk {
    pub(super) fn reach(self, at_most: Option<u64>, effort: Effort) -> Result<Reach, Error> {
        let count = panels(self.low, self.high, PANEL);
        // Nodes within reach of a node, on either side.
        let band = (libm::ceil((FAR + self.drift.abs()) / PANEL) + 1.0).min(count) * 16.0;
        if 16.0 * count * band * band > effort.of(MOST_SIZE) {
            return Err(Error::value(
                "the means are so near each other that following the test to its end takes too many steps: \
                 judge means of several values",
            ));
        }
        let nodes = nodes(self.low, self.high, count as usize);
        match at_most {
            None => Ok(self.to_the_end(&nodes, band as usize)),
            Some(steps) => self.step_by_step(&nodes, steps, effort.of(MOST_WORK)),
        }
    }

    fn density(self, from: f64, to: f64) -> f64 {
        let z = to - from - self.drift;
        libm::exp(-0.5 * z * z) * FRAC_1_SQRT_2PI
    }

    fn above(self, from: f64) -> f64 {
        libm::exp(ln_normal_sf(self.high - from - self.drift))
    }

    fn below(self, from: f64) -> f64 {
        libm::exp(ln_normal_sf(from + self.drift - self.low))
    }

    /// The nodes that a step can reach.
    fn reached(self, nodes: &[Node], from: f64) -> impl Iterator<Item = (usize, &Node)> {
        let to = from + self.drift;
        let first = nodes.partition_point(|node| node.at < to - FAR);
        let last = nodes.partition_point(|node| node.at <= to + FAR);
        nodes.iter().enumerate().take(last).skip(first)
    }

    fn to_the_end(self, nodes: &[Node], band: usize) -> Reach {
        let n = nodes.len();
        let width = 2 * band + 1;
        // Row i holds columns i - band to i + band of the identity less the kernel.
        let mut rows = vec![0.0; n * width];
        let mut right: Vec<[f64; 3]> = Vec::with_capacity(n);
        for (i, from) in nodes.iter().enumerate() {
            for (j, to) in self.reached(nodes, from.at) {
                if let Some(entry) = (j + band).checked_sub(i).filter(|at| *at < width) {
                    rows[i * width + entry] = -to.weight * self.density(from.at, to.at);
                }
            }
            rows[i * width + band] += 1.0;
            right.push([self.above(from.at), self.below(from.at), 1.0]);
        }
        for pivot in 0..n {
            let (done, rest) = rows.split_at_mut((pivot + 1) * width);
            let lead = &done[pivot * width + band..];
            let answer = right[pivot];
            for below in 1..=band.min(n - 1 - pivot) {
                let row = &mut rest[(below - 1) * width..below * width];
                let factor = row[band - below] / lead[0];
                if factor != 0.0 {
                    for (entry, lead) in row[band - below..].iter_mut().zip(lead) {
                        *entry -= factor * lead;
                    }
                    for (entry, lead) in right[pivot + below].iter_mut().zip(answer) {
                        *entry -= factor * lead;
                    }
                }
            }
        }
        for i in (0..n).rev() {
            let mut answer = right[i];
            for ahead in 1..=band.min(n - 1 - i) {
                let entry = rows[i * width + band + ahead];
                for (answer, known) in answer.iter_mut().zip(right[i + ahead]) {
                    *answer -= entry * known;
                }
            }
            right[i] = answer.map(|answer| answer / rows[i * width + band]);
        }
        // From 0 by one step and what follows it (Nystroem's interpolation).
        let mut found = [self.above(0.0), self.below(0.0), 1.0];
        for (j, to) in self.reached(nodes, 0.0) {
            let step = to.weight * self.density(0.0, to.at);
            for (found, then) in found.iter_mut().zip(right[j]) {
                *found += step * then;
            }
        }
        let [high, low, expected] = found;
        Reach { high, low, inside: 0.0, expected }
    }

    fn step_by_step(self, nodes: &[Node], steps: u64, most: f64) -> Result<Reach, Error> {
        let (mut high, mut low, mut expected) = (self.above(0.0), self.below(0.0), 1.0);
        // Probabilities at the nodes: densities with their weights.
        let mut inside: Vec<f64> =
            nodes.iter().map(|node| node.weight * self.density(0.0, node.at)).collect();
        let ends: Vec<[f64; 2]> =
            nodes.iter().map(|node| [self.above(node.at), self.below(node.at)]).collect();
        let kernel: Vec<(usize, Vec<f64>)> = nodes
            .iter()
            .map(|from| {
                let first = self.reached(nodes, from.at).next().map_or(0, |(j, _)| j);
                let steps = self.reached(nodes, from.at);
                (first, steps.map(|(_, to)| to.weight * self.density(from.at, to.at)).collect())
            })
            .collect();
        let cost: usize = kernel.iter().map(|(_, steps)| steps.len()).sum();
        let mut work = 0.0;
        let mut taken = 1;
        let mut total: f64 = inside.iter().sum();
        while taken < steps && total >= NEGLIGIBLE {
            work += cost as f64;
            if work > most {
                return Err(Error::value(
                    "following the test to its truncation takes too many steps: judge means of several values",
                ));
            }
            expected += total;
            let mut next = vec![0.0; nodes.len()];
            for ((p, [above, below]), (first, steps)) in inside.iter().zip(&ends).zip(&kernel) {
                high += p * above;
                low += p * below;
                for (to, step) in next[*first..].iter_mut().zip(steps) {
                    *to += p * step;
                }
            }
            inside = next;
            total = inside.iter().sum();
            taken += 1;
        }
        Ok(Reach { high, low, inside: total, expected })
    }
}

/// `1 / sqrt(2 pi)`.
const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
