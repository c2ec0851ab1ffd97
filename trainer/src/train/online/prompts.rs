//! The prompts that a policy answers while it learns, as tokens, and whether policy and reward model read the same ones.

use std::path::Path;

use laurel_records::{Message, PromptRecord, Split};
use serde_json::Value;

use super::super::TrainError;
use crate::{
    data::{ModelTokenizer, Order},
    model::ModelDirectory,
};

/// The reward model reads the policy's tokens, so both must have the same.
pub(crate) fn same_tokens(policy: &ModelDirectory, reward: &ModelDirectory) -> Result<(), TrainError> {
    let vocabulary = |directory: &ModelDirectory| -> Result<Option<Value>, TrainError> {
        let json = directory.tokenizer_json()?.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        Ok(json.map(|json| json["model"]["vocab"].clone()))
    };
    let sizes = (policy.config().vocabulary_size, reward.config().vocabulary_size);
    if sizes.0 != sizes.1 || vocabulary(policy)? != vocabulary(reward)? {
        return Err(TrainError::Input(
            "the policy and the reward model have different tokenizers; train the reward model from this policy or from one that shares its tokenizer".into(),
        ));
    }
    Ok(())
}

/// The prompts that are answered, as tokens, with room left for an answer.
pub(super) struct Prompts {
    pub tokens: Vec<Vec<u32>>,
    pub conversations: Vec<Vec<Message>>,
}

impl Prompts {
    pub fn new(
        records: Vec<PromptRecord>,
        tokenizer: &ModelTokenizer,
        answer: usize,
        file: &Path,
    ) -> Result<Self, TrainError> {
        let context = tokenizer.context_length();
        let Some(limit) = context.checked_sub(answer).filter(|limit| *limit > 0) else {
            let text =
                format!("an answer of {answer} tokens leaves no room for a prompt: the longest sequence has {context}");
            return Err(TrainError::Input(text));
        };
        // Held-out prompts are for judging what is learned here.
        let (learned, held_out): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| matches!(record.split, None | Some(Split::Train)));
        if learned.is_empty() {
            let (file, count) = (file.display(), held_out.len());
            let text = format!("{file} holds no prompt to learn from: all {count} are of the validation or test split");
            return Err(TrainError::Input(text));
        }
        let conversations: Vec<Vec<Message>> = learned.into_iter().map(|record| record.prompt).collect();
        let tokens = conversations.iter().map(|messages| tokenizer.prompt_within(messages, limit));
        Ok(Self { tokens: tokens.collect::<Result<_, _>>()?, conversations })
    }

    /// The `size` prompts of one rollout: the file in a new order again and again.
    pub fn batch(&self, step: usize, size: usize, order: &Order) -> Vec<usize> {
        let count = self.tokens.len();
        let (first, end) = (step * size, (step + 1) * size);
        let epochs = first / count..=(end - 1) / count;
        let all = epochs.flat_map(|epoch| order.epoch(epoch as u64));
        all.skip(first % count).take(size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollouts_go_through_the_prompts_again_and_again_each_time_in_a_new_order() {
        let prompts = Prompts { tokens: vec![vec![]; 5], conversations: vec![vec![]; 5] };
        let order = Order::new(5, 1);
        let seen: Vec<usize> = (0..5).flat_map(|step| prompts.batch(step, 7, &order)).collect();
        let expected: Vec<usize> = (0..7).flat_map(|epoch| order.epoch(epoch)).collect();
        assert_eq!(seen, expected);
    }
}
