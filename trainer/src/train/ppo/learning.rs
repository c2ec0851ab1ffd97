//! Several passes over a rollout in minibatches: clipped losses for the policy and the values, and pretraining text mixed in.

use std::collections::BTreeMap;

use super::{
    super::{
        completion::{chunks_by_tokens, completion_nll},
        error::TrainError,
        online::{Rollout, Step, number, numbers},
    },
    Estimates, PpoSettings,
    learners::{Gradients, Learners, Rates},
};
use crate::{
    data::{Example, Order, SftBatch},
    rlhf::ppo::{PolicyLoss, ValueLoss, policy_loss, value_loss},
};

/// What learning from one rollout needs besides the models.
pub(super) struct Lesson<'a> {
    pub settings: &'a PpoSettings,
    pub step: &'a Step<'a>,
    pub rollout: &'a Rollout,
    pub estimates: &'a Estimates,
    /// Blocks of pretraining text; empty without PPO-ptx.
    pub pretraining: &'a [Example],
}

/// Sums of what is watched over tokens, of one minibatch or of many.
#[derive(Debug, Clone, Copy, Default)]
struct Watched {
    policy: f64,
    value: f64,
    clip_fraction: f64,
    outside_fraction: f64,
    value_clip_fraction: f64,
    ratio: f64,
    /// Of (ratio − 1)².
    ratio_square: f64,
    approx_kl: f64,
    approx_kl_k1: f64,
    approx_kl_k3: f64,
    entropy: f64,
    ptx: f64,
    tokens: f64,
}

/// What came of learning from a rollout.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Losses {
    all: Watched,
    /// The minibatch before anything was learned, where ratios are 1 and divergences 0, or sampling and scoring differ.
    first: Watched,
    /// Steps of the optimiser, and sums over them.
    steps: f64,
    policy_norm: f64,
    value_norm: Option<f64>,
    stopped: bool,
}

impl Lesson<'_> {
    /// Learns from a rollout. Where `target_approx_kl` is given, the rest of the passes is left out as soon as a minibatch
    /// shows that the policy has moved further than that from the one that sampled; that minibatch changes nothing.
    pub fn learn(&self, mut learners: Learners) -> Result<(Learners, Losses), TrainError> {
        let mut losses = Losses::default();
        let settings = self.settings;
        let rates = Rates {
            policy: self.step.rate(self.step.online.settings.shared.learning_rate),
            value: self
                .step
                .rate(settings.value_learning_rate.unwrap_or(self.step.online.settings.shared.learning_rate)),
        };
        let answers = self.rollout.episodes.len();
        for minibatch in self.step.minibatches(answers, settings.ppo_epochs, settings.minibatch_size) {
            let (mut gradients, mut watched) = self.gradients(&learners, &minibatch);
            let moved = watched.approx_kl_k3 / watched.tokens.max(1.0);
            if settings.target_approx_kl > 0.0 && moved > settings.target_approx_kl {
                losses.stop(watched);
                break;
            }
            self.mix_pretraining(&learners, &mut gradients, &mut watched, losses.steps as u64);
            let (stepped, policy_norm, value_norm) =
                learners.step(gradients, &rates).map_err(|error| error.within_step(losses.have_moved()))?;
            learners = stepped;
            losses.note(watched, policy_norm, value_norm);
        }
        Ok((learners, losses))
    }

    /// The gradients of one minibatch, a few answers at a time.
    fn gradients(&self, learners: &Learners, minibatch: &[usize]) -> (Gradients, Watched) {
        let (settings, rollout, estimates) = (self.settings, self.rollout, self.estimates);
        let mut gradients = learners.gradients();
        let mut watched = Watched::default();
        let length = |row: usize| rollout.episodes[row].tokens();
        for part in chunks_by_tokens(minibatch.to_vec(), length, settings.micro_batch_tokens) {
            let rows = rollout.rows(&part, learners.policy());
            let select = |tensor| rollout.select(tensor, &part);
            let tokens = rollout.answer_tokens(&part) as f64;
            let mask = select(&rollout.mask);
            let (log_probs, values, entropy) = learners.forward(rollout, &rows);
            watched.entropy += entropy;
            let (old, advantages) = (select(&rollout.log_probs), select(&estimates.advantages));
            let policy = policy_loss(log_probs, old, advantages, mask.clone(), settings.clip_range);
            let (old, returns) = (select(&estimates.values), select(&estimates.returns));
            let value = value_loss(values, old, returns, mask, settings.value_clip_range);
            watched.add(&policy, &value, tokens);
            let coefficient = settings.value_coefficient;
            learners.add(&mut gradients, policy.loss * tokens, value.loss * tokens, tokens, coefficient);
        }
        (gradients, watched)
    }

    /// PPO-ptx (Ouyang et al. 2022, eq. 2): the gradient of the mean loss on pretraining text, times its coefficient. The
    /// accumulated gradient will be divided by the answers' tokens, so it is multiplied by them here.
    fn mix_pretraining(&self, learners: &Learners, gradients: &mut Gradients, watched: &mut Watched, step: u64) {
        if self.pretraining.is_empty() {
            return;
        }
        let (policy, pad_id) = (learners.policy(), self.rollout.reading.pad_id);
        let device = policy.token_embedding.device();
        let size = self.settings.ptx_batch_size.min(self.pretraining.len());
        let order = Order::new(self.pretraining.len(), self.step.seed("pretraining", step));
        let blocks: Vec<usize> = order.epoch(0).into_iter().take(size).collect();
        let all: usize = blocks.iter().map(|&block| self.pretraining[block].completion_tokens()).sum();
        let all = all.max(1) as f64;
        let scale = self.settings.ptx_coefficient * watched.tokens / all;
        let length = |block: usize| self.pretraining[block].ids.len();
        for chunk in chunks_by_tokens(blocks, length, self.settings.micro_batch_tokens) {
            let examples: Vec<&Example> = chunk.iter().map(|&block| &self.pretraining[block]).collect();
            let (sum, _) = completion_nll(policy, &SftBatch::padded(&examples, pad_id, &device));
            watched.ptx += number(sum.clone()) / all * watched.tokens;
            learners.add_to_policy(gradients, sum * scale);
        }
    }
}

impl Watched {
    fn add(&mut self, policy: &PolicyLoss, value: &ValueLoss, tokens: f64) {
        let means = [
            (&mut self.policy, &policy.loss),
            (&mut self.value, &value.loss),
            (&mut self.clip_fraction, &policy.clip_fraction),
            (&mut self.outside_fraction, &policy.outside_fraction),
            (&mut self.value_clip_fraction, &value.clip_fraction),
            (&mut self.ratio, &policy.ratio_mean),
            (&mut self.ratio_square, &policy.ratio_square),
            (&mut self.approx_kl, &policy.approx_kl_k2),
            (&mut self.approx_kl_k1, &policy.approx_kl),
            (&mut self.approx_kl_k3, &policy.approx_kl_k3),
        ];
        let read = numbers(means.each_ref().map(|(_, mean)| *mean));
        for ((sum, _), mean) in means.into_iter().zip(read) {
            *sum += mean * tokens;
        }
        self.tokens += tokens;
    }

    fn join(&mut self, other: Self) {
        self.policy += other.policy;
        self.value += other.value;
        self.clip_fraction += other.clip_fraction;
        self.outside_fraction += other.outside_fraction;
        self.value_clip_fraction += other.value_clip_fraction;
        self.ratio += other.ratio;
        self.ratio_square += other.ratio_square;
        self.approx_kl += other.approx_kl;
        self.approx_kl_k1 += other.approx_kl_k1;
        self.approx_kl_k3 += other.approx_kl_k3;
        self.entropy += other.entropy;
        self.ptx += other.ptx;
        self.tokens += other.tokens;
    }
}

impl Watched {
    /// The unbiased variance of the ratios of all tokens, whatever parts they came in. Taken about 1, near which ratios are.
    fn ratio_variance(&self) -> f64 {
        let from_1 = self.ratio - self.tokens;
        let squares = self.ratio_square - from_1 * from_1 / self.tokens.max(1.0);
        let variance = squares / (self.tokens - 1.0).max(1.0);
        // A ratio beyond all numbers gives NaN here, which is not to read as none at all.
        if variance.is_finite() { variance.max(0.0) } else { variance }
    }
}

impl Losses {
    fn note(&mut self, watched: Watched, policy_norm: f64, value_norm: Option<f64>) {
        if self.steps == 0.0 {
            self.first = watched;
        }
        self.all.join(watched);
        self.steps += 1.0;
        self.policy_norm += policy_norm;
        self.value_norm = value_norm.map(|norm| self.value_norm.unwrap_or(0.0) + norm);
    }

    /// Whether weights are no longer those of the rollout: what float16 left out has no norm.
    fn have_moved(&self) -> bool {
        self.policy_norm > 0.0 || self.value_norm.is_some_and(|norm| norm > 0.0)
    }

    /// Ends the passes at a minibatch that shows too much. Where it is the first one, it is what there is to tell.
    fn stop(&mut self, watched: Watched) {
        if self.steps == 0.0 {
            self.first = watched;
        }
        self.stopped = true;
    }

    /// Means over tokens (norms: over steps of the optimiser), under TRL's names where it has one. TRL's `approxkl_avg` is
    /// k2, ½(log π_new − log π_old)²; its `ratio_var` is the variance of the minibatches' mean ratios, ours that of all tokens'. What
    /// the first minibatch shows is by k3, in which what is too much at one token does not make up for too little at another.
    /// Where no step was made, there is nothing to take means of.
    pub fn metrics(&self, without_pretraining: bool) -> BTreeMap<String, f64> {
        let first = &self.first;
        let mut metrics: BTreeMap<String, f64> = [
            ("val/first_ratio", first.ratio / first.tokens.max(1.0)),
            ("val/first_approxkl", first.approx_kl_k3 / first.tokens.max(1.0)),
            ("train/optimiser_steps", self.steps),
            ("train/stopped_early", f64::from(u8::from(self.stopped))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if self.steps > 0.0 {
            metrics.extend(self.means(without_pretraining));
        }
        metrics
    }

    fn means(&self, without_pretraining: bool) -> BTreeMap<String, f64> {
        let all = &self.all;
        let mean = |sum: f64| sum / all.tokens.max(1.0);
        let mut metrics: BTreeMap<String, f64> = [
            ("policy/approxkl_avg", mean(all.approx_kl)),
            ("policy/approxkl_k1_avg", mean(all.approx_kl_k1)),
            ("policy/approxkl_k3_avg", mean(all.approx_kl_k3)),
            ("policy/clipfrac_avg", mean(all.clip_fraction)),
            ("policy/ratio_outside_avg", mean(all.outside_fraction)),
            ("policy/entropy_avg", mean(all.entropy)),
            ("loss/policy_avg", mean(all.policy)),
            ("loss/value_avg", mean(all.value)),
            ("val/clipfrac_avg", mean(all.value_clip_fraction)),
            ("val/ratio", mean(all.ratio)),
            ("val/ratio_var", all.ratio_variance()),
            ("train/grad_norm", self.policy_norm / self.steps),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some(norm) = self.value_norm {
            metrics.insert("train/value_grad_norm".into(), norm / self.steps);
        }
        if !without_pretraining {
            metrics.insert("loss/ptx_avg".into(), mean(all.ptx));
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;

    #[test]
    fn the_variance_of_the_ratios_is_that_of_all_tokens_whatever_parts_they_came_in() {
        let found = |parts: &[&[f32]]| {
            let mut losses = Losses { steps: 1.0, ..Losses::default() };
            for part in parts {
                let row = |values: Vec<f32>| {
                    Tensor::<2>::from_data(TensorData::new(values, [1, part.len()]), &Device::flex())
                };
                let (none, mask) = (row(vec![0.0; part.len()]), row(vec![1.0; part.len()]));
                let new = row(part.iter().map(|ratio| ratio.ln()).collect());
                let policy = policy_loss(new, none.clone(), none.clone(), mask.clone(), 0.2);
                let value = value_loss(none.clone(), none.clone(), none, mask, 0.2);
                losses.all.add(&policy, &value, part.len() as f64);
            }
            let metrics = losses.metrics(true);
            [metrics["val/ratio"], metrics["val/ratio_var"]]
        };
        // Mean 1.25; squares of the distances 0.0625 + 0.5625 + 0 + 0.0625 + 0.5625, over 5 − 1.
        let ways: [&[&[f32]]; 3] = [
            &[&[1.5, 0.5, 1.25, 1.0, 2.0]],
            &[&[1.5, 0.5], &[1.25, 1.0, 2.0]],
            &[&[1.5], &[0.5], &[1.25], &[1.0], &[2.0]],
        ];
        for parts in ways {
            let [mean, variance] = found(parts);
            assert!((mean - 1.25).abs() < 1e-5 && (variance - 0.3125).abs() < 1e-5, "{mean} {variance}");
        }
        assert_eq!(found(&[&[1.0, 1.0], &[1.0]]), [1.0, 0.0]);
        // Beyond all numbers: no number, and not 0.
        let beyond = Watched { ratio: f64::INFINITY, ratio_square: f64::INFINITY, tokens: 2.0, ..Watched::default() };
        assert!(!beyond.ratio_variance().is_finite());
    }

    #[test]
    fn a_first_minibatch_that_shows_too_much_is_told_and_no_means_of_nothing_are() {
        let mut losses = Losses::default();
        losses.stop(Watched { ratio: 6.0, approx_kl_k3: 1.0, tokens: 4.0, ..Watched::default() });
        let metrics = losses.metrics(false);
        assert_eq!([metrics["val/first_ratio"], metrics["val/first_approxkl"]], [1.5, 0.25]);
        assert_eq!([metrics["train/optimiser_steps"], metrics["train/stopped_early"]], [0.0, 1.0]);
        assert_eq!(metrics.len(), 4, "{metrics:?}");
        // After a step the first one stays what it was.
        losses.note(Watched { ratio: 4.0, tokens: 4.0, ..Watched::default() }, 1.0, None);
        losses.stop(Watched { ratio: 8.0, tokens: 4.0, ..Watched::default() });
        let metrics = losses.metrics(false);
        assert_eq!([metrics["val/first_ratio"], metrics["val/ratio"], metrics["train/grad_norm"]], [1.0; 3]);
    }
}
