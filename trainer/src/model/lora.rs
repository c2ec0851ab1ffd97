//! Low-rank adaptation (Hu et al. 2021): the base stays frozen, a product of two thin matrices is learned beside it.

use std::collections::BTreeSet;

use burn::{
    module::{Module, Param},
    nn::{Dropout, DropoutConfig},
    tensor::{Device, Distribution, Tensor, TensorData},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{decoder::Decoder, error::ModelError, linear::Linear, precision::Precision, recompute};
use crate::fused;

/// The linears of a block that can carry an adapter, by the names of Llama; GPT-2's are called the same here.
pub const TARGETS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// Size, strength and place of the adapters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraSettings {
    /// Columns of A and rows of B.
    pub rank: usize,
    /// The product is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Which linears get an adapter: names from [`TARGETS`].
    pub targets: Vec<String>,
    /// Dropout on the adapter's input while training.
    pub dropout: f64,
    /// The first layer that gets adapters; those before it stay as they are.
    pub first_layer: usize,
}

impl Default for LoraSettings {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, targets: TARGETS.map(String::from).to_vec(), dropout: 0.0, first_layer: 0 }
    }
}

/// One adapter that a decoder carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    pub layer: usize,
    /// The linear that it stands beside: a name from [`TARGETS`].
    pub target: String,
    pub rank: usize,
    /// Its product is scaled by `alpha / rank`.
    pub alpha: f64,
}

/// `x ↦ scale · x·A·B`; B starts at zero, so that a new adapter changes nothing.
#[derive(Module, Debug)]
pub struct Adapter {
    /// `[in, rank]`
    pub a: Param<Tensor<2>>,
    /// `[rank, out]`
    pub b: Param<Tensor<2>>,
    pub(super) scale: f64,
    dropout: Dropout,
}

impl Adapter {
    fn new([input, output]: [usize; 2], settings: &LoraSettings, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        // PyTorch's and PEFT's initialisation of A: uniform in ±1/√in.
        let bound = 1.0 / (input as f32).sqrt();
        let a: Vec<f32> = (0..input * settings.rank).map(|_| rng.random_range(-bound..bound)).collect();
        Self {
            a: Param::from_data(TensorData::new(a, [input, settings.rank]), device),
            b: Param::from_tensor(Tensor::zeros([settings.rank, output], device)),
            scale: settings.alpha / settings.rank as f64,
            dropout: DropoutConfig::new(settings.dropout).init(),
        }
    }

    /// An adapter that was learned before: `a` is `[in, rank]`, `b` `[rank, out]`.
    pub(super) fn from_matrices(a: Tensor<2>, b: Tensor<2>, scale: f64, dropout: f64) -> Self {
        let (a, b) = (Param::from_tensor(a), Param::from_tensor(b));
        Self { a, b, scale, dropout: DropoutConfig::new(dropout).init() }
    }

    /// Columns of A and rows of B.
    pub fn rank(&self) -> usize {
        self.a.dims()[1]
    }

    /// The part of the input that is dropped while training.
    pub(super) fn dropout_probability(&self) -> f64 {
        self.dropout.prob
    }

    /// `[tokens, in]` → `[tokens, out]`, both float32; the products are computed in `precision`.
    pub fn forward(&self, x: Tensor<2>, precision: Precision) -> Tensor<2> {
        let x = if recompute::is_plain_pass() { self.dropped(x) } else { self.dropout.forward(x) };
        // Scaling the thin product is cheaper than scaling the wide one.
        precision.linear(precision.linear(x, self.a.val()) * self.scale, self.b.val())
    }

    /// Keeps both matrices as products in `precision` take them.
    pub(super) fn hold(&mut self, precision: Precision) {
        self.a = self.a.clone().map(|a| precision.cast(a));
        self.b = self.b.clone().map(|b| precision.cast(b));
    }

    /// `x·W` and this adapter's part in one operation, where nothing is dropped and the device has it.
    pub(super) fn beside(&self, x: &Tensor<2>, weight: &Tensor<2>, precision: Precision) -> Option<Tensor<2>> {
        if self.drops() {
            return None;
        }
        fused::adapted_linear(x, weight, [&self.a.val(), &self.b.val()], self.scale, precision)
    }

    /// Dropout where there is no graph, as [`Dropout`] does it where there is one.
    fn dropped(&self, x: Tensor<2>) -> Tensor<2> {
        let keep = 1.0 - self.dropout.prob;
        if keep == 1.0 {
            return x;
        }
        let random = x.random_like(Distribution::Bernoulli(keep));
        (x * random) * (1.0 / keep)
    }

    /// Whether some of the input is dropped while training.
    pub(super) fn drops(&self) -> bool {
        self.dropout.prob > 0.0
    }

    /// As [`Self::drops`], of an adapter that learns: a frozen one drops nothing.
    pub(super) fn drops_as_it_learns(&self) -> bool {
        self.drops() && self.dropout.training.is_enabled()
    }

    /// What the adapter adds to the weight: `[in, out]`.
    pub fn delta(&self) -> Tensor<2> {
        (self.a.val() * self.scale).matmul(self.b.val())
    }
}

impl Decoder {
    /// Freezes every weight and puts a new adapter on each target linear; only the adapters are learned from then on.
    /// The same seed gives the same adapters. Refuses settings by which nothing would learn.
    pub fn with_lora(self, settings: &LoraSettings, seed: u64) -> Result<Self, ModelError> {
        check(settings)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut decoder = self.merged().freeze();
        let mut linears = BTreeSet::new();
        decoder.for_each_linear(&mut |name, linear: &mut Linear| {
            let (layer, short) = place_of(name);
            linears.insert(short.to_owned());
            if layer >= settings.first_layer && settings.targets.iter().any(|target| target == short) {
                let device = linear.weight.device();
                let shape = linear.weight.dims();
                linear.adapt(Adapter::new(shape, settings, &mut rng, &device));
            }
        });
        if !decoder.has_adapters() {
            let has: Vec<&str> = TARGETS.into_iter().filter(|target| linears.contains(*target)).collect();
            let message = format!(
                "lora_targets: no layer that is to get adapters has {}; the model's layers have {}",
                settings.targets.join(", "),
                has.join(", ")
            );
            return Err(ModelError::Unsupported(message));
        }
        Ok(decoder)
    }

    /// The adapters that it carries with another part of their input dropped while training.
    pub fn with_adapter_dropout(mut self, probability: f64) -> Self {
        self.for_each_linear(&mut |_, linear: &mut Linear| {
            if let Some(adapter) = &mut linear.adapter {
                adapter.dropout = DropoutConfig::new(probability).init();
            }
        });
        self
    }

    /// The adapters that it carries, layer by layer.
    pub fn carried(&self) -> Vec<Carried> {
        let mut carried = vec![];
        self.clone().for_each_linear(&mut |name, linear: &mut Linear| {
            if let Some(adapter) = &linear.adapter {
                let ((layer, target), rank) = (place_of(name), adapter.rank());
                let alpha = adapter.scale * rank as f64;
                // A scale is α divided by the rank, so the product may miss a whole number by a rounding.
                let alpha = if (alpha - alpha.round()).abs() < 1e-9 { alpha.round() } else { alpha };
                carried.push(Carried { layer, target: target.to_owned(), rank, alpha });
            }
        });
        carried
    }

    /// Plain weights again: every adapter added to the weight that it stood beside. Without adapters, a clone.
    pub fn merged(&self) -> Self {
        let mut decoder = self.clone();
        decoder.for_each_linear(&mut |_, linear| *linear = linear.merged());
        decoder
    }

    /// Whether any linear carries an adapter.
    pub fn has_adapters(&self) -> bool {
        let mut decoder = self.clone();
        let mut found = false;
        decoder.for_each_linear(&mut |_, linear| found |= linear.adapter.is_some());
        found
    }
}

/// Layer and short name of a linear that is called `layers.3.q_proj`.
pub(super) fn place_of(name: &str) -> (usize, &str) {
    let (before, short) = name.rsplit_once('.').unwrap_or(("", name));
    let layer = before.rsplit('.').next().and_then(|number| number.parse().ok());
    (layer.unwrap_or(0), short)
}

fn check(settings: &LoraSettings) -> Result<(), ModelError> {
    let wrong = |message: String| Err(ModelError::Unsupported(message));
    if settings.rank == 0 {
        return wrong("the rank of an adapter must be at least 1".into());
    }
    if !(settings.alpha > 0.0 && settings.alpha.is_finite()) {
        let alpha = settings.alpha;
        return wrong(format!(
            "the strength of an adapter (lora_alpha) must be above 0, not {alpha}: at 0 nothing is learned"
        ));
    }
    if !(0.0..1.0).contains(&settings.dropout) {
        return wrong(format!("the adapters' dropout must be at least 0 and below 1, not {}", settings.dropout));
    }
    if settings.targets.is_empty() {
        return wrong("no target for the adapters is named".into());
    }
    for target in &settings.targets {
        if !TARGETS.contains(&target.as_str()) {
            return wrong(format!("{target:?} is no target for an adapter; targets are {}", TARGETS.join(", ")));
        }
    }
    Ok(())
}
