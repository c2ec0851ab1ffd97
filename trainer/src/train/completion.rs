//! Learning to continue texts: the objective of pretraining and of supervised fine-tuning.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use laurel_records::Stage;

use super::{
    judge::{BestBy, Judge},
    supervised::Objective,
};
use crate::{
    data::{Example, SftBatch, first_fit},
    model::Decoder,
    rlhf::logprobs::token_log_probs,
};

/// Texts with the tokens in them that are to be learned.
pub(super) struct Completions {
    pub stage: Stage,
    pub learned: Vec<Example>,
    pub held_out: Vec<Example>,
    pub pad_id: u32,
    /// Tokens of the rows that several short texts share, from [`packed_row`]; `None`: each text has a row of its own.
    pub packed_row: Option<usize>,
    /// Tokens that go through the model at once.
    pub micro_batch_tokens: usize,
    /// Judges answers to the held-out prompts, where a reward model is given.
    pub judge: Option<Judge>,
}

impl Completions {
    fn batch(&self, model: &Decoder, examples: &[&Example]) -> SftBatch {
        let device = model.token_embedding.device();
        match self.packed_row {
            Some(row) => SftBatch::packed(examples, row, self.pad_id, &device),
            None => SftBatch::padded(examples, self.pad_id, &device),
        }
    }

    /// Items put into batches of at most `micro_batch_tokens` with their padding.
    fn chunks(&self, items: Vec<usize>, length: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
        match self.packed_row {
            Some(row) => chunks_of_rows(&items, length, row, self.micro_batch_tokens),
            None => chunks_by_tokens(items, length, self.micro_batch_tokens),
        }
    }
}

impl Objective for Completions {
    type Model = Decoder;

    fn stage(&self) -> Stage {
        self.stage
    }

    fn items(&self) -> usize {
        self.learned.len()
    }

    fn length(&self, item: usize) -> usize {
        self.learned[item].ids.len()
    }

    fn micro_batch_tokens(&self) -> usize {
        self.micro_batch_tokens
    }

    fn micro_batches(&self, items: Vec<usize>) -> Vec<Vec<usize>> {
        self.chunks(items, |item| self.length(item))
    }

    fn loss(&self, model: &Decoder, items: &[usize]) -> (Tensor<1>, f64) {
        let examples: Vec<&Example> = items.iter().map(|&item| &self.learned[item]).collect();
        completion_nll(model, &self.batch(model, &examples))
    }

    fn holds_out(&self) -> bool {
        !self.held_out.is_empty()
    }

    /// `eval/nll` in nats a token, and `eval/perplexity`; with a judge `eval/reward`.
    fn evaluate(&self, model: &Decoder) -> BTreeMap<String, f64> {
        let (mut sum, mut tokens) = (0.0, 0.0);
        let lengths: Vec<usize> = self.held_out.iter().map(|example| example.ids.len()).collect();
        for chunk in self.chunks((0..lengths.len()).collect(), |item| lengths[item]) {
            let examples: Vec<&Example> = chunk.iter().map(|&item| &self.held_out[item]).collect();
            let (nll, count) = completion_nll(model, &self.batch(model, &examples));
            sum += f64::from(nll.into_scalar::<f32>());
            tokens += count;
        }
        if tokens == 0.0 {
            return BTreeMap::new();
        }
        let nll = sum / tokens;
        let mut metrics = BTreeMap::from([("eval/nll".to_owned(), nll), ("eval/perplexity".to_owned(), nll.exp())]);
        if let Some(judge) = &self.judge {
            // The prompts were turned into tokens before: what fails now are weights that give no numbers, and NaN ends the run.
            let reward = judge.mean_reward(model).unwrap_or(Some(f64::NAN));
            metrics.extend(reward.map(|reward| ("eval/reward".to_owned(), reward)));
        }
        metrics
    }

    fn criterion(&self) -> &'static str {
        if self.higher_is_better() { "eval/reward" } else { "eval/nll" }
    }

    fn higher_is_better(&self) -> bool {
        self.judge.as_ref().is_some_and(|judge| judge.best_by == BestBy::Reward)
    }
}

/// −Σ log p over the batch's completion tokens, `[1]`, and how many they are.
///
/// The same number as [`crate::rlhf::sft::completion_nll`]; logits are made only of the positions that predict a
/// completion token, since with a large vocabulary they cost more than the rest of the model.
pub(super) fn completion_nll(model: &Decoder, batch: &SftBatch) -> (Tensor<1>, f64) {
    let [rows, length] = batch.input_ids.dims();
    let mask = batch.completion_mask.to_data_as::<f32>().try_to_vec::<f32>().unwrap_or_default();
    let ids = batch.input_ids.to_data_as::<i32>().try_to_vec::<i32>().unwrap_or_default();
    // A first token of a row has nothing before it.
    let learned: Vec<usize> = (0..rows * length).filter(|&at| at % length > 0 && mask[at] > 0.0).collect();
    if learned.is_empty() {
        let hidden = model.hidden_states(batch.input_ids.clone(), &batch.layout, None);
        return (hidden.sum() * 0.0, 0.0);
    }
    let before: Vec<i32> = learned.iter().map(|&at| at as i32 - 1).collect();
    let targets: Vec<i32> = learned.iter().map(|&at| ids[at]).collect();
    let before = places(before, &batch.input_ids.device());
    let hidden = model.hidden_states_at(batch.input_ids.clone(), &batch.layout, None, &before);
    let log_probs = log_probs_of(model.logits(hidden), targets);
    (-log_probs.sum(), learned.len() as f64)
}

/// Tokens of a batch, counted through all its rows.
pub(super) fn places(places: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

/// log p(targets) under logits `[1, tokens, vocabulary]`: `[tokens]`.
pub(super) fn log_probs_of(logits: Tensor<3>, targets: Vec<i32>) -> Tensor<1> {
    let count = targets.len();
    let targets = Tensor::<2, Int>::from_data(TensorData::new(targets, [1, count]), &logits.device());
    token_log_probs(logits, targets).reshape([count])
}

/// Items put together by length, so that a chunk padded to its longest holds at most `budget` tokens; an item that is
/// longer than that stands alone.
pub(super) fn chunks_by_tokens(items: Vec<usize>, length: impl Fn(usize) -> usize, budget: usize) -> Vec<Vec<usize>> {
    chunks_by_rows(items, |item| [1, length(item)], budget)
}

/// As [`chunks_by_tokens`], for items that have several rows each: `shape` gives how many, and the tokens of the longest. A
/// chunk is padded to the longest row of all its items.
pub(super) fn chunks_by_rows(
    mut items: Vec<usize>,
    shape: impl Fn(usize) -> [usize; 2],
    budget: usize,
) -> Vec<Vec<usize>> {
    items.sort_by_key(|&item| (shape(item)[1], item));
    let (mut chunks, mut rows) = (Vec::<Vec<usize>>::new(), 0);
    for item in items {
        let [own, longest] = shape(item);
        match chunks.last_mut() {
            // Lengths rise, so the newcomer has the longest row.
            Some(chunk) if (rows + own) * longest <= budget => {
                chunk.push(item);
                rows += own;
            }
            _ => {
                chunks.push(vec![item]);
                rows = own;
            }
        }
    }
    chunks
}

/// How long rows are to be that texts of up to `longest` tokens share, where they may have at most `most`: two of the longest
/// texts. Rows are then nearly full, and attention, whose cost grows with the row on devices that make the whole matrix of scores,
/// costs little more than text by text.
pub(super) fn packed_row(longest: usize, most: usize) -> usize {
    (2 * longest).clamp(1, most.max(1))
}

/// Items put together into rows of `row` tokens, and rows into chunks: padded to its fullest row, a chunk holds at most
/// `budget` tokens; a row that is longer than that stands alone.
fn chunks_of_rows(items: &[usize], length: impl Fn(usize) -> usize, row: usize, budget: usize) -> Vec<Vec<usize>> {
    let lengths: Vec<usize> = items.iter().map(|&item| length(item)).collect();
    let rows = first_fit(&lengths, row);
    let tokens: Vec<usize> = rows.iter().map(|row| row.iter().map(|&at| lengths[at]).sum::<usize>()).collect();
    let chunks = chunks_by_tokens((0..rows.len()).collect(), |row| tokens[row], budget);
    let items_of = |chunk: &Vec<usize>| -> Vec<usize> {
        let places = chunk.iter().flat_map(|&row| rows[row].iter());
        places.map(|&at| items[at]).collect()
    };
    chunks.iter().map(items_of).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{model::DecoderConfig, rlhf};

    #[test]
    fn logits_of_the_needed_positions_give_the_loss_of_all_positions() {
        let device = Device::flex();
        let config = DecoderConfig::preset("llama-tiny").unwrap().with_vocabulary(61, Some(1), vec![2], None);
        let model = Decoder::init_with_seed(&config, 3, &device);
        let example = |length: usize, prompt: usize| Example {
            ids: (0..length).map(|at| ((at * at * 7 + length) % 61) as u32).collect(),
            completion_mask: (0..length).map(|at| u8::from(at >= prompt)).collect(),
        };
        let examples = [example(9, 4), example(5, 2), example(12, 11), example(3, 0)];
        let examples: Vec<&Example> = examples.iter().collect();
        let padded = SftBatch::padded(&examples, 0, &device);
        let logits = model.logits(model.hidden_states(padded.input_ids.clone(), &padded.layout, None));
        let (expected, tokens) =
            rlhf::sft::completion_nll(logits, padded.input_ids.clone(), padded.completion_mask.clone());
        let expected: f32 = expected.into_scalar();
        for batch in [padded, SftBatch::packed(&examples, 0, 0, &device)] {
            let (found, count) = completion_nll(&model, &batch);
            let found: f32 = found.into_scalar();
            assert_eq!(count, tokens);
            assert!((found - expected).abs() < 1e-3, "{found}, expected {expected}");
        }
    }

    #[test]
    fn packed_texts_fill_rows_and_cost_no_padding_to_speak_of() {
        let device = Device::flex();
        let lengths = [5, 30, 3, 8, 8, 2, 60, 9, 12, 7, 21, 4];
        let example = |length: usize| Example { ids: vec![1; length], completion_mask: vec![1; length] };
        let completions = |packed_row| Completions {
            stage: Stage::Sft,
            learned: lengths.map(example).to_vec(),
            held_out: vec![],
            pad_id: 0,
            packed_row,
            micro_batch_tokens: 64,
            judge: None,
        };
        let config = DecoderConfig::preset("llama-tiny").unwrap().with_vocabulary(61, Some(1), vec![2], None);
        let model = Decoder::init_with_seed(&config, 3, &device);
        // Rows, tokens with padding, texts.
        let sizes = |completions: &Completions| {
            completions.micro_batches((0..lengths.len()).collect()).into_iter().fold([0; 3], |sum, chunk| {
                let examples: Vec<&Example> = chunk.iter().map(|&item| &completions.learned[item]).collect();
                let [rows, length] = completions.batch(&model, &examples).input_ids.dims();
                assert!(rows * length <= 64);
                [sum[0] + rows, sum[1] + rows * length, sum[2] + chunk.len()]
            })
        };
        // 60 + 4, 30 + 21 + 12, and the rest.
        assert_eq!(sizes(&completions(Some(packed_row(60, 64)))), [3, 169, 12]);
        let [rows, tokens, texts] = sizes(&completions(None));
        assert!(rows == 12 && tokens > 180 && texts == 12, "{tokens} tokens");
    }

    #[test]
    fn chunks_of_rows_hold_every_text_once_and_no_more_than_the_budget_when_they_are_packed() {
        let lengths = [5, 30, 3, 8, 8, 2, 100, 9, 31, 17];
        for (row, budget) in [(32, 64), (64, 64), (32, 32), (48, 200)] {
            let items: Vec<usize> = (0..lengths.len()).rev().collect();
            let chunks = chunks_of_rows(&items, |item| lengths[item], row, budget);
            let mut seen = chunks.concat();
            seen.sort();
            assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for chunk in chunks {
                let texts: Vec<usize> = chunk.iter().map(|&item| lengths[item]).collect();
                let rows = first_fit(&texts, row.max(*texts.iter().max().unwrap()));
                let tokens = |row: &Vec<usize>| row.iter().map(|&at| texts[at]).sum::<usize>();
                let fullest = rows.iter().map(tokens).max().unwrap();
                assert!(chunk.len() == 1 || rows.len() * fullest <= budget, "{texts:?} in {rows:?}");
            }
        }
    }

    #[test]
    fn rows_to_share_hold_two_of_the_longest_texts_where_that_is_allowed() {
        for (longest, most, expected) in
            [(60, 1024, 120), (200, 1024, 400), (600, 1024, 1024), (100, 64, 64), (0, 9, 1)]
        {
            assert_eq!(packed_row(longest, most), expected, "{longest} of {most}");
        }
    }

    #[test]
    fn chunks_hold_every_item_once_and_no_more_than_the_budget() {
        let lengths = [5, 30, 3, 8, 8, 2, 100, 9];
        let chunks = chunks_by_tokens((0..8).collect(), |item| lengths[item], 32);
        let mut seen = chunks.concat();
        seen.sort();
        assert_eq!(seen, (0..8).collect::<Vec<_>>());
        for chunk in chunks {
            let longest = chunk.iter().map(|&item| lengths[item]).max().unwrap();
            assert!(chunk.len() == 1 || chunk.len() * longest <= 32, "{chunk:?}");
        }
    }

    /// Rankings of two long answers and of many short ones have about as many tokens, and together several times as many.
    #[test]
    fn chunks_of_items_with_several_rows_hold_no_more_than_the_budget_once_they_are_padded() {
        let shapes = [[2, 50], [9, 12], [4, 25], [3, 8], [2, 7], [6, 30], [2, 90]];
        let chunks = chunks_by_rows((0..shapes.len()).collect(), |item| shapes[item], 200);
        let mut seen = chunks.concat();
        seen.sort();
        assert_eq!(seen, (0..shapes.len()).collect::<Vec<_>>());
        for chunk in &chunks {
            let rows: usize = chunk.iter().map(|&item| shapes[item][0]).sum();
            let longest = chunk.iter().map(|&item| shapes[item][1]).max().unwrap();
            assert!(chunk.len() == 1 || rows * longest <= 200, "{chunk:?}");
        }
        // 14 rows of 12.
        assert_eq!(chunks[0], [4, 3, 1]);
    }
}
