//! PEFT's adapter files, in and out: `adapter_config.json` and `adapter_model.safetensors` (Hu et al. 2021, as `peft` stores it).
//!
//! GPT-2 keeps q, k and v in one matrix and PEFT puts one adapter on it; here each has its own. Going out, the three become one of
//! their ranks together (its B has blocks); coming in, the one becomes three that share its A.

mod targets;
mod written;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        config::Architecture,
        decoder::Decoder,
        error::ModelError,
        heads::ScalarHead,
        linear::Linear,
        lora::{Adapter, place_of},
    },
    pattern::Pattern,
    read_object,
    safetensors::TensorFile,
};
use targets::Targets;

pub use written::{AdapterOf, write_adapter, write_reward_adapter};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";
const SCORE: &str = "score.weight";
/// Where the zero of a reward model's scale stands: in the metadata of the weights, which PEFT leaves alone.
const SCORE_MEAN: &str = "score_mean";

/// What makes more of an adapter than two matrices beside a weight.
const UNSUPPORTED: [&str; 11] = [
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
];

/// Whether PEFT, beginning an adapter so, also changes the weights beside it (`LoraLayer.update_layer`): it does so again when it
/// loads the adapter, on a base as it was; here the base would stay whole and count twice.
fn changes_base(init_lora_weights: &str) -> bool {
    let name = init_lora_weights.to_lowercase();
    ["pissa", "corda"].iter().any(|start| name.starts_with(start))
        || ["olora", "loftq", "lora_ga"].contains(&name.as_str())
}

/// What of `adapter_config.json` decides how an adapter acts; what else is said there must say nothing.
#[derive(Debug, Clone, Deserialize)]
struct Config {
    #[serde(default)]
    task_type: Option<String>,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    rank_pattern: Pattern<usize>,
    #[serde(default)]
    alpha_pattern: Pattern<f64>,
}

/// An adapter on disk whose configuration has been read.
#[derive(Debug)]
pub(super) struct AdapterFiles {
    path: PathBuf,
    config: Config,
    targets: Targets,
}

impl AdapterFiles {
    /// The adapter in `directory`; `None` where there is none, or where a whole model stands beside it.
    pub fn open(directory: &Path) -> Result<Option<Self>, ModelError> {
        let path = directory.join(CONFIG);
        if !path.exists() || directory.join("config.json").exists() {
            return Ok(None);
        }
        let raw = read_object(&path)?;
        // Other kinds have other fields, so the kind is asked for first.
        let kind = raw.get("peft_type").and_then(Value::as_str).unwrap_or("that it does not name (peft_type)");
        if kind != "LORA" {
            let text = format!("is an adapter of the kind {kind}; LORA is what can be read");
            return Err(ModelError::malformed(&path, text));
        }
        let config: Config = serde_json::from_value(Value::Object(raw.clone()))
            .map_err(|error| ModelError::malformed(&path, error.to_string()))?;
        if !(0.0..1.0).contains(&config.lora_dropout) {
            let text = format!("has a lora_dropout of {}; it lies from 0 to below 1", config.lora_dropout);
            return Err(ModelError::malformed(&path, text));
        }
        let off = |name: &str| raw.get(name).is_none_or(|value| matches!(value, Value::Null | Value::Bool(false)));
        if let Some(name) = UNSUPPORTED.into_iter().find(|name| !off(name)) {
            return Err(ModelError::malformed(&path, format!("asks for {name}, which is not supported")));
        }
        if let Some(start) = raw.get("init_lora_weights").and_then(Value::as_str).filter(|name| changes_base(name)) {
            return Err(ModelError::malformed(
                &path,
                format!(
                    "was begun by init_lora_weights = {start:?}, which takes a part out of the base's weights that the files do \
                     not hold: save it again as plain LoRA (peft: save_pretrained(…, path_initial_model_for_weight_conversion=…)), \
                     or merge it with peft"
                ),
            ));
        }
        // PEFT names the heads of all classifiers, whichever the model has.
        let saved = raw.get("modules_to_save").and_then(Value::as_array).into_iter().flatten();
        if let Some(name) = saved.filter_map(Value::as_str).find(|name| !["score", "classifier"].contains(name)) {
            let text = format!(
                "brings whole modules along (modules_to_save: {name}), which is not supported; merge it with peft"
            );
            return Err(ModelError::malformed(&path, text));
        }
        if !matches!(raw.get("bias"), None | Some(Value::Null)) && raw["bias"] != "none" {
            return Err(ModelError::malformed(&path, "changes the biases, which is not supported"));
        }
        let targets = Targets::of(&raw).map_err(|text| ModelError::malformed(&path, text))?;
        Ok(Some(Self { path: directory.to_owned(), config, targets }))
    }

    /// Whether it makes a reward model of its base.
    pub fn is_reward_model(&self) -> bool {
        self.config.task_type.as_deref() == Some("SEQ_CLS")
    }

    /// Where its base lies: as it says, or beside it.
    pub fn base(&self) -> Result<PathBuf, ModelError> {
        let named = self.config.base_model_name_or_path.as_deref().unwrap_or_default();
        let places = [PathBuf::from(named), self.path.join(named)];
        let found = places.into_iter().find(|place| !named.is_empty() && place.exists());
        found.ok_or_else(|| {
            ModelError::Unsupported(format!(
                "{} is an adapter of the model {named:?}, which is not here; put the two together with \
                 `laurel-trainer merge --adapter {} --model BASE --out MODEL`",
                self.path.display(),
                self.path.display()
            ))
        })
    }

    /// Puts the adapter's matrices beside the weights of `decoder`, which they are frozen with when `frozen`.
    pub fn attach(&self, decoder: Decoder, frozen: bool) -> Result<Decoder, ModelError> {
        let file = self.weights()?;
        let mut decoder = if frozen { burn::module::Module::freeze(decoder) } else { decoder };
        let architecture = decoder.config().architecture;
        let (mut taken, mut failed) = (BTreeSet::from([format!("{PREFIX}{SCORE}")]), None);
        decoder.for_each_linear(&mut |name, linear| {
            let place = Place::of(name, architecture);
            let (a, b) = place.tensors();
            match self.adapter(&file, &place, linear) {
                Ok(Some(adapter)) => {
                    linear.adapt(adapter);
                    taken.extend([a, b]);
                }
                Ok(None) => {}
                Err(error) => failed = failed.take().or(Some(error)),
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let tensors: Vec<String> = file.names().into_iter().filter(|name| !taken.contains(name)).take(5).collect();
        if !tensors.is_empty() {
            return Err(ModelError::Unexpected { tensors });
        }
        Ok(decoder)
    }

    /// The head that came with the adapter, and the zero of its scale.
    pub fn score(&self, hidden: usize, device: &Device) -> Result<Option<(ScalarHead, f64)>, ModelError> {
        let file = self.weights()?;
        let name = format!("{PREFIX}{SCORE}");
        if file.shape(&name).is_none() {
            return Ok(None);
        }
        let head = ScalarHead::from_values(file.read(&name, &[1, hidden])?, device);
        let mean = file.note(SCORE_MEAN).and_then(|text| text.parse().ok()).unwrap_or(0.0);
        Ok(Some((head, mean)))
    }

    fn weights(&self) -> Result<TensorFile, ModelError> {
        let path = self.path.join(WEIGHTS);
        if !path.exists() {
            let text = format!("holds no {WEIGHTS}; an adapter in another form has to be saved again by peft");
            return Err(ModelError::malformed(&self.path, text));
        }
        let file = TensorFile::open(&path)?;
        // Saved so by trainers that spread weights over processes; it would pass for an adapter that changes nothing.
        if file.names().is_empty() {
            let text = "holds no tensors, so nothing that was learned; save the adapter again, its weights gathered";
            return Err(ModelError::malformed(&path, text));
        }
        Ok(file)
    }

    /// The adapter of a linear; `None` where the file has none for it.
    fn adapter(&self, file: &TensorFile, place: &Place, linear: &Linear) -> Result<Option<Adapter>, ModelError> {
        let (a_name, b_name) = place.tensors();
        let shapes = [&a_name, &b_name].map(|name| file.shape(name));
        if shapes.iter().all(Option::is_none) {
            return Ok(None);
        }
        // PEFT would leave it where it is, and compute something else than whoever learned it.
        if !self.targets.hold(&place.module, place.layer) {
            let text = format!(
                "leaves out {} (by target_modules, exclude_modules or layers_to_transform), for which {WEIGHTS} has tensors; \
                 name it there, or take the tensors out",
                place.module
            );
            return Err(ModelError::malformed(self.path.join(CONFIG), text));
        }
        let [input, output] = linear.weight.dims();
        let rank = self.config.rank_pattern.of(&place.module).unwrap_or(self.config.r);
        if rank == 0 {
            let text = format!("gives {} the rank 0; it is at least 1", place.module);
            return Err(ModelError::malformed(self.path.join(CONFIG), text));
        }
        let a = file.read(&a_name, &[rank, input])?;
        let b = file.read(&b_name, &[output * place.parts, rank])?;
        let b = &b[place.part * output * rank..(place.part + 1) * output * rank];
        let alpha = self.config.alpha_pattern.of(&place.module).unwrap_or(self.config.lora_alpha);
        let scale = if self.config.use_rslora { alpha / (rank as f64).sqrt() } else { alpha / rank as f64 };
        let device = linear.weight.device();
        let matrix = |values: &[f32], shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device).transpose()
        };
        let (a, b) = (matrix(&a, [rank, input]), matrix(b, [output, rank]));
        Ok(Some(Adapter::from_matrices(a, b, scale, self.config.lora_dropout)))
    }
}

/// A linear as transformers names it, and which part of that it is here.
struct Place {
    module: String,
    layer: usize,
    part: usize,
    parts: usize,
}

impl Place {
    /// `name`: `layers.3.q_proj`.
    fn of(name: &str, architecture: Architecture) -> Self {
        let (layer, short) = place_of(name);
        let (inner, part, parts) = match (architecture, short) {
            (Architecture::Gpt2, "q_proj") => ("attn.c_attn", 0, 3),
            (Architecture::Gpt2, "k_proj") => ("attn.c_attn", 1, 3),
            (Architecture::Gpt2, "v_proj") => ("attn.c_attn", 2, 3),
            (Architecture::Gpt2, "o_proj") => ("attn.c_proj", 0, 1),
            (Architecture::Gpt2, "up_proj") => ("mlp.c_fc", 0, 1),
            (Architecture::Gpt2, _) => ("mlp.c_proj", 0, 1),
            (_, "q_proj") => ("self_attn.q_proj", 0, 1),
            (_, "k_proj") => ("self_attn.k_proj", 0, 1),
            (_, "v_proj") => ("self_attn.v_proj", 0, 1),
            (_, "o_proj") => ("self_attn.o_proj", 0, 1),
            (_, "gate_proj") => ("mlp.gate_proj", 0, 1),
            (_, "up_proj") => ("mlp.up_proj", 0, 1),
            (_, _) => ("mlp.down_proj", 0, 1),
        };
        let layers = if architecture == Architecture::Gpt2 { "transformer.h" } else { "model.layers" };
        Self { module: format!("{layers}.{layer}.{inner}"), layer, part, parts }
    }

    /// The name within its layer.
    fn inner(&self) -> String {
        self.module.splitn(4, '.').nth(3).unwrap_or_default().to_owned()
    }

    /// Names of A and B.
    fn tensors(&self) -> (String, String) {
        let name = |side: &str| format!("{PREFIX}{}.lora_{side}.weight", self.module);
        (name("A"), name("B"))
    }
}

/// As a model's base is named by its adapters: where it lies, whole.
pub(super) fn full_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
