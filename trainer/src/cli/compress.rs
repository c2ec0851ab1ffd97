//! `compress`: the same model with rounded or fewer weights.

use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::Instant,
};

use burn::tensor::Device;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::{Common, WrongInput, numbers, output};
use crate::{
    compress::{CompressError, LayerReport, Method, SparseGptSettings, compress_decoder, mean_nll},
    data::{ModelTokenizer, corpus, records},
    model::{
        Decoder, ModelDirectory, RewardModel,
        hf::{Lineage, ModelKind, ensure_free, sha256_of_file, write_decoder, write_reward_model},
    },
    terminal::counted,
};

/// Compress a model: round its weights, or remove those that matter least
///
/// Works on the linear layers of the blocks; embeddings, norms and the output matrix stay as they are, and of a reward model
/// its heads (an ensemble's all) and the zeros of their scales. Zeros and rounded weights are written as ordinary float32
/// tensors that every program loads, so only `channels` makes the files smaller.
#[derive(Debug, clap::Args)]
pub struct Compress {
    /// A language model or a reward model
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    #[arg(long, value_enum)]
    method: MethodName,
    /// The share of the weights, or of the feed-forward channels, that is removed
    #[arg(long, default_value_t = 0.5, value_name = "SHARE", value_parser = numbers::number)]
    sparsity: f64,
    /// Text like that which the model is for (plain text, or JSONL (.jsonl, .json) with text, messages or input_ids);
    /// needed by wanda, sparsegpt and channels
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Text to measure the model's loss on before and after, in the same forms
    #[arg(long, value_name = "FILE")]
    evaluation: Option<PathBuf>,
    /// Sequences of calibration text, spread evenly over the file; also the most that are evaluated
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = numbers::within(1..=u32::MAX))]
    sequences: u32,
    /// Tokens in each, at most the model's context
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = numbers::within(2..=u32::MAX))]
    sequence_length: u32,
    /// sparsegpt: columns whose mask is chosen at once
    #[arg(
        long,
        default_value_t = SparseGptSettings::default().block_size,
        value_name = "N",
        value_parser = numbers::whole::<usize>
    )]
    block_size: usize,
    /// sparsegpt: what is added to the diagonal of the second derivatives, as a share of its mean
    #[arg(
        long,
        default_value_t = SparseGptSettings::default().damping,
        value_name = "SHARE",
        value_parser = numbers::number
    )]
    damping: f64,
    /// Where the compressed model goes
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// 127 levels either side of zero, a scale for each output row
    Int8,
    /// Removes the smallest weights of each layer
    Magnitude,
    /// Removes, in each row, the smallest weights times the norm of their input (Sun et al. 2024)
    Wanda,
    /// Removes weights and moves the others to make up for them (Frantar & Alistarh 2023)
    Sparsegpt,
    /// Removes whole feed-forward channels, which makes the model smaller and faster
    Channels,
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// The model that is compressed: the decoder is what changes, a head stays as it is.
enum Loaded {
    LanguageModel(Decoder),
    RewardModel(RewardModel),
}

impl Compress {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        ensure_free(&self.out)?;
        output::prepare_model(&self.out)?;
        let method = self.method()?;
        for (option, path) in [("--calibration", &self.calibration), ("--evaluation", &self.evaluation)] {
            ensure_file(option, path.as_deref())?;
        }
        let device = common.device.open()?;
        let directory = ModelDirectory::open(&self.model)?;
        if self.evaluation.is_some() && directory.kind() == ModelKind::RewardModel {
            return Err(WrongInput("--evaluation: a reward model has no loss on text".into()).into());
        }
        let calibration = self.read_sequences(&directory, self.calibration.as_deref())?;
        let evaluation = self.read_sequences(&directory, self.evaluation.as_deref())?;
        if self.evaluation.is_some() && evaluation.iter().all(|ids| ids.len() < 2) {
            let why = "--evaluation: no sequence has a second token, and nothing foretells a first one";
            return Err(WrongInput(why.into()).into());
        }
        let mut model = load(&directory, &device)?;

        let start = Instant::now();
        let loss = |decoder: &Decoder, what: &str| {
            let progress = common.progress(evaluation.len() as u64, what);
            let nll = mean_nll(decoder, &evaluation, &mut |done| progress.reached(done as u64));
            progress.finish();
            nll
        };
        let nll_before = (!evaluation.is_empty()).then(|| loss(model.decoder(), "Texts, before"));
        let progress = common.progress(directory.config().layers as u64, "Blocks");
        let layers =
            compress_decoder(model.decoder(), &calibration, &method, &mut |done| progress.reached(done as u64))
                .map_err(wrong_input)?;
        progress.finish();
        let nll_after = (!evaluation.is_empty()).then(|| loss(model.decoder(), "Texts, after"));

        let metrics = json!({
            "parameters_before": directory.config().parameters(),
            "parameters_after": model.decoder().config().parameters(),
            "nll_before": nll_before,
            "nll_after": nll_after,
            "mean_relative_error": mean(layers.iter().filter_map(|layer| layer.relative_error)),
            "layers": layers,
        });
        let lineage = self.lineage(&directory, &metrics)?;
        match &model {
            Loaded::LanguageModel(decoder) => {
                write_decoder(&self.out, decoder, &directory.companions()?, &lineage)?;
            }
            Loaded::RewardModel(model) => {
                write_reward_model(&self.out, model, &directory.reward_companions(&device)?, &lineage)?;
            }
        }
        common.result(&self.summary(&layers, &metrics, start), with_out(metrics, &self.out))
    }

    fn method(&self) -> Result<Method, WrongInput> {
        let sparsity = self.sparsity;
        let method = match self.method {
            MethodName::Int8 => Method::Int8,
            MethodName::Magnitude => Method::Magnitude { sparsity },
            MethodName::Wanda => Method::Wanda { sparsity },
            MethodName::Channels => Method::Channels { sparsity },
            MethodName::Sparsegpt => {
                let (block_size, damping) = (self.block_size, self.damping);
                Method::SparseGpt(SparseGptSettings { sparsity, block_size, damping })
            }
        };
        // Here and not after the model was loaded and half of it compressed.
        if !(0.0..1.0).contains(&sparsity) {
            return Err(WrongInput(format!("--sparsity {sparsity}: a share from 0 to less than 1")));
        }
        if !(self.damping >= 0.0 && self.damping.is_finite()) || self.block_size == 0 {
            return Err(WrongInput("--damping must be at least 0, and --block-size at least 1".into()));
        }
        if method.needs_calibration() && self.calibration.is_none() {
            return Err(WrongInput(format!("--method {} needs --calibration FILE", self.method)));
        }
        Ok(method)
    }

    /// Token ids of a file, in sequences; none where there is no file.
    fn read_sequences(&self, model: &ModelDirectory, path: Option<&Path>) -> anyhow::Result<Vec<Vec<u32>>> {
        let Some(path) = path else { return Ok(vec![]) };
        let config = model.config();
        let wanted = self.sequences as usize;
        if holds_token_ids(path)? {
            let rows = records::token_ids(path, config.vocabulary_size, config.context_length)?;
            return Ok(spread(rows.into_iter().map(|row| row.input_ids).collect(), wanted));
        }
        let tokenizer = ModelTokenizer::open(model)?;
        // As in pretraining: what the model saw before each document is what its inner states are about.
        let (begin, mut ids) = (tokenizer.begin_of_text(), vec![]);
        for document in corpus::documents(path)? {
            ids.extend(begin);
            corpus::pieces(&document).for_each(|piece| ids.extend(tokenizer.encode(piece)));
            ids.extend(tokenizer.stop_ids().first());
        }
        let length = config.context_length.min(self.sequence_length as usize);
        let mut sequences: Vec<Vec<u32>> = ids.chunks(length).map(<[u32]>::to_vec).collect();
        if sequences.len() > 1 && !ids.len().is_multiple_of(length) {
            sequences.pop();
        }
        Ok(spread(sequences, wanted))
    }

    fn lineage(&self, model: &ModelDirectory, metrics: &Value) -> anyhow::Result<Lineage> {
        let mut lineage = Lineage::of("compress");
        lineage.parent = Some(model.digest()?);
        lineage.data = self.calibration.as_ref().map(|path| sha256_of_file(path)).transpose()?;
        lineage.settings = json!({
            "method": self.method.to_string(),
            "sparsity": (self.method != MethodName::Int8).then_some(self.sparsity),
            "sequences": self.sequences,
            "sequence_length": self.sequence_length,
            "block_size": (self.method == MethodName::Sparsegpt).then_some(self.block_size),
            "damping": (self.method == MethodName::Sparsegpt).then_some(self.damping),
        });
        lineage.metrics = metrics.clone();
        Ok(lineage)
    }

    fn summary(&self, layers: &[LayerReport], metrics: &Value, start: Instant) -> String {
        let removed = mean(layers.iter().map(|layer| layer.sparsity)).unwrap_or(0.0) * 100.0;
        let seconds = start.elapsed().as_secs_f64();
        let mut summary = format!(
            "{}: {}, {removed:.1} % of the weights of {} are zero or gone, in {seconds:.0} s",
            self.out.display(),
            self.method,
            counted(layers.len(), "layer")
        );
        if let Some(error) = metrics["mean_relative_error"].as_f64() {
            summary += &format!("\nthe layers' outputs moved by {:.2} % (squared, mean over layers)", error * 100.0);
        }
        if let (Some(before), Some(after)) = (metrics["nll_before"].as_f64(), metrics["nll_after"].as_f64()) {
            let (low, high) = (before.exp(), after.exp());
            summary += &format!("\nloss {before:.4} → {after:.4} nats a token (perplexity {low:.2} → {high:.2})");
        }
        summary
    }
}

impl Loaded {
    fn decoder(&mut self) -> &mut Decoder {
        match self {
            Self::LanguageModel(decoder) => decoder,
            Self::RewardModel(model) => &mut model.decoder,
        }
    }
}

fn load(directory: &ModelDirectory, device: &Device) -> anyhow::Result<Loaded> {
    Ok(match directory.kind() {
        ModelKind::LanguageModel => Loaded::LanguageModel(directory.load_decoder(device)?),
        ModelKind::RewardModel => Loaded::RewardModel(directory.load_reward_model(device)?),
    })
}

/// A model whose numbers cannot be worked with is the user's input.
fn wrong_input(error: CompressError) -> WrongInput {
    WrongInput(error.to_string())
}

/// Refuses a pipe: these files are read more than once, and a pipe has then nothing more to read, or not its beginning.
fn ensure_file(option: &str, path: Option<&Path>) -> Result<(), WrongInput> {
    let Some(path) = path else { return Ok(()) };
    if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let why = "this must be a file and not a pipe, since it is read more than once";
        return Err(WrongInput(format!("{option} {}: {why}", path.display())));
    }
    Ok(())
}

/// Whether the first line of a file that holds something is an object with token ids.
fn holds_token_ids(path: &Path) -> anyhow::Result<bool> {
    let failed = |source| crate::data::DataError::File { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(failed)?;
        // Some editors put a byte order mark in front of a file.
        let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line).trim_ascii();
        if !text.is_empty() {
            let object = serde_json::from_slice::<Value>(text);
            return Ok(object.is_ok_and(|object| object.get("input_ids").is_some_and(|ids| !ids.is_null())));
        }
    }
    Ok(false)
}

/// At most `wanted` of the sequences, evenly from first to last.
fn spread(sequences: Vec<Vec<u32>>, wanted: usize) -> Vec<Vec<u32>> {
    let count = sequences.len();
    if count <= wanted {
        return sequences;
    }
    (0..wanted).map(|i| sequences[i * count / wanted].clone()).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn with_out(mut fields: Value, out: &Path) -> Value {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("out".into(), json!(out.to_string_lossy()));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_taken_from_the_whole_file() {
        let all: Vec<Vec<u32>> = (0..10).map(|i| vec![i]).collect();
        assert_eq!(spread(all.clone(), 4), [vec![0], vec![2], vec![5], vec![7]]);
        assert_eq!(spread(all.clone(), 20), all);
    }

    #[test]
    fn documents_begin_and_end_as_they_did_in_pretraining() {
        let special = |id: u32, text: &str| {
            json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                "special": true})
        };
        let begin = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
        let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "decoder": null,
            "added_tokens": [special(0, "<s>"), special(1, "</s>")], "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": {"type": "TemplateProcessing", "single": [begin, text("A")],
                "pair": [begin, text("A"), text("B")],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
            "model": {"type": "WordLevel", "vocab": {"<s>": 0, "</s>": 1, "a": 2, "b": 3}, "unk_token": "a"},
        });
        let config = json!({"model_type": "llama", "vocab_size": 4, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 64, "eos_token_id": 1});
        let folder = tempfile::tempdir().unwrap();
        let [model, corpus] = [folder.path().to_owned(), folder.path().join("corpus.txt")];
        for (name, content) in [("tokenizer.json", tokenizer), ("config.json", config)] {
            std::fs::write(model.join(name), content.to_string()).unwrap();
        }
        std::fs::write(&corpus, "a b").unwrap();
        let compress = Compress {
            model: model.clone(),
            method: MethodName::Wanda,
            sparsity: 0.5,
            calibration: None,
            evaluation: None,
            sequences: 8,
            sequence_length: 4,
            block_size: 128,
            damping: 0.01,
            out: folder.path().join("out"),
        };
        let sequences = compress.read_sequences(&ModelDirectory::open(&model).unwrap(), Some(&corpus)).unwrap();
        assert_eq!(sequences, [[0, 2, 3, 1]]);
    }

    #[test]
    fn a_pipe_is_refused_since_files_are_read_more_than_once() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::write(&file, "Tea.").unwrap();
        let error = ensure_file("--calibration", Some(&pipe)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--calibration {}: ", pipe.display())), "{error}");
        for fine in [None, Some(file.as_path()), Some(folder.path()), Some(Path::new("/nowhere"))] {
            assert!(ensure_file("--calibration", fine).is_ok());
        }
    }

    #[test]
    fn token_ids_are_known_behind_a_byte_order_mark_and_an_empty_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids.jsonl");
        let holds = |text: &str| {
            std::fs::write(&path, text).unwrap();
            holds_token_ids(&path).unwrap()
        };
        assert!(holds("{\"input_ids\":[1]}"));
        assert!(holds("\u{feff}\r\n{\"input_ids\":[1]}\r\n"));
        assert!(!holds("{\"text\":\"input_ids\"}\n") && !holds("\n"));
        assert!(!holds("{\"input_ids\":null,\"text\":\"Tea.\"}"));
    }
}
