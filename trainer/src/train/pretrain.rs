//! Pretraining: a model learns running text, every token of it.

use std::path::PathBuf;

use burn::module::Module;
use laurel_records::Stage;

use super::{
    Run, Schedule, SettingsError, StageOutcome, StageSettings, TrainError,
    completion::Completions,
    language_model::{LanguageModelStage, say_what_is_learned},
    metrics::Reporter,
    settings::{at_least_one, stage_settings},
    supervised::plan_of,
    tokenizer_of,
};
use crate::{
    data::{Example, ModelTokenizer, Order, corpus},
    model::ModelDirectory,
};

/// Share of the text that is held out.
const HELD_OUT: f64 = 0.05;

/// Held-out blocks at most: enough to tell one step from another.
const HELD_OUT_BLOCKS: usize = 64;

stage_settings! {
    /// Settings of pretraining.
    pub struct PretrainSettings {
        learning rate 1e-3, with adapters 5e-4, schedule Schedule::Cosine;
        #[doc = "Passes over the text"]
        epochs: usize = 1,
        #[doc = "Steps at most, whatever the epochs; 0 leaves it to them"]
        steps: usize = 0,
        #[doc = "Blocks of text in one step of the optimiser"]
        batch_size: usize = 16,
        #[doc = "Tokens of a block; 0 is the longest sequence"]
        block_length: usize = 256,
        #[doc = "The held-out blocks are judged after every so many steps; 0: after each epoch"]
        eval_steps: usize = 100,
        #[doc = "The run ends after so many evaluations in a row without a better one; 0: never before its last step"]
        patience: usize = 0,
    }
}

impl PretrainSettings {
    fn check_own(&self) -> Result<(), SettingsError> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        if self.block_length == 1 {
            return Err(SettingsError::value(
                "block_length",
                "must be at least 2: a token is learned from those before it",
            ));
        }
        Ok(())
    }
}

/// Where the stage starts from, and what it reads.
#[derive(Debug, Clone)]
pub struct PretrainInputs {
    pub model: PathBuf,
    /// Plain text, or records (`.jsonl`) for the text in them.
    pub corpus: Vec<PathBuf>,
}

/// Learns the text and writes the model to `run.out`. Metrics: `eval/nll` and `eval/perplexity` of the held-out blocks,
/// both also `…_before`.
pub fn run(
    settings: &PretrainSettings,
    inputs: &PretrainInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    run.ensure_possible(settings.precision)?;
    let directory = ModelDirectory::open(&inputs.model)?;
    let decoder = directory.load_decoder_to_learn(&run.device)?.with_precision(settings.precision);
    let settings = settings.clone().resolved(decoder.num_params());
    settings.check()?;
    let plan = plan_of!(settings);
    let tokenizer = tokenizer_of(&directory, plan.shared.max_length)?;

    let documents = documents_of(&inputs.corpus)?;
    let blocks = blocks(&tokenizer, &documents, settings.block_length);
    let (learned, held_out) = hold_out(blocks, run.seed);
    let objective = Completions {
        stage: Stage::Base,
        learned,
        held_out,
        pad_id: tokenizer.pad_id(),
        packed_row: None,
        micro_batch_tokens: plan.shared.micro_batch_tokens,
        judge: None,
    };
    if objective.learned.is_empty() {
        return Err(TrainError::Input("the corpus is shorter than two blocks of text".into()));
    }
    say_what_is_learned(&objective, &tokenizer, "text block", reporter);

    let stage = LanguageModelStage {
        name: "pretrain",
        settings: &settings,
        plan: &plan,
        directory: &directory,
        tokenizer: &tokenizer,
        data: ("corpus", corpus::digest(&documents)),
        judge: None,
    };
    stage.run(decoder, &objective, run, reporter)
}

/// The documents of several files, one after another.
pub(super) fn documents_of(files: &[PathBuf]) -> Result<Vec<String>, TrainError> {
    let mut documents = Vec::new();
    for file in files {
        documents.extend(corpus::documents(file)?);
    }
    Ok(documents)
}

/// Documents as blocks of `length` tokens, an end of text after each document, and before it what the tokenizer begins texts with,
/// which a model that was pretrained so expects there; the rest that fills no block is left out,
/// unless it is all there is.
pub(super) fn blocks(tokenizer: &ModelTokenizer, documents: &[String], length: usize) -> Vec<Example> {
    let context = tokenizer.context_length();
    let length = if length == 0 { context } else { length.min(context) }.max(2);
    let (begin, mut ids) = (tokenizer.begin_of_text(), Vec::new());
    for document in documents {
        ids.extend(begin);
        let pieces: Vec<&str> = corpus::pieces(document).collect();
        ids.extend(tokenizer.encode_all(&pieces).concat());
        ids.extend(tokenizer.stop_ids().first());
    }
    let whole = ids.chunks_exact(length);
    let rest = whole.remainder();
    let mut blocks: Vec<Example> = whole.map(block).collect();
    if blocks.len() < 2 && rest.len() > 1 {
        blocks.push(block(rest));
    }
    blocks
}

fn block(ids: &[u32]) -> Example {
    let completion_mask = (0..ids.len()).map(|at| u8::from(at > 0)).collect();
    Example { ids: ids.to_vec(), completion_mask }
}

fn hold_out(blocks: Vec<Example>, seed: u64) -> (Vec<Example>, Vec<Example>) {
    let count = ((blocks.len() as f64 * HELD_OUT).ceil() as usize).min(HELD_OUT_BLOCKS).min(blocks.len() / 2);
    let order = Order::new(blocks.len(), seed).epoch(u64::MAX);
    let mut is_held_out = vec![false; blocks.len()];
    order.iter().take(count).for_each(|&index| is_held_out[index] = true);
    let mut side = is_held_out.into_iter();
    blocks.into_iter().partition(|_| !side.next().unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A tokenizer of words, in a folder of its own; `around` is what it puts around whole texts.
    fn tokenizer(around: &Value) -> ModelTokenizer {
        let special = |id: u32, text: &str| {
            json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                "special": true})
        };
        let vocabulary = json!({"<s>": 0, "</s>": 1, "a": 2, "b": 3});
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "decoder": null,
            "added_tokens": [special(0, "<s>"), special(1, "</s>")], "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": around, "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "a"},
        });
        let config = json!({"model_type": "llama", "vocab_size": 4, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 64, "eos_token_id": 1});
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [("tokenizer.json", tokenizer), ("config.json", config)] {
            std::fs::write(directory.path().join(name), content.to_string()).unwrap();
        }
        ModelTokenizer::open(&ModelDirectory::open(directory.path()).unwrap()).unwrap()
    }

    #[test]
    fn documents_begin_and_end_as_the_tokenizer_has_it() {
        let begin = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
        let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
        let around = json!({"type": "TemplateProcessing", "single": [begin, text("A")],
            "pair": [begin, text("A"), text("B")],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}});
        let documents = ["a b".to_owned(), "b".to_owned()];
        let of = |around: &Value| -> Vec<Vec<u32>> {
            blocks(&tokenizer(around), &documents, 4).into_iter().map(|block| block.ids).collect()
        };
        assert_eq!(of(&around), [vec![0, 2, 3, 1], vec![0, 3, 1]]);
        assert_eq!(of(&Value::Null), [vec![2, 3, 1, 3]]);
    }
}
