//! How far a policy has moved from its reference.

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};

use super::{
    answers::Answers,
    positions::{Row, hidden_before, pieces},
    values,
};
use crate::model::Decoder;

/// How far the law of one answer's tokens is from the reference's, in nats, summed over its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Divergence {
    /// Σ_v π(v)·(log π(v) − log π_ref(v)) at each token, in full over the vocabulary: the same expectation as of the
    /// estimators below, never negative, with less noise.
    pub full: f64,
    /// log π − log π_ref of the tokens that were drawn: unbiased, negative at times.
    pub k1: f64,
    /// e^(−d) − 1 + d of d = log π − log π_ref: unbiased and never negative, but of much variance where π_ref is large and π
    /// small.
    pub k3: f64,
    pub tokens: usize,
}

/// The divergence of `policy` from `reference` at the tokens of each answer that `policy` sampled; of an answer without tokens
/// it is zero. Both laws are at `temperature`: where that is what the answers were sampled at, over all tokens, means of all
/// three are the divergence.
pub fn divergences(
    policy: &Decoder,
    reference: &Decoder,
    answers: &Answers,
    temperature: f64,
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Vec<Divergence> {
    let mut found = vec![Divergence::default(); answers.ids.len()];
    let rows: Vec<(usize, Row)> = answers
        .ids
        .iter()
        .zip(&answers.starts)
        .map(|(ids, &start)| Row { ids, from: start.max(1) })
        .enumerate()
        .filter(|(_, row)| row.from < row.ids.len())
        .collect();
    let mut done = 0;
    for batch in rows.chunks(batch.max(1)) {
        let texts: Vec<Row> = batch.iter().map(|(_, row)| *row).collect();
        let (ours, theirs) = (hidden_before(policy, &texts), hidden_before(reference, &texts));
        // Of which answer each token is, and which it is.
        let owners: Vec<usize> = batch.iter().flat_map(|(at, row)| row.asked().iter().map(|_| *at)).collect();
        let drawn: Vec<i32> = texts.iter().flat_map(|row| row.asked().iter().map(|&id| id as i32)).collect();
        for ((start, ours), (_, theirs)) in pieces(&ours).zip(pieces(&theirs)) {
            let count = ours.dims()[1];
            let log_policy = log_softmax(policy.logits(ours) / temperature, 2);
            let log_reference = log_softmax(reference.logits(theirs) / temperature, 2);
            let difference = log_policy.clone() - log_reference;
            let full = values((log_policy.exp() * difference.clone()).sum_dim(2));
            let asked = TensorData::new(drawn[start..start + count].to_vec(), [1, count, 1]);
            let asked = Tensor::<3, Int>::from_data(asked, &difference.device());
            let of_drawn = values(difference.gather(2, asked));
            for ((owner, full), d) in owners[start..start + count].iter().zip(full).zip(of_drawn) {
                let answer = &mut found[*owner];
                answer.full += full;
                answer.k1 += d;
                answer.k3 += (-d).exp() - 1.0 + d;
                answer.tokens += 1;
            }
        }
        done += batch.len();
        progress(done);
    }
    found
}

/// Mean over answers of KL(π ‖ π_ref) summed over the answer's tokens, in full and at temperature 1 whatever the answers were
/// sampled at, in nats an answer; `None` without an answer that has tokens.
pub fn mean_kl(
    policy: &Decoder,
    reference: &Decoder,
    answers: &Answers,
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Option<f64> {
    let found = divergences(policy, reference, answers, 1.0, batch, progress);
    let of_answers: Vec<f64> = found.iter().filter(|one| one.tokens > 0).map(|one| one.full).collect();
    (!of_answers.is_empty()).then(|| of_answers.iter().sum::<f64>() / of_answers.len() as f64)
}
