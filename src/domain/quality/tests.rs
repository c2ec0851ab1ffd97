//! Labels whose agreement can be counted by hand.

use time::macros::date;

use super::*;

const MONDAY: Date = date!(2026 - 11 - 02);

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A ranking of prompt `prompt` and its answers by `annotator`.
fn label(prompt: u128, annotator: usize, ranks: &[u32]) -> Label {
    Label {
        prompt: id(prompt),
        annotator: Some(annotator),
        answers: (0..ranks.len()).map(|answer| id(prompt * 100 + answer as u128)).collect(),
        ranks: ranks.to_vec(),
        week: MONDAY,
        seconds: Some(60.0),
        bytes: 600,
        shown_order: (0..ranks.len()).collect(),
    }
}

fn close(found: Option<f64>, expected: f64) {
    let found = found.expect("known");
    assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
}

#[test]
fn agreement_is_counted_over_the_pairs_that_both_decided() {
    let labels = [
        label(1, 0, &[1, 2, 3]),
        label(1, 1, &[1, 3, 2]),
        label(2, 0, &[1, 2, 2]),
        label(2, 1, &[2, 1, 3]),
        label(3, 0, &[1, 2]),
    ];
    let found = report(&labels, 2);
    assert_eq!((found.rankings, found.shared, found.shared_prompts), (5, 2, 2));
    // Prompt 1: two of three alike. Prompt 2: a<c alike, a<b not, b=c by one only.
    close(found.agreement.map(|agreement| agreement.share), 3.0 / 5.0);
    close(found.agreement_with_ties.map(|agreement| agreement.share), 3.0 / 6.0);
    // 1/3, and (1 − 1)/√(2·3) = 0.
    close(found.tau.map(|(mean, _)| mean), 1.0 / 6.0);
    assert_eq!(found.pairs.len(), 1);
    assert_eq!((found.pairs[0].first, found.pairs[0].second, found.pairs[0].prompts), (0, 1, 2));
    assert_eq!(found.people[0].rankings, 3);
}

#[test]
fn the_order_in_which_a_record_names_its_answers_does_not_matter() {
    let mut turned = label(1, 1, &[3, 2, 1]);
    turned.answers.reverse();
    let found = report(&[label(1, 0, &[1, 2, 3]), turned], 2);
    close(found.agreement.map(|agreement| agreement.share), 1.0);
    close(found.tau.map(|(mean, _)| mean), 1.0);
}

#[test]
fn nobody_agrees_with_themselves_and_strangers_are_different_people() {
    let mut again = label(1, 0, &[1, 2]);
    again.ranks = vec![2, 1];
    assert_eq!(report(&[label(1, 0, &[1, 2]), again], 1).agreement, None);
    let stranger = Label { annotator: None, ..label(1, 0, &[1, 2]) };
    close(report(&[stranger.clone(), stranger], 0).agreement.map(|agreement| agreement.share), 1.0);
}

#[test]
fn a_second_opinion_of_the_same_person_is_no_other_persons() {
    // Answers that people had ranked before, in a blind test: Ada is asked twice. The two agree on two prompts of four.
    let [first, second]: [&[u32]; 2] = [&[1, 2], &[2, 1]];
    let bobs = [second, first, first, second];
    let once: Vec<Label> =
        (0..4).flat_map(|prompt| [label(prompt, 0, first), label(prompt, 1, bobs[prompt as usize])]).collect();
    let mut twice = once.clone();
    twice.extend((0..4).map(|prompt| label(prompt, 0, first)));
    let (once, twice) = (report(&once, 2), report(&twice, 2));
    assert!(once.alpha_nominal.is_some() && once.alpha_ordinal.is_some());
    assert_eq!((twice.alpha_nominal, twice.alpha_ordinal), (once.alpha_nominal, once.alpha_ordinal));
    // Nor does it make two votes where everybody else ties.
    let alone = [label(1, 0, &[1, 2]), label(1, 0, &[1, 2]), label(1, 1, &[1, 1])];
    assert_eq!(reliabilities(&alone, 2), [Reliability::UNKNOWN; 2]);
}

#[test]
fn one_persons_labels_alone_say_nothing_of_agreement() {
    let found = report(&[label(1, 0, &[1, 2]), label(2, 0, &[2, 1])], 1);
    assert_eq!((found.agreement, found.tau, found.alpha_nominal, found.alpha_ordinal), (None, None, None, None));
    assert_eq!(found.people[0].reliability, Reliability::UNKNOWN);
    assert!(report(&[], 0).people.is_empty());
}

#[test]
fn who_contradicts_the_others_is_less_reliable_and_counts_for_less() {
    let mut labels = Vec::new();
    for prompt in 0..20 {
        labels.push(label(prompt, 0, &[1, 2, 3, 4]));
        labels.push(label(prompt, 1, &[1, 2, 3, 4]));
        labels.push(label(prompt, 2, if prompt % 2 == 0 { &[4, 3, 2, 1] } else { &[1, 2, 3, 4] }));
    }
    let found = reliabilities(&labels, 3);
    assert!(found.iter().all(Reliability::is_known), "{found:?}");
    assert!(found[0].right > 0.95 && found[1].right > 0.95, "{found:?}");
    // Right on half of 120 pairs, with the prior's four of five.
    assert!((found[2].right - 64.0 / 125.0).abs() < 1e-3, "{found:?}");
    assert!(found[2].weight() < 0.05 && found[0].weight() > 0.9);
    close(Some(Reliability::UNKNOWN.weight()), 0.6);
}

#[test]
fn hasty_work_and_a_love_of_the_first_place_are_marked() {
    let mut labels = Vec::new();
    for prompt in 0..40 {
        labels.push(Label { seconds: Some(2.0), ..label(prompt, 0, &[1, 2, 3, 4]) });
        let best = (prompt % 4) as usize;
        let ranks: Vec<u32> = (0..4).map(|answer| if answer == best { 1 } else { 2 }).collect();
        labels.push(label(prompt, 1, &ranks));
    }
    let found = report(&labels, 2);
    // 600 bytes are read in 25 seconds.
    assert!(found.people[0].is_hasty() && found.people[0].favours_the_first());
    assert!(!found.people[1].is_suspicious());
    assert_eq!(found.people[1].median_seconds, Some(60.0));
}

#[test]
fn a_week_is_the_later_labels() {
    let late = Label { week: date!(2026 - 11 - 16), ..label(1, 1, &[1, 2]) };
    let found = report(&[label(1, 0, &[1, 2]), late, label(2, 0, &[1, 2]), label(2, 1, &[2, 1])], 2);
    let weeks: Vec<(Date, f64)> = found.weeks.iter().map(|week| (week.monday, week.agreement.share)).collect();
    assert_eq!(weeks, [(MONDAY, 0.0), (date!(2026 - 11 - 16), 1.0)]);
}
