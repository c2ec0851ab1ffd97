//! A rollout: the answers that the policy drew, their scores, and how far they lie from the reference.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, TensorData};

use super::episode::{Episode, Reading, Rows, width};
use crate::{
    model::Decoder,
    rlhf::{kl, masked},
};

/// How a score follows from what the reward model's head gives: (raw − `zero`) / `unit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreScale {
    pub zero: f64,
    pub unit: f64,
}

impl ScoreScale {
    /// What the head gives is taken as it is.
    pub const RAW: Self = Self { zero: 0.0, unit: 1.0 };

    pub fn of(self, raw: Tensor<2>) -> Tensor<2> {
        if self == Self::RAW { raw } else { (raw - self.zero) / self.unit }
    }
}

/// What is learned from: all tensors `[batch, response]`, on the device without gradients.
pub struct Rollout {
    pub episodes: Vec<Episode>,
    /// Of each answer, as the method is to see them: normalised, cut and with penalties, where that is wanted.
    pub scores: Vec<f64>,
    /// How they follow from what the reward model's head gives, but for cuts and penalties.
    pub scale: ScoreScale,
    /// 1 on sampled tokens up to and with the end of text.
    pub mask: Tensor<2>,
    /// log π of each token at the time of sampling, as the sampler gave it.
    pub log_probs: Tensor<2>,
    /// log π_ref of each token.
    pub reference: Tensor<2>,
    pub reading: Reading,
}

impl Rollout {
    /// Asks the reference what it thinks of the answers.
    pub fn new(
        episodes: Vec<Episode>,
        (scores, scale): (Vec<f64>, ScoreScale),
        reference: &Decoder,
        reading: Reading,
    ) -> Self {
        let (batch, width) = (episodes.len(), width(&episodes));
        let table = |of: &dyn Fn(&Episode) -> Vec<f32>| {
            let rows = episodes.iter().flat_map(|episode| {
                let mut row = of(episode);
                row.resize(width, 0.0);
                row
            });
            let data = TensorData::new(rows.collect::<Vec<f32>>(), [batch, width]);
            Tensor::<2>::from_data(data, &reading.device)
        };
        let mask = table(&|episode| vec![1.0; episode.answer.len()]);
        let log_probs = table(&|episode| episode.log_probs.clone());
        let reference = reading.log_probs(reference, &episodes);
        Self { episodes, scores, scale, mask, log_probs, reference, reading }
    }

    /// Tokens of the longest answer.
    pub fn width(&self) -> usize {
        width(&self.episodes)
    }

    /// Tokens of some answers together.
    pub fn answer_tokens(&self, members: &[usize]) -> usize {
        members.iter().map(|&row| self.episodes[row].answer.len()).sum()
    }

    /// Some answers for models on the device of `like`, which may be the one with gradients.
    pub fn rows(&self, members: &[usize], like: &Decoder) -> Rows {
        let episodes: Vec<&Episode> = members.iter().map(|&row| &self.episodes[row]).collect();
        Rows::new(&episodes, self.width(), self.reading.pad_id, &like.token_embedding.device())
    }

    /// The rows `members` of a tensor `[batch, response]`, on the device with gradients.
    pub fn select(&self, tensor: &Tensor<2>, members: &[usize]) -> Tensor<2> {
        let index: Vec<i32> = members.iter().map(|&row| row as i32).collect();
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [members.len()]), &tensor.device());
        Tensor::from_inner(tensor.clone().select(0, index))
    }

    /// Σ over the tokens of each answer of log π − log π_ref, nats.
    pub fn divergences(&self) -> Vec<f64> {
        self.an_answer(kl::k1(self.log_probs.clone(), self.reference.clone()))
    }

    /// The sum of `values` over the tokens of each answer.
    fn an_answer(&self, values: Tensor<2>) -> Vec<f64> {
        let sums = masked::only_real(values, self.mask.clone()).sum_dim(1);
        let sums = sums.into_data_as::<f32>().try_to_vec::<f32>().unwrap_or_default();
        sums.into_iter().map(f64::from).collect()
    }

    /// What is reported of the rollout whatever is learned from it; `coefficient`: β.
    pub fn objective(&self, coefficient: f64) -> Objective {
        let lengths: Vec<f64> = self.episodes.iter().map(|episode| episode.answer.len() as f64).collect();
        let kl = mean(&self.divergences());
        let scores = mean_and_deviation(&self.scores);
        Objective {
            kl,
            kl_k3: mean(&self.an_answer(kl::k3(self.log_probs.clone(), self.reference.clone()))),
            entropy: -mean(&self.an_answer(self.log_probs.clone())),
            non_score_reward: -coefficient * kl,
            scores: scores[0],
            scores_deviation: scores[1],
            length: mean(&lengths),
            finished: self.episodes.iter().filter(|episode| episode.finished).count(),
        }
    }
}

/// What is reported of a rollout, means over its answers.
#[derive(Debug, Clone, Copy)]
pub struct Objective {
    /// Σ over the tokens of log π − log π_ref (k1: unbiased, at times negative).
    pub kl: f64,
    /// The same by k3, never negative.
    pub kl_k3: f64,
    /// −Σ over the tokens of log π.
    pub entropy: f64,
    /// −β·KL
    pub non_score_reward: f64,
    /// The score as the method sees it.
    pub scores: f64,
    pub scores_deviation: f64,
    /// Tokens an answer.
    pub length: f64,
    /// Answers that ended by themselves.
    pub finished: usize,
}

impl Objective {
    /// Under TRL's names (PPO), where it has one. What `objective/rlhf_reward` is made of is what PPO and RLOO learn from; in
    /// GRPO the price is in the loss, by k3 a token, and this only says what the same policy would be worth to the others.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        [
            ("objective/kl", self.kl),
            ("objective/kl_k3", self.kl_k3),
            ("objective/entropy", self.entropy),
            ("objective/non_score_reward", self.non_score_reward),
            ("objective/rlhf_reward", self.non_score_reward + self.scores),
            ("objective/scores", self.scores),
            ("objective/scores_std", self.scores_deviation),
            ("objective/length", self.length),
            ("val/num_eos_tokens", self.finished as f64),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// The mean; zero of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len() as f64).max(1.0)
}

/// Mean and unbiased standard deviation.
pub fn mean_and_deviation(values: &[f64]) -> [f64; 2] {
    let mean = mean(values);
    let variance =
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0);
    [mean, variance.sqrt()]
}

/// The one number of a tensor.
pub fn number(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.inner().into_scalar::<f32>())
}

/// The numbers of several tensors, read together: a GPU is waited for once.
pub fn numbers<const N: usize>(tensors: [&Tensor<1>; N]) -> [f64; N] {
    let tensors = Vec::from(tensors.map(|tensor| tensor.clone().inner()));
    let read = Tensor::cat(tensors, 0).into_data_as::<f32>();
    let read: Vec<f32> = read.try_to_vec().expect("the data was just converted to f32");
    std::array::from_fn(|at| f64::from(read[at]))
}
