//! Measures of tiny models against what the whole logits say.

use burn::{
    module::Param,
    tensor::{Int, Tensor, TensorData, activation::log_softmax},
};
use laurel_records::{DemonstrationRecord, Message, PromptRecord, RankingRecord, Role};
use serde_json::{Map, json};

use super::*;
use crate::{
    cli::device::device_of_tests,
    data::{DataError, ModelTokenizer, new_tokenizer::NewTokenizer},
    generate::SamplingSettings,
    model::{
        Decoder, DecoderConfig, Layout, Members, ModelDirectory, RewardEnsemble, RewardModel,
        hf::{Lineage, write_decoder},
    },
};

const TEXT: &str =
    "What is tea? A warm drink. Where is the moon? Far away, and round. Why is bread fresh? It was baked today.";

fn models() -> (Decoder, Decoder, ModelTokenizer) {
    let learned = NewTokenizer::learn(&[TEXT.repeat(9)], 300).expect("a tokenizer");
    let config = DecoderConfig::preset("llama-tiny").expect("a preset").with_vocabulary(
        learned.vocabulary_size(),
        None,
        learned.eos_ids(),
        Some(learned.pad_id()),
    );
    let [one, other] = [1, 2].map(|seed| Decoder::init_with_seed(&config, seed, &device_of_tests()));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("model");
    write_decoder(&path, &one, &learned.companions(config.context_length), &Lineage::of("test")).expect("written");
    let tokenizer = ModelTokenizer::open(&ModelDirectory::open(&path).expect("a model")).expect("a tokenizer");
    (one, other, tokenizer)
}

fn asked(text: &str) -> Vec<Message> {
    vec![Message { role: Role::User, content: text.to_owned() }]
}

fn unanswered(text: &str) -> PromptRecord {
    PromptRecord {
        id: text.to_owned(),
        project: None,
        prompt: asked(text),
        language: None,
        tags: vec![],
        split: None,
        extra: Map::new(),
    }
}

fn demonstration(question: &str, answer: &str) -> DemonstrationRecord {
    DemonstrationRecord {
        id: String::new(),
        prompt: asked(question),
        completion: vec![Message { role: Role::Assistant, content: answer.to_owned() }],
        prompt_id: None,
        annotator: None,
        created_at: None,
        split: None,
        extra: Map::new(),
    }
}

/// log p of every token but the first, from the logits of all positions: `[tokens − 1, vocabulary]`.
fn all_log_probs(decoder: &Decoder, ids: &[u32]) -> Tensor<2> {
    let input: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let input = Tensor::<2, Int>::from_data(TensorData::new(input, [1, ids.len()]), &device_of_tests());
    let hidden = decoder.hidden_states(input, &Layout::causal(1, ids.len(), &device_of_tests()), None);
    log_softmax(decoder.logits(hidden), 2).squeeze_dim::<2>(0)
}

#[test]
fn likelihood_is_that_of_the_answers_tokens_alone_whatever_the_batch() {
    let (decoder, _, tokenizer) = models();
    let records = [
        demonstration("What is tea?", "A warm drink."),
        demonstration("Where is the moon?", "Far away, and round. It was."),
    ];
    let (mut sum, mut tokens) = (0.0, 0);
    for record in &records {
        let example = tokenizer.example(&record.prompt, &record.completion[0].content).expect("tokens");
        let law = values(all_log_probs(&decoder, &example.ids));
        let vocabulary = law.len() / example.ids.len();
        for at in (1..example.ids.len()).filter(|&at| example.completion_mask[at] == 1) {
            sum -= law[(at - 1) * vocabulary + example.ids[at] as usize];
            tokens += 1;
        }
    }
    for batch in [1, 2] {
        let found = nll(&decoder, &tokenizer, &records, batch, &mut |_| {}).expect("tokens").expect("an answer");
        assert_eq!((found.tokens, found.answers), (tokens, 2));
        assert!((found.mean - sum / tokens as f64).abs() < 1e-5, "{} and {}", found.mean, sum / tokens as f64);
    }
}

#[test]
fn divergence_is_zero_from_itself_and_what_the_laws_say_from_another() {
    let (policy, reference, tokenizer) = models();
    let prompts = ["What is tea?", "Why is bread fresh?"].map(unanswered);
    let settings = SamplingSettings { max_new_tokens: 7, ..SamplingSettings::default() };
    let sample =
        |batch| sample_answers(&policy, &tokenizer, &prompts, &settings, 5, batch, &mut |_| {}).expect("answers");
    let answers = sample(2);
    assert_eq!(answers.ids, sample(1).ids, "an answer does not depend on the batch");
    assert_eq!(mean_kl(&policy, &policy, &answers, 2, &mut |_| {}), Some(0.0));
    let mut expected = 0.0;
    for (ids, &start) in answers.ids.iter().zip(&answers.starts) {
        let (ours, theirs) = (all_log_probs(&policy, ids), all_log_probs(&reference, ids));
        let kl = values((ours.clone().exp() * (ours - theirs)).sum_dim(1));
        expected += kl[start - 1..ids.len() - 1].iter().sum::<f64>() / 2.0;
    }
    let found = mean_kl(&policy, &reference, &answers, 2, &mut |_| {}).expect("answers");
    assert!(found > 0.0 && (found - expected).abs() < 1e-4 * expected, "{found} and {expected}");

    // At another temperature, and by what was drawn.
    let found = divergences(&policy, &reference, &answers, 0.5, 2, &mut |_| {});
    for ((ids, &start), found) in answers.ids.iter().zip(&answers.starts).zip(&found) {
        let tempered = |decoder| values(log_softmax(all_log_probs(decoder, ids) / 0.5, 1));
        let (ours, theirs) = (tempered(&policy), tempered(&reference));
        let size = ours.len() / ids.len();
        let (mut full, mut k1, mut k3) = (0.0, 0.0, 0.0);
        for (at, &id) in ids.iter().enumerate().skip(start) {
            let row = (at - 1) * size..at * size;
            full += ours[row.clone()].iter().zip(&theirs[row]).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
            let drawn = (at - 1) * size + id as usize;
            let d = ours[drawn] - theirs[drawn];
            (k1, k3) = (k1 + d, k3 + (-d).exp() - 1.0 + d);
        }
        assert_eq!(found.tokens, ids.len() - start);
        for (found, expected) in [(found.full, full), (found.k1, k1), (found.k3, k3)] {
            assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{found} and {expected}");
        }
    }
}

#[test]
fn a_reward_is_the_value_at_the_end_of_the_answer_whatever_the_batch() {
    let (decoder, _, tokenizer) = models();
    let model = RewardModel::from_policy(&decoder, 3);
    let prompt = asked("What is tea?");
    let answers = ["A warm drink.", "Far away, and round. It was baked today.", ""];
    let judged = answers.map(|answer| Judged { prompt: &prompt, answer, finished: true });
    let one_by_one = rewards(&model, &tokenizer, &judged, 1, &mut |_| {}).expect("rewards");
    let together = rewards(&model, &tokenizer, &judged, 3, &mut |_| {}).expect("rewards");
    let [one_by_one, together] = [one_by_one, together].map(all);
    for (answer, (alone, beside)) in answers.iter().zip(one_by_one.iter().zip(&together)) {
        assert!((alone - beside).abs() < 1e-5, "{alone} and {beside}");
        let ids = tokenizer.example(&prompt, answer).expect("tokens").ids;
        assert_eq!(rewards_of_tokens(&model, &[&ids], 1, &mut |_| {}), [*alone]);
    }
    assert!((together[0] - together[1]).abs() > 1e-4, "different answers, different rewards: {together:?}");
}

/// Of answers that all have something to be read.
fn all(found: Vec<Option<f64>>) -> Vec<f64> {
    found.into_iter().map(|reward| reward.expect("tokens")).collect()
}

/// The tokenizer of [`models`] as one that knows no word, without an end of text: it makes no token of anything but `a`.
fn of_one_word() -> ModelTokenizer {
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": null, "decoder": null, "added_tokens": [],
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": {"a": 0}, "merges": []},
    });
    let config = json!({"model_type": "llama", "vocab_size": 300, "hidden_size": 8, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 64});
    let directory = tempfile::tempdir().expect("a directory");
    for (name, content) in [("tokenizer.json", tokenizer), ("config.json", config)] {
        std::fs::write(directory.path().join(name), content.to_string()).expect("written");
    }
    ModelTokenizer::open(&ModelDirectory::open(directory.path()).expect("a model")).expect("a tokenizer")
}

#[test]
fn texts_without_a_token_have_no_reward_and_spoil_no_other() {
    let (decoder, ..) = models();
    let (model, members) = RewardEnsemble::from_policy(&decoder, &[1, 2]).into_reward_model();
    let (tokenizer, nothing, something) = (of_one_word(), asked(" "), asked("a"));
    let judged = [(&nothing, ""), (&something, ""), (&nothing, "a a"), (&nothing, "?")];
    let judged = judged.map(|(prompt, answer)| Judged { prompt, answer, finished: true });
    let expected = [None, Some(vec![0u32]), Some(vec![0, 0]), None];
    // Alone, and beside others, in one batch or in two.
    for batch in [1, 2, 4] {
        let found = verdicts(&model, members.as_ref(), &tokenizer, &judged, batch, &mut |_| {}).expect("verdicts");
        for (found, ids) in found.iter().zip(&expected) {
            assert_eq!(found.is_some(), ids.is_some());
            let Some((found, ids)) = found.as_ref().zip(ids.as_deref()) else { continue };
            let alone = rewards_of_tokens(&model, &[ids], 1, &mut |_| {})[0];
            assert!((found.reward - alone).abs() < 1e-5 && found.members.len() == 2, "{found:?}, {alone}");
        }
    }
    let none = rewards(&model, &tokenizer, &[judged[0], judged[3]], 2, &mut |_| {}).expect("rewards");
    assert_eq!(none, [None, None]);

    let answer = |content: &str| json!({ "content": content });
    let ranking = json!({ "id": "r", "prompt": nothing, "responses": [answer("a"), answer("?"), answer("a a")],
        "ranks": [1, 2, 3], "margin": 2.0 });
    let ranking: RankingRecord = serde_json::from_value(ranking).expect("a ranking");
    let (agreement, unread) =
        reward_accuracy(&model, &tokenizer, &[ranking.clone(), ranking], 2, &mut |_| {}).expect("an agreement");
    assert_eq!((agreement.pairs(), unread), (2, 2));
}

#[test]
fn both_readings_of_an_ensemble_are_on_the_way_that_is_told() {
    let (decoder, _, tokenizer) = models();
    let (model, members) = RewardEnsemble::from_policy(&decoder, &[1, 2]).into_reward_model();
    let prompt = asked("What is tea?");
    let judged = ["A warm drink.", "A drink.", ""].map(|answer| Judged { prompt: &prompt, answer, finished: true });
    let told = |members: Option<&Members>| {
        let mut told = vec![];
        verdicts(&model, members, &tokenizer, &judged, 1, &mut |done| told.push(done)).expect("verdicts");
        told
    };
    assert_eq!(told(members.as_ref()), [0, 1, 1, 2, 2, 3]);
    assert_eq!(told(None), [1, 2, 3]);
}

#[test]
fn an_answer_that_was_cut_is_scored_as_cut() {
    let (decoder, _, tokenizer) = models();
    let model = RewardModel::from_policy(&decoder, 3);
    let prompts = ["What is tea?", "Where is the moon?"].map(unanswered);
    let (texts, finished) = (["A warm", "Far away."], [false, true]);
    let mut answers = Answers::default();
    for ((prompt, text), finished) in prompts.iter().zip(texts).zip(finished) {
        let asked = tokenizer.prompt(&prompt.prompt).expect("tokens");
        let mut tokens = tokenizer.encode(text);
        tokens.extend(tokenizer.stop_ids().first().filter(|_| finished));
        answers.starts.push(asked.len());
        answers.ids.push([asked, tokens].concat());
        answers.texts.push(text.to_owned());
        answers.finished.push(finished);
    }
    let score = |same_tokens, batch| {
        let found = rewards_of_answers(&model, &tokenizer, &prompts, &answers, same_tokens, batch, &mut |_| {});
        all(found.expect("rewards"))
    };
    let near = |found: f64, ids: &[u32]| (found - rewards_of_tokens(&model, &[ids], 1, &mut |_| {})[0]).abs() < 1e-5;

    // Prompt and sampled tokens together, and no end that was not sampled.
    for batch in [1, 2] {
        let found = score(true, batch);
        assert!(found.iter().zip(&answers.ids).all(|(found, ids)| near(*found, ids)), "{found:?}");
    }
    // Where the text is read in other tokens, a cut answer has no end either.
    let found = score(false, 2);
    let examples: Vec<Vec<u32>> = prompts
        .iter()
        .zip(texts)
        .map(|(prompt, text)| tokenizer.example(&prompt.prompt, text).expect("tokens").ids)
        .collect();
    let (end, cut) = examples[0].split_last().expect("tokens");
    assert!(tokenizer.stop_ids().contains(end));
    assert!(near(found[0], cut) && !near(found[0], &examples[0]), "{found:?}");
    assert!(near(found[1], &examples[1]), "{found:?}");
}

#[test]
fn answers_that_are_there_are_not_sampled_again_and_the_others_are_as_they_would_be() {
    let (policy, _, tokenizer) = models();
    let prompts = ["What is tea?", "Why is bread fresh?", "What is tea?"].map(unanswered);
    let (decoder, tokenizer, prompts) = (&policy, &tokenizer, &prompts);
    let settings = &SamplingSettings { max_new_tokens: 7, ..SamplingSettings::default() };
    let answering = Answering { decoder, tokenizer, prompts, settings, seed: 5, batch: 2 };
    let after = |kept| {
        let mut ids = vec![];
        let mut each = |answer: Answer| {
            ids.push(answer.ids);
            Ok::<_, DataError>(())
        };
        answering.run(kept, &mut each).expect("answers");
        ids
    };
    let all = after(0);
    assert_eq!(all.len(), 3);
    for kept in 1..=3 {
        assert_eq!(after(kept), &all[kept..]);
    }
}

#[test]
fn answers_that_leave_no_room_for_a_prompt_are_refused() {
    let (policy, _, tokenizer) = models();
    let settings = SamplingSettings { max_new_tokens: tokenizer.context_length(), ..SamplingSettings::default() };
    let refused = sample_answers(&policy, &tokenizer, &[], &settings, 5, 1, &mut |_| {}).expect_err("no room");
    assert!(refused.is_input() && refused.to_string().contains("no room for a prompt"), "{refused}");
}

#[test]
fn answers_of_a_model_whose_logits_are_no_numbers_are_not_given() {
    let (mut policy, _, tokenizer) = models();
    policy.token_embedding = Param::from_tensor(policy.token_embedding.val() * f64::NAN);
    let settings = SamplingSettings { max_new_tokens: 2, ..SamplingSettings::default() };
    let prompts = [unanswered("What is tea?")];
    let failed = sample_answers(&policy, &tokenizer, &prompts, &settings, 5, 1, &mut |_| {}).expect_err("no law");
    assert!(!failed.is_input() && failed.to_string().contains("no finite numbers"), "{failed}");
}
