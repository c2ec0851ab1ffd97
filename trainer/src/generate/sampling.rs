//! The law that the next token is drawn from: temperature, top-k, top-p.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

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
    /// law it was drawn from.
    pub fn sample(&self, logits: &[f32], rng: &mut impl Rng) -> (u32, f32) {
        let law = Law::new(logits, self);
        law.draw(rng.random())
    }
}

/// Tokens that may come next, with their probabilities.
#[derive(Debug)]
struct Law {
    tokens: Vec<u32>,
    /// Not yet divided by their sum.
    weights: Vec<f64>,
    sum: f64,
}

impl Law {
    /// In the order of transformers: temperature, then top-k, then top-p of what is left.
    fn new(logits: &[f32], settings: &SamplingSettings) -> Self {
        if settings.temperature == 0.0 {
            return Self { tokens: vec![likeliest(logits)], weights: vec![1.0], sum: 1.0 };
        }
        let mut tokens: Vec<u32> = (0..logits.len() as u32).collect();
        if settings.top_k > 0 && settings.top_k < logits.len() {
            let bound = kth_largest(logits, settings.top_k);
            tokens.retain(|&token| logits[token as usize] >= bound);
        }
        let logit = |token: u32| f64::from(logits[token as usize]) / settings.temperature;
        let largest = tokens.iter().map(|&token| logit(token)).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = tokens.iter().map(|&token| (logit(token) - largest).exp()).collect();
        let mut law = Self { sum: weights.iter().sum(), tokens, weights };
        if settings.top_p < 1.0 {
            law.keep_nucleus(settings.top_p);
        }
        law
    }

    /// Keeps a token when the likelier ones together stay below `top_p`, so the likeliest is always kept.
    fn keep_nucleus(&mut self, top_p: f64) {
        let mut order: Vec<usize> = (0..self.tokens.len()).collect();
        // Equal weights in the order of their tokens, so that the same logits give the same law.
        order.sort_by(|&a, &b| self.weights[b].total_cmp(&self.weights[a]).then(a.cmp(&b)));
        let mut likelier = 0.0;
        let mut kept = 0;
        while kept < order.len() && likelier < top_p * self.sum {
            likelier += self.weights[order[kept]];
            kept += 1;
        }
        order.truncate(kept);
        self.tokens = order.iter().map(|&index| self.tokens[index]).collect();
        self.weights = order.iter().map(|&index| self.weights[index]).collect();
        self.sum = self.weights.iter().sum();
    }

    /// The token at `point`, uniform in [0, 1), of the cumulated probabilities.
    fn draw(&self, point: f64) -> (u32, f32) {
        let mut left = point * self.sum;
        let mut chosen = self.tokens.len() - 1;
        for (index, &weight) in self.weights.iter().enumerate() {
            if left < weight {
                chosen = index;
                break;
            }
            left -= weight;
        }
        // Rounding may leave the point beyond the end, on a token of no weight at all.
        while self.weights[chosen] == 0.0 && chosen > 0 {
            chosen -= 1;
        }
        (self.tokens[chosen], (self.weights[chosen] / self.sum).ln() as f32)
    }
}

fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (index, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = index;
        }
    }
    best as u32
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
            let mut found = vec![0.0; logits.len()];
            for (&token, weight) in law.tokens.iter().zip(&law.weights) {
                found[token as usize] = weight / law.sum;
            }
            for (found, expected) in found.iter().zip(&probabilities) {
                assert!((found - expected).abs() < 1e-6, "{settings:?} {logits:?}: {found}, expected {expected}");
            }
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
