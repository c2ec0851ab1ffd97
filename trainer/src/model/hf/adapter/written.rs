//! PEFT's adapter files, written.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use burn::tensor::Tensor;
use serde_json::{Map, Value, json};

use super::{
    super::{
        super::{
            config::Architecture, decoder::Decoder, error::ModelError, heads::RewardModel, lora::Adapter,
            weights::NamedTensor,
        },
        Companions, Lineage,
        padding::Padding,
        weights::{self, WeightFormat},
        write::{pretty, write_directory, write_file},
    },
    CONFIG, PREFIX, Place, SCORE, SCORE_MEAN, WEIGHTS,
};

/// What an adapter is written with besides its matrices.
pub struct AdapterOf<'a> {
    /// The model whose weights it changes, as it is to be named.
    pub base: &'a Path,
    pub companions: &'a Companions,
    pub lineage: &'a Lineage,
    /// The number format of the matrices, and of a reward model's head.
    pub format: WeightFormat,
}

/// Writes the adapters of a policy to `out`, as PEFT writes them.
pub fn write_adapter(out: &Path, decoder: &Decoder, of: &AdapterOf) -> Result<(), ModelError> {
    write(out, decoder, None, of)
}

/// As [`write_adapter`], for a reward model: its head is kept whole. Its tokenizer pads as that of a whole reward model does
/// ([`Padding`]); the configuration is the base's, so who loads both tells it so (`config.pad_token_id = tokenizer.pad_token_id`).
pub fn write_reward_adapter(out: &Path, model: &RewardModel, of: &AdapterOf) -> Result<(), ModelError> {
    let padding = Padding::of(model.decoder.config(), of.companions);
    let companions = padding.map_or_else(|| of.companions.clone(), |padding| padding.named_in(of.companions));
    let of = AdapterOf { base: of.base, companions: &companions, lineage: of.lineage, format: of.format };
    write(out, &model.decoder, Some(model), &of)
}

/// The adapters of one module of transformers: one, or GPT-2's three in one.
struct Written {
    layer: usize,
    inner: String,
    parts: usize,
    output: usize,
    adapters: Vec<(usize, Adapter)>,
}

impl Written {
    fn rank(&self) -> usize {
        self.adapters.iter().map(|(_, adapter)| adapter.rank()).sum()
    }

    fn scale(&self) -> f64 {
        self.adapters.first().map_or(1.0, |(_, adapter)| adapter.scale)
    }

    /// A `[rank, in]` and B `[out, rank]`, as PEFT has them.
    fn matrices(&self) -> (Tensor<2>, Tensor<2>) {
        let a: Vec<_> = self.adapters.iter().map(|(_, adapter)| adapter.a.val().transpose()).collect();
        let (mut before, rank) = (0, self.rank());
        let device = a[0].device();
        let mut b = Tensor::<2>::zeros([self.output * self.parts, rank], &device);
        for (part, adapter) in &self.adapters {
            let rows = part * self.output..(part + 1) * self.output;
            // One strength for all parts: what another one's differs by goes into its B.
            let own = adapter.b.val().transpose() * (adapter.scale / self.scale());
            b = b.slice_assign([rows, before..before + adapter.rank()], own);
            before += adapter.rank();
        }
        (Tensor::cat(a, 0), b)
    }
}

fn write(out: &Path, decoder: &Decoder, reward: Option<&RewardModel>, of: &AdapterOf) -> Result<(), ModelError> {
    let architecture = decoder.config().architecture;
    let mut modules: BTreeMap<String, Written> = BTreeMap::new();
    decoder.clone().for_each_linear(&mut |name, linear| {
        let place = Place::of(name, architecture);
        if let Some(adapter) = &linear.adapter {
            let written = modules.entry(place.module.clone()).or_insert_with(|| Written {
                layer: place.layer,
                inner: place.inner(),
                parts: place.parts,
                output: linear.weight.dims()[1],
                adapters: vec![],
            });
            written.adapters.push((place.part, adapter.clone()));
        }
    });
    let Some(first) = modules.values().next().map(|one| one.adapters[0].1.clone()) else {
        return Err(ModelError::Unsupported("there is no adapter to write".into()));
    };
    let config = config_of(&modules, &first, decoder, reward.is_some(), of.base);
    let mut tensors = vec![];
    for (module, written) in &modules {
        let (a, b) = written.matrices();
        tensors.push(NamedTensor::matrix(format!("{PREFIX}{module}.lora_A.weight"), a));
        tensors.push(NamedTensor::matrix(format!("{PREFIX}{module}.lora_B.weight"), b));
    }
    let mut notes = HashMap::new();
    if let Some(model) = reward {
        tensors.push(NamedTensor::matrix(format!("{PREFIX}{SCORE}"), model.score.weight.val().transpose()));
        notes.insert(SCORE_MEAN.to_owned(), model.score_mean().to_string());
    }
    let transfer = weights::writing(out, &tensors, of.format);
    write_directory(out, of.companions, of.lineage, |directory| {
        write_file(&directory.join(CONFIG), pretty(&config).as_bytes())?;
        let tensors: Vec<&NamedTensor> = tensors.iter().collect();
        weights::write_file(&directory.join(WEIGHTS), &tensors, of.format, notes, &transfer)
    })
}

/// `adapter_config.json`: rank and strength of the plain modules, with patterns for those that hold several adapters.
fn config_of(
    modules: &BTreeMap<String, Written>,
    first: &Adapter,
    decoder: &Decoder,
    is_reward: bool,
    base: &Path,
) -> Map<String, Value> {
    let layers: BTreeSet<usize> = modules.values().map(|written| written.layer).collect();
    let inner: BTreeSet<&str> = modules.values().map(|written| written.inner.as_str()).collect();
    let (mut ranks, mut alphas) = (Map::new(), Map::new());
    let gpt2 = decoder.config().architecture == Architecture::Gpt2;
    let size = |written: &Written| (written.rank(), number(written.scale() * written.rank() as f64));
    let plain = (first.rank(), number(first.scale * first.rank() as f64));
    for (module, written) in modules.iter().filter(|(_, written)| size(written) != plain) {
        let alike = modules.values().filter(|other| other.inner == written.inner).all(|one| size(one) == size(written));
        let key = if alike { &written.inner } else { module };
        let (rank, alpha) = size(written);
        ranks.insert(key.clone(), json!(rank));
        alphas.insert(key.clone(), alpha);
    }
    // Short names where they are enough: GPT-2's attention and feed-forward both have a c_proj.
    let targets: Vec<&str> =
        inner.into_iter().map(|name| if gpt2 { name } else { name.rsplit('.').next().unwrap_or(name) }).collect();
    let all_layers = layers.len() == decoder.config().layers;
    let config = json!({
        "peft_type": "LORA",
        "task_type": if is_reward { "SEQ_CLS" } else { "CAUSAL_LM" },
        "base_model_name_or_path": base.to_string_lossy(),
        "inference_mode": true,
        "r": plain.0,
        "lora_alpha": plain.1,
        "lora_dropout": first.dropout_probability(),
        "target_modules": targets,
        "layers_to_transform": if all_layers { Value::Null } else { json!(layers) },
        "layers_pattern": if all_layers { Value::Null } else { json!(if gpt2 { "h" } else { "layers" }) },
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "modules_to_save": if is_reward { json!(["score"]) } else { Value::Null },
        "fan_in_fan_out": gpt2,
        "bias": "none",
        "init_lora_weights": true,
        "use_rslora": false,
        "use_dora": false,
    });
    match config {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Whole numbers as such: PEFT writes α as it was given, mostly whole.
fn number(value: f64) -> Value {
    let whole = value.round();
    // A scale is α divided by the rank, so the product may miss by a rounding.
    if (value - whole).abs() < 1e-9 { json!(whole as i64) } else { json!(value) }
}
