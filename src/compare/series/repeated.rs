//! What more of the same would show: the planning question of an undecided metric.

use super::level::{LOGIT_SHARE, RANK_SHARE};
use super::{Level, Trend};
use crate::compare::long_run::Cosines;
use crate::compare::question::Sides;
use crate::evidence::PValue;
use crate::special::student::ln_student_sf;

impl Level {
    /// After `factor` times as many of the n pairs: errors fall with the root of it, and the cosines grow in number.
    pub(crate) fn repeated(self, n: usize, factor: u64) -> Level {
        if factor <= 1 || self.sides == Sides::NOTHING {
            return self;
        }
        let root = libm::sqrt(factor as f64);
        let cosines = Cosines::by_length(n as f64 * factor as f64);
        let (logit_t, rank_t) = (self.logit_t * root, self.rank_t * root);
        let p = |t: f64, share: f64| {
            PValue::saturating(ln_student_sf(t, cosines.degrees_of_freedom()) - libm::log(share))
        };
        let side = |sign: f64| p(sign * logit_t, LOGIT_SHARE).min(p(sign * rank_t, RANK_SHARE));
        Level {
            standard_error: self.standard_error / root,
            cosines: cosines.0,
            t: self.t * root,
            logit_t,
            rank_t,
            sides: Sides { greater: side(1.0), less: side(-1.0) },
            effective: self.effective * factor as f64,
            ..self
        }
    }
}

impl Trend {
    /// After `factor` times as long a run.
    pub(crate) fn repeated(self, factor: u64) -> Trend {
        Trend { standard_error: self.standard_error / libm::sqrt(factor as f64), ..self }
    }
}
