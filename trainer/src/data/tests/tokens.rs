//! Which tokens a model's files name, and what becomes of them.

use laurel_records::Role;
use serde_json::{Value, json};

use super::{CHATML, learned, open_with, says, tokenizer, tokenizer_json};

/// A small GPT-2 of transformers: `GPT2Config(vocab_size=300)` names 50256 as begin and end of text.
#[test]
fn tokens_that_the_model_has_no_row_for_end_and_fill_nothing() {
    let model = json!({"model_type": "gpt2", "vocab_size": 300, "n_embd": 8, "n_head": 1, "n_layer": 1, "n_positions": 64,
        "bos_token_id": 50256, "eos_token_id": 50256, "pad_token_id": 50257});
    let generation = json!({"eos_token_id": [50256, 258]});
    let of_its_own = json!({"eos_token": "<|endoftext|>"});
    for (named, ends, pad) in [(json!({}), vec![258], 258), (of_its_own, vec![258, 256], 256)] {
        let files = [
            ("tokenizer_config.json", named),
            ("generation_config.json", generation.clone()),
            ("config.json", model.clone()),
        ];
        let tokenizer = open_with(&files, 64, 300).unwrap();
        assert_eq!((tokenizer.stop_ids(), tokenizer.pad_id()), (ends.as_slice(), pad));
        let example = tokenizer.example(&[says(Role::User, "a")], "b").unwrap();
        assert!(example.ids.iter().all(|&id| id < 300), "{example:?}");
    }
}

/// transformers and vLLM stop at what that file names; an answer that is learned ends there too.
#[test]
fn an_end_of_text_that_generation_config_alone_names_ends_answers_that_are_learned() {
    let model = json!({"model_type": "llama", "vocab_size": 259, "hidden_size": 8, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 64});
    let mut of_its_own = model.clone();
    of_its_own["eos_token_id"] = json!(256);
    let opened = |model: &Value, ends: Value| {
        let files = [
            ("tokenizer_config.json", json!({})),
            ("config.json", model.clone()),
            ("generation_config.json", json!({ "eos_token_id": ends })),
        ];
        open_with(&files, 64, 259).unwrap()
    };
    for (tokenizer, stops, end) in [
        (opened(&model, json!(258)), vec![258], 258),
        (opened(&model, json!([258, 256])), vec![258, 256], 258),
        // What config.json says goes before it, as it did.
        (opened(&of_its_own, json!([258, 256])), vec![256, 258], 256),
    ] {
        assert_eq!((tokenizer.stop_ids(), tokenizer.end_of_answer()), (stops.as_slice(), Some(end)));
        let example = tokenizer.example(&[says(Role::User, "a")], "b").unwrap();
        assert_eq!((example.ids.last(), example.completion_mask.last()), (Some(&end), Some(&1)));
    }
    let nothing = opened(&model, Value::Null);
    assert_eq!((nothing.stop_ids().len(), nothing.end_of_answer()), (0, None));
}

#[test]
fn special_tokens_are_named_by_the_map_unless_tokenizer_config_knows_the_added_tokens() {
    let template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}";
    let named = json!({"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "chat_template": template});
    let mut whole = named.clone();
    whole["added_tokens_decoder"] = json!({});
    let map = json!({"eos_token": {"content": "<|endoftext|>", "special": true}});
    for (config, expected, stop) in
        [(named, "<|im_start|>Hi<|endoftext|>", 256), (whole, "<|im_start|>Hi<|im_end|>", 258)]
    {
        let files = [("tokenizer_config.json", config), ("special_tokens_map.json", map.clone())];
        let tokenizer = open_with(&files, 64, 259).unwrap();
        let prompt = tokenizer.prompt(&[says(Role::User, "Hi")]).unwrap();
        assert_eq!(tokenizer.decode(&prompt, false), expected);
        assert!(tokenizer.stop_ids().contains(&stop));
    }
}

/// Expected: what AutoTokenizer of transformers makes of the same files.
#[test]
fn a_token_that_the_files_name_is_special_where_the_tokenizer_does_not_say_so() {
    let named = json!({"eos_token": "<|im_end|>", "chat_template": CHATML});
    let mut plain = tokenizer_json();
    plain["added_tokens"][2]["special"] = json!(false);
    plain["added_tokens"][2]["rstrip"] = json!(true);
    let mut bare = tokenizer_json();
    bare["added_tokens"].as_array_mut().unwrap().truncate(2);
    for (id, text) in [(256, "<|endoftext|>"), (257, "<|im_start|>"), (258, "<|im_end|>")] {
        bare["model"]["vocab"][text] = json!(id);
    }
    for (tokenizer, after) in [(plain, "b"), (bare, "  b")] {
        let files = [("tokenizer.json", tokenizer), ("tokenizer_config.json", named.clone())];
        let tokenizer = open_with(&files, 64, 259).unwrap();
        let ids = tokenizer.encode("a<|im_end|>  b");
        assert_eq!((ids[0], ids[1]), (u32::from(b'a'), 258));
        assert_eq!(tokenizer.decode(&ids, true), format!("a{after}"));
        assert_eq!(
            learned(&tokenizer, &tokenizer.example(&[says(Role::User, "?")], "yes ").unwrap()),
            "yes <|im_end|>"
        );
        assert_eq!(tokenizer.stop_ids(), [258]);
    }
}

/// Expected: as transformers reads the same files (`TokenizersBackend.__init__`).
#[test]
fn a_token_that_tokenizer_config_describes_or_lists_as_special_is_so() {
    let mut plain = tokenizer_json();
    plain["added_tokens"][2]["special"] = json!(false);
    let mut bare = tokenizer_json();
    bare["added_tokens"].as_array_mut().unwrap().truncate(2);
    for (id, text) in [(256, "<|endoftext|>"), (257, "<|im_start|>"), (258, "<|im_end|>")] {
        bare["model"]["vocab"][text] = json!(id);
    }
    let described = json!({"258": {"content": "<|im_end|>", "lstrip": false, "normalized": false, "rstrip": false,
        "single_word": false, "special": true}});
    for (tokenizer, field, value) in [
        (&plain, "added_tokens_decoder", &described),
        (&bare, "added_tokens_decoder", &described),
        (&bare, "additional_special_tokens", &json!(["<|im_end|>"])),
        (&bare, "extra_special_tokens", &json!([{"content": "<|im_end|>"}])),
        (&bare, "extra_special_tokens", &json!({"turn_token": "<|im_end|>"})),
        (&bare, "turn_token", &json!("<|im_end|>")),
    ] {
        let template = if field == "turn_token" || value.get("turn_token").is_some() {
            CHATML.replace("'<|im_end|>'", "turn_token")
        } else {
            CHATML.to_owned()
        };
        let mut config = json!({"eos_token": "<|endoftext|>", "chat_template": template});
        config[field] = value.clone();
        let files = [("tokenizer.json", tokenizer.clone()), ("tokenizer_config.json", config)];
        let tokenizer = open_with(&files, 64, 259).unwrap();
        let ids = tokenizer.encode("a<|im_end|>b");
        assert_eq!((ids.len(), tokenizer.decode(&ids, true).as_str()), (3, "ab"), "{field}");
        let example = tokenizer.example(&[says(Role::User, "?")], "yes").unwrap();
        assert_eq!(learned(&tokenizer, &example), "yes<|im_end|>", "{field}");
        assert_eq!(tokenizer.stop_ids(), [256, 258], "{field}");
    }
}

/// As `add_tokens` of transformers adds them, and people who put ChatML on a model.
#[test]
fn an_end_of_turn_that_is_no_special_token_ends_answers_and_is_not_shown() {
    let config = |template: &str| json!({"eos_token": "<|endoftext|>", "chat_template": template});
    let mut tokenizer = tokenizer_json();
    tokenizer["added_tokens"][2]["special"] = json!(false);
    let mut blank = tokenizer["added_tokens"][2].clone();
    (blank["id"], blank["content"]) = (json!(259), json!("\n\n"));
    tokenizer["added_tokens"].as_array_mut().unwrap().push(blank);
    let open = |template: &str| {
        let files = [("tokenizer.json", tokenizer.clone()), ("tokenizer_config.json", config(template))];
        open_with(&files, 64, 260).unwrap()
    };
    let (prompt, chatml) = ([says(Role::User, "?")], open(CHATML));
    assert_eq!(learned(&chatml, &chatml.example(&prompt, "yes").unwrap()), "yes<|im_end|>");
    assert_eq!(chatml.stop_ids(), [256, 258]);
    assert_eq!(chatml.decode(&chatml.encode("yes<|im_end|>"), true), "yes");
    // White space is a token of its own in some tokenizers, and ends nothing.
    let lines = open("{% for m in messages %}{{ m.content }}{{ '\n\n' }}{% endfor %}");
    assert_eq!(learned(&lines, &lines.example(&prompt, "yes").unwrap()), "yes<|endoftext|>");
    assert_eq!(lines.stop_ids(), [256]);
}

/// As SentencePiece's models without bytes have it: there a line end is a text that the tokenizer does not know.
#[test]
fn what_stands_for_unknown_text_after_an_answer_does_not_end_it() {
    let mut tokenizer = tokenizer_json();
    let added = tokenizer["added_tokens"].as_array_mut().unwrap();
    added.insert(0, added[0].clone());
    added[0]["content"] = json!("<unk>");
    added.iter_mut().enumerate().for_each(|(at, token)| token["id"] = json!(95 + at));
    let texts = (' '..='~').map(String::from).chain(["<unk>".to_owned()]);
    let vocabulary: serde_json::Map<_, _> = texts.enumerate().map(|(id, text)| (text, json!(id))).collect();
    tokenizer["pre_tokenizer"] = Value::Null;
    tokenizer["decoder"] = json!({"type": "Fuse"});
    (tokenizer["model"]["vocab"], tokenizer["model"]["unk_token"]) = (json!(vocabulary), json!("<unk>"));
    let config = json!({"eos_token": "<|endoftext|>", "unk_token": "<unk>", "chat_template": CHATML});
    let files = [("tokenizer.json", tokenizer), ("tokenizer_config.json", config)];
    let tokenizer = open_with(&files, 64, 259).unwrap();
    let example = tokenizer.example(&[says(Role::User, "?")], "yes\n").unwrap();
    assert_eq!(learned(&tokenizer, &example), "yes<unk><|im_end|>");
    assert_eq!(tokenizer.stop_ids().last(), example.ids.last());
}

#[test]
fn an_answer_that_was_cut_has_no_end_whatever_the_template() {
    let spaced = CHATML.replace("+ '<|im_end|>'", "+ ' <|im_end|>'");
    // It writes answers in words of its own.
    let rewritten = CHATML.replace("message['content']", "(message['content'] | replace('yes', 'YES'))");
    let endless = "{% for m in messages %}{{ m.content }}\n{% endfor %}";
    for (template, text) in [
        (None, "yes"),
        (Some(CHATML), "yes"),
        (Some(spaced.as_str()), "yes"),
        (Some(rewritten.as_str()), "YES"),
        (Some(endless), "yes"),
    ] {
        let tokenizer = tokenizer(template, 256);
        let prompt = [says(Role::User, "?")];
        let cut = tokenizer.example_of(&prompt, "yes", false).unwrap();
        assert_eq!(learned(&tokenizer, &cut), text, "{template:?}");
        let whole = tokenizer.example_of(&prompt, "yes", true).unwrap();
        assert_eq!(whole, tokenizer.example(&prompt, "yes").unwrap());
        assert!(whole.ids.starts_with(&cut.ids) && whole.ids.len() > cut.ids.len(), "{template:?}");
    }
}
