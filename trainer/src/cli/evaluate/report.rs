//! What an evaluation found, for programs and for people.

use serde::Serialize;

use crate::{
    evaluate::{Divergence, Mean, WinRate},
    generate::SamplingSettings,
    terminal::{counted, rounded},
};

/// An evaluation: `report.json`, and with `--json` the result.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub model: Side,
    pub against: Side,
    pub prompts: usize,
    /// Answers of each model to each prompt.
    pub samples: usize,
    pub sampling: SamplingSettings,
    pub seed: u64,
    /// How often the reward model prefers an answer of the model.
    pub win_rate: Option<WinRate>,
    pub reward: Option<Rewards>,
    /// Of the model from the other; absent where they have different tokenizers, for greedy answers, and where the other model
    /// reads less than the longest prompt with its answer.
    pub kl: Option<Kl>,
}

/// One of the two models.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    pub name: String,
    pub path: String,
    /// Tokens an answer, with its end of text.
    pub tokens: Option<Mean>,
    /// Share of the answers that ended by themselves.
    pub finished: f64,
    /// Prompts that were too long for the model and lost their beginning.
    pub prompts_cut: usize,
    pub demonstrations: Option<Demonstrations>,
}

/// Likelihood of what people wrote.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Demonstrations {
    /// Nats a token.
    pub nll: f64,
    pub perplexity: f64,
    pub tokens: usize,
    pub demonstrations: usize,
    /// Those that were too long for the model and were shortened.
    pub cut: usize,
}

/// Mean rewards over prompts.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rewards {
    pub model: Mean,
    pub against: Mean,
    /// Of the model less the other, paired by prompt.
    pub difference: Mean,
}

/// Divergence, nats an answer, over the answers of the model; both laws at the temperature of sampling.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Kl {
    /// In full over the vocabulary at each token.
    pub full: Mean,
    pub full_per_token: f64,
    /// log π − log π_ref of the drawn tokens. Absent, as k3, where the law that was drawn from was truncated.
    pub k1: Option<Mean>,
    pub k3: Option<Mean>,
}

/// Of values, so many a prompt, the mean over the prompts of their means.
pub fn by_prompt(values: &[f64], samples: usize) -> Option<Mean> {
    let means: Vec<f64> = values.chunks(samples).map(|group| group.iter().sum::<f64>() / group.len() as f64).collect();
    Mean::of(&means)
}

/// The rewards of two models' answers, a list a prompt, without what could not be read: the prompts to which both have an answer
/// that could be.
pub fn read_of_both(ours: &[Vec<Option<f64>>], theirs: &[Vec<Option<f64>>]) -> [Vec<Vec<f64>>; 2] {
    let read = |group: &Vec<Option<f64>>| -> Vec<f64> { group.iter().copied().flatten().collect() };
    let groups = ours.iter().zip(theirs).map(|(ours, theirs)| (read(ours), read(theirs)));
    let (ours, theirs) = groups.filter(|(ours, theirs)| !ours.is_empty() && !theirs.is_empty()).unzip();
    [ours, theirs]
}

impl Rewards {
    pub fn of(ours: &[Vec<f64>], theirs: &[Vec<f64>]) -> Option<Self> {
        let means = |of: &[Vec<f64>]| -> Vec<f64> {
            of.iter().map(|group| group.iter().sum::<f64>() / group.len().max(1) as f64).collect()
        };
        let (ours, theirs) = (means(ours), means(theirs));
        let differences: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours - theirs).collect();
        Some(Self { model: Mean::of(&ours)?, against: Mean::of(&theirs)?, difference: Mean::of(&differences)? })
    }
}

impl Kl {
    pub fn of(found: &[Divergence], samples: usize, truncated: bool) -> Option<Self> {
        let mean = |of: fn(&Divergence) -> f64| by_prompt(&found.iter().map(of).collect::<Vec<_>>(), samples);
        let tokens: usize = found.iter().map(|one| one.tokens).sum();
        let sum: f64 = found.iter().map(|one| one.full).sum();
        Some(Self {
            full: mean(|one| one.full)?,
            full_per_token: sum / tokens.max(1) as f64,
            k1: mean(|one| one.k1).filter(|_| !truncated),
            k3: mean(|one| one.k3).filter(|_| !truncated),
        })
    }
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let Self { model, against, .. } = self;
        let mut lines = vec![format!(
            "{} against {}, {}, {} each",
            model.name,
            against.name,
            counted(self.prompts, "prompt"),
            if self.samples == 1 { "one answer".to_owned() } else { format!("{} answers", self.samples) },
        )];
        if let Some(WinRate { rate, low, high, .. }) = self.win_rate {
            let [rate, low, high] = [rate, low, high].map(|share| share * 100.0);
            lines.push(format!("wins by the reward model   {rate:.1} %  (95 %: {low:.1} to {high:.1} %)"));
        }
        if let Some(rewards) = &self.reward {
            lines.push(format!("reward                     {} and {}", said(&rewards.model), said(&rewards.against)));
            lines.push(format!("difference of rewards      {}", said(&rewards.difference)));
        }
        if let Some(kl) = &self.kl {
            let per_token = rounded(kl.full_per_token, 4);
            lines.push(format!("KL, nats an answer         {}, {per_token} a token", said(&kl.full)));
            if let (Some(k1), Some(k3)) = (&kl.k1, &kl.k3) {
                lines.push(format!("  by the drawn tokens      k1 {}, k3 {}", said(k1), said(k3)));
            }
        }
        if let (Some(ours), Some(theirs)) = (&model.tokens, &against.tokens) {
            lines.push(format!("tokens an answer           {:.1} and {:.1}", ours.mean, theirs.mean));
        }
        let [ours, theirs] = [model.finished, against.finished].map(|share| share * 100.0);
        lines.push(format!("ended by themselves        {ours:.1} % and {theirs:.1} %"));
        if model.prompts_cut + against.prompts_cut > 0 {
            let [ours, theirs] = [model.prompts_cut, against.prompts_cut];
            lines.push(format!("prompts that were too long {ours} and {theirs}, which lost their beginning"));
        }
        if let (Some(ours), Some(theirs)) = (&model.demonstrations, &against.demonstrations) {
            lines.push(format!("NLL of demonstrations      {:.4} and {:.4} nats a token", ours.nll, theirs.nll));
            lines.push(format!("perplexity                 {:.2} and {:.2}", ours.perplexity, theirs.perplexity));
            if ours.cut + theirs.cut > 0 {
                lines.push(format!("demonstrations too long    {} and {}, which were shortened", ours.cut, theirs.cut));
            }
        }
        lines.join("\n")
    }
}

fn said(Mean { mean, low, high }: &Mean) -> String {
    let [mean, low, high] = [mean, low, high].map(|value| rounded(*value, 3));
    format!("{mean} ({low} to {high})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_count_that_both_answered_with_something_to_be_read() {
        let ours = [vec![Some(1.0), None], vec![None, None], vec![Some(2.0), Some(3.0)]];
        let theirs = [vec![Some(0.0), Some(0.5)], vec![Some(1.0), Some(1.0)], vec![None, Some(4.0)]];
        let [ours, theirs] = read_of_both(&ours, &theirs);
        assert_eq!((ours, theirs), (vec![vec![1.0], vec![2.0, 3.0]], vec![vec![0.0, 0.5], vec![4.0]]));
    }
}
