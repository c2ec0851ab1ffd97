//! Rankings as what a reward model learns: their tokens, the loss of their pairs and ratings, and how they judge it.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use laurel_records::{LogLevel, RankingRecord, ResponseRecord, Stage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{
    super::{
        TrainError,
        completion::chunks_by_rows,
        derived_seed,
        metrics::{Reporter, warn_of_cuts, warn_of_empty_answers},
        split::{count_of, divide, prompt_numbers},
        supervised::Objective,
    },
    RewardSettings,
    scores::host,
};
use crate::{
    data::{
        Example, ModelTokenizer, RewardBatch,
        records::{keep, keep_answers},
    },
    evaluate::{RewardReport, margin_of},
    model::RewardEnsemble,
    rlhf::{
        ratings::{Rated, RatingSpread, rating_loss_sum, share_of_scale},
        reward::{Order, Pairs, kwise_loss_sum, pair_loss_sum},
    },
    terminal::counted,
};

/// One ranking as tokens.
struct Ranked {
    answers: Vec<Example>,
    record: RankingRecord,
    /// How far up their scale the answers are rated; empty where nobody rated.
    ratings: Vec<Option<f64>>,
}

impl Ranked {
    /// The tokens of a record's answers, and how many of these are left out because they have none: a text is scored by the
    /// state at its last token, and an empty one that no end of text follows may have none. An answer that was cut has no end, as
    /// where it is scored while a policy learns.
    fn of(mut record: RankingRecord, tokenizer: &ModelTokenizer) -> Result<(Self, usize), TrainError> {
        let tokens = |one: &ResponseRecord| tokenizer.example_of(&record.prompt, &one.content, one.is_finished());
        let answers = record.responses.iter().map(tokens);
        let mut answers = answers.collect::<Result<Vec<Example>, _>>()?;
        let kept: Vec<bool> = answers.iter().map(|answer| !answer.ids.is_empty()).collect();
        let left_out = kept.iter().filter(|kept| !**kept).count();
        keep(&mut answers, &kept);
        keep_answers(&mut record, &kept);
        Ok((Self::new(answers, record), left_out))
    }

    fn new(answers: Vec<Example>, record: RankingRecord) -> Self {
        let scale = record.rating_scale.clone().unwrap_or_default();
        let (lowest, highest) = (f64::from(scale.lowest), f64::from(scale.highest));
        let share = |rating: &Option<f64>| rating.map(|rating| share_of_scale(rating, lowest, highest));
        let ratings = record.ratings.iter().flatten().map(share).collect();
        Self { answers, record, ratings }
    }

    /// The rows of the prompt with its answers, and the tokens of the longest.
    fn shape(&self) -> [usize; 2] {
        RewardBatch::shape_of(&self.answers)
    }

    fn has_pair(&self) -> bool {
        self.record.ranks.iter().any(|rank| *rank != self.record.ranks[0])
    }

    fn is_rated(&self) -> bool {
        self.ratings.iter().any(Option::is_some)
    }

    fn order(&self) -> Order<'_> {
        Order { ranks: &self.record.ranks, margin: margin_of(&self.record) }
    }
}

/// The objective of reward modelling.
pub(super) struct Rankings {
    learned: Vec<Ranked>,
    held_out: Vec<Ranked>,
    /// Answers that are left out.
    without_tokens: usize,
    pad_id: u32,
    micro_batch_tokens: usize,
    margin: f64,
    label_smoothing: f64,
    rating_coefficient: f64,
    /// Where ratings are learned from and differ.
    spread: Option<RatingSpread>,
    /// How often each member of an ensemble counts each ranking; empty for one head.
    times: Vec<Vec<f64>>,
}

impl Rankings {
    pub fn new(
        records: Vec<RankingRecord>,
        tokenizer: &ModelTokenizer,
        settings: &RewardSettings,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let (learned, held_out) = divide(records, seed);
        let by_ratings = settings.rating_coefficient > 0.0;
        let mut without_tokens = 0;
        let mut tokenised = |records: Vec<RankingRecord>, ratings_too: bool| -> Result<Vec<Ranked>, TrainError> {
            // On all cores: a million answers take minutes on one.
            let all: Vec<_> = records.into_par_iter().map(|record| Ranked::of(record, tokenizer)).collect();
            let mut rankings = Vec::with_capacity(all.len());
            for ranked in all {
                let (ranked, left_out) = ranked?;
                without_tokens += left_out;
                // All ties and no ratings: nothing to learn, nothing to judge by.
                if ranked.has_pair() || (ratings_too && ranked.is_rated()) {
                    rankings.push(ranked);
                }
            }
            Ok(rankings)
        };
        let (learned, held_out) = (tokenised(learned, by_ratings)?, tokenised(held_out, false)?);
        let ratings = learned.iter().flat_map(|ranked| ranked.ratings.iter().flatten().copied());
        let spread = if by_ratings { RatingSpread::of(ratings) } else { None };
        let members = settings.ensemble;
        let prompt_of = prompt_numbers(learned.iter().map(|one| &one.record));
        let times = (0..if members > 1 { members } else { 0 })
            .map(|member| resampling(&prompt_of, derived_seed(seed, "resampled rankings", member as u64)))
            .collect();
        Ok(Self {
            learned,
            held_out,
            without_tokens,
            pad_id: tokenizer.pad_id(),
            micro_batch_tokens: settings.micro_batch_tokens,
            margin: settings.margin,
            label_smoothing: settings.label_smoothing,
            rating_coefficient: settings.rating_coefficient,
            spread,
            times,
        })
    }

    /// What tells this resampling from others; `None` for one head, which counts every ranking once.
    pub fn resampling(&self) -> Option<String> {
        digest_of(&self.times)
    }

    /// Whether there is nothing to learn from.
    pub fn is_empty(&self) -> bool {
        self.learned.is_empty()
    }

    /// Tells what is left out.
    pub fn say_what_is_left_out(&self, reporter: &mut dyn Reporter) {
        warn_of_empty_answers(self.without_tokens, "scored", reporter);
    }

    /// Tells what there is to learn from. Fails where a setting asks for what the records do not have.
    pub fn say(&self, tokenizer: &ModelTokenizer, reporter: &mut dyn Reporter) -> Result<(), TrainError> {
        let pairs = |rankings: &[Ranked]| rankings.iter().map(|one| one.order().pairs().count()).sum::<usize>();
        let (learned, held_out) = (&self.learned, &self.held_out);
        let text = format!(
            "learning from {} ({}), judging by {} held out ({})",
            counted(learned.len(), "ranking"),
            counted(pairs(learned), "pair"),
            held_out.len(),
            counted(pairs(held_out), "pair")
        );
        reporter.log(LogLevel::Info, &text);
        if self.rating_coefficient > 0.0 && self.spread.is_none() {
            let text = "rating_coefficient asks to learn from ratings, and the rankings have none that differ";
            return Err(TrainError::Input(text.into()));
        }
        warn_of_cuts(tokenizer.cuts(), reporter);
        if held_out.is_empty() {
            reporter
                .log(LogLevel::Warning, "nothing is held out: the last weights are kept, whether or not they are best");
        }
        Ok(())
    }

    /// Up to `most` of the answers that are learned from, from all over the rankings.
    pub fn some_answers(&self, most: usize) -> Vec<&[u32]> {
        let all: Vec<&[u32]> =
            self.learned.iter().flat_map(|one| &one.answers).map(|answer| answer.ids.as_slice()).collect();
        let step = all.len().div_ceil(most).max(1);
        all.into_iter().step_by(step).collect()
    }

    /// What the held-out rankings say of the model; `None` when nothing is held out.
    pub fn report(&self, model: &RewardEnsemble) -> Option<RewardReport> {
        self.judged(model).map(|(report, _)| report)
    }

    /// The report, and the sum over prompts of the loss of their pairs.
    fn judged(&self, model: &RewardEnsemble) -> Option<(RewardReport, f64)> {
        let mut loss = 0.0;
        let mut found = vec![vec![]; self.held_out.len()];
        let shape = |item: usize| self.held_out[item].shape();
        for chunk in chunks_by_rows((0..self.held_out.len()).collect(), shape, self.micro_batch_tokens) {
            let rankings: Vec<&Ranked> = chunk.iter().map(|&item| &self.held_out[item]).collect();
            let scores = self.scores(model, &rankings).mean_dim(1).squeeze_dim::<1>(1);
            let orders: Vec<Order> = rankings.iter().map(|one| one.order()).collect();
            let pairs = Pairs::with_margins(&orders, 0.0);
            loss += f64::from(kwise_loss_sum(scores.clone(), &pairs).into_scalar::<f32>());
            let scores = host(scores);
            let mut rest = scores.as_slice();
            for (item, ranking) in chunk.iter().zip(rankings) {
                let (own, others) = rest.split_at(ranking.answers.len());
                found[*item] = own.to_vec();
                rest = others;
            }
        }
        let records: Vec<&RankingRecord> = self.held_out.iter().map(|one| &one.record).collect();
        let lengths = |one: &Ranked| one.answers.iter().map(|answer| answer.completion_tokens() as f64).collect();
        let lengths: Vec<Vec<f64>> = self.held_out.iter().map(lengths).collect();
        Some((RewardReport::of(&records, &found, &lengths)?, loss))
    }

    /// What every member gives all answers of the rankings: `[answers, members]`.
    fn scores(&self, model: &RewardEnsemble, rankings: &[&Ranked]) -> Tensor<2> {
        let device = model.decoder.token_embedding.device();
        let prompts: Vec<(&[Example], &[u32])> =
            rankings.iter().map(|one| (one.answers.as_slice(), one.record.ranks.as_slice())).collect();
        let batch = RewardBatch::new(&prompts, self.pad_id, &device);
        model.scores(batch.input_ids, &batch.layout, batch.ends)
    }
}

impl Objective for Rankings {
    type Model = RewardEnsemble;

    fn stage(&self) -> Stage {
        Stage::Reward
    }

    fn items(&self) -> usize {
        self.learned.len()
    }

    fn length(&self, item: usize) -> usize {
        self.learned[item].shape().iter().product()
    }

    fn micro_batch_tokens(&self) -> usize {
        self.micro_batch_tokens
    }

    fn micro_batches(&self, items: Vec<usize>) -> Vec<Vec<usize>> {
        chunks_by_rows(items, |item| self.learned[item].shape(), self.micro_batch_tokens)
    }

    /// A mean over the members of what each of them is told by its own resampling of the prompts.
    fn loss(&self, model: &RewardEnsemble, items: &[usize]) -> (Tensor<1>, f64) {
        let rankings: Vec<&Ranked> = items.iter().map(|&item| &self.learned[item]).collect();
        let scores = self.scores(model, &rankings);
        let [answers, members] = scores.dims();
        let orders: Vec<Order> = rankings.iter().map(|one| one.order()).collect();
        let pairs = Pairs::with_margins(&orders, self.margin);
        let rated = self
            .spread
            .as_ref()
            .map(|spread| Rated::of(rankings.iter().map(|one| (one.answers.len(), one.ratings.as_slice())), spread));
        let of_member = |member: usize| {
            let times: Vec<f64> =
                items.iter().map(|&item| self.times.get(member).map_or(1.0, |times| times[item])).collect();
            let scores = scores.clone().slice([0..answers, member..member + 1]).reshape([answers]);
            let mut loss = pair_loss_sum(scores.clone(), &pairs.counted(&times), self.label_smoothing);
            if let Some(rated) = &rated {
                loss = loss + rating_loss_sum(scores, &rated.counted(&times)) * self.rating_coefficient;
            }
            loss
        };
        let sum = (1..members).fold(of_member(0), |sum, member| sum + of_member(member));
        (sum / members as f64, items.len() as f64)
    }

    fn holds_out(&self) -> bool {
        !self.held_out.is_empty()
    }

    fn evaluate(&self, model: &RewardEnsemble) -> BTreeMap<String, f64> {
        let Some((report, loss)) = self.judged(model) else { return BTreeMap::new() };
        let mut metrics = report.metrics();
        metrics.insert("eval/loss".into(), loss / self.held_out.len() as f64);
        metrics
    }

    fn criterion(&self) -> &'static str {
        "eval/loss"
    }
}

/// How often each ranking counts when as many prompts as there are are drawn with replacement, which for many of them is a
/// Poisson number of mean 1 each. Several people's rankings of one prompt go together: they are no independent evidence.
fn resampling(prompt_of: &[usize], seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let limit = (-1.0f64).exp();
    let mut drawn = || {
        // Knuth's multiplication of uniform numbers.
        let (mut times, mut product) = (0.0, rng.random::<f64>());
        while product > limit {
            times += 1.0;
            product *= rng.random::<f64>();
        }
        times
    };
    let of_prompts: Vec<f64> = (0..count_of(prompt_of)).map(|_| drawn()).collect();
    prompt_of.iter().map(|&prompt| of_prompts[prompt]).collect()
}

/// SHA-256 of how often each member counts each ranking; `None` where there are no members.
fn digest_of(times: &[Vec<f64>]) -> Option<String> {
    let mut hasher = Sha256::new();
    for time in times.iter().flatten() {
        hasher.update(time.to_le_bytes());
    }
    let hex = || hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    (!times.is_empty()).then(hex)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ModelDirectory;

    /// Its end of text is token 2.
    fn tokenizer() -> ModelTokenizer {
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
            "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null, "added_tokens": [],
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": {"a": 0, "b": 1, "e": 2}, "merges": []},
        });
        let config = json!({"model_type": "llama", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 64, "eos_token_id": 2});
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [("tokenizer.json", tokenizer), ("config.json", config)] {
            std::fs::write(directory.path().join(name), content.to_string()).unwrap();
        }
        ModelTokenizer::open(&ModelDirectory::open(directory.path()).unwrap()).unwrap()
    }

    #[test]
    fn an_answer_that_was_cut_is_learned_without_an_end() {
        let answer = |sampling| json!({"content": "b", "sampling": sampling});
        let answers =
            [json!({"finished": false}), json!({"finished": true}), json!({"seed": 1}), json!(null)].map(answer);
        let prompt = json!([{"role": "user", "content": "a"}]);
        let record = json!({"id": "r", "prompt": prompt, "responses": answers, "ranks": [1, 2, 3, 4]});
        let (ranked, left_out) = Ranked::of(serde_json::from_value(record).unwrap(), &tokenizer()).unwrap();
        let ids: Vec<&[u32]> = ranked.answers.iter().map(|answer| answer.ids.as_slice()).collect();
        assert_eq!((ids, left_out), (vec![&[0u32, 1][..], &[0, 1, 2], &[0, 1, 2], &[0, 1, 2]], 0));
    }

    #[test]
    fn resamplings_are_told_apart_and_one_head_has_none() {
        let digest = |seed| digest_of(&[resampling(&[0, 1, 1, 2, 3, 4], 1), resampling(&[0, 1, 1, 2, 3, 4], seed)]);
        assert!(digest(2).is_some() && digest(2) == digest(2));
        assert!((3..9).any(|seed| digest(seed) != digest(2)));
        assert_eq!(digest_of(&[]), None);
    }

    #[test]
    fn all_rankings_of_a_prompt_are_drawn_as_often() {
        let prompt_of: Vec<usize> = (0..200).map(|at| at % 100).collect();
        let times = resampling(&prompt_of, 7);
        assert_eq!(times[..100], times[100..]);
        assert!(times.contains(&0.0) && times.contains(&1.0) && times.contains(&2.0), "{times:?}");
    }
}
