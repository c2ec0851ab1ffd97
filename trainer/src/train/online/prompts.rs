//! The prompts that a policy answers while it learns, as tokens, and whether policy and reward model read the same ones.

use std::{collections::BTreeSet, path::Path};

use laurel_records::{LogLevel, Message, PromptRecord, Split};
use serde_json::Value;

use super::super::{TrainError, metrics::Reporter};
use crate::{
    data::{ModelTokenizer, Order},
    model::ModelDirectory,
    terminal::counted,
};

/// The reward model reads the policy's tokens, so both must have the same: the vocabulary, and the tokens that were added to it.
///
/// The matrices may have rows beyond the vocabulary, as many as each likes; but the policy may draw what such a row stands for,
/// so the reward model must have at least as many.
pub(crate) fn same_tokens(policy: &ModelDirectory, reward: &ModelDirectory) -> Result<(), TrainError> {
    let different = |how: String| {
        Err(TrainError::Input(format!(
            "the policy and the reward model have different tokenizers ({how}); train the reward model from this policy or from \
             one that shares its tokenizer"
        )))
    };
    let (ours, theirs) = (Tokens::of(policy)?, Tokens::of(reward)?);
    if ours.vocabulary != theirs.vocabulary {
        return different("their vocabularies differ".into());
    }
    if let Some((id, text)) = first_alone(&ours.added, &theirs.added) {
        return different(format!(
            "the policy has the added token {text:?} with the id {id}, the reward model has not"
        ));
    }
    if let Some((id, text)) = first_alone(&theirs.added, &ours.added) {
        return different(format!(
            "the reward model has the added token {text:?} with the id {id}, the policy has not"
        ));
    }
    let sizes = (policy.config().vocabulary_size, reward.config().vocabulary_size);
    if sizes.0 > sizes.1 {
        return Err(TrainError::Input(format!(
            "the policy can draw {} tokens and the reward model's embedding has {}; take a reward model whose embedding is as \
             large, or make it so (transformers: resize_token_embeddings({}))",
            sizes.0, sizes.1, sizes.0
        )));
    }
    Ok(())
}

/// The reward model reads prompt and answer at once, so they may have no more tokens than it reads: what is to be said where
/// that is less than the `tokens` that they might have without it.
pub fn bounded_by(reward: &ModelDirectory, tokens: usize) -> Option<String> {
    let context = reward.config().context_length;
    (tokens > context).then(|| {
        format!(
            "the reward model reads at most {context} tokens: a prompt with its answer may have no more, where the policy \
             could read {tokens}"
        )
    })
}

/// What a `tokenizer.json` says of ids and texts. Two models without one are told apart by nothing.
#[derive(Default)]
struct Tokens {
    vocabulary: Value,
    added: BTreeSet<(u64, String)>,
}

impl Tokens {
    fn of(directory: &ModelDirectory) -> Result<Self, TrainError> {
        let json = directory.tokenizer_json()?.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let Some(mut json) = json else { return Ok(Self::default()) };
        let vocabulary = json.pointer_mut("/model/vocab").map(Value::take).unwrap_or_default();
        Ok(Self { vocabulary, added: added(&json) })
    }
}

/// Id and text of the added tokens.
fn added(tokenizer: &Value) -> BTreeSet<(u64, String)> {
    let tokens = tokenizer["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
    tokens.iter().filter_map(|one| Some((one["id"].as_u64()?, one["content"].as_str()?.to_owned()))).collect()
}

fn first_alone<'a>(of: &'a BTreeSet<(u64, String)>, others: &BTreeSet<(u64, String)>) -> Option<&'a (u64, String)> {
    of.iter().find(|one| !others.contains(*one))
}

/// The prompts that are answered, as tokens, with room left for an answer.
pub(super) struct Prompts {
    pub tokens: Vec<Vec<u32>>,
    pub conversations: Vec<Vec<Message>>,
    /// Prompts that the tokenizer makes no token of, which are left out: to nothing there is nothing to answer.
    pub empty: usize,
}

impl Prompts {
    pub fn new(
        records: Vec<PromptRecord>,
        tokenizer: &ModelTokenizer,
        answer: usize,
        file: &Path,
    ) -> Result<Self, TrainError> {
        let limit = tokenizer.room_beside(answer)?;
        // Held-out prompts are for judging what is learned here.
        let (learned, held_out): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| matches!(record.split, None | Some(Split::Train)));
        if learned.is_empty() {
            let (file, count) = (file.display(), held_out.len());
            let text = format!("{file} holds no prompt to learn from: all {count} are of the validation or test split");
            return Err(TrainError::Input(text));
        }
        let mut prompts = Self { tokens: vec![], conversations: vec![], empty: 0 };
        for record in learned {
            let tokens = tokenizer.prompt_within(&record.prompt, limit)?;
            if tokens.is_empty() {
                prompts.empty += 1;
            } else {
                prompts.tokens.push(tokens);
                prompts.conversations.push(record.prompt);
            }
        }
        if prompts.tokens.is_empty() {
            let (file, count) = (file.display(), prompts.empty);
            let text = format!("{file} holds no prompt to learn from: the tokenizer makes no token of any of {count}");
            return Err(TrainError::Input(text));
        }
        Ok(prompts)
    }

    /// Says how many there are, and how many are left out.
    pub fn tell(&self, reporter: &mut dyn Reporter) {
        reporter.log(LogLevel::Info, &format!("{} to learn from", counted(self.tokens.len(), "prompt")));
        let text = match self.empty {
            0 => return,
            1 => "1 prompt is left out: the tokenizer makes no token of it".to_owned(),
            empty => format!("{empty} prompts are left out: the tokenizer makes no token of them"),
        };
        reporter.log(LogLevel::Warning, &text);
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
    use serde_json::json;

    use super::*;

    /// A model that has nothing but a configuration and a tokenizer.
    fn model(folder: &Path, rows: usize, added: &[(u32, &str)]) -> ModelDirectory {
        let write = |name: &str, content: Value| {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join(name), content.to_string()).unwrap();
        };
        let added: Vec<Value> =
            added.iter().map(|(id, text)| json!({"id": id, "content": text, "special": true})).collect();
        write("tokenizer.json", json!({"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": added}));
        write(
            "config.json",
            json!({"model_type": "llama", "vocab_size": rows, "hidden_size": 8, "intermediate_size": 8,
                "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 16}),
        );
        ModelDirectory::open(folder).unwrap()
    }

    #[test]
    fn tokenizers_are_the_same_by_their_tokens_and_not_by_the_rows_of_a_matrix() {
        let scratch = tempfile::tempdir().unwrap();
        let model = |name: &str, rows, added: &[(u32, &str)]| model(&scratch.path().join(name), rows, added);
        let policy = model("policy", 3, &[(2, "<|end|>")]);
        same_tokens(&policy, &model("same", 3, &[(2, "<|end|>")])).unwrap();
        same_tokens(&policy, &model("padded", 64, &[(2, "<|end|>")])).unwrap();
        for (other, word) in [
            (model("text", 3, &[(2, "</s>")]), "<|end|>"),
            (model("id", 4, &[(3, "<|end|>")]), "id 2"),
            (model("none", 3, &[]), "<|end|>"),
            (model("more", 4, &[(2, "<|end|>"), (3, "<|pad|>")]), "<|pad|>"),
            (model("narrow", 2, &[(2, "<|end|>")]), "embedding has 2"),
        ] {
            let error = same_tokens(&policy, &other).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn rollouts_go_through_the_prompts_again_and_again_each_time_in_a_new_order() {
        let prompts = Prompts { tokens: vec![vec![]; 5], conversations: vec![vec![]; 5], empty: 0 };
        let order = Order::new(5, 1);
        let seen: Vec<usize> = (0..5).flat_map(|step| prompts.batch(step, 7, &order)).collect();
        let expected: Vec<usize> = (0..7).flat_map(|epoch| order.epoch(epoch)).collect();
        assert_eq!(seen, expected);
    }
}
