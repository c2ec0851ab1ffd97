//! The law that the next token is drawn from: temperature, top-k, top-p.

use laurel_kernels::{
    likelihood::{exponentials, likeliest},
    nucleus,
};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::kept::Kept;

/// How answers are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingSettings {
    /// Divides the logits: below 1 likelier tokens gain; 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Only so many of the likeliest tokens; 0 means all.
    pub top_k: usize,
    /// Only the likeliest tokens that together have this probability (Holtzman et al. 2020); 1 means all.
    pub top_p: f64,
    /// The longest answer, in tokens.
    pub max_new_tokens: usize,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens: 64 }
    }
}

impl SamplingSettings {
    /// The likeliest token each time.
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self { temperature: 0.0, max_new_tokens, ..Self::default() }
    }

    /// Refuses numbers that no law can be made of; the message names the setting.
    pub fn check(&self) -> Result<(), String> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(format!("temperature must be 0 or more, not {}", self.temperature));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(format!("top_p must be above 0 and at most 1, not {}", self.top_p));
        }
        if self.max_new_tokens == 0 {
            return Err("max_new_tokens must be at least 1".into());
        }
        Ok(())
    }

    /// Draws the next token from `logits` (one a token of the vocabulary): the token and its log-probability under the
    /// law it was drawn from. That is NaN where the logits make no law, since some are NaN or infinite.
    pub fn sample(&self, logits: &[f32], rng: &mut impl Rng) -> (u32, f32) {
        if self.takes_the_likeliest() {
            let token = likeliest(logits);
            return (token as u32, if makes_law(logits, token) { 0.0 } else { f32::NAN });
        }
        let law = Law::new(logits, self);
        law.draw(rng.random())
    }

    /// As [`Self::sample`], with the tokens that the law left to draw from, where it is truncated.
    pub fn sample_of(&self, logits: &[f32], rng: &mut impl Rng) -> (u32, f32, Option<Kept>) {
        if !self.truncates() {
            let (token, log_prob) = self.sample(logits, rng);
            return (token, log_prob, None);
        }
        let law = Law::new(logits, self);
        let (token, log_prob) = law.draw(rng.random());
        (token, log_prob, Some(Kept::of(&law.weights)))
    }

    /// Whether there is no law to draw from: at 0, and where the temperature is so small that float32 can't hold what the
    /// logits are multiplied by.
    fn takes_the_likeliest(&self) -> bool {
        !((1.0 / self.temperature) as f32).is_finite()
    }

    /// Whether some tokens may be cut off.
    pub fn truncates(&self) -> bool {
        self.top_k > 0 || self.top_p < 1.0
    }
}

/// Tokens that may come next, with their probabilities.
#[derive(Debug)]
struct Law {
    /// Of every token of the vocabulary, not yet divided by their sum; the likeliest has 1, what was cut off 0.
    weights: Vec<f32>,
    sum: f64,
}

impl Law {
    /// In the order of transformers: temperature, then top-k, then top-p of what is left: a token when the likelier ones together stay
    /// below it, so the likeliest always, and of equally likely tokens the first ones.
    fn new(logits: &[f32], settings: &SamplingSettings) -> Self {
        let mut weights = vec![0.0; logits.len()];
        if settings.takes_the_likeliest() {
            let token = likeliest(logits);
            weights[token] = 1.0;
            return Self { weights, sum: if makes_law(logits, token) { 1.0 } else { f64::NAN } };
        }
        let mut sum = exponentials(logits, (1.0 / settings.temperature) as f32, &mut weights);
        if settings.top_k > 0 && settings.top_k < logits.len() {
            let bound = kth_largest(logits, settings.top_k);
            weights.iter_mut().zip(logits).filter(|(_, logit)| **logit < bound).for_each(|(weight, _)| *weight = 0.0);
            sum = nucleus::sum(&weights);
        }
        if settings.top_p < 1.0 {
            sum = nucleus::keep_nucleus(&mut weights, settings.top_p * sum);
        }
        Self { weights, sum }
    }

    /// The token at `point`, uniform in [0, 1), of the cumulated probabilities.
    fn draw(&self, point: f64) -> (u32, f32) {
        let chosen = nucleus::place(&self.weights, point * self.sum);
        (chosen as u32, (f64::from(self.weights[chosen]) / self.sum).ln() as f32)
    }
}

/// Whether the likeliest of the logits is finite and none of the others NaN, which every comparison passes over.
fn makes_law(logits: &[f32], likeliest: usize) -> bool {
    // Without a way out in the middle: so it takes several logits at once.
    logits[likeliest].is_finite() && !logits.iter().fold(false, |found, logit| found | logit.is_nan())
}

fn kth_largest(logits: &[f32], k: usize) -> f32 {
    let mut sorted = logits.to_vec();
    *sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected laws: transformers' TemperatureLogitsWarper, TopKLogitsWarper and TopPLogitsWarper in float64, written by
    /// scripts/sampling_reference.py.
    #[test]
    fn laws_are_those_of_transformers() {
        #[derive(Deserialize)]
        struct Case {
            logits: Vec<f32>,
            temperature: f64,
            top_k: usize,
            top_p: f64,
            probabilities: Vec<f64>,
        }
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/sampling.json")).unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let Case { logits, temperature, top_k, top_p, probabilities } = case;
            let settings = SamplingSettings { temperature, top_k, top_p, max_new_tokens: 1 };
            let law = Law::new(&logits, &settings);
            for (&weight, expected) in law.weights.iter().zip(&probabilities) {
                let found = f64::from(weight) / law.sum;
                assert!((found - expected).abs() < 1e-6, "{settings:?} {logits:?}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn no_temperature_and_hardly_any_take_the_likeliest() {
        use rand::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for (temperature, top_k) in [(0.0, 0), (1e-40, 0), (1e-300, 3), (1e-30, 0)] {
            let settings = SamplingSettings { temperature, top_k, ..SamplingSettings::default() };
            for _ in 0..20 {
                let (token, log_prob, kept) = settings.sample_of(&[0.5, 2.0, -1.0], &mut rng);
                assert_eq!((token, log_prob, kept.is_some()), (1, 0.0, top_k > 0), "{temperature}");
            }
        }
    }

    #[test]
    fn logits_that_make_no_law_are_told_by_the_log_probability() {
        use rand::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let default = SamplingSettings::default();
        let [some, nucleus] = [SamplingSettings { top_k: 2, ..default }, SamplingSettings { top_p: 0.9, ..default }];
        let greedy = SamplingSettings::greedy(1);
        for settings in [default, some, nucleus, greedy, SamplingSettings { top_k: 2, ..greedy }] {
            for logits in [[f32::NAN; 3], [f32::NEG_INFINITY; 3], [f32::INFINITY, 0.0, 1.0], [0.0, f32::NAN, 1.0]] {
                let (token, log_prob, _) = settings.sample_of(&logits, &mut rng);
                assert!(token < 3 && log_prob.is_nan(), "{settings:?} {logits:?}: {log_prob}");
            }
            let (_, log_prob, _) = settings.sample_of(&[0.0, f32::NEG_INFINITY, 1.0], &mut rng);
            assert!(log_prob.is_finite(), "{settings:?}: a token that can't be drawn spoils no law");
        }
    }

    #[test]
    fn every_token_is_drawn_as_often_as_its_probability_says() {
        // Probabilities 0.1, 0.2, 0.3, 0.4: the cumulated bounds are 0.1, 0.3 and 0.6.
        let logits = [0.1f32, 0.2, 0.3, 0.4].map(f32::ln);
        let law = Law::new(&logits, &SamplingSettings::default());
        for (point, token) in [(0.0, 0), (0.0999, 0), (0.1001, 1), (0.2999, 1), (0.3001, 2), (0.6001, 3), (0.9999, 3)] {
            let (drawn, logprob) = law.draw(point);
            assert_eq!(drawn, token, "at {point}");
            assert!((logprob - logits[token as usize]).abs() < 1e-6);
        }
    }

    #[test]
    fn the_nucleus_of_many_tokens_is_what_sorting_gives() {
        let logits: Vec<f32> = (0..5000).map(|i| ((i * 7919) % 613) as f32 / 70.0).collect();
        for top_p in [0.05, 0.5, 0.9, 0.999] {
            let whole = Law::new(&logits, &SamplingSettings::default());
            let law = Law::new(&logits, &SamplingSettings { top_p, ..SamplingSettings::default() });
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
            let mut likelier = 0.0;
            for token in order {
                // At the border the order of summing decides.
                if (likelier - top_p).abs() > 1e-6 {
                    assert_eq!(law.weights[token] > 0.0, likelier < top_p, "{top_p}: {token} after {likelier}");
                }
                likelier += f64::from(whole.weights[token]) / whole.sum;
            }
        }
    }

    #[test]
    fn a_token_without_probability_is_never_drawn() {
        let law = Law::new(&[0.0, f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY], &SamplingSettings::default());
        for point in [0.0, 0.49, 0.51, 0.999_999, 1.0] {
            assert!([0, 2].contains(&law.draw(point).0), "at {point}");
        }
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_and_is_certain_of_it() {
        assert_eq!(Law::new(&[1.0, 3.0, 3.0, -1.0], &SamplingSettings::greedy(1)).draw(0.9), (1, 0.0));
    }

    #[test]
    fn wrong_settings_are_named() {
        let with =
            |temperature, top_p, max_new_tokens| SamplingSettings { temperature, top_k: 0, top_p, max_new_tokens };
        assert!(with(-1.0, 1.0, 1).check().unwrap_err().contains("temperature"));
        assert!(with(f64::NAN, 1.0, 1).check().unwrap_err().contains("temperature"));
        assert!(with(1.0, 0.0, 1).check().unwrap_err().contains("top_p"));
        assert!(with(1.0, 1.1, 1).check().unwrap_err().contains("top_p"));
        assert!(with(1.0, 1.0, 0).check().unwrap_err().contains("max_new_tokens"));
        assert_eq!(SamplingSettings::default().check(), Ok(()));
    }
}
