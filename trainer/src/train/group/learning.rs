//! Several passes over a rollout in minibatches, with the clipped loss of RLOO or of GRPO.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};

use super::{
    super::{
        completion::chunks_by_tokens,
        error::TrainError,
        online::{Rollout, Step, number, numbers},
        optimiser::Accumulator,
    },
    Group, Kind, Learner, Weighting,
};
use crate::{
    model::Decoder,
    rlhf::{
        group::{Surrogate, answer_surrogate, divergence, token_surrogate},
        kl, masked,
    },
};

/// What learning from one rollout needs besides the policy.
pub(super) struct Lesson<'a> {
    pub group: &'a Group,
    pub step: &'a Step<'a>,
    pub rollout: &'a Rollout,
    /// Of each answer.
    pub advantages: &'a [f32],
}

/// Sums of what is watched, of one minibatch or of many.
#[derive(Debug, Clone, Copy, Default)]
struct Watched {
    loss: f64,
    /// Σ of k3 between policy and reference over tokens.
    kl: f64,
    /// Σ over tokens of the divergence from the policy that sampled, by k2 and k3.
    approx_kl: f64,
    approx_kl_k3: f64,
    entropy: f64,
    tokens: f64,
    ratio: f64,
    held: f64,
    outside: f64,
    /// What has a ratio: tokens or answers.
    units: f64,
}

/// What came of learning from a rollout.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Losses {
    all: Watched,
    first: Watched,
    steps: f64,
    norm: f64,
    stopped: bool,
}

impl Lesson<'_> {
    /// Learns from a rollout; stops early as PPO does.
    pub fn learn(&self, mut learner: Learner) -> Result<(Learner, Losses), TrainError> {
        let mut losses = Losses::default();
        let rate = self.step.rate(self.step.online.settings.shared.learning_rate);
        let answers = self.rollout.episodes.len();
        for minibatch in self.step.minibatches(answers, self.group.iterations, self.group.minibatch_size) {
            let (gradient, watched) = self.gradient(&learner, &minibatch);
            let moved = watched.approx_kl_k3 / watched.tokens.max(1.0);
            if self.group.target_approx_kl > 0.0 && moved > self.group.target_approx_kl {
                losses.stop(watched);
                break;
            }
            let Learner { policy, mut optimiser } = learner;
            let (policy, norm) = optimiser
                .step(policy, gradient, rate)
                // What float16 left out has no norm: weights without one are those of the rollout.
                .map_err(|error| error.within_step(losses.norm > 0.0))?;
            learner = Learner { policy, optimiser };
            losses.note(watched, norm);
        }
        Ok((learner, losses))
    }

    /// The gradient of one minibatch, a few answers at a time.
    fn gradient(&self, learner: &Learner, minibatch: &[usize]) -> (Accumulator<Decoder>, Watched) {
        let (rollout, policy) = (self.rollout, &learner.policy);
        let temperature = rollout.reading.temperature;
        let mut gradient = learner.optimiser.accumulator();
        let mut watched = Watched::default();
        let length = |row: usize| rollout.episodes[row].tokens();
        let budget = self.step.online.settings.shared.micro_batch_tokens;
        for part in chunks_by_tokens(minibatch.to_vec(), length, budget) {
            let rows = rollout.rows(&part, policy);
            let hidden = rows.hidden(policy);
            let (new, entropy) = rows.log_probs(policy, hidden, temperature);
            watched.entropy += entropy;
            let (old, mask) = (rollout.select(&rollout.log_probs, &part), rollout.select(&rollout.mask, &part));
            let tokens = rollout.answer_tokens(&part) as f64;
            watched.tokens += tokens;
            let moved = |of: fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
                // Divergence of the policy that sampled from the one of now.
                number(masked::only_real(of(old.clone(), new.clone().detach()), mask.clone()).sum())
            };
            watched.approx_kl += moved(kl::k2);
            watched.approx_kl_k3 += moved(kl::k3);
            let reference = rollout.select(&rollout.reference, &part);
            let (loss, weight) = self.loss(&part, [new, old, reference, mask], tokens, &mut watched);
            gradient.add(policy, loss, weight);
        }
        watched.loss = gradient.mean_loss();
        (gradient, watched)
    }

    /// The loss summed over some answers, and what the sum over the minibatch is to be divided by.
    fn loss(
        &self,
        part: &[usize],
        [new, old, reference, mask]: [Tensor<2>; 4],
        tokens: f64,
        watched: &mut Watched,
    ) -> (Tensor<1>, f64) {
        let device = new.device();
        let answers = part.len() as f64;
        let vector = |of: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = part.iter().map(|&row| of(row)).collect();
            Tensor::<1>::from_data(TensorData::new(values, [part.len()]), &device)
        };
        let advantages = vector(&|row| self.advantages[row]);
        let clip = self.group.clip_range;
        let length = |row: usize| self.rollout.episodes[row].answer.len().max(1) as f32;
        let (weights, weight, units) = match self.group.kind {
            Kind::Rloo { .. } => (vector(&|_| 1.0), answers, answers),
            Kind::Grpo { weighting: Weighting::Tokens, .. } => (vector(&|_| 1.0), tokens, tokens),
            Kind::Grpo { weighting: Weighting::Answers, .. } => (vector(&|row| 1.0 / length(row)), answers, tokens),
            Kind::Grpo { weighting: Weighting::Constant(most), .. } => {
                (vector(&|_| (1.0 / most) as f32), answers, tokens)
            }
        };
        let (penalty, kl) = divergence(new.clone(), reference, weights.clone(), mask.clone());
        let (Surrogate { loss, ratio, held, outside }, penalised) = match self.group.kind {
            Kind::Rloo { .. } => (answer_surrogate(new, old, advantages, mask, clip), false),
            Kind::Grpo { .. } => (token_surrogate(new, old, advantages, weights, mask, clip), true),
        };
        let [kl, ratio, held, outside] = numbers([&kl, &ratio, &held, &outside]);
        watched.kl += kl;
        watched.ratio += ratio;
        watched.held += held;
        watched.outside += outside;
        watched.units += units;
        let coefficient = self.step.coefficient;
        (if penalised && coefficient > 0.0 { loss + penalty * coefficient } else { loss }, weight)
    }
}

impl Losses {
    fn note(&mut self, watched: Watched, norm: f64) {
        if self.steps == 0.0 {
            self.first = watched;
        }
        let all = &mut self.all;
        all.loss += watched.loss;
        all.kl += watched.kl;
        all.approx_kl += watched.approx_kl;
        all.approx_kl_k3 += watched.approx_kl_k3;
        all.entropy += watched.entropy;
        all.tokens += watched.tokens;
        all.ratio += watched.ratio;
        all.held += watched.held;
        all.outside += watched.outside;
        all.units += watched.units;
        self.steps += 1.0;
        self.norm += norm;
    }

    /// As PPO's.
    fn stop(&mut self, watched: Watched) {
        if self.steps == 0.0 {
            self.first = watched;
        }
        self.stopped = true;
    }

    /// Under TRL's names: those of its GRPO trainer (`kl`, by k3; `entropy`, `clip_ratio/region_mean`) and those that it
    /// shares with PPO. RLOO's `kl` is of the rollout.
    /// Where no step was made, there is nothing to take means of.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let first = &self.first;
        let mut metrics: BTreeMap<String, f64> = [
            ("val/first_ratio", first.ratio / first.units.max(1.0)),
            ("val/first_approxkl", first.approx_kl_k3 / first.tokens.max(1.0)),
            ("train/optimiser_steps", self.steps),
            ("train/stopped_early", f64::from(u8::from(self.stopped))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if self.steps > 0.0 {
            metrics.extend(self.means());
        }
        metrics
    }

    fn means(&self) -> BTreeMap<String, f64> {
        let all = &self.all;
        let a_token = |sum: f64| sum / all.tokens.max(1.0);
        let a_step = |sum: f64| sum / self.steps;
        [
            ("loss/policy_avg", a_step(all.loss)),
            ("kl", a_token(all.kl)),
            ("entropy", a_token(all.entropy)),
            ("clip_ratio/region_mean", all.held / all.units.max(1.0)),
            ("policy/clipfrac_avg", all.held / all.units.max(1.0)),
            ("policy/ratio_outside_avg", all.outside / all.units.max(1.0)),
            ("policy/approxkl_avg", a_token(all.approx_kl)),
            ("policy/approxkl_k3_avg", a_token(all.approx_kl_k3)),
            ("val/ratio", all.ratio / all.units.max(1.0)),
            ("train/grad_norm", a_step(self.norm)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_minibatch_that_shows_too_much_is_told_and_no_means_of_nothing_are() {
        // Two answers of eight tokens: a ratio is of an answer in RLOO, of a token in GRPO; the divergence is a token's in both.
        for (units, ratio) in [(2.0, 3.0), (8.0, 12.0)] {
            let minibatch = |ratio: f64, approx_kl_k3: f64| Watched {
                ratio,
                approx_kl_k3,
                tokens: 8.0,
                units,
                loss: 0.5,
                ..Watched::default()
            };
            let mut losses = Losses::default();
            losses.stop(minibatch(ratio, 2.0));
            let metrics = losses.metrics();
            assert_eq!([metrics["val/first_ratio"], metrics["val/first_approxkl"]], [1.5, 0.25]);
            assert_eq!([metrics["train/optimiser_steps"], metrics["train/stopped_early"]], [0.0, 1.0]);
            assert_eq!(metrics.len(), 4, "{metrics:?}");
            // After a step the first one stays what it was, and what stopped the passes has no part in the means.
            let mut losses = Losses::default();
            losses.note(minibatch(units, 0.0), 3.0);
            losses.stop(minibatch(2.0 * units, 2.0));
            let metrics = losses.metrics();
            assert_eq!([metrics["val/first_ratio"], metrics["val/first_approxkl"]], [1.0, 0.0]);
            assert_eq!([metrics["val/ratio"], metrics["policy/approxkl_k3_avg"]], [1.0, 0.0]);
            assert_eq!([metrics["loss/policy_avg"], metrics["train/grad_norm"]], [0.5, 3.0]);
            assert_eq!([metrics["train/optimiser_steps"], metrics["train/stopped_early"]], [1.0, 1.0]);
        }
    }
}
