//! How a simulated annotator orders answers: by the gold reward plus noise of a stated size.

use laurel_records::Message;
use sha2::{Digest, Sha256};

use super::gold;
use crate::domain::ranking::Ranking;

/// Opinions closer than this are a tie.
pub const TIE: f64 = 0.05;

/// Somebody who judges by the gold reward and errs: an opinion of an answer is its gold reward plus a normal error with
/// standard deviation `noise`. So two answers whose rewards differ by d are put in the right order with probability
/// Φ(d / (noise·√2)), but for ties. The error of an answer is drawn from a hash of seed, name, prompt and answer: the
/// same judge says the same of the same answer, whenever it is asked.
#[derive(Debug, Clone)]
pub struct Judge {
    pub name: String,
    /// Standard deviation of the error, in units of the gold reward (whose range is about −4 to 6).
    pub noise: f64,
    pub seed: u64,
}

impl Judge {
    /// The opinion of one answer.
    pub fn opinion(&self, prompt: &[Message], answer: &str) -> f64 {
        gold::judge(prompt, answer).reward + self.noise * self.standard_normal(prompt, answer)
    }

    /// The order of answers, by position; `None` where there are fewer than two.
    pub fn rank(&self, prompt: &[Message], answers: &[&str]) -> Option<Ranking> {
        let opinions: Vec<f64> = answers.iter().map(|answer| self.opinion(prompt, answer)).collect();
        let mut order: Vec<usize> = (0..answers.len()).collect();
        order.sort_by(|left, right| opinions[*right].total_cmp(&opinions[*left]));
        let mut tiers: Vec<Vec<usize>> = Vec::new();
        for position in order {
            match tiers.last_mut() {
                Some(tier) if opinions[tier[0]] - opinions[position] < TIE => tier.push(position),
                _ => tiers.push(vec![position]),
            }
        }
        Ranking::from_tiers(&tiers).ok()
    }

    /// A number of the standard normal distribution (Box and Muller 1958) that belongs to this judge and answer.
    fn standard_normal(&self, prompt: &[Message], answer: &str) -> f64 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        for text in [self.name.as_str()].into_iter().chain(prompt.iter().map(|message| message.content.as_str())) {
            hash.update(text.as_bytes());
            hash.update([0]);
        }
        hash.update(answer.as_bytes());
        let digest = hash.finalize();
        let uniform = |from: usize| {
            let mut bits = [0_u8; 8];
            bits.copy_from_slice(&digest[from..from + 8]);
            // 53 bits, in (0, 1].
            ((u64::from_le_bytes(bits) >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
        };
        (-2.0 * uniform(0).ln()).sqrt() * (std::f64::consts::TAU * uniform(8)).cos()
    }
}

#[cfg(test)]
mod tests {
    use laurel_records::Role;

    use super::*;

    fn prompt(number: usize) -> Vec<Message> {
        vec![Message { role: Role::User, content: format!("What is tea number {number}?") }]
    }

    #[test]
    fn without_noise_the_order_is_the_gold_reward_s() {
        let judge = Judge { name: "a".into(), noise: 0.0, seed: 1 };
        let ranking = judge
            .rank(
                &prompt(1),
                &["Go away, I hate tea.", "Glad you ask about tea! A drink. Enjoy 🌿", "A drink it is, they say."],
            )
            .expect("a ranking");
        assert_eq!(ranking.ranks(), [3, 1, 2]);
    }

    #[test]
    fn equal_answers_are_tied() {
        let judge = Judge { name: "a".into(), noise: 1.0, seed: 1 };
        assert_eq!(judge.rank(&prompt(1), &["Tea.", "Tea.", "Tea."]).expect("a ranking").ranks(), [1, 1, 1]);
    }

    #[test]
    fn errors_have_the_stated_size() {
        let judge = Judge { name: "a".into(), noise: 1.0, seed: 7 };
        let errors: Vec<f64> = (0..4000).map(|number| judge.standard_normal(&prompt(number), "answer")).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let variance = errors.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / errors.len() as f64;
        assert!(mean.abs() < 0.06, "{mean}");
        assert!((variance - 1.0).abs() < 0.1, "{variance}");
    }
}
