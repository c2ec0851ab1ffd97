//! How far a policy has moved from its reference.

use burn::tensor::activation::log_softmax;

use super::{
    answers::Answers,
    positions::{Row, hidden_before, pieces},
    values,
};
use crate::model::Decoder;

/// Mean over answers of KL(π ‖ π_ref) summed over the answer's tokens, in nats an answer; `None` without an answer.
///
/// At each token of an answer that `policy` sampled, the divergence of the two next-token laws is computed in full,
/// Σ_v π(v)·(log π(v) − log π_ref(v)), instead of log π − log π_ref of the token that was drawn: the same expectation, never
/// negative, with less noise. Both laws are at temperature 1, whatever the answers were sampled at.
pub fn mean_kl(
    policy: &Decoder,
    reference: &Decoder,
    answers: &Answers,
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Option<f64> {
    let rows: Vec<Row> = answers
        .ids
        .iter()
        .zip(&answers.starts)
        .map(|(ids, &start)| Row { ids, from: start.max(1) })
        .filter(|row| row.from < row.ids.len())
        .collect();
    let (mut sum, mut done) = (0.0, 0);
    for batch in rows.chunks(batch.max(1)) {
        let (ours, theirs) = (hidden_before(policy, batch), hidden_before(reference, batch));
        for ((_, ours), (_, theirs)) in pieces(&ours).zip(pieces(&theirs)) {
            let log_policy = log_softmax(policy.logits(ours), 2);
            let log_reference = log_softmax(reference.logits(theirs), 2);
            let kl = (log_policy.clone().exp() * (log_policy - log_reference)).sum_dim(2);
            sum += values(kl).iter().sum::<f64>();
        }
        done += batch.len();
        progress(done);
    }
    (!rows.is_empty()).then(|| sum / rows.len() as f64)
}
