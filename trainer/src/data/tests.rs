//! Records, masks, cuts and batches, on a small tokenizer with a ChatML template.

mod forms;
mod tokens;

use std::{io::Write, path::Path};

use burn::tensor::Device;
use laurel_records::{Message, Role};
use serde_json::json;

use super::{DataError, Example, ModelTokenizer, RewardBatch, SftBatch, records};
use crate::model::ModelDirectory;

const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A tokenizer with a token for each byte and the three special tokens of ChatML.
fn tokenizer_json() -> serde_json::Value {
    // GPT-2's letters for bytes: printable ones stand for themselves, the others are moved behind 255.
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut moved = 255;
    let letters = (0..256u32).map(|byte| {
        if printable(byte) {
            return char::from_u32(byte).unwrap();
        }
        moved += 1;
        char::from_u32(moved).unwrap()
    });
    let vocabulary: serde_json::Map<_, _> =
        letters.enumerate().map(|(id, letter)| (letter.to_string(), json!(id))).collect();
    let special = |id: u32, text: &str| json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [special(256, "<|endoftext|>"), special(257, "<|im_start|>"), special(258, "<|im_end|>")],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": vocabulary, "merges": []},
    })
}

fn tokenizer(template: Option<&str>, context_length: usize) -> ModelTokenizer {
    open(template, context_length, 259).unwrap()
}

/// The tokenizer of a model whose embedding has so many rows.
fn open(template: Option<&str>, context_length: usize, rows: usize) -> Result<ModelTokenizer, DataError> {
    let config = json!({"eos_token": "<|endoftext|>", "chat_template": template});
    open_with(&[("tokenizer_config.json", config)], context_length, rows)
}

/// The same where these files speak of the tokens.
fn open_with(
    files: &[(&str, serde_json::Value)],
    context_length: usize,
    rows: usize,
) -> Result<ModelTokenizer, DataError> {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: serde_json::Value| {
        std::fs::write(directory.path().join(name), content.to_string()).unwrap();
    };
    write("tokenizer.json", tokenizer_json());
    write(
        "config.json",
        json!({"model_type": "llama", "vocab_size": rows, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": context_length}),
    );
    files.iter().for_each(|(name, content)| write(name, content.clone()));
    ModelTokenizer::open(&ModelDirectory::open(directory.path()).unwrap())
}

#[test]
fn a_tokenizer_with_more_tokens_than_the_model_has_rows_is_refused_with_both_numbers() {
    // Padded to a round number, as many models are.
    open(None, 64, 320).unwrap();
    let error = open(None, 64, 258).unwrap_err();
    assert!(error.is_input());
    let error = error.to_string();
    assert!(error.contains("259 tokens") && error.contains("258 rows") && error.contains("<|im_end|>"), "{error}");
}

#[test]
fn a_template_that_asks_for_a_system_message_still_tells_the_end_of_a_turn() {
    let strict =
        format!("{{% if messages[0].role != 'system' %}}{{{{ raise_exception('no system') }}}}{{% endif %}}{CHATML}");
    let tokenizer = tokenizer(Some(strict.as_str()), 64);
    assert_eq!(tokenizer.stop_ids(), [256, 258]);
    let error = tokenizer.prompt(&[says(Role::User, "Hi")]).unwrap_err().to_string();
    assert!(error.ends_with("no system"), "{error}");
    // One that refuses whatever there is can still continue texts.
    let never = self::tokenizer(Some("{{ raise_exception('never') }}"), 64);
    assert_eq!((never.stop_ids(), never.encode("a").len()), (&[256][..], 1));
}

fn says(role: Role, content: &str) -> Message {
    Message { role, content: content.into() }
}

fn learned(tokenizer: &ModelTokenizer, example: &Example) -> String {
    let ids: Vec<u32> =
        example.ids.iter().zip(&example.completion_mask).filter(|(_, on)| **on == 1).map(|(&id, _)| id).collect();
    tokenizer.decode(&ids, false)
}

#[test]
fn the_answer_and_its_end_of_turn_are_learned_and_nothing_else() {
    let tokenizer = tokenizer(Some(CHATML), 256);
    let conversation =
        [says(Role::System, "Be kind"), says(Role::User, "1"), says(Role::Assistant, "2"), says(Role::User, "茶?")];
    let example = tokenizer.example(&conversation, "茶 🌿").unwrap();
    assert_eq!(learned(&tokenizer, &example), "茶 🌿<|im_end|>");
    let prompt = tokenizer.prompt(&conversation).unwrap();
    assert_eq!(example.ids[..example.prompt_length()], prompt);
    assert!(tokenizer.decode(&prompt, false).ends_with("茶?<|im_end|>\n<|im_start|>assistant\n"));
    // Sampling has to end where learning said that answers end.
    assert_eq!(tokenizer.stop_ids(), [256, 258]);
}

/// As Qwen's templates leave the thoughts of earlier turns out. The end of text is another token than the end of turn.
#[test]
fn an_answer_that_the_template_rewrites_is_learned_as_it_writes_it() {
    let answer = "(message['content'].split('</think>')[-1].lstrip('\n') if message['role'] == 'assistant' else message['content'])";
    let without_thoughts = CHATML.replace("message['content']", answer);
    let tokenizer = tokenizer(Some(without_thoughts.as_str()), 256);
    let prompt = [says(Role::User, "2 + 2?")];
    for (completion, expected) in [
        ("<think>\neasy\n</think>\n\nIt is 4.", "It is 4.<|im_end|>"),
        ("It is 4.", "It is 4.<|im_end|>"),
        ("</think>", "<|im_end|>"),
    ] {
        let example = tokenizer.example(&prompt, completion).unwrap();
        assert_eq!(learned(&tokenizer, &example), expected);
        assert_eq!(example.ids[..example.prompt_length()], tokenizer.prompt(&prompt).unwrap());
    }
    let without_end =
        "{% if add_generation_prompt %}assistant:{% else %}assistant: {{ messages[-1].content[1:] }}\n{% endif %}";
    let open_end = self::tokenizer(Some(without_end), 64);
    assert_eq!(learned(&open_end, &open_end.example(&prompt, "xyes").unwrap()), " yes<|endoftext|>");
}

#[test]
fn without_a_template_a_conversation_is_its_lines() {
    let tokenizer = tokenizer(None, 256);
    let example = tokenizer.example(&[says(Role::User, "One?"), says(Role::User, "Two?")], "Two.").unwrap();
    assert_eq!(tokenizer.decode(&example.ids, false), "One?\nTwo?\nTwo.<|endoftext|>");
    assert_eq!(learned(&tokenizer, &example), "Two.<|endoftext|>");
    assert_eq!((tokenizer.stop_ids(), tokenizer.has_chat_template()), (&[256][..], false));
}

#[test]
fn an_answer_without_an_end_in_the_template_ends_with_the_end_of_text() {
    let plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";
    let tokenizer = tokenizer(Some(plain), 256);
    let example = tokenizer.example(&[says(Role::User, "Hi")], "Hello").unwrap();
    assert_eq!(tokenizer.decode(&example.ids, false), "user: Hi\nassistant: Hello<|endoftext|>");
    assert_eq!(learned(&tokenizer, &example), " Hello<|endoftext|>");
}

#[test]
fn the_oldest_exchanges_are_cut_and_the_system_message_stays() {
    let conversation = [
        says(Role::System, "S"),
        says(Role::User, "old question"),
        says(Role::Assistant, "old answer"),
        says(Role::User, "new"),
    ];
    let roomy = tokenizer(Some(CHATML), 256);
    let kept = [says(Role::System, "S"), says(Role::User, "new")];
    let (prompt, example) = (roomy.prompt(&kept).unwrap(), roomy.example(&kept, "yes").unwrap());
    assert_eq!(roomy.cuts(), 0);

    let tight = tokenizer(Some(CHATML), example.ids.len() + 3);
    assert_eq!(tight.prompt(&conversation).unwrap(), prompt);
    assert_eq!(tight.example(&conversation, "yes").unwrap(), example);
    assert_eq!(tight.cuts(), 2);
}

#[test]
fn what_still_does_not_fit_keeps_its_end() {
    let tokenizer = tokenizer(Some(CHATML), 20);
    let prompt = tokenizer.prompt(&[says(Role::User, "a question of some length")]).unwrap();
    assert!(prompt.len() == 20 && tokenizer.decode(&prompt, false).ends_with("<|im_start|>assistant\n"));
    let example = tokenizer.example(&[says(Role::User, "a question of some length")], "short").unwrap();
    assert_eq!((example.ids.len(), learned(&tokenizer, &example).as_str()), (20, "short<|im_end|>"));
    let example = tokenizer.example(&[says(Role::User, "?")], "an answer longer than everything").unwrap();
    assert_eq!((example.ids.len(), learned(&tokenizer, &example).as_str()), (20, "an answer longer th"));
    assert_eq!(example.completion_mask[0], 0);
}

/// Of the last message its beginning goes, and nothing of what the template writes: a model that finds no system message and no
/// role in front of the words reads another language than it learned.
#[test]
fn what_still_does_not_fit_loses_the_beginning_of_its_last_message() {
    let conversation = [
        says(Role::System, "S"),
        says(Role::User, "an old question"),
        says(Role::Assistant, "an old answer"),
        says(Role::User, "a question of some length"),
    ];
    // Thirty tokens are the template's and the system message's.
    let tight = tokenizer(Some(CHATML), 36);
    let text = |ids: &[u32]| tight.decode(ids, false);
    let kept = |content: &str| {
        format!("<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n")
    };
    let prompt = tight.prompt(&conversation).unwrap();
    assert_eq!((prompt.len(), text(&prompt)), (36, kept("length")));
    // An answer of three letters and its end of turn leave two letters for the question.
    let example = tight.example(&conversation, "yes").unwrap();
    assert_eq!((example.ids.len(), text(&example.ids)), (36, kept("th") + "yes<|im_end|>"));
    assert_eq!(learned(&tight, &example), "yes<|im_end|>");
    assert_eq!(tight.cuts(), 2);

    // Whole characters stay, of three tokens each: two of four.
    let tea = tight.prompt(&[says(Role::System, "S"), says(Role::User, "茶茶茶茶")]).unwrap();
    assert_eq!(text(&tea), kept("茶茶"));
    let tea = tight.prompt_within(&[says(Role::System, "S"), says(Role::User, "茶茶茶茶")], 35).unwrap();
    assert_eq!((tea.len(), text(&tea)), (33, kept("茶")));
    // What is left of the template when even that is too long: its end.
    let little = tight.prompt_within(&conversation, 12).unwrap();
    assert_eq!(text(&little), "\n<|im_start|>assistant\n");
}

#[test]
fn a_template_that_refuses_an_empty_message_costs_no_conversation() {
    let strict =
        format!("{{% if messages[-1]['content'] == '' %}}{{{{ raise_exception('empty') }}}}{{% endif %}}{CHATML}");
    let tokenizer = tokenizer(Some(strict.as_str()), 36);
    let little = tokenizer.prompt_within(&[says(Role::User, "a question")], 12).unwrap();
    assert_eq!(tokenizer.decode(&little, false), "\n<|im_start|>assistant\n");
}

fn example(ids: &[u32], prompt: usize) -> Example {
    let completion_mask = (0..ids.len()).map(|at| u8::from(at >= prompt)).collect();
    Example { ids: ids.to_vec(), completion_mask }
}

#[test]
fn rows_are_padded_on_the_right_and_padding_is_not_learned() {
    let (first, second) = (example(&[5, 6, 7], 1), example(&[8, 9], 0));
    let batch = SftBatch::padded(&[&first, &second], 99, &Device::flex());
    let ids: Vec<i32> = batch.input_ids.into_data_as::<i32>().try_to_vec().unwrap();
    let mask: Vec<f32> = batch.completion_mask.into_data_as::<f32>().try_to_vec().unwrap();
    assert_eq!(ids, [5, 6, 7, 8, 9, 99]);
    // Nothing predicts the first token of a text, whatever its mask says.
    assert_eq!(mask, [0.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
}

#[test]
fn packing_fills_rows_and_keeps_texts_apart() {
    let examples = [example(&[1, 2, 3], 1), example(&[4, 5, 6, 7, 8], 2), example(&[9, 10], 0)];
    // Rows may have six tokens; the fullest has five.
    let batch = SftBatch::packed(&examples.each_ref(), 6, 99, &Device::flex());
    let ids: Vec<i32> = batch.input_ids.into_data_as::<i32>().try_to_vec().unwrap();
    let mask: Vec<f32> = batch.completion_mask.into_data_as::<f32>().try_to_vec().unwrap();
    let positions: Vec<i32> = batch.layout.positions().into_data_as::<i32>().try_to_vec().unwrap();
    assert_eq!(ids, [4, 5, 6, 7, 8, 1, 2, 3, 9, 10]);
    assert_eq!(mask, [0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
    assert_eq!(positions, [0, 1, 2, 3, 4, 0, 1, 2, 0, 1]);
}

#[test]
fn answers_branch_off_from_what_they_share_and_are_scored_at_their_last_token() {
    let answers = [example(&[1, 2, 3, 4], 2), example(&[1, 2, 5], 2), example(&[1, 2, 3, 6], 2)];
    // One is the beginning of the other, and a token of its own is left to score.
    let others = [example(&[6, 7], 1), example(&[6, 7, 8], 1)];
    let batch = RewardBatch::new(&[(&answers, &[1, 2, 3]), (&others, &[1, 1])], 99, &Device::flex());
    let numbers = |tensor: burn::tensor::TensorData| tensor.try_to_vec::<i32>().unwrap();
    assert_eq!(batch.input_ids.dims(), [2, 7]);
    assert_eq!(numbers(batch.input_ids.into_data_as::<i32>()), [1, 2, 3, 4, 5, 3, 6, 6, 7, 7, 8, 99, 99, 99]);
    assert_eq!(numbers(batch.layout.positions().into_data_as::<i32>()), [0, 1, 2, 3, 2, 2, 3, 0, 1, 1, 2, 0, 0, 0]);
    assert_eq!(numbers(batch.ends.into_data_as::<i32>()), [3, 4, 6, 8, 10]);
    assert_eq!(batch.ranks, [vec![1, 2, 3], vec![1, 1]]);
}

#[test]
fn long_answers_to_a_short_prompt_have_rows_of_their_own() {
    let long = |first: u32| example(&[&[1, 2][..], &vec![first; 600]].concat(), 2);
    let answers = [long(7), long(8), long(9)];
    let batch = RewardBatch::new(&[(&answers, &[1, 2, 3])], 0, &Device::flex());
    assert_eq!(batch.input_ids.dims(), [3, 602]);
    assert_eq!(batch.ends.into_data_as::<i32>().try_to_vec::<i32>().unwrap(), [601, 1203, 1805]);
    assert_eq!(RewardBatch::shape_of(&answers), [3, 602]);
    // A long prompt is worth sharing at any length.
    let after = |first: u32| example(&[&vec![1; 1500][..], &vec![first; 100]].concat(), 1500);
    assert_eq!(RewardBatch::shape_of(&[after(7), after(8), after(9)]), [1, 1800]);
}

fn file(lines: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    file
}

/// What reading says, without the file's name in front.
fn problems<T: std::fmt::Debug>(read: impl Fn(&Path) -> Result<T, super::DataError>, lines: &str) -> Vec<String> {
    let file = file(lines);
    let name = format!("{}, ", file.path().display());
    let error = read(file.path()).unwrap_err();
    assert!(error.is_input());
    error.to_string().lines().map(|line| line.replace(&name, "")).collect()
}

#[test]
fn every_bad_line_is_named_with_its_field() {
    let lines = concat!(
        r#"{"prompt":[{"role":"user","content":"ok"}],"completion":[{"role":"assistant","content":"ok"}]}"#,
        "\n\n",
        r#"{"prompt":[{"role":"bot","content":"x"}],"completion":[]}"#,
        "\n",
        r#"{"prompt":[{"role":"user","content":"x"}],"completion":[{"role":"user","content":"y"}]}"#,
        "\n",
        r#"{"prompt":[{"role":"user","content":3}],"completion":[]}"#,
        "\nnonsense\n[]\n",
        r#"{"completion":[{"role":"assistant","content":"y"}]}"#,
        "\n",
        r#"{"prompt":[],"completion":[{"role":"assistant","content":"y"}]}"#,
    );
    assert_eq!(
        problems(records::demonstrations, lines),
        [
            "line 3: prompt[0].role: unknown variant `bot`, expected one of `system`, `user`, `assistant`",
            "line 4: completion: must be one message of the assistant's",
            "line 5: prompt[0].content: invalid type: integer `3`, expected a string",
            "line 6: is not JSON: expected ident at column 2",
            "line 7: is not a JSON object",
            "line 8: missing field `prompt`",
            "line 9: prompt: is empty",
        ]
    );
}

#[test]
fn twenty_bad_lines_are_named_and_the_rest_counted() {
    let problems = problems(records::prompts, &"{}\n".repeat(25));
    assert_eq!(problems.len(), 21);
    assert!(problems[20].ends_with("5 more bad lines"), "{}", problems[20]);
    assert!(self::problems(records::prompts, "\n")[0].ends_with("holds no record"));
}

#[test]
fn a_missing_file_is_named() {
    let error = records::prompts(Path::new("/nowhere/prompts.jsonl")).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/prompts.jsonl: "), "{error}");
    assert!(error.is_input());
}

#[test]
fn a_comparison_is_a_ranking_of_two() {
    let line = r#"{"prompt":[{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"good"}],"rejected":[{"role":"assistant","content":"bad"}],"ranking_id":"r"}"#;
    let file = file(line);
    let rankings = records::rankings(file.path()).unwrap();
    assert_eq!(records::comparisons_as_rankings(file.path()).unwrap(), rankings);
    assert_eq!((rankings[0].id.as_str(), rankings[0].ranks.as_slice()), ("r", &[1, 2][..]));
    assert_eq!(rankings[0].responses[0].content, "good");
}

#[test]
fn ranks_that_are_no_competition_ranking_are_refused() {
    let line = |ranks: &str, answers: usize| {
        let responses = vec![r#"{"content":"x"}"#; answers].join(",");
        format!(r#"{{"prompt":[{{"role":"user","content":"q"}}],"responses":[{responses}],"ranks":{ranks}}}"#)
    };
    let good = [line("[1,2,2,4]", 4), line("[2,1]", 2), line("[1,1,1]", 3)].join("\n");
    assert_eq!(records::rankings(file(&good).path()).unwrap().len(), 3);
    let bad = [line("[1,2,2,3]", 4), line("[0,1]", 2), line("[1]", 1), line("[1,2,3]", 2)].join("\n");
    let problems = problems(records::rankings, &bad);
    assert!(problems[0].starts_with("line 1: ranks: 3 should be 4"), "{}", problems[0]);
    assert!(problems[1].starts_with("line 2: ranks: 0 should be 1"), "{}", problems[1]);
    assert_eq!(problems[2], "line 3: responses: a ranking needs at least two answers");
    assert_eq!(problems[3], "line 4: ranks: has 3 numbers for 2 answers");
}

#[test]
fn a_file_of_another_format_is_named_once() {
    let refused = |bytes: &[u8]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let error = records::prompts(file.path()).unwrap_err();
        assert!(error.is_input());
        error.to_string()
    };
    let list = b"\xEF\xBB\xBF\n[\n  {\"prompt\": \"Tea?\"},\n  {\"prompt\": \"Why?\"}\n]\n";
    for (bytes, expected) in [
        (&list[..], "holds one JSON list"),
        (&b"[{\"prompt\": \"Tea?\"}]"[..], "holds one JSON list"),
        (&b"{\n  \"prompt\": \"Tea?\"\n}\n"[..], "over several lines"),
        (&b"\x1F\x8B\x08\x00\n\xFF\n"[..], "gzip"),
        (&b"PAR1\x15\x04\n\x15\n"[..], "Parquet"),
        (&b"\xFF\xFE{\0}\0\n\0"[..], "UTF-16"),
    ] {
        let found = refused(bytes);
        assert!(found.contains(expected) && found.lines().count() == 1, "{found}");
    }
}
