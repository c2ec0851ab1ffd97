//! A reward model that judges what a policy under training answers to held-out prompts (Ouyang et al. 2022, appendix C.1: the
//! SFT model is chosen by its reward, not by its loss).

use std::{collections::BTreeSet, path::Path};

use laurel_records::{Message, PromptRecord};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{
    Run, SettingsError, TrainError,
    online::{bounded_by, same_tokens},
    reward::scores_of,
    tokenizer_of,
};
use crate::{
    data::{DataError, ModelTokenizer},
    evaluate::sample_answers,
    generate::SamplingSettings,
    model::{Decoder, ModelDirectory, Precision, RewardModel},
};

/// By what the best weights are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BestBy {
    /// The held-out demonstrations are likeliest.
    Nll,
    /// The answers to their prompts have the highest mean reward.
    Reward,
}

/// A reward model with the prompts whose answers it judges.
pub(super) struct Judge {
    model: RewardModel,
    tokenizer: ModelTokenizer,
    prompts: Vec<PromptRecord>,
    sampling: SamplingSettings,
    seed: u64,
    micro_batch_tokens: usize,
    pub best_by: BestBy,
    /// Prompts that were too long to leave room for an answer and lost their beginning.
    pub prompts_cut: usize,
    /// Prompts that the tokenizer makes no token of, which are left out.
    pub prompts_empty: usize,
    /// What is to be said where prompts and answers are bounded by what the reward model reads.
    pub bounded: Option<String>,
}

/// How answers are judged.
pub(super) struct Judging {
    pub prompts: usize,
    pub max_new_tokens: usize,
    pub max_length: usize,
    pub micro_batch_tokens: usize,
    pub precision: Precision,
    pub best_by: BestBy,
}

impl Judge {
    /// Opens the reward model at `reward` for the policy in `directory`. `held_out`: conversations, of which the first few
    /// distinct ones are answered, prompt and answer within what both models read. Refuses answers that leave no room for a prompt.
    pub fn open<'a>(
        reward: &Path,
        directory: &ModelDirectory,
        held_out: impl Iterator<Item = &'a [Message]>,
        judging: &Judging,
        run: &Run,
    ) -> Result<Self, TrainError> {
        let reward = ModelDirectory::open(reward)?;
        same_tokens(directory, &reward)?;
        let tokenizer = tokenizer_of(directory, judging.max_length)?;
        let bounded = bounded_by(&reward, tokenizer.context_length());
        let tokenizer = tokenizer.with_context_length(reward.config().context_length);
        let room = tokenizer.room_beside(judging.max_new_tokens).map_err(|_| {
            let text = format!(
                "{} leaves no room for a prompt: the longest sequence has {} tokens (max_length, or the smaller context of the two \
                 models)",
                judging.max_new_tokens,
                tokenizer.context_length()
            );
            SettingsError::value("eval_max_new_tokens", text)
        })?;
        let mut seen = BTreeSet::new();
        let prompts: Vec<PromptRecord> = held_out
            .filter(|prompt| seen.insert(serde_json::to_string(prompt).unwrap_or_default()))
            .take(judging.prompts)
            .map(|prompt| PromptRecord {
                id: String::new(),
                project: None,
                prompt: prompt.to_vec(),
                language: None,
                tags: vec![],
                split: None,
                extra: Map::new(),
            })
            .collect();
        // As often as they are answered they are cut: counted once, before.
        let (mut answered, mut empty) = (Vec::with_capacity(prompts.len()), 0);
        for prompt in prompts {
            if tokenizer.prompt_within(&prompt.prompt, room)?.is_empty() {
                empty += 1;
            } else {
                answered.push(prompt);
            }
        }
        if answered.is_empty() && empty > 0 && judging.best_by == BestBy::Reward {
            let text = "reward needs held-out prompts that can be answered; the tokenizer makes no token of any";
            return Err(SettingsError::value("best_by", text).into());
        }
        Ok(Self {
            model: reward.load_reward_model(&run.device)?.with_precision(judging.precision),
            prompts_cut: tokenizer.cuts(),
            prompts_empty: empty,
            tokenizer,
            prompts: answered,
            sampling: SamplingSettings { max_new_tokens: judging.max_new_tokens, ..SamplingSettings::default() },
            seed: run.seed,
            micro_batch_tokens: judging.micro_batch_tokens,
            best_by: judging.best_by,
            bounded,
        })
    }

    /// Mean reward of one answer to each prompt, from the zero of the reward model's scale; `None` without a prompt. Every
    /// call draws with the same random numbers, so that two policies differ by what they are.
    pub fn mean_reward(&self, policy: &Decoder) -> Result<Option<f64>, DataError> {
        /// Answers that are written together.
        const ROWS: usize = 32;
        if self.prompts.is_empty() {
            return Ok(None);
        }
        let policy = policy.to_sample();
        let answers =
            sample_answers(&policy, &self.tokenizer, &self.prompts, &self.sampling, self.seed, ROWS, &mut |_| {})?;
        // As they were sampled: an answer that was cut is judged as cut.
        let rows: Vec<&[u32]> = answers.ids.iter().map(Vec::as_slice).collect();
        let scores = scores_of(&self.model, &rows, self.tokenizer.pad_id(), self.micro_batch_tokens);
        Ok(Some(scores.iter().sum::<f64>() / scores.len() as f64 - self.model.score_mean()))
    }
}
