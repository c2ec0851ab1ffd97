//! Adapters: a new one changes nothing, a merged one changes what it changed beside the weight, only they learn.

use std::path::{Path, PathBuf};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Distribution,
};

use super::*;
use crate::cli::device::device_of_tests;
use crate::model::{
    ModelDirectory,
    hf::{AdapterOf, Companions, Lineage, WeightFormat, write_adapter, write_decoder},
    lora::LoraSettings,
};

fn settings(targets: &[&str]) -> LoraSettings {
    let targets = targets.iter().map(|target| target.to_string()).collect();
    LoraSettings { rank: 4, alpha: 8.0, targets, ..LoraSettings::default() }
}

/// As after training: B is not zero any more.
fn trained(mut decoder: Decoder, device: &Device) -> Decoder {
    decoder.for_each_linear(&mut |_, linear| {
        if let Some(adapter) = &mut linear.adapter {
            let shape = adapter.b.dims();
            adapter.b = Param::from_tensor(Tensor::random(shape, Distribution::Normal(0.0, 0.3), device));
        }
    });
    decoder
}

#[test]
fn a_new_adapter_changes_nothing_and_a_merged_one_is_the_same_model() {
    let device = device_of_tests();
    for decoder in decoders(&device) {
        let rows = [row(9, 1), row(9, 2)];
        let layout = Layout::causal(2, 9, &device);
        let of = |decoder: &Decoder| values(logits(decoder, &rows, &layout, &device));
        let plain = of(&decoder);
        let targets = if decoder.config().architecture == Architecture::Gpt2 {
            vec!["q_proj", "o_proj", "up_proj", "down_proj"]
        } else {
            vec!["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        };
        let adapted = decoder.with_lora(&settings(&targets), 3).unwrap();
        assert!(adapted.has_adapters());
        assert_eq!(of(&adapted), plain);

        let adapted = trained(adapted, &device);
        let changed = of(&adapted);
        let change = changed.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(change > 0.01, "the adapters do something ({change})");
        let merged = adapted.merged();
        assert!(!merged.has_adapters());
        assert_close(&of(&merged), &changed);
    }
}

#[test]
fn the_optimiser_sees_the_adapters_and_nothing_else() {
    struct Learned(Vec<Vec<usize>>);
    impl ModuleVisitor for Learned {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0.push(param.dims().to_vec());
            }
        }
    }
    let device = device_of_tests().autodiff();
    let decoder = decoder("llama-tiny", &device).with_lora(&settings(&["q_proj", "v_proj"]), 0).unwrap();
    let mut learned = Learned(vec![]);
    decoder.visit(&mut learned);
    // Two layers; q is 64 → 64 and v 64 → 32.
    let layer = [vec![64, 4], vec![4, 64], vec![64, 4], vec![4, 32]];
    assert_eq!(learned.0, [layer.clone(), layer].concat());

    let loss = logits(&decoder, &[row(5, 1)], &Layout::causal(1, 5, &device), &device).square().mean();
    let gradients = loss.backward();
    let query = &decoder.blocks[0].attention.q_proj;
    let of_b = query.adapter.as_ref().unwrap().b.grad(&gradients).expect("B is learned");
    assert!(values(of_b.abs().sum()) > vec![0.0]);
    assert!(query.weight.grad(&gradients).is_none(), "the base is frozen");
}

#[test]
fn the_same_seed_gives_the_same_adapters() {
    let device = device_of_tests();
    let of = |seed| {
        let decoder = decoder("llama-tiny", &device).with_lora(&settings(&["q_proj"]), seed).unwrap();
        values(decoder.blocks[1].attention.q_proj.adapter.as_ref().unwrap().a.val())
    };
    assert_eq!(of(5), of(5));
    assert_ne!(of(5), of(6));
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let device = device_of_tests();
    let refuse =
        |settings: LoraSettings| decoder("llama-tiny", &device).with_lora(&settings, 0).unwrap_err().to_string();
    assert!(refuse(settings(&["query"])).contains("\"query\""));
    assert!(refuse(LoraSettings { rank: 0, ..LoraSettings::default() }).contains("rank"));
    assert!(refuse(LoraSettings { dropout: 1.0, ..LoraSettings::default() }).contains("dropout"));
}

/// GPT-2 has no gate: with an adapter on nothing else, nothing would learn.
#[test]
fn targets_of_which_the_model_has_none_are_refused_with_those_that_it_has() {
    let device = device_of_tests();
    let gated = decoder("gpt2-tiny", &device).with_lora(&settings(&["gate_proj"]), 0).unwrap_err().to_string();
    assert!(gated.contains("lora_targets") && gated.contains("has gate_proj;"), "{gated}");
    assert!(gated.ends_with("have q_proj, k_proj, v_proj, o_proj, up_proj, down_proj"), "{gated}");
    let above = LoraSettings { first_layer: 2, ..settings(&["q_proj"]) };
    assert!(decoder("llama-tiny", &device).with_lora(&above, 0).is_err(), "there are two layers");
    assert!(decoder("gpt2-tiny", &device).with_lora(&settings(&["gate_proj", "up_proj"]), 0).is_ok());
}

#[test]
fn an_adapter_is_written_in_the_number_format_that_is_asked_for() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let base = scratch.path().join("base");
    let (decoder, lineage, companions) = (decoder("llama-tiny", &device), Lineage::of("sft"), Companions::none());
    write_decoder(&base, &decoder, &companions, &lineage).unwrap();
    let adapted = trained(decoder.with_lora(&settings(&["q_proj"]), 3).unwrap(), &device);
    let delta = |decoder: &Decoder| values(decoder.blocks[0].attention.q_proj.adapter.as_ref().unwrap().delta());
    for (format, tolerance) in
        [(WeightFormat::Float32, 1e-6), (WeightFormat::Bfloat16, 1e-2), (WeightFormat::Float16, 2e-3)]
    {
        let path = scratch.path().join(format.name());
        let of = AdapterOf { base: &base, companions: &companions, lineage: &lineage, format };
        write_adapter(&path, &adapted, &of).unwrap();
        // Two layers of A and B, 64 by 4 each, and a header of less than two kilobytes.
        let bytes = std::fs::metadata(path.join("adapter_model.safetensors")).unwrap().len();
        let numbers = 4 * 64 * 4 * format.size() as u64;
        assert!((numbers..numbers + 2048).contains(&bytes), "{}: {bytes}", format.name());
        let read = ModelDirectory::open(&path).unwrap().load_decoder_to_learn(&device).unwrap();
        let pairs = delta(&read).into_iter().zip(delta(&adapted));
        let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference <= tolerance, "{}: {difference}", format.name());
    }
}

/// An adapter on q in a folder, with its base beside it.
fn written(scratch: &Path, device: &Device) -> PathBuf {
    let (base, adapter) = (scratch.join("base"), scratch.join("adapter"));
    let decoder = decoder("llama-tiny", device);
    let (companions, lineage) = (Companions::none(), Lineage::of("sft"));
    write_decoder(&base, &decoder, &companions, &lineage).unwrap();
    let adapted = decoder.with_lora(&settings(&["q_proj"]), 3).unwrap();
    let of = AdapterOf { base: &base, companions: &companions, lineage: &lineage, format: WeightFormat::Float32 };
    write_adapter(&adapter, &adapted, &of).unwrap();
    adapter
}

/// As DeepSpeed and FSDP leave it where the weights were not gathered before they were saved.
#[test]
fn an_adapter_without_tensors_is_refused() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let adapter = written(scratch.path(), &device);
    let load = || ModelDirectory::open(&adapter).unwrap().load_decoder(&device);
    load().unwrap();
    let header = r#"{"__metadata__":{"format":"pt"}}"#;
    let empty = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    std::fs::write(adapter.join("adapter_model.safetensors"), empty).unwrap();
    let error = load().unwrap_err().to_string();
    assert!(error.contains("adapter_model.safetensors") && error.contains("holds no tensors"), "{error}");
}

/// PEFT would leave the other half as it began, and A begins at random.
#[test]
fn half_an_adapter_is_refused_by_the_name_of_what_it_lacks() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let adapter = written(scratch.path(), &device);
    let file = adapter.join("adapter_model.safetensors");
    let whole = std::fs::read(&file).unwrap();
    let weights = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&whole[8..weights]).unwrap();
    for side in ["A", "B"] {
        let name = format!("base_model.model.model.layers.1.self_attn.q_proj.lora_{side}.weight");
        let another = header.replacen(&name, &name.replace("lora", "LORA"), 1);
        assert_ne!(another, header);
        std::fs::write(&file, [&whole[..8], another.as_bytes(), &whole[weights..]].concat()).unwrap();
        let error = ModelDirectory::open(&adapter).unwrap().load_decoder(&device).unwrap_err().to_string();
        assert!(error.contains(&format!("has no tensor {name} ")), "{error}");
    }
}

/// As AutoTokenizer of transformers reads them: all from one folder.
#[test]
fn an_adapter_with_a_tokenizer_of_its_own_takes_none_of_its_bases_files() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let base = scratch.path().join("base");
    let decoder = decoder("llama-tiny", &device);
    let of_base = Companions::none()
        .with("tokenizer.json", "of base")
        .with("chat_template.jinja", "of base")
        .with("special_tokens_map.json", r#"{"eos_token": "</base>"}"#)
        .with("generation_config.json", r#"{"eos_token_id": 5}"#);
    write_decoder(&base, &decoder, &of_base, &Lineage::of("sft")).unwrap();
    let (adapted, lineage) = (decoder.with_lora(&settings(&["q_proj"]), 3).unwrap(), Lineage::of("sft"));
    let written = |name: &str, companions: &Companions| {
        let path = scratch.path().join(name);
        let format = WeightFormat::Float32;
        write_adapter(&path, &adapted, &AdapterOf { base: &base, companions, lineage: &lineage, format }).unwrap();
        ModelDirectory::open(&path).unwrap()
    };
    let without = written("without", &Companions::none());
    assert_eq!(without.chat_template().unwrap().as_deref(), Some("of base"));
    assert_eq!(without.companions().unwrap().get("tokenizer.json"), Some(&b"of base"[..]));

    let own = Companions::none().with("tokenizer.json", "its own");
    let with = written("with", &own.with("tokenizer_config.json", r#"{"chat_template": "its own"}"#));
    assert_eq!(with.chat_template().unwrap().as_deref(), Some("its own"));
    assert!(!with.named_tokens().unwrap().contains_key("eos_token"));
    assert_eq!(with.stop_token_ids().unwrap(), [2, 5]);
    let companions = with.companions().unwrap();
    assert_eq!(companions.get("tokenizer.json"), Some(&b"its own"[..]));
    assert!(companions.get("chat_template.jinja").is_none(), "transformers would read it before the other");
    assert!(companions.get("generation_config.json").is_some());
}

/// As above, where the base's tokenizer stands in the metadata of a GGUF file.
#[test]
fn an_adapter_of_a_gguf_file_may_have_a_tokenizer_of_its_own_too() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let field = |key: &str, kind: u32, value: Vec<u8>| [text(key), kind.to_le_bytes().to_vec(), value].concat();
    let number = |key: &str, value: u32| field(key, 4, value.to_le_bytes().to_vec());
    let list = |items: &[&str]| {
        let head = [&8u32.to_le_bytes()[..], &(items.len() as u64).to_le_bytes()].concat();
        [head, items.iter().flat_map(|&item| text(item)).collect()].concat()
    };
    let file = |pre: &str| {
        let fields = [
            field("general.architecture", 8, text("gpt2")),
            number("gpt2.attention.head_count", 1),
            number("gpt2.embedding_length", 8),
            number("gpt2.feed_forward_length", 8),
            number("gpt2.block_count", 1),
            number("gpt2.context_length", 64),
            field("tokenizer.ggml.model", 8, text("gpt2")),
            field("tokenizer.ggml.pre", 8, text(pre)),
            field("tokenizer.ggml.tokens", 9, list(&["of base"])),
            field("tokenizer.ggml.merges", 9, list(&[])),
            field("tokenizer.chat_template", 8, text("of base")),
        ];
        let counts = [1, fields.len() as u64].map(u64::to_le_bytes).concat();
        let shape = [8, 1].map(u64::to_le_bytes).concat();
        let embedding = [text("token_embd.weight"), 2u32.to_le_bytes().to_vec(), shape, vec![0; 12]].concat();
        [b"GGUF".to_vec(), 3u32.to_le_bytes().to_vec(), counts, fields.concat(), embedding].concat()
    };
    let scratch = tempfile::tempdir().unwrap();
    let (base, adapter) = (scratch.path().join("base.gguf"), scratch.path().join("adapter"));
    std::fs::write(&base, file("gpt-2")).unwrap();
    std::fs::create_dir(&adapter).unwrap();
    let write = |name: &str, content: &str| std::fs::write(adapter.join(name), content).unwrap();
    let open = || ModelDirectory::open(&base).unwrap().with_adapter(&adapter).unwrap();

    write("adapter_config.json", r#"{"peft_type": "LORA", "r": 4, "lora_alpha": 8}"#);
    assert!(open().tokenizer_json().unwrap().unwrap().contains("of base"));
    assert_eq!(open().chat_template().unwrap().as_deref(), Some("of base"));
    write("tokenizer.json", "its own");
    assert_eq!(open().chat_template().unwrap(), None);
    write("tokenizer_config.json", r#"{"chat_template": "its own"}"#);
    write("generation_config.json", r#"{"eos_token_id": 5}"#);
    assert_eq!(open().tokenizer_json().unwrap().as_deref(), Some("its own"));
    assert_eq!(open().chat_template().unwrap().as_deref(), Some("its own"));
    assert_eq!(open().stop_token_ids().unwrap(), [5]);
    // It is written again beside what is learned, also where the base's is one that is not read.
    std::fs::write(&base, file("another")).unwrap();
    std::fs::remove_file(adapter.join("generation_config.json")).unwrap();
    let companions = open().companions().unwrap();
    assert_eq!(companions.get("tokenizer.json"), Some(&b"its own"[..]));
    assert!(companions.get("generation_config.json").is_some());
    assert!(ModelDirectory::open(&base).unwrap().companions().is_err());
}
