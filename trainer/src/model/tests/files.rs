//! Directories: what is written is read back the same.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::*;
use crate::cli::device::device_of_tests;
use crate::model::{
    ModelDirectory, RewardModel,
    hf::{
        Companions, Lineage, ModelKind, WeightFormat, WriteOptions, write_decoder, write_decoder_as, write_reward_model,
    },
};

pub(super) fn save(decoder: &Decoder, path: &Path) -> ModelDirectory {
    let companions = Companions::none()
        .with("tokenizer_config.json", r#"{"chat_template": "{{ messages }}"}"#)
        .with("generation_config.json", r#"{"eos_token_id": [2, 5]}"#);
    write_decoder(path, decoder, &companions, &Lineage::of("sft")).unwrap();
    ModelDirectory::open(path).unwrap()
}

#[test]
fn a_written_model_is_read_back_the_same() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    for (i, decoder) in decoders(&device).into_iter().enumerate() {
        let written = save(&decoder, &scratch.path().join(i.to_string()));
        let read = written.load_decoder(&device).unwrap();
        let of = |decoder: &Decoder| values(logits(decoder, &[row(9, 1)], &Layout::causal(1, 9, &device), &device));
        assert_eq!(of(&read), of(&decoder));
        assert_eq!(read.config().rope, decoder.config().rope);
        assert_eq!(written.kind(), ModelKind::LanguageModel);
        assert_eq!(written.stop_token_ids().unwrap(), [2, 5]);
        assert_eq!(written.chat_template().unwrap().as_deref(), Some("{{ messages }}"));
        assert_eq!(written.lineage().unwrap().unwrap().stage, "sft");
        let copied = written.companions().unwrap();
        assert_eq!(copied.get("generation_config.json").unwrap(), br#"{"eos_token_id": [2, 5]}"#);
    }
}

#[test]
fn an_end_that_the_generation_settings_lack_is_added_and_the_others_stay() {
    let config = DecoderConfig::preset("llama-tiny").unwrap().with_vocabulary(97, Some(4), vec![2], None);
    for (file, token, expected) in [
        (Some(r#"{"eos_token_id": 2, "top_p": 0.9}"#), 5, json!({"eos_token_id": [2, 5], "top_p": 0.9})),
        (Some(r#"{"eos_token_id": [2, 5]}"#), 5, json!({"eos_token_id": [2, 5]})),
        // Then transformers ends nothing, whatever the configuration says.
        (Some(r#"{"top_p": 0.9}"#), 2, json!({"top_p": 0.9, "eos_token_id": [2]})),
        (None, 5, json!({"bos_token_id": 4, "eos_token_id": [2, 5]})),
    ] {
        let before = file.map_or_else(Companions::none, |file| Companions::none().with("generation_config.json", file));
        let after = before.ending_with(token, &config);
        let found: Value = serde_json::from_slice(after.get("generation_config.json").unwrap()).unwrap();
        assert_eq!(found, expected, "{file:?}");
    }
    // The configuration says it, and is what is asked.
    assert_eq!(Companions::none().ending_with(2, &config).get("generation_config.json"), None);
}

/// As transformers saves a tokenizer that has several.
#[test]
fn every_chat_template_goes_with_the_model() {
    let scratch = tempfile::tempdir().unwrap();
    let (first, second) = (scratch.path().join("first"), scratch.path().join("second"));
    let decoder = decoder("llama-tiny", &device_of_tests());
    save(&decoder, &first);
    fs::create_dir(first.join("additional_chat_templates")).unwrap();
    fs::write(first.join("additional_chat_templates/tool_use.jinja"), "{{ tools }}").unwrap();
    let companions = ModelDirectory::open(&first).unwrap().companions().unwrap();
    write_decoder(&second, &decoder, &companions, &Lineage::of("sft")).unwrap();
    assert_eq!(fs::read_to_string(second.join("additional_chat_templates/tool_use.jinja")).unwrap(), "{{ tools }}");
}

#[test]
fn a_reward_model_is_read_back_the_same_and_told_from_a_language_model() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    for (i, decoder) in decoders(&device).into_iter().enumerate() {
        let model = RewardModel::from_policy(&decoder, 1);
        let path = scratch.path().join(i.to_string());
        write_reward_model(&path, &model, &Companions::none(), &Lineage::of("reward")).unwrap();
        let written = ModelDirectory::open(&path).unwrap();
        assert_eq!(written.kind(), ModelKind::RewardModel);
        let read = written.load_reward_model(&device).unwrap();

        let tokens = ids(&[row(7, 1), row(7, 2)], &device);
        let layout = Layout::causal(2, 7, &device);
        let last = Tensor::from_data(TensorData::new(vec![6, 3], [2]), &device);
        let rewards = values(read.rewards(tokens.clone(), &layout, last));
        let every = values(model.values(tokens, &layout));
        assert_eq!(rewards, [every[6], every[7 + 3]]);
        assert!(written.load_decoder(&device).unwrap_err().to_string().contains("is a reward model"));
        let language = save(&decoder, &scratch.path().join(format!("language-{i}")));
        assert!(language.load_reward_model(&device).unwrap_err().to_string().contains("is a language model"));
    }
}

/// SmolLM2's files: what fills batches is what ends a turn, which other programs would take for the end of the text.
#[test]
fn a_reward_model_pads_with_a_token_that_ends_nothing_and_a_policy_as_it_did() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let (policy_path, reward_path) = (scratch.path().join("policy"), scratch.path().join("reward"));
    let special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    let added: Vec<Value> =
        special.iter().enumerate().map(|(id, text)| json!({"id": id, "content": text, "special": true})).collect();
    let named = json!({"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>",
        "pad_token": "<|im_end|>", "chat_template": "<|im_start|>{{ messages }}<|im_end|>"});
    let companions = Companions::none()
        .with("tokenizer.json", json!({"added_tokens": added}).to_string())
        .with("tokenizer_config.json", named.to_string())
        .with("special_tokens_map.json", json!({"pad_token": {"content": "<|im_end|>"}}).to_string());
    let policy = Decoder::init_with_seed(
        &DecoderConfig::preset("llama-tiny").unwrap().with_vocabulary(97, Some(1), vec![2], Some(2)),
        7,
        &device,
    );
    write_decoder(&policy_path, &policy, &companions, &Lineage::of("sft")).unwrap();
    let model = RewardModel::from_policy(&policy, 1);
    write_reward_model(&reward_path, &model, &companions, &Lineage::of("reward")).unwrap();

    let object = |path: &Path, name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(path.join(name)).unwrap()).unwrap()
    };
    let (before, after) = (config(&policy_path), config(&reward_path));
    assert_eq!((&before["pad_token_id"], &after["pad_token_id"]), (&json!(2), &json!(0)));
    assert_eq!((&after["eos_token_id"], &after["bos_token_id"]), (&json!(2), &json!(1)));
    assert_eq!(object(&policy_path, "tokenizer_config.json"), named);
    let tokenizer = object(&reward_path, "tokenizer_config.json");
    assert_eq!((&tokenizer["pad_token"], &tokenizer["eos_token"]), (&json!("<|endoftext|>"), &json!("<|im_end|>")));
    assert_eq!(object(&reward_path, "special_tokens_map.json"), json!({"pad_token": "<|endoftext|>"}));

    // The same scores as before, and the same ends of an answer.
    let written = ModelDirectory::open(&reward_path).unwrap();
    assert_eq!(written.stop_token_ids().unwrap(), [2]);
    let read = written.load_reward_model(&device).unwrap();
    let of = |model: &RewardModel| values(model.values(ids(&[row(7, 1)], &device), &Layout::causal(1, 7, &device)));
    assert_eq!(of(&read), of(&model));
}

#[test]
fn a_value_model_from_a_policy_starts_at_zero() {
    let device = device_of_tests();
    let model = RewardModel::value_from_policy(&decoder("llama-tiny", &device));
    let found = values(model.values(ids(&[row(5, 1)], &device), &Layout::causal(1, 5, &device)));
    assert_eq!(found, [0.0; 5]);
}

#[test]
fn weights_in_half_precision_and_in_shards_are_read() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("model");
    let decoder = decoder("llama-tiny", &device);
    save(&decoder, &path);
    let expected = values(logits(&decoder, &[row(9, 1)], &Layout::causal(1, 9, &device), &device));

    let mut map = serde_json::Map::new();
    for (number, kind) in [safetensors::Dtype::BF16, safetensors::Dtype::F16].into_iter().enumerate() {
        let name = format!("model-0000{}-of-00002.safetensors", number + 1);
        let tensors = decoder.named_tensors();
        let half: Vec<_> = tensors.into_iter().enumerate().filter(|(i, _)| i % 2 == number).collect();
        let stored: Vec<(String, Vec<usize>, Vec<u8>)> = half
            .iter()
            .map(|(_, tensor)| {
                use safetensors::View;
                let bytes = tensor.values().into_iter().flat_map(|value| match kind {
                    safetensors::Dtype::BF16 => half::bf16::from_f32(value).to_le_bytes(),
                    _ => half::f16::from_f32(value).to_le_bytes(),
                });
                (tensor.name.clone(), tensor.shape().to_vec(), bytes.collect())
            })
            .collect();
        for (tensor, _, _) in &stored {
            map.insert(tensor.clone(), json!(name));
        }
        let views = stored.iter().map(|(tensor, shape, bytes)| {
            (tensor.as_str(), safetensors::tensor::TensorView::new(kind, shape.clone(), bytes).unwrap())
        });
        safetensors::serialize_to_file(views, None, &path.join(name)).unwrap();
    }
    fs::remove_file(path.join("model.safetensors")).unwrap();
    let index = json!({"metadata": {}, "weight_map": map});
    fs::write(path.join("model.safetensors.index.json"), index.to_string()).unwrap();

    let read = ModelDirectory::open(&path).unwrap().load_decoder(&device).unwrap();
    let found = values(logits(&read, &[row(9, 1)], &Layout::causal(1, 9, &device), &device));
    let difference = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference > 0.0 && difference < 0.05, "{difference}");
}

/// transformers ties two matrices where one of them is missing, whichever it is, or both are the same (`tie_weights`).
#[test]
fn an_output_matrix_counts_where_it_is_another_than_the_embedding_it_should_be() {
    use safetensors::View;
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    for preset in ["gpt2-tiny", "qwen2-tiny"] {
        let decoder = decoder(preset, &device);
        let of = |decoder: &Decoder| values(logits(decoder, &[row(9, 1)], &Layout::causal(1, 9, &device), &device));
        let (expected, path) = (of(&decoder), scratch.path().join(preset));
        save(&decoder, &path);
        // Writes the weights again: with the embedding or not, and with an output matrix that is so many times the embedding.
        let store = |embedding: bool, output: Option<f32>| {
            let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = vec![];
            for (number, tensor) in decoder.named_tensors().into_iter().enumerate() {
                let (shape, values) = (tensor.shape().to_vec(), tensor.values());
                if let Some(factor) = output.filter(|_| number == 0) {
                    let scaled = values.iter().map(|value| value * factor).collect();
                    tensors.push(("lm_head.weight".into(), shape.clone(), scaled));
                }
                if embedding || number > 0 {
                    tensors.push((tensor.name.clone(), shape, values));
                }
            }
            let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
            let stored: Vec<_> = tensors.iter().map(|(name, shape, values)| (name, shape, bytes(values))).collect();
            let views = stored.iter().map(|(name, shape, bytes)| {
                let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), bytes);
                (name.as_str(), view.unwrap())
            });
            safetensors::serialize_to_file(views, None, &path.join("model.safetensors")).unwrap();
            ModelDirectory::open(&path).unwrap().load_decoder(&device)
        };
        assert!(matches!(store(false, None), Err(crate::model::ModelError::Missing { .. })));
        for tied in [store(true, None), store(true, Some(1.0)), store(false, Some(1.0))] {
            let tied = tied.unwrap();
            assert!(tied.config().tied_embeddings);
            assert_eq!(of(&tied), expected);
        }
        let apart = store(true, Some(2.0)).unwrap();
        let twice: Vec<f32> = expected.iter().map(|logit| logit * 2.0).collect();
        assert_close(&of(&apart), &twice);
        let again = scratch.path().join(format!("{preset}-again"));
        let read = save(&apart, &again).load_decoder(&device).unwrap();
        assert_eq!((config(&again)["tie_word_embeddings"].clone(), of(&read)), (json!(false), of(&apart)));
    }
}

#[test]
fn half_precision_and_shards_are_written_as_transformers_names_them() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let decoder = decoder("qwen2-tiny", &device);
    let of = |decoder: &Decoder| values(logits(decoder, &[row(9, 1)], &Layout::causal(1, 9, &device), &device));
    let formats = [(WeightFormat::Float32, 0.0), (WeightFormat::Bfloat16, 0.05), (WeightFormat::Float16, 0.005)];
    for (format, tolerance) in formats {
        let path = scratch.path().join(format.name());
        let options = WriteOptions { format, max_shard_bytes: 40_000 };
        write_decoder_as(&path, &decoder, &Companions::none(), &Lineage::of("sft"), &options).unwrap();
        let index: Value =
            serde_json::from_str(&fs::read_to_string(path.join("model.safetensors.index.json")).unwrap()).unwrap();
        let files: std::collections::BTreeSet<_> =
            index["weight_map"].as_object().unwrap().values().map(|file| file.as_str().unwrap()).collect();
        assert!(
            files.len() > 2 && files.iter().all(|file| file.ends_with(&format!("-of-{:05}.safetensors", files.len())))
        );
        assert!(!path.join("model.safetensors").exists());
        let bytes = decoder.config().parameters() * format.size();
        assert_eq!(index["metadata"]["total_size"], bytes);
        // By transformers 5 and by what came before it.
        assert_eq!(config(&path)["dtype"], format.name());
        assert_eq!(config(&path)["torch_dtype"], format.name());

        let read = ModelDirectory::open(&path).unwrap().load_decoder(&device).unwrap();
        let difference = of(&read).iter().zip(of(&decoder)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference <= tolerance, "{}: {difference}", format.name());
    }
}

#[test]
fn a_value_that_the_format_cannot_hold_is_refused_with_its_tensor() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let mut decoder = decoder("llama-tiny", &device);
    decoder.final_norm.weight = decoder.final_norm.weight.clone().map(|weight| weight * 1e6);
    let write = |name: &str, format| {
        let options = WriteOptions { format, ..WriteOptions::default() };
        write_decoder_as(&scratch.path().join(name), &decoder, &Companions::none(), &Lineage::of("sft"), &options)
    };
    let error = write("half", WeightFormat::Float16).unwrap_err().to_string();
    assert!(error.contains("model.norm.weight") && error.contains("float16"), "{error}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
    write("brain", WeightFormat::Bfloat16).unwrap();
}

#[test]
fn a_model_is_never_overwritten_and_nothing_partial_is_left() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("model");
    let written = save(&decoder("llama-tiny", &device), &path);
    let digest = written.digest().unwrap();
    let again = write_decoder(&path, &decoder("gpt2-tiny", &device), &Companions::none(), &Lineage::of("sft"));
    assert!(again.unwrap_err().to_string().contains("already exists"));
    assert_eq!(ModelDirectory::open(&path).unwrap().digest().unwrap(), digest);
    let names: Vec<_> = fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["model"]);
}

#[test]
fn the_digest_is_of_what_the_model_does_and_not_of_its_lineage() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let first = save(&decoder("llama-tiny", &device), &scratch.path().join("first"));
    let second = save(&decoder("llama-tiny", &device), &scratch.path().join("second"));
    assert_ne!(
        fs::read(first.path().join("laurel.json")).unwrap(),
        fs::read(second.path().join("laurel.json")).unwrap()
    );
    assert_eq!(first.digest().unwrap(), second.digest().unwrap());
    fs::write(second.path().join("tokenizer.json"), "{}").unwrap();
    assert_ne!(first.digest().unwrap(), second.digest().unwrap());
}

#[test]
fn the_number_of_weights_is_known_before_they_are_made() {
    use burn::module::Module;
    let device = device_of_tests();
    for decoder in decoders(&device) {
        assert_eq!(decoder.config().parameters(), decoder.num_params());
    }
    assert_eq!(DecoderConfig::preset("llama-135m").unwrap().parameters(), 134_515_008);
    assert_eq!(DecoderConfig::preset("gpt2-124m").unwrap().parameters(), 124_439_808);
}

pub(super) fn config(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path.join("config.json")).unwrap()).unwrap()
}
