//! What is answered: the same as `laurel-trainer generate`, whoever else asks, whole and streamed.

use std::{fs, io::Write, time::Instant};

use laurel_trainer::{
    cli::device::device_of_tests,
    model::{
        Decoder, DecoderConfig,
        hf::{Companions, Lineage, write_decoder},
    },
};
use serde_json::{Map, Value, json};

use super::world::{Events, NAME, Server, content, questions, tiny_model, trainer};

/// Answers of `laurel-trainer generate`, of each question.
fn generated(questions: &[String], options: &[&str]) -> Vec<Vec<String>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for (id, question) in questions.iter().enumerate() {
        let message = json!({"role": "user", "content": question});
        writeln!(file, "{}", json!({"id": id.to_string(), "prompt": [message]})).unwrap();
    }
    let mut command = trainer(&["generate", "--out", "-", "--model"]);
    command.arg(tiny_model()).arg("--prompts").arg(file.path()).args(options);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let answers = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        let responses = record["responses"].as_array().unwrap().iter();
        responses.map(|response| response["content"].as_str().unwrap().to_owned()).collect()
    };
    text.lines().map(answers).collect()
}

/// The text of a stream's first answer; every piece is whole characters.
fn streamed(events: Events) -> String {
    let mut text = String::new();
    for event in events {
        let piece = event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned();
        assert!(!piece.contains('\u{FFFD}'), "{event}");
        text += &piece;
    }
    text
}

#[test]
fn greedy_answers_are_those_of_generate_alone_together_and_streamed() {
    let questions = [questions("en", 10), questions("zh", 6)].concat();
    let expected = generated(&questions, &["--samples", "1", "--temperature", "0", "--max-new-tokens", "80"]);
    let server = Server::of_tiny_model(&["--rows", "8"]);
    let greedy = json!({"temperature": 0, "max_tokens": 80});

    let start = Instant::now();
    let alone: Vec<Value> = questions.iter().map(|question| server.chat(question, &greedy)).collect();
    let one_by_one = start.elapsed();
    let start = Instant::now();
    let together: Vec<Value> = std::thread::scope(|scope| {
        let asking: Vec<_> = questions.iter().map(|question| scope.spawn(|| server.chat(question, &greedy))).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    println!("{} requests: one by one {one_by_one:?}, at once {:?}", questions.len(), start.elapsed());
    assert_eq!(expected.len(), questions.len());
    for ((alone, together), expected) in alone.iter().zip(&together).zip(&expected) {
        assert_eq!(content(alone).trim(), expected[0]);
        assert_eq!(content(together), content(alone));
        assert_eq!(together["usage"], alone["usage"]);
    }
    assert!(expected.iter().any(|answers| answers[0].chars().any(|c| ('\u{4E00}'..='\u{9FFF}').contains(&c))));
    std::thread::scope(|scope| {
        for (question, alone) in questions.iter().zip(&alone) {
            scope.spawn(|| assert_eq!(streamed(server.stream(question, &greedy)), content(alone)));
        }
    });
}

#[test]
fn a_seed_gives_the_same_answers_whatever_runs_beside_it() {
    let question = questions("en", 1).remove(0);
    let options = ["--samples", "3", "--seed", "11", "--temperature", "1.5", "--top-p", "0.95", "--top-k", "200"];
    let expected = generated(std::slice::from_ref(&question), &[&options[..], &["--max-new-tokens", "40"]].concat());
    let server = Server::of_tiny_model(&[]);
    let fields =
        |seed: u64| json!({"seed": seed, "n": 3, "temperature": 1.5, "top_p": 0.95, "top_k": 200, "max_tokens": 40});
    let texts = |answer: Value| -> Vec<String> {
        let choices = answer["choices"].as_array().unwrap().iter().enumerate();
        let text = |(index, choice): (usize, &Value)| {
            assert_eq!(choice["index"], index);
            choice["message"]["content"].as_str().unwrap().trim().to_owned()
        };
        choices.map(text).collect()
    };
    assert_eq!(texts(server.chat(&question, &fields(11))), expected[0]);
    assert_eq!(expected[0].iter().collect::<std::collections::HashSet<_>>().len(), 3, "n answers are n draws");
    std::thread::scope(|scope| {
        for seed in 0..6 {
            let (server, question) = (&server, &question);
            scope.spawn(move || server.chat(question, &fields(100 + seed)));
        }
        assert_eq!(texts(server.chat(&question, &fields(11))), expected[0]);
    });
    let unseeded = json!({"temperature": 1.5, "max_tokens": 40});
    let again = server.chat(&question, &unseeded);
    assert_ne!(
        content(&server.chat(&question, &unseeded)),
        content(&again),
        "without a seed each answer is a new draw"
    );
}

#[test]
fn a_stop_string_ends_the_answer_and_is_never_sent() {
    let server = Server::of_tiny_model(&[]);
    let question = questions("en", 1).remove(0);
    let whole = server.chat(&question, &json!({"temperature": 0}));
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    let text = content(&whole);
    // From the middle of a word to the middle of another.
    let stop: String = text.chars().skip(12).take(7).collect();
    let expected = &text[..text.find(&stop).unwrap()];
    let fields = json!({"temperature": 0, "stop": [stop, "never said"], "logprobs": true});
    let stopped = server.chat(&question, &fields);
    assert_eq!((content(&stopped), &stopped["choices"][0]["finish_reason"]), (expected, &json!("stop")));
    assert!(stopped["usage"]["completion_tokens"].as_u64() < whole["usage"]["completion_tokens"].as_u64());
    let tokens = stopped["choices"][0]["logprobs"]["content"].as_array().unwrap();
    let said: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
    assert!(expected.starts_with(&said) && !said.is_empty(), "{said:?}, expected {expected:?}");
    assert_eq!(streamed(server.stream(&question, &fields)), expected);

    let short = server.chat(&question, &json!({"temperature": 0, "max_completion_tokens": 3}));
    assert_eq!(
        (&short["choices"][0]["finish_reason"], &short["usage"]["completion_tokens"]),
        (&json!("length"), &json!(3))
    );
    assert!(text.starts_with(content(&short)));
}

#[test]
fn log_probabilities_penalties_and_bias() {
    let server = Server::of_tiny_model(&[]);
    let fields = json!({"temperature": 0, "max_tokens": 8, "logprobs": true, "top_logprobs": 3});
    let answer = server.chat("How do bees make honey?", &fields);
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(tokens.len(), 8);
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|token| token["bytes"].as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8))
        .collect();
    assert_eq!(bytes, content(&answer).as_bytes());
    for token in tokens {
        let top = token["top_logprobs"].as_array().unwrap();
        let likelihood = |entry: &Value| entry["logprob"].as_f64().unwrap();
        assert_eq!(top.len(), 3);
        assert!(top.is_sorted_by(|a, b| likelihood(a) >= likelihood(b)));
        assert!(top.iter().map(|entry| likelihood(entry).exp()).sum::<f64>() <= 1.0 + 1e-6);
        assert_eq!(
            (&top[0]["token"], &top[0]["logprob"]),
            (&token["token"], &token["logprob"]),
            "greedy takes the likeliest"
        );
    }
    // Streamed, they come with their text.
    let streamed: Vec<Value> = server
        .stream("How do bees make honey?", &fields)
        .flat_map(|event| event["choices"][0]["logprobs"]["content"].as_array().cloned().unwrap_or_default())
        .collect();
    let names = |tokens: &[Value]| tokens.iter().map(|token| token["token"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&streamed), names(tokens));

    // Bias −100 on the ends of text and of turn: the answer goes on to its limit.
    let endless = json!({"temperature": 0, "logit_bias": {"0": -100, "2": -100}, "max_tokens": 150});
    let answer = server.chat("How do bees make honey?", &endless);
    assert_eq!(
        (&answer["choices"][0]["finish_reason"], &answer["usage"]["completion_tokens"]),
        (&json!("length"), &json!(150))
    );
    // A large penalty on what was said already makes it say more different things.
    let mut penalised = endless.clone();
    (penalised["frequency_penalty"], penalised["presence_penalty"]) = (json!(2), json!(2));
    let words = |answer: &Value| content(answer).split_whitespace().collect::<std::collections::HashSet<_>>().len();
    assert!(words(&server.chat("How do bees make honey?", &penalised)) > words(&answer));
}

#[test]
fn several_answers_stream_side_by_side_and_usage_comes_last() {
    let server = Server::of_tiny_model(&[]);
    let fields = json!({"n": 2, "seed": 3, "max_tokens": 20, "stream_options": {"include_usage": true}});
    let mut whole_fields = fields.clone();
    whole_fields.as_object_mut().unwrap().remove("stream_options");
    let whole = server.chat("Tell me a story.", &whole_fields);
    let events: Vec<Value> = server.stream("Tell me a story.", &fields).collect();
    let (mut texts, mut ends) = (vec![String::new(); 2], vec![Value::Null; 2]);
    for event in &events[..events.len() - 1] {
        assert_eq!((&event["object"], &event["usage"]), (&json!("chat.completion.chunk"), &Value::Null));
        assert_eq!(event["id"], events[0]["id"]);
        let choice = &event["choices"][0];
        let index = choice["index"].as_u64().unwrap() as usize;
        assert_eq!(ends[index], Value::Null, "nothing comes after the end");
        texts[index] += choice["delta"]["content"].as_str().unwrap_or_default();
        ends[index] = choice["finish_reason"].clone();
    }
    let last = events.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
    for (index, choice) in whole["choices"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&json!(texts[index]), &ends[index]), (&choice["message"]["content"], &choice["finish_reason"]));
    }
}

#[test]
fn texts_are_continued_several_at_once_also_by_their_tokens() {
    let server = Server::of_tiny_model(&[]);
    let ask = |fields: Value| {
        let mut body = json!({"model": NAME, "temperature": 0, "max_tokens": 8});
        fields.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        let (status, answer) = server.post("/v1/completions", &body);
        assert_eq!((status, &answer["object"]), (200, &json!("text_completion")), "{answer}");
        answer
    };
    let one = ask(json!({"prompt": "You ask about bees.", "logprobs": 2}));
    let text = one["choices"][0]["text"].as_str().unwrap();
    let logprobs = &one["choices"][0]["logprobs"];
    let tokens: Vec<&str> =
        logprobs["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
    assert_eq!(tokens.concat(), text);
    assert_eq!(logprobs["text_offset"][1], tokens[0].chars().count());
    assert_eq!(logprobs["top_logprobs"][0].as_object().unwrap().len(), 2);
    assert_eq!(logprobs["top_logprobs"][0][tokens[0]], logprobs["token_logprobs"][0]);

    // The token that was drawn is always among them.
    let hot = json!({"prompt": "You ask about bees.", "n": 4, "logprobs": 1, "temperature": 2, "seed": 1});
    let mut unlikely = 0;
    for choice in ask(hot)["choices"].as_array().unwrap() {
        let [tokens, tops] = ["tokens", "top_logprobs"].map(|name| choice["logprobs"][name].as_array().unwrap());
        for (token, top) in tokens.iter().zip(tops) {
            assert!(top.get(token.as_str().unwrap()).is_some(), "{token} {top}");
            unlikely += top.as_object().unwrap().len() - 1;
        }
    }
    assert!(unlikely > 0, "no draw was unlikely: the test says nothing");

    let both = ask(json!({"prompt": ["You ask about bees.", "The moon"], "n": 2}));
    let texts: Vec<&Value> = both["choices"].as_array().unwrap().iter().map(|choice| &choice["text"]).collect();
    assert_eq!((texts.len(), texts[0], texts[0] == texts[2]), (4, &json!(text), false));
    assert_eq!((texts[0], texts[2]), (texts[1], texts[3]), "greedy answers are alike");

    let tokenizer: Value =
        serde_json::from_str(&fs::read_to_string(tiny_model().join("tokenizer.json")).unwrap()).unwrap();
    let moon = [&tokenizer["model"]["vocab"]["The"], &tokenizer["model"]["vocab"]["Ġmoon"]];
    let by_tokens = ask(json!({"prompt": moon}));
    assert_eq!(&by_tokens["choices"][0]["text"], texts[2]);
}

/// A model of words as SentencePiece writes them, in the files of Llama 2: the space before the first word of a text is none.
#[test]
fn a_text_that_is_continued_keeps_the_space_before_its_next_word() {
    let scratch = tempfile::tempdir().unwrap();
    let model = scratch.path().join(NAME);
    let words: Map<String, Value> = (0..12).map(|id| (format!("▁w{id}"), json!(id))).collect();
    let decoders = [
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "Fuse"}),
        json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}),
    ];
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "added_tokens": [], "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": words, "merges": []},
    });
    let mut config = DecoderConfig::preset("llama-tiny").unwrap().with_vocabulary(12, None, vec![], None);
    config.layers = 1;
    let companions = Companions::none().with("tokenizer.json", tokenizer.to_string());
    let decoder = Decoder::init(&config, &device_of_tests());
    write_decoder(&model, &decoder, &companions, &Lineage::of("init")).unwrap();

    let server = Server::start(&model, &[]);
    let body = json!({"model": NAME, "prompt": [1, 2], "max_tokens": 3, "temperature": 0});
    let (status, answer) = server.post("/v1/completions", &body);
    assert_eq!(status, 200, "{answer}");
    let text = answer["choices"][0]["text"].as_str().unwrap();
    assert!(text.starts_with(" w") && text.split(' ').count() == 4, "{text:?}");
}
