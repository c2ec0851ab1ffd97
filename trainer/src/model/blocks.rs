//! The blocks that GPT-2, Llama and Qwen2 are made of: attention and feed-forward, each behind its norm.

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor, TensorData, activation, module::layer_norm},
};

use super::{
    attention::Attention,
    cache::KvCache,
    config::{Activation, Architecture, DecoderConfig},
    error::ModelError,
    layout::Layout,
    linear::Linear,
    precision::Precision,
    rope::Rotation,
    weights::{NamedTensor, WeightSource},
};
use crate::{fused, profile};

/// Layer norm when it has a bias (Ba et al. 2016), RMS norm when not (Zhang and Sennrich 2019).
#[derive(Module, Debug)]
pub struct Norm {
    pub weight: Param<Tensor<1>>,
    pub bias: Option<Param<Tensor<1>>>,
    epsilon: f64,
}

impl Norm {
    pub(super) fn load(
        source: &mut dyn WeightSource,
        name: &str,
        config: &DecoderConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let size = config.hidden_size;
        let mut vector = |part: &str| {
            let values = source.load(&format!("{name}.{part}"), &[size])?;
            Ok::<_, ModelError>(Param::from_data(TensorData::new(values, [size]), device))
        };
        Ok(Self {
            weight: vector("weight")?,
            bias: (config.architecture == Architecture::Gpt2).then(|| vector("bias")).transpose()?,
            epsilon: config.norm_epsilon,
        })
    }

    /// `[batch, sequence, hidden]`, normalised over the last dimension.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let _part = profile::part("norm");
        if let Some(bias) = &self.bias {
            return layer_norm(x, self.weight.val(), Some(bias.val()), self.epsilon);
        }
        if let Some(normed) = fused::rms_norm(&x, &self.weight.val(), self.epsilon) {
            return normed;
        }
        let root = (x.clone().square().mean_dim(2) + self.epsilon).sqrt();
        (x / root) * self.weight.val().unsqueeze()
    }

    pub(super) fn named(&self, name: &str) -> Vec<NamedTensor> {
        let mut tensors = vec![NamedTensor::vector(format!("{name}.weight"), self.weight.val())];
        if let Some(bias) = &self.bias {
            tensors.push(NamedTensor::vector(format!("{name}.bias"), bias.val()));
        }
        tensors
    }
}

/// Feed-forward block: plain (GPT-2) or gated (Shazeer 2020).
#[derive(Module, Debug)]
pub struct FeedForward {
    pub gate_proj: Option<Linear>,
    pub up_proj: Linear,
    pub down_proj: Linear,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    fn load(
        source: &mut dyn WeightSource,
        layer: &str,
        config: &DecoderConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let activation = config.activation;
        if config.architecture == Architecture::Gpt2 {
            let mut linear = |name: &str, shape: [usize; 2]| {
                Linear::load_conv1d(source, &format!("{layer}.mlp.{name}"), shape, device)
            };
            return Ok(Self {
                gate_proj: None,
                up_proj: linear("c_fc", [hidden, inner])?,
                down_proj: linear("c_proj", [inner, hidden])?,
                activation,
            });
        }
        let bias = config.feed_forward_bias;
        let mut linear =
            |name: &str, shape: [usize; 2]| Linear::load(source, &format!("{layer}.mlp.{name}"), shape, bias, device);
        Ok(Self {
            gate_proj: Some(linear("gate_proj", [hidden, inner])?),
            up_proj: linear("up_proj", [hidden, inner])?,
            down_proj: linear("down_proj", [inner, hidden])?,
            activation,
        })
    }

    fn forward(&self, x: Tensor<3>, pass: &Pass) -> Tensor<3> {
        let _part = profile::part("feed-forward, linear");
        pass.saw(LinearInput::FeedForward, &x);
        let inner = match &self.gate_proj {
            Some(gate) => {
                let [gate, up] = Linear::forward_together([gate, &self.up_proj], x, pass.precision);
                self.gated(gate, up)
            }
            None => self.activate(self.up_proj.forward(x, pass.precision)),
        };
        pass.saw(LinearInput::FeedForwardOutput, &inner);
        self.down_proj.forward(inner, pass.precision)
    }

    /// Leaves only the inner channels `kept`; `down` is the new weight of what reads them, `[out, kept]` row-major.
    pub fn keep_channels(&mut self, kept: &[usize], down: &[f32]) {
        self.up_proj.keep_outputs(kept);
        if let Some(gate) = &mut self.gate_proj {
            gate.keep_outputs(kept);
        }
        self.down_proj.replace_inputs(kept.len(), down);
    }

    fn gated(&self, gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
        let _part = profile::part("feed-forward, gate");
        let fused = if self.activation == Activation::Silu { fused::swiglu(&gate, &up) } else { None };
        fused.unwrap_or_else(|| self.activate(gate) * up)
    }

    fn activate(&self, x: Tensor<3>) -> Tensor<3> {
        match self.activation {
            Activation::GeluTanh => activation::gelu_approximate(x),
            Activation::Gelu => activation::gelu(x),
            Activation::Relu => activation::relu(x),
            Activation::Silu => activation::silu(x),
            Activation::Tanh => activation::tanh(x),
        }
    }

    fn named(&self, layer: &str, architecture: Architecture) -> Vec<NamedTensor> {
        if architecture == Architecture::Gpt2 {
            let mut tensors = self.up_proj.named_conv1d(&format!("{layer}.mlp.c_fc"));
            tensors.extend(self.down_proj.named_conv1d(&format!("{layer}.mlp.c_proj")));
            return tensors;
        }
        let name = |part: &str| format!("{layer}.mlp.{part}");
        let gate = self.gate_proj.iter();
        let mut tensors: Vec<_> = gate.flat_map(|g| g.named(&name("gate_proj"))).collect();
        tensors.extend(self.up_proj.named(&name("up_proj")));
        tensors.extend(self.down_proj.named(&name("down_proj")));
        tensors
    }
}

/// What the linears of a block are fed with; some share an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinearInput {
    /// `q_proj`, `k_proj`, `v_proj`
    Attention,
    /// `o_proj`
    AttentionOutput,
    /// `gate_proj`, `up_proj`
    FeedForward,
    /// `down_proj`
    FeedForwardOutput,
}

impl LinearInput {
    /// The input of the linear with that short name (`q_proj`).
    pub fn of(linear: &str) -> Self {
        match linear {
            "o_proj" => Self::AttentionOutput,
            "gate_proj" | "up_proj" => Self::FeedForward,
            "down_proj" => Self::FeedForwardOutput,
            _ => Self::Attention,
        }
    }
}

/// Is shown what the linears of a block are fed with, `[batch, sequence, in]`.
pub type InputObserver<'a> = &'a dyn Fn(LinearInput, &Tensor<3>);

/// What every layer of one forward pass shares.
pub(super) struct Pass<'a> {
    pub rotation: Option<&'a Rotation>,
    pub layout: &'a Layout,
    pub precision: Precision,
    pub observer: Option<InputObserver<'a>>,
}

impl Pass<'_> {
    pub fn saw(&self, input: LinearInput, x: &Tensor<3>) {
        if let Some(observer) = self.observer {
            observer(input, x);
        }
    }
}

/// One layer: attention and feed-forward, each behind its norm and beside the residual stream.
#[derive(Module, Debug)]
pub struct Block {
    pub attention_norm: Norm,
    pub attention: Attention,
    pub feed_forward_norm: Norm,
    pub feed_forward: FeedForward,
}

impl Block {
    pub(super) fn load(
        source: &mut dyn WeightSource,
        layer: &str,
        index: usize,
        config: &DecoderConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let [first, second] = norm_names(config.architecture);
        Ok(Self {
            attention_norm: Norm::load(source, &format!("{layer}.{first}"), config, device)?,
            attention: Attention::load(source, layer, index, config, device)?,
            feed_forward_norm: Norm::load(source, &format!("{layer}.{second}"), config, device)?,
            feed_forward: FeedForward::load(source, layer, config, device)?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<3>, pass: &Pass, cache: Option<(&mut KvCache, usize)>) -> Tensor<3> {
        self.forward_at(x, pass, cache, None)
    }

    /// As [`Self::forward`]; with `at`, what leaves the block at these tokens alone ([`tokens_at`]): what is not the keys and
    /// values of others is not computed elsewhere.
    pub(super) fn forward_at(
        &self,
        x: Tensor<3>,
        pass: &Pass,
        cache: Option<(&mut KvCache, usize)>,
        at: Option<&Tensor<1, Int>>,
    ) -> Tensor<3> {
        let normed = self.attention_norm.forward(x.clone());
        let mixed = self.attention.mixed(normed, pass, cache);
        let (x, mixed) = match at {
            Some(at) => (tokens_at(x, at), tokens_at(mixed, at)),
            None => (x, mixed),
        };
        let x = x + self.attention.output(mixed, pass);
        let normed = self.feed_forward_norm.forward(x.clone());
        x + self.feed_forward.forward(normed, pass)
    }

    pub(super) fn named(&self, layer: &str, architecture: Architecture) -> Vec<NamedTensor> {
        let [first, second] = norm_names(architecture);
        let mut tensors = self.attention_norm.named(&format!("{layer}.{first}"));
        tensors.extend(self.attention.named(layer, architecture));
        tensors.extend(self.feed_forward_norm.named(&format!("{layer}.{second}")));
        tensors.extend(self.feed_forward.named(layer, architecture));
        tensors
    }

    /// Every linear of the block.
    pub fn linears(&self) -> Vec<&Linear> {
        let (attention, feed_forward) = (&self.attention, &self.feed_forward);
        let mut linears = vec![&attention.q_proj, &attention.k_proj, &attention.v_proj, &attention.o_proj];
        linears.extend(&feed_forward.gate_proj);
        linears.extend([&feed_forward.up_proj, &feed_forward.down_proj]);
        linears
    }

    /// Calls `change` for every linear of the block with its short name.
    pub fn for_each_linear(&mut self, change: &mut dyn FnMut(&str, &mut Linear)) {
        change("q_proj", &mut self.attention.q_proj);
        change("k_proj", &mut self.attention.k_proj);
        change("v_proj", &mut self.attention.v_proj);
        change("o_proj", &mut self.attention.o_proj);
        if let Some(gate) = &mut self.feed_forward.gate_proj {
            change("gate_proj", gate);
        }
        change("up_proj", &mut self.feed_forward.up_proj);
        change("down_proj", &mut self.feed_forward.down_proj);
    }
}

/// `[batch, sequence, size]` at some tokens, counted through all rows: `[1, tokens, size]`.
pub(super) fn tokens_at(x: Tensor<3>, at: &Tensor<1, Int>) -> Tensor<3> {
    let [batch, sequence, size] = x.dims();
    x.reshape([batch * sequence, size]).select(0, at.clone()).unsqueeze()
}

fn norm_names(architecture: Architecture) -> [&'static str; 2] {
    match architecture {
        Architecture::Gpt2 => ["ln_1", "ln_2"],
        Architecture::Llama | Architecture::Qwen2 => ["input_layernorm", "post_attention_layernorm"],
    }
}
