//! Rows that come and go change nothing for the others.

use super::{End, Engine, EngineLimits, LogitChanges, Request, RequestId, Sampled, Verdict, answer_all};
use crate::{
    cli::device::device_of_tests,
    generate::{Generated, SamplingSettings, generate},
    model::{Decoder, DecoderConfig},
};

const VOCABULARY: usize = 97;
const PAD: u32 = 0;

fn decoder(preset: &str, context_length: usize) -> Decoder {
    let config = DecoderConfig::preset(preset).unwrap().with_vocabulary(VOCABULARY, None, vec![], None);
    let config = DecoderConfig { layers: 2, context_length, ..config };
    let mut decoder = Decoder::init_with_seed(&config, 7, &device_of_tests());
    decoder.for_each_linear(&mut |_, linear| linear.weight = linear.weight.clone().map(|weight| weight * 5.0));
    decoder.token_embedding = decoder.token_embedding.map(|weight| weight * 6.0);
    decoder
}

fn prompt(length: u32, seed: u32) -> Vec<u32> {
    (0..length).map(|i| (i * i * 31 + i * 17 + seed * 13) % VOCABULARY as u32).collect()
}

fn engine(decoder: &Decoder, stop_ids: &[u32], rows: usize, prompt_tokens: usize) -> Engine {
    Engine::new(decoder, stop_ids, PAD, EngineLimits { rows, prompt_tokens })
}

fn greedy(prompt: Vec<u32>, tokens: usize) -> Request {
    Request::new(prompt, SamplingSettings::greedy(tokens), vec![0])
}

/// Every answer by itself, with the decoding that knows no engine.
fn alone(decoder: &Decoder, request: &Request, stop_ids: &[u32]) -> Vec<Generated> {
    let prompts = vec![request.prompt.clone(); request.seeds.len()];
    generate(decoder, &prompts, &request.settings, stop_ids, PAD, &request.seeds, &mut |_| {})
}

fn run(engine: &mut Engine, requests: &[Request]) -> Vec<Vec<Generated>> {
    let mut answers = vec![vec![]; requests.len()];
    let done = |place: usize, of_request| {
        answers[place] = of_request;
        Ok::<_, ()>(())
    };
    answer_all(engine, requests.to_vec(), || Ok(()), done).unwrap();
    answers
}

#[test]
fn every_answer_is_what_it_would_be_alone_whatever_the_rows_and_the_parts_of_prompts() {
    let stop_ids: Vec<u32> = (0..VOCABULARY as u32).filter(|id| id % 11 == 0).collect();
    let sampling = SamplingSettings { temperature: 1.1, top_k: 60, top_p: 0.95, max_new_tokens: 14 };
    for preset in ["gpt2-tiny", "llama-tiny", "qwen2-tiny"] {
        let decoder = decoder(preset, 64);
        let requests: Vec<Request> = (0..9u32)
            .map(|i| {
                let settings = if i % 2 == 0 { SamplingSettings::greedy(3 + i as usize) } else { sampling };
                let seeds = (0..1 + u64::from(i) % 3).map(|seed| seed + u64::from(i) * 10).collect();
                Request::new(prompt(1 + i * 7 % 23, i), settings, seeds)
            })
            .collect();
        let expected: Vec<Vec<Generated>> =
            requests.iter().map(|request| alone(&decoder, request, &stop_ids)).collect();
        for (rows, prompt_tokens) in [(3, 5), (4, 1000), (32, 40)] {
            let found = run(&mut engine(&decoder, &stop_ids, rows, prompt_tokens), &requests);
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert_eq!(
                    (&found.tokens, found.finished),
                    (&expected.tokens, expected.finished),
                    "{preset}, {rows} rows"
                );
                for (found, expected) in found.logprobs.iter().zip(&expected.logprobs) {
                    assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
                }
            }
        }
    }
}

#[test]
fn a_newcomer_joins_between_two_tokens_and_a_long_prompt_does_not_stop_the_others() {
    let decoder = decoder("llama-tiny", 64);
    let mut engine = engine(&decoder, &[], 2, 8);
    let first = engine.submit(greedy(prompt(5, 1), 20)).unwrap();
    let mut told: Vec<RequestId> = vec![];
    let mut step = |engine: &mut Engine| {
        told.clear();
        engine.step(&mut |sampled: Sampled| {
            told.push(sampled.request);
            Verdict::GoOn
        });
        told.clone()
    };
    assert_eq!(step(&mut engine), [first, first], "the prompt's token and the next");
    let long = engine.submit(greedy(prompt(30, 2), 3)).unwrap();
    let third = engine.submit(greedy(prompt(2, 3), 1)).unwrap();
    // 30 tokens in parts of 8: three steps in which the first goes on, then the newcomer is in.
    for _ in 0..3 {
        assert_eq!(step(&mut engine), [first]);
        assert_eq!((engine.running(), engine.waiting()), (1, 2));
    }
    assert_eq!(step(&mut engine), [long, first, long]);
    assert_eq!((engine.running(), engine.waiting()), (2, 1), "there is no third row");
    assert_eq!(step(&mut engine), [first, long]);
    assert_eq!(step(&mut engine), [third, first], "the row that ended was free at once");
    assert_eq!(engine.prompt_tokens_read(), 37);
}

#[test]
fn who_leaves_or_is_cancelled_frees_the_row_and_the_others_go_on() {
    let decoder = decoder("gpt2-tiny", 64);
    let mut engine = engine(&decoder, &[], 3, 100);
    let requests =
        [greedy(prompt(4, 1), 12), greedy(prompt(9, 2), 12), greedy(prompt(6, 3), 12), greedy(prompt(3, 4), 12)];
    let ids: Vec<RequestId> = requests.iter().map(|request| engine.submit(request.clone()).unwrap()).collect();
    let mut tokens = vec![vec![]; 4];
    engine.cancel(ids[2]);
    while !engine.is_idle() {
        let mut second = 0;
        engine.step(&mut |sampled| {
            let at = ids.iter().position(|id| *id == sampled.request).unwrap();
            tokens[at].push(sampled.token);
            second = tokens[1].len();
            if at == 0 && tokens[0].len() == 3 { Verdict::Leave } else { Verdict::GoOn }
        });
        if second == 5 {
            engine.cancel(ids[1]);
        }
    }
    assert_eq!(tokens.iter().map(Vec::len).collect::<Vec<_>>(), [3, 5, 0, 12]);
    for (request, found) in requests.iter().zip(&tokens) {
        assert!(alone(&decoder, request, &[])[0].tokens.starts_with(found));
    }
}

#[test]
fn a_prompt_that_nobody_waits_for_is_not_read_to_its_end() {
    let decoder = decoder("llama-tiny", 64);
    let mut engine = engine(&decoder, &[], 1, 8);
    let mut told: Vec<RequestId> = vec![];
    let mut step = |engine: &mut Engine| {
        engine.step(&mut |sampled: Sampled| {
            told.push(sampled.request);
            Verdict::GoOn
        });
    };
    let long = engine.submit(greedy(prompt(50, 1), 3)).unwrap();
    let next = engine.submit(greedy(prompt(4, 2), 1)).unwrap();
    step(&mut engine);
    // Somebody else's place in line changes nothing for it.
    engine.cancel(RequestId(9));
    assert_eq!((engine.running(), engine.waiting()), (0, 2));
    engine.cancel(long);
    assert_eq!(engine.waiting(), 1);
    // Six more parts of eight tokens would have come first.
    step(&mut engine);
    assert!(engine.is_idle());
    assert_eq!(engine.prompt_tokens_read(), 4);
    assert_eq!(told, [next]);
}

#[test]
fn what_can_never_be_answered_is_refused_and_the_context_ends_answers() {
    let decoder = decoder("llama-tiny", 16);
    let mut engine = engine(&decoder, &[], 2, 100);
    assert_eq!(engine.submit(greedy(vec![], 5)), None);
    assert_eq!(engine.submit(greedy(prompt(16, 1), 5)), None);
    assert_eq!(engine.submit(Request { seeds: vec![], ..greedy(prompt(3, 1), 5) }), None);
    assert_eq!(engine.submit(Request { seeds: vec![1, 2, 3], ..greedy(prompt(3, 1), 5) }), None);
    let answers = run(&mut engine, &[greedy(prompt(13, 1), 50), greedy(vec![], 5)]);
    assert_eq!((answers[0][0].tokens.len(), answers[0][0].finished), (3, false));
    assert_eq!(answers[1], [Generated::default()]);
}

#[test]
fn penalties_keep_a_token_from_coming_again_and_log_probabilities_are_the_models() {
    let decoder = decoder("llama-tiny", 64);
    let mut engine = engine(&decoder, &[], 2, 100);
    let changes = LogitChanges { presence_penalty: 1e6, ..LogitChanges::default() };
    engine.submit(Request { changes, top_logprobs: Some(2), ..greedy(prompt(5, 1), 20) }).unwrap();
    let mut tokens = vec![];
    let mut ends = vec![];
    while !engine.is_idle() {
        engine.step(&mut |sampled| {
            let of_model = sampled.of_model.unwrap();
            assert_eq!(of_model.top.len(), 2);
            // Without the penalty the likeliest would have come.
            assert_eq!(of_model.top[0].0 == sampled.token, of_model.top[0].1 == of_model.logprob);
            assert!(of_model.logprob < 0.0);
            tokens.push(sampled.token);
            ends.push(sampled.end);
            Verdict::GoOn
        });
    }
    let mut distinct = tokens.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!((tokens.len(), distinct.len()), (20, 20), "{tokens:?}");
    assert!(ends[..19].iter().all(Option::is_none) && ends[19] == Some(End::Length));
}
