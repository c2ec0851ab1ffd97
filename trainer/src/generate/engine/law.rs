//! What is done to a model's logits before a token is drawn, and what is told of them.

/// What a request adds to and takes from the logits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogitChanges {
    /// Taken once from the logit of a token that the answer has already.
    pub presence_penalty: f32,
    /// Taken from the logit of a token for each time that the answer has it already.
    pub frequency_penalty: f32,
    /// Added to the logits of tokens.
    pub bias: Vec<(u32, f32)>,
}

impl LogitChanges {
    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        self.presence_penalty == 0.0 && self.frequency_penalty == 0.0 && self.bias.is_empty()
    }

    /// The logits after the changes, for an answer that has `tokens` so far: OpenAI's
    /// `mu[j] -= c[j] · frequency_penalty + (c[j] > 0) · presence_penalty`, and the bias.
    pub fn apply(&self, logits: &[f32], tokens: &[u32]) -> Vec<f32> {
        let mut changed = logits.to_vec();
        let mut sorted = tokens.to_vec();
        sorted.sort_unstable();
        for same in sorted.chunk_by(|left, right| left == right) {
            if let Some(logit) = changed.get_mut(same[0] as usize) {
                *logit -= same.len() as f32 * self.frequency_penalty + self.presence_penalty;
            }
        }
        for &(token, more) in &self.bias {
            if let Some(logit) = changed.get_mut(token as usize) {
                *logit += more;
            }
        }
        changed
    }
}

/// Log-probabilities by the model itself: temperature 1, nothing cut off, nothing added.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprobs {
    /// Of the token that was drawn.
    pub logprob: f32,
    /// The likeliest tokens, likeliest first.
    pub top: Vec<(u32, f32)>,
}

impl TokenLogprobs {
    /// Of `token`, with `count` of the likeliest, from the model's logits.
    pub fn new(logits: &[f32], token: u32, count: usize) -> Self {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
        let logprob = |token: u32| (f64::from(logits[token as usize] - largest) - sum.ln()) as f32;
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let likelier = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        let count = count.min(order.len());
        if count > 0 {
            order.select_nth_unstable_by(count - 1, likelier);
        }
        order.truncate(count);
        order.sort_unstable_by(likelier);
        Self { logprob: logprob(token), top: order.into_iter().map(|token| (token, logprob(token))).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_are_openais_formula() {
        let changes = LogitChanges { presence_penalty: 0.5, frequency_penalty: 0.25, bias: vec![(0, 100.0), (9, 1.0)] };
        // Token 1 came once, token 2 three times: 1 − 0.25 − 0.5 and 1 − 0.75 − 0.5.
        assert_eq!(changes.apply(&[1.0; 4], &[2, 1, 2, 2]), [101.0, 0.25, -0.25, 1.0]);
        assert!(LogitChanges::default().is_empty() && !changes.is_empty());
    }

    #[test]
    fn log_probabilities_are_the_softmax_of_the_logits() {
        // Probabilities 0.1, 0.2, 0.3, 0.4.
        let found = TokenLogprobs::new(&[0.1f32, 0.2, 0.3, 0.4].map(f32::ln), 1, 2);
        let close = |found: f32, expected: f64| assert!((f64::from(found) - expected.ln()).abs() < 1e-6, "{found}");
        close(found.logprob, 0.2);
        assert_eq!(found.top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [3, 2]);
        close(found.top[0].1, 0.4);
        close(found.top[1].1, 0.3);
        assert!(TokenLogprobs::new(&[0.0, 1.0], 0, 0).top.is_empty());
    }
}
