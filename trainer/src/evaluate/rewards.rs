//! Scores of a reward model, and how well they agree with what people ranked.

use std::borrow::Cow;

use laurel_records::{Message, PromptRecord, RankingRecord, ResponseRecord};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Answers, values};
use crate::{
    data::{DataError, Example, ModelTokenizer, padded_right, records::keep_answers},
    model::{Layout, Members, RewardModel},
    rlhf::reward::{pair_accuracy, pairs_of},
};

/// An answer that is to be judged, with the conversation that it answers.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    pub prompt: &'a [Message],
    pub answer: &'a str,
    /// Not of an answer that was cut: it is judged without an end.
    pub finished: bool,
}

impl<'a> Judged<'a> {
    /// One of a record's answers.
    pub fn of(prompt: &'a [Message], response: &'a ResponseRecord) -> Self {
        Self { prompt, answer: &response.content, finished: response.is_finished() }
    }
}

/// The reward of each answer: the value at its last token (its end of turn, where it was not cut). `None` of one without any token,
/// neither of its prompt nor of its own: there is nothing to read. `batch` answers at a time; `progress` gets the number of answers done.
pub fn rewards(
    model: &RewardModel,
    tokenizer: &ModelTokenizer,
    answers: &[Judged],
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Option<f64>>, DataError> {
    let verdicts = verdicts(model, None, tokenizer, answers, batch, progress)?;
    Ok(verdicts.into_iter().map(|verdict| Some(verdict?.reward)).collect())
}

/// What a reward model says of one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub reward: f64,
    /// What each member of the ensemble gives beyond its own zero; empty without an ensemble.
    pub members: Vec<f64>,
    /// Tokens of the answer, its end of turn with them where it has one.
    pub length: usize,
}

/// As [`rewards`], with what the members of an ensemble say and the length of each answer.
pub fn verdicts(
    model: &RewardModel,
    members: Option<&Members>,
    tokenizer: &ModelTokenizer,
    answers: &[Judged],
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Option<Verdict>>, DataError> {
    Ok(verdicts_of(model, members, &examples(tokenizer, answers)?, batch, progress))
}

/// Answers with their conversations, as tokens.
pub fn examples(tokenizer: &ModelTokenizer, answers: &[Judged]) -> Result<Vec<Example>, DataError> {
    // On all cores; of several conversations that the template refuses, the first is told.
    let examples: Vec<_> =
        answers.par_iter().map(|judged| tokenizer.example_of(judged.prompt, judged.answer, judged.finished)).collect();
    examples.into_iter().collect()
}

/// As [`verdicts`], of answers that are tokens already.
pub fn verdicts_of(
    model: &RewardModel,
    members: Option<&Members>,
    examples: &[Example],
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Vec<Option<Verdict>> {
    let rows: Vec<&[u32]> = examples.iter().map(|example| example.ids.as_slice()).collect();
    // For the heads of an ensemble everything is read once more: the first reading is half of the way.
    let (count, readings) = (rows.len(), 1 + usize::from(members.is_some()));
    let rewards = in_batches(&rows, batch, &mut |done| progress(done / readings), |rows| of_batch(model, rows));
    let of_members = match members {
        Some(members) => {
            let mut reached = |done: usize| progress((count + done) / readings);
            in_batches(&rows, batch, &mut reached, |rows| members_of_batch(model, members, rows))
        }
        None => vec![Some(vec![]); count],
    };
    let verdict = |((example, reward), members): ((&Example, Option<f64>), Option<Vec<f64>>)| {
        Some(Verdict { reward: reward?, members: members?, length: example.completion_tokens() })
    };
    examples.iter().zip(rewards).zip(of_members).map(verdict).collect()
}

/// The reward of each sampled answer to its prompt: the value at its last token. An answer that was cut is judged as cut, without
/// an end, as in training; else a policy that never ends would be judged as if it had.
///
/// `same_tokens`: the reward model reads what the policy wrote, and is given the very tokens. Otherwise, and where they are
/// more than it can read at once, it reads the text in tokens of its own, and may have none: `None`. `progress` gets the number of
/// answers done.
pub fn rewards_of_answers(
    model: &RewardModel,
    tokenizer: &ModelTokenizer,
    prompts: &[PromptRecord],
    answers: &Answers,
    same_tokens: bool,
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Option<f64>>, DataError> {
    let answered = prompts.iter().zip(&answers.ids).zip(answers.texts.iter().zip(&answers.finished));
    let rows = answered.map(|((prompt, ids), (text, finished))| -> Result<Vec<u32>, DataError> {
        if same_tokens && ids.len() <= tokenizer.context_length() {
            return Ok(ids.clone());
        }
        Ok(tokenizer.example_of(&prompt.prompt, text, *finished)?.ids)
    });
    let texts = rows.collect::<Result<Vec<_>, DataError>>()?;
    let rows: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    Ok(in_batches(&rows, batch, progress, |rows| of_batch(model, rows)))
}

/// The value at the last token of each row, which has one, `batch` rows at a time. `progress` gets the number of rows done.
pub fn rewards_of_tokens(
    model: &RewardModel,
    rows: &[&[u32]],
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Vec<f64> {
    let found = in_batches(rows, batch, progress, |rows| of_batch(model, rows));
    found.into_iter().map(|reward| reward.expect("every row has a token")).collect()
}

/// What `of_batch` gives for each row; `None` for those without a token, which it is not asked about.
fn in_batches<T: Clone>(
    rows: &[&[u32]],
    batch: usize,
    progress: &mut dyn FnMut(usize),
    of_batch: impl Fn(&[&[u32]]) -> Vec<T>,
) -> Vec<Option<T>> {
    let mut order: Vec<usize> = (0..rows.len()).filter(|&index| !rows[index].is_empty()).collect();
    // Rows of one length make the least padding.
    order.sort_by_key(|&index| rows[index].len());
    let mut found = vec![None; rows.len()];
    let mut done = rows.len() - order.len();
    for batch in order.chunks(batch.max(1)) {
        let texts: Vec<&[u32]> = batch.iter().map(|&index| rows[index]).collect();
        for (index, reward) in batch.iter().zip(of_batch(&texts)) {
            found[*index] = Some(reward);
        }
        done += batch.len();
        progress(done);
    }
    found
}

fn of_batch(model: &RewardModel, rows: &[&[u32]]) -> Vec<f64> {
    let device = model.score.weight.device();
    let (input, last) = padded_right(rows, 0, &device);
    let [batch, sequence] = input.dims();
    values(model.rewards(input, &Layout::causal(batch, sequence, &device), last))
}

fn members_of_batch(model: &RewardModel, members: &Members, rows: &[&[u32]]) -> Vec<Vec<f64>> {
    let device = model.score.weight.device();
    let (input, last) = padded_right(rows, 0, &device);
    let [batch, sequence] = input.dims();
    let layout = Layout::causal(batch, sequence, &device);
    let found = values(members.scores(&model.decoder, input, &layout, last));
    found.chunks(members.count()).map(<[f64]>::to_vec).collect()
}

/// How well scores agree with people's order.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Agreement {
    right: usize,
    pairs: usize,
    log_loss_sum: f64,
}

impl Agreement {
    /// Counts the pairs of one ranking. Ties make no pair; equal scores are not right.
    pub fn add(&mut self, scores: &[f64], ranks: &[u32]) {
        let (right, pairs) = pair_accuracy(scores, ranks);
        self.right += right;
        self.pairs += pairs;
        for (better, worse) in pairs_of(ranks) {
            self.log_loss_sum += log_one_plus_exp(scores[worse] - scores[better]);
        }
    }

    /// Counts one pair by the difference of its scores, the better answer's first.
    pub fn add_pair(&mut self, difference: f64) {
        self.right += usize::from(difference > 0.0);
        self.pairs += 1;
        self.log_loss_sum += log_one_plus_exp(-difference);
    }

    /// Pairs (better, worse) so far.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// The part of the pairs that the scores put in people's order; `None` without a pair.
    pub fn accuracy(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.right as f64 / self.pairs as f64)
    }

    /// Mean over the pairs of −log σ(s_better − s_worse), the loss of Bradley and Terry (1952), in nats; ln 2 ≈ 0.693 is
    /// that of a coin. `None` without a pair.
    pub fn log_loss(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.log_loss_sum / self.pairs as f64)
    }
}

/// log(1 + e^x) without overflow.
fn log_one_plus_exp(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Agreement of a reward model with rankings, and how many answers are left out of it for want of a token.
pub fn reward_accuracy(
    model: &RewardModel,
    tokenizer: &ModelTokenizer,
    rankings: &[RankingRecord],
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<(Agreement, usize), DataError> {
    let answers: Vec<Judged> = rankings
        .iter()
        .flat_map(|ranking| ranking.responses.iter().map(|response| Judged::of(&ranking.prompt, response)))
        .collect();
    let scores = rewards(model, tokenizer, &answers, batch, progress)?;
    let (known, of_known) = found_of(rankings.iter(), &scores);
    let mut agreement = Agreement::default();
    for (ranking, scores) in known.iter().zip(&of_known) {
        agreement.add(scores, &ranking.ranks);
    }
    Ok((agreement, scores.iter().filter(|score| score.is_none()).count()))
}

/// Rankings without the answers of which nothing was found, and what was found of the others. `found`: of all answers, ranking by
/// ranking.
pub fn found_of<'a, T: Clone>(
    rankings: impl Iterator<Item = &'a RankingRecord>,
    found: &[Option<T>],
) -> (Vec<Cow<'a, RankingRecord>>, Vec<Vec<T>>) {
    let mut rest = found;
    let without = |ranking: &'a RankingRecord| {
        let (own, others) = rest.split_at(ranking.responses.len());
        rest = others;
        let kept: Vec<bool> = own.iter().map(Option::is_some).collect();
        let mut ranking = Cow::Borrowed(ranking);
        if kept.contains(&false) {
            keep_answers(ranking.to_mut(), &kept);
        }
        (ranking, own.iter().flatten().cloned().collect::<Vec<T>>())
    };
    rankings.map(without).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_a_ranking_with_a_tie() {
        let mut agreement = Agreement::default();
        assert_eq!((agreement.accuracy(), agreement.log_loss()), (None, None));
        // Pairs (0, 1), (0, 2) and (0, 3), (1, 3), (2, 3); 1 and 2 are tied.
        agreement.add(&[2.0, 0.0, 3.0, -1.0], &[1, 2, 2, 4]);
        assert_eq!((agreement.pairs(), agreement.accuracy()), (5, Some(0.8)));
        // numpy: mean(log1p(exp([-2, 1, -3, -1, -4])))
        let expected = 0.364_037_7;
        assert!((agreement.log_loss().expect("pairs") - expected).abs() < 1e-6, "{:?}", agreement.log_loss());
        agreement.add(&[1e6, -1e6], &[2, 1]);
        assert!(agreement.log_loss().expect("pairs").is_finite());
    }
}
