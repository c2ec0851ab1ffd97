//! The learning rate of each step.

use serde::{Deserialize, Serialize};

/// What a cosine ends at, as a share of the peak (InstructGPT, appendix C).
const COSINE_FLOOR: f64 = 0.1;

/// How the learning rate falls once the warm-up is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// To zero in a straight line.
    Linear,
    /// To a tenth of the peak along half a cosine.
    Cosine,
    Constant,
}

impl Schedule {
    /// The rate of step `step` of `total`, counted from 0. The first `warmup` steps rise to the peak in equal parts, and
    /// no step has a rate of zero.
    pub fn rate(self, peak: f64, step: usize, total: usize, warmup: usize) -> f64 {
        if step < warmup {
            return peak * (step + 1) as f64 / (warmup + 1) as f64;
        }
        let done = (step - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
        let done = done.min(1.0);
        match self {
            Self::Constant => peak,
            Self::Linear => peak * (1.0 - done),
            Self::Cosine => {
                let falling = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                peak * (COSINE_FLOOR + (1.0 - COSINE_FLOOR) * falling)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_to_the_peak_and_fall_as_their_names_say() {
        let of = |schedule: Schedule| (0..10).map(|step| schedule.rate(1.0, step, 10, 2)).collect::<Vec<_>>();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        for schedule in [Schedule::Linear, Schedule::Cosine, Schedule::Constant] {
            let rates = of(schedule);
            close(rates[0], 1.0 / 3.0);
            close(rates[1], 2.0 / 3.0);
            close(rates[2], 1.0);
            assert!(rates.iter().all(|rate| *rate > 0.0));
        }
        close(of(Schedule::Linear)[6], 0.5);
        close(of(Schedule::Linear)[9], 0.125);
        close(of(Schedule::Cosine)[6], 0.55);
        close(Schedule::Cosine.rate(1.0, 10, 10, 2), 0.1);
        close(of(Schedule::Constant)[9], 1.0);
    }
}
