//! What held-out rankings say of a reward model: how often it is right and how sure it may be, by how far apart people find
//! two answers, by who says so, beside how well people agree among themselves, and whether it only counts words.
//!
//! Scores and lengths in, numbers out: no model is run here.

use std::collections::BTreeMap;

use laurel_records::RankingRecord;
use serde::Serialize;

use super::{
    calibration::{Calibration, Confidence},
    rewards::Agreement,
};
use crate::rlhf::reward::Order;

/// Margins that are told apart: 1, 2, and 3 or more.
const MARGINS: [&str; 3] = ["1", "2", "3+"];

/// The held-out report of a reward model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RewardReport {
    /// Pairs (better, worse) that people put apart; ties make none.
    pub pairs: usize,
    /// The part of them that the rewards put in people's order; equal rewards are not right.
    pub accuracy: f64,
    /// Mean of −log σ(difference), nats; a coin has 0.693.
    pub log_loss: f64,
    /// The same by margin: the difference of the ranks, or what the person said of two answers. `1`, `2`, `3+`.
    pub by_margin: BTreeMap<&'static str, Share>,
    /// The same by annotator, with how far each agrees with the others.
    pub by_annotator: BTreeMap<String, OfAnnotator>,
    /// Pairs that several people judged; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<People>,
    pub calibration: Calibration,
    pub length: LengthBias,
}

/// Part of the pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    pub pairs: usize,
    pub accuracy: f64,
    pub log_loss: f64,
}

/// One annotator's pairs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfAnnotator {
    #[serde(flatten)]
    pub share: Share,
    /// How often somebody else who judged the same pair says the same; `null` where nobody did.
    pub agreement: Option<f64>,
    /// Pairs of judgements that this is over.
    pub agreement_judgements: usize,
}

/// How well people agree where two of them judged the same two answers to a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct People {
    /// Pairs of answers that two people or more put apart.
    pub pairs: usize,
    /// Pairs of judgements by different people.
    pub judgements: usize,
    /// The part of these that say the same: what a reward model can hope for.
    pub agreement: f64,
    /// The reward model's accuracy on the judgements of these pairs, which the agreement is to be read beside.
    pub model_accuracy: f64,
}

/// Whether length is what is rewarded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LengthBias {
    /// Pearson's correlation of reward and length, over all answers; `null` where either never differs.
    pub correlation: Option<f64>,
    /// The accuracy of preferring the longer answer; of two equal lengths a coin decides, so they are half right. A half is what
    /// a length that says nothing has.
    pub accuracy_of_longer: f64,
}

/// The margin that a ranking of two answers has beyond its ranks, where somebody gave one: that of a comparison, or the
/// distance of the confidence (1 to 9) from 5.
pub fn margin_of(record: &RankingRecord) -> Option<f64> {
    let two = record.responses.len() == 2;
    let by_confidence = record.confidence.filter(|_| two).map(|point| f64::from(point.abs_diff(5)));
    record.margin.filter(|_| two).or(by_confidence)
}

/// A judgement of two answers, as one number: whether the first of them (by text) is better.
struct Judgement<'a> {
    /// `None`: somebody whom the record does not name, other than everybody else.
    annotator: Option<&'a str>,
    record: usize,
    first_is_better: bool,
    model_is_right: bool,
}

impl Judgement<'_> {
    fn is_by_another_than(&self, other: &Self) -> bool {
        self.record != other.record && (self.annotator.is_none() || self.annotator != other.annotator)
    }
}

impl RewardReport {
    /// `scores` and `lengths`: a number an answer, ranking by ranking. `None` when the rankings put no two answers apart.
    pub fn of(rankings: &[&RankingRecord], scores: &[Vec<f64>], lengths: &[Vec<f64>]) -> Option<Self> {
        let mut all = Agreement::default();
        let mut by_margin: [Agreement; 3] = Default::default();
        let mut by_annotator: BTreeMap<&str, Agreement> = BTreeMap::new();
        let (mut confidences, mut longer) = (vec![], 0.0);
        for ((record, scores), lengths) in rankings.iter().zip(scores).zip(lengths) {
            all.add(scores, &record.ranks);
            if let Some(annotator) = &record.annotator {
                by_annotator.entry(annotator).or_default().add(scores, &record.ranks);
            }
            let order = Order { ranks: &record.ranks, margin: margin_of(record) };
            for (better, worse, apart) in order.pairs() {
                let difference = scores[better] - scores[worse];
                by_margin[(apart.round() as usize).clamp(1, MARGINS.len()) - 1].add_pair(difference);
                confidences.push(Confidence::of(difference));
                longer += longer_wins(lengths[better], lengths[worse]);
            }
        }
        let whole = all.share()?;
        let judgements = judgements(rankings, scores);
        let by_annotator = by_annotator.into_iter().filter_map(|(name, agreement)| {
            let (same, judged) = among_people(&judgements, Some(name));
            let agreement_with_others = (judged > 0).then(|| same as f64 / judged as f64);
            let share = agreement.share()?;
            let of = OfAnnotator { share, agreement: agreement_with_others, agreement_judgements: judged };
            Some((name.to_owned(), of))
        });
        let shares = MARGINS.into_iter().zip(by_margin);
        Some(Self {
            pairs: whole.pairs,
            accuracy: whole.accuracy,
            log_loss: whole.log_loss,
            by_margin: shares.filter_map(|(margin, agreement)| Some((margin, agreement.share()?))).collect(),
            by_annotator: by_annotator.collect(),
            people: people(&judgements),
            calibration: Calibration::of(&confidences),
            length: LengthBias {
                correlation: correlation(&scores.concat(), &lengths.concat()),
                accuracy_of_longer: longer / whole.pairs as f64,
            },
        })
    }

    /// The report's main figures under the names that a run reports them by.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::from([
            ("eval/accuracy".to_owned(), self.accuracy),
            ("eval/log_loss".to_owned(), self.log_loss),
            ("eval/accuracy_of_longer".to_owned(), self.length.accuracy_of_longer),
            ("eval/calibration_error".to_owned(), self.calibration.expected_error),
        ]);
        metrics.extend(self.length.correlation.map(|value| ("eval/length_correlation".to_owned(), value)));
        for (margin, share) in &self.by_margin {
            metrics.insert(format!("eval/accuracy_margin_{}", margin.trim_end_matches('+')), share.accuracy);
        }
        if let Some(people) = &self.people {
            metrics.insert("eval/people_agreement".into(), people.agreement);
            metrics.insert("eval/accuracy_where_several_judged".into(), people.model_accuracy);
        }
        metrics
    }
}

impl Agreement {
    fn share(&self) -> Option<Share> {
        Some(Share { pairs: self.pairs(), accuracy: self.accuracy()?, log_loss: self.log_loss()? })
    }
}

/// All judgements of the pairs of answers that more than one person put apart.
fn judgements<'a>(rankings: &[&'a RankingRecord], scores: &[Vec<f64>]) -> Vec<Vec<Judgement<'a>>> {
    let mut by_pair: BTreeMap<(String, &str, &str), Vec<Judgement>> = BTreeMap::new();
    for (number, (record, scores)) in rankings.iter().zip(scores).enumerate() {
        let prompt = serde_json::to_string(&record.prompt).unwrap_or_default();
        for (better, worse, _) in (Order { ranks: &record.ranks, margin: None }).pairs() {
            let [high, low] = [better, worse].map(|at| record.responses[at].content.as_str());
            if high == low {
                // Two answers of the same words are not told apart, so all who judged them would be of one mind.
                continue;
            }
            let judgement = Judgement {
                annotator: record.annotator.as_deref(),
                record: number,
                first_is_better: high < low,
                model_is_right: scores[better] > scores[worse],
            };
            by_pair.entry((prompt.clone(), high.min(low), high.max(low))).or_default().push(judgement);
        }
    }
    let several = |judged: &Vec<Judgement>| judged.iter().any(|one| one.is_by_another_than(&judged[0]));
    by_pair.into_values().filter(several).collect()
}

/// How many pairs of judgements by different people say the same, and how many there are; those of one annotator alone when
/// one is named.
fn among_people(judgements: &[Vec<Judgement>], annotator: Option<&str>) -> (usize, usize) {
    let (mut same, mut all) = (0, 0);
    for judged in judgements {
        for (at, one) in judged.iter().enumerate() {
            for other in judged[at + 1..].iter().filter(|other| one.is_by_another_than(other)) {
                if annotator.is_none() || [one.annotator, other.annotator].contains(&annotator) {
                    same += usize::from(one.first_is_better == other.first_is_better);
                    all += 1;
                }
            }
        }
    }
    (same, all)
}

fn people(judgements: &[Vec<Judgement>]) -> Option<People> {
    let (same, all) = among_people(judgements, None);
    let judged: Vec<&Judgement> = judgements.iter().flatten().collect();
    let right = judged.iter().filter(|one| one.model_is_right).count();
    (all > 0).then(|| People {
        pairs: judgements.len(),
        judgements: all,
        agreement: same as f64 / all as f64,
        model_accuracy: right as f64 / judged.len() as f64,
    })
}

/// Whether preferring the longer answer agrees with people: 1 or 0, and ½ where neither is longer, as for the calibration.
fn longer_wins(better: f64, worse: f64) -> f64 {
    if better == worse { 0.5 } else { f64::from(u8::from(better > worse)) }
}

/// Pearson's correlation; `None` where one of the two never differs.
fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    // Not by their spread: the mean of equal numbers may be a digit off.
    let is_one_number = |values: &[f64]| values.iter().all(|value| *value == values[0]);
    if is_one_number(x) || is_one_number(y) {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let together = |a: &[f64], mean_a: f64, b: &[f64], mean_b: f64| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum()
    };
    let spread = together(x, mean_x, x, mean_x) * together(y, mean_y, y, mean_y);
    let found = together(x, mean_x, y, mean_y) / spread.sqrt();
    (spread > 0.0 && found.is_finite()).then_some(found)
}

#[cfg(test)]
mod tests {
    use laurel_records::{Message, ResponseRecord, Role};
    use serde_json::Map;

    use super::*;

    fn ranking(prompt: &str, answers: &[&str], ranks: &[u32], annotator: &str) -> RankingRecord {
        let response =
            |content: &&str| ResponseRecord { id: None, content: content.to_string(), model: None, sampling: None };
        RankingRecord {
            id: String::new(),
            prompt: vec![Message { role: Role::User, content: prompt.into() }],
            responses: answers.iter().map(response).collect(),
            ranks: ranks.to_vec(),
            ratings: None,
            rating_scale: None,
            confidence: None,
            margin: None,
            annotator: (!annotator.is_empty()).then(|| annotator.to_owned()),
            seconds: None,
            created_at: None,
            split: None,
            extra: Map::new(),
        }
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
    }

    /// Reference values: PyTorch, scripts/reward_reference.py.
    #[test]
    fn accuracy_loss_calibration_and_length_are_those_of_pytorch() {
        let better = [2.0, 0.5, -1.0, 3.0, 0.1, 0.0];
        let worse = [0.0, 1.0, -1.5, 0.0, 0.4, -4.0];
        let (long, short) = ([9.0, 3.0, 4.0, 12.0, 5.0, 6.0], [4.0, 7.0, 4.0, 2.0, 8.0, 1.0]);
        let rankings: Vec<RankingRecord> =
            (0..6).map(|at| ranking(&format!("{at}?"), &["a", "b"], &[1, 2], "")).collect();
        let rankings: Vec<&RankingRecord> = rankings.iter().collect();
        let pairs = |high: [f64; 6], low: [f64; 6]| (0..6).map(|at| vec![high[at], low[at]]).collect::<Vec<_>>();
        let report = RewardReport::of(&rankings, &pairs(better, worse), &pairs(long, short)).unwrap();
        close(report.accuracy, 0.6666666666666666);
        close(report.log_loss, 0.41602908389387744);
        close(report.calibration.expected_error, 0.1673293640628573);
        close(report.length.correlation.unwrap(), 0.8175188059878571);
        // Three better answers are the longer ones, and one pair is of one length.
        close(report.length.accuracy_of_longer, 3.5 / 6.0);
        assert_eq!((report.people, report.by_annotator.len()), (None, 0));
    }

    #[test]
    fn margins_are_of_ranks_or_as_the_person_said() {
        let mut said = ranking("x", &["a", "b"], &[1, 2], "");
        said.margin = Some(4.0);
        let mut sure = ranking("y", &["a", "b"], &[2, 1], "");
        sure.confidence = Some(7);
        let four = ranking("z", &["a", "b", "c", "d"], &[1, 2, 2, 4], "");
        let scores = vec![vec![1.0, 0.0], vec![1.0, 0.0], vec![4.0, 3.0, 2.0, 1.0]];
        let report = RewardReport::of(&[&said, &sure, &four], &scores, &scores).unwrap();
        // Of four: two pairs one apart, two pairs two apart, one pair three apart.
        let of = |margin| report.by_margin.get(margin).map(|share: &Share| (share.pairs, share.accuracy));
        assert_eq!([of("1"), of("2"), of("3+")], [Some((2, 1.0)), Some((3, 2.0 / 3.0)), Some((2, 1.0))]);
        assert_eq!(report.metrics()["eval/accuracy_margin_3"], 1.0);
    }

    #[test]
    fn people_are_compared_where_two_judged_the_same_answers_in_whatever_order_they_stood() {
        let ada = ranking("q", &["a", "b", "c"], &[1, 2, 3], "ada");
        // The same answers, turned round; b and c tie, so they say nothing there.
        let bob = ranking("q", &["c", "b", "a"], &[1, 1, 3], "bob");
        let again = ranking("q", &["a", "b"], &[2, 1], "ada");
        let alone = ranking("other", &["a", "b"], &[1, 2], "cy");
        let scores = vec![vec![3.0, 2.0, 1.0], vec![1.0, 2.0, 3.0], vec![3.0, 2.0], vec![0.0, 1.0]];
        let report = RewardReport::of(&[&ada, &bob, &again, &alone], &scores, &scores).unwrap();
        // (a, b): ada says a, bob b, ada again b. (a, c): ada a, bob c. Not (b, c), on which bob has no say.
        let people = report.people.unwrap();
        assert_eq!((people.pairs, people.judgements), (2, 3));
        close(people.agreement, 1.0 / 3.0);
        // The model says a before b before c: right for ada's two, wrong for bob's two and for ada's second thought.
        close(people.model_accuracy, 2.0 / 5.0);
        assert_eq!(report.by_annotator["bob"].agreement, Some(1.0 / 3.0));
        assert_eq!((report.by_annotator["cy"].agreement, report.by_annotator["cy"].share.accuracy), (None, 0.0));
    }

    #[test]
    fn nobody_agrees_about_two_answers_of_the_same_words() {
        let ada = ranking("q", &["a", "a"], &[1, 2], "ada");
        let bob = ranking("q", &["a", "a"], &[2, 1], "bob");
        let scores = vec![vec![1.0; 2]; 2];
        let report = RewardReport::of(&[&ada, &bob], &scores, &scores).unwrap();
        assert_eq!((report.pairs, report.people, report.by_annotator["ada"].agreement), (2, None, None));
    }

    #[test]
    fn what_never_differs_goes_with_nothing() {
        // Three times 0.1 has the mean 0.10000000000000002.
        assert_eq!(correlation(&[0.1; 3], &[1.0, 2.0, 4.0]), None);
        assert_eq!(correlation(&[1.0, 2.0, 4.0], &[0.1; 3]), None);
        close(correlation(&[1.0, 2.0, 4.0], &[0.1, 0.2, 0.4]).unwrap(), 1.0);
    }

    #[test]
    fn ties_alone_make_no_report() {
        let tied = ranking("q", &["a", "b"], &[1, 1], "ada");
        assert_eq!(RewardReport::of(&[&tied], &[vec![1.0, 2.0]], &[vec![1.0, 1.0]]), None);
    }
}
