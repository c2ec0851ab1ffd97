//! How likely a model finds the answers that people wrote.

use burn::tensor::{Int, Tensor, TensorData};
use laurel_records::DemonstrationRecord;

use super::{
    positions::{Row, hidden_before, pieces},
    values,
};
use crate::{
    data::{DataError, Example, ModelTokenizer},
    model::Decoder,
    rlhf::logprobs::token_log_probs,
};

/// Negative log-likelihood of answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nll {
    /// Nats a token, a mean over all completion tokens: a long answer counts for as much as it has tokens.
    pub mean: f64,
    pub tokens: usize,
    pub answers: usize,
}

impl Nll {
    /// e^mean: between how many equally likely tokens the model was in doubt.
    pub fn perplexity(&self) -> f64 {
        self.mean.exp()
    }
}

/// Mean negative log-likelihood of the completions of `demonstrations`, `batch` at a time; `None` when they have no tokens.
/// `progress` gets the number of demonstrations done.
pub fn nll(
    decoder: &Decoder,
    tokenizer: &ModelTokenizer,
    demonstrations: &[DemonstrationRecord],
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<Nll>, DataError> {
    let mut examples = Vec::with_capacity(demonstrations.len());
    for record in demonstrations {
        let answer = record.completion.first().map(|message| message.content.as_str()).unwrap_or_default();
        examples.push(tokenizer.example(&record.prompt, answer)?);
    }
    // Rows of one length make the least padding.
    examples.sort_by_key(|example| example.ids.len());
    let (mut sum, mut tokens, mut done) = (0.0, 0, 0);
    for batch in examples.chunks(batch.max(1)) {
        let (batch_sum, batch_tokens) = of_batch(decoder, batch);
        sum += batch_sum;
        tokens += batch_tokens;
        done += batch.len();
        progress(done);
    }
    Ok((tokens > 0).then(|| Nll { mean: sum / tokens as f64, tokens, answers: examples.len() }))
}

/// −Σ log p over the completion tokens of a batch, and how many there are.
fn of_batch(decoder: &Decoder, examples: &[Example]) -> (f64, usize) {
    let rows: Vec<Row> = examples
        .iter()
        .map(|example| Row { ids: &example.ids, from: example.prompt_length().max(1) })
        .filter(|row| row.from < row.ids.len())
        .collect();
    if rows.is_empty() {
        return (0.0, 0);
    }
    let targets: Vec<i32> = rows.iter().flat_map(|row| row.asked().iter().map(|&id| id as i32)).collect();
    let hidden = hidden_before(decoder, &rows);
    let device = hidden.device();
    let mut sum = 0.0;
    for (start, piece) in pieces(&hidden) {
        let count = piece.dims()[1];
        let asked = targets[start..start + count].to_vec();
        let asked = Tensor::<2, Int>::from_data(TensorData::new(asked, [1, count]), &device);
        sum -= values(token_log_probs(decoder.logits(piece), asked)).iter().sum::<f64>();
    }
    (sum, targets.len())
}
