//! The decoder: embeddings, blocks, final norm, and the product that turns hidden states into logits.

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor, TensorData, module::embedding},
};

use super::{
    blocks::{Block, InputObserver, Norm, Pass, tokens_at},
    cache::KvCache,
    config::{Architecture, DecoderConfig},
    error::ModelError,
    layout::Layout,
    linear::Linear,
    precision::Precision,
    recompute,
    rope::Rotation,
    weights::{NamedTensor, RandomWeights, WeightSource},
};
use crate::{
    fused::{self, InOrder},
    profile,
};

/// Up to this many rows, multiplying the embedding by them is faster than the other way round (twice as fast at 8 rows
/// and a vocabulary of 49,152): the smaller matrix is the one that the product repacks.
const FEW_ROWS: usize = 64;

/// A decoder-only transformer of any supported architecture.
#[derive(Module, Debug)]
pub struct Decoder {
    /// `[vocabulary, hidden]`
    pub token_embedding: Param<Tensor<2>>,
    /// `[context, hidden]`, GPT-2 only
    pub position_embedding: Option<Param<Tensor<2>>>,
    pub blocks: Vec<Block>,
    pub final_norm: Norm,
    /// The output matrix when it is not the embedding's.
    pub output: Option<Linear>,
    /// Angular frequencies of the rotary positions; empty with learned positions.
    #[module(skip)]
    frequencies: Vec<f32>,
    #[module(skip)]
    config: DecoderConfig,
    #[module(skip)]
    precision: Precision,
    /// The embedding as the output matrix of [`Self::to_answer`] in low precision; looking tokens up stays float32.
    #[module(skip)]
    held_output: Option<Tensor<2>>,
    /// The embedding as the output matrix, as products of some rows read it.
    #[module(skip)]
    packed_output: Option<InOrder>,
}

impl Decoder {
    /// Fresh random weights, always the same ones; [`Self::init_with_seed`] gives others.
    pub fn init(config: &DecoderConfig, device: &Device) -> Self {
        Self::init_with_seed(config, 0, device)
    }

    /// Fresh random weights that depend on the seed alone.
    pub fn init_with_seed(config: &DecoderConfig, seed: u64, device: &Device) -> Self {
        let mut source = RandomWeights::new(seed, config.layers);
        Self::load(config, &mut source, true, device).expect("random weights come in any shape")
    }

    /// Takes every tensor from `source` by its Hugging Face name. `output` says whether a language model's output matrix
    /// is wanted at all (a reward model has none).
    pub(super) fn load(
        config: &DecoderConfig,
        source: &mut dyn WeightSource,
        output: bool,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let names = Names::of(config.architecture);
        let (vocabulary, hidden) = (config.vocabulary_size, config.hidden_size);
        let mut matrix = |name: &str, shape: [usize; 2]| {
            let values = source.load(name, &shape)?;
            Ok::<_, ModelError>(Param::from_data(TensorData::new(values, shape), device))
        };
        let token_embedding = matrix(names.tokens, [vocabulary, hidden])?;
        let position_embedding = match config.architecture {
            Architecture::Gpt2 => Some(matrix("transformer.wpe.weight", [config.context_length, hidden])?),
            Architecture::Llama | Architecture::Qwen2 => None,
        };
        let blocks = (0..config.layers)
            .map(|layer| Block::load(source, &names.layer(layer), layer, config, device))
            .collect::<Result<Vec<_>, _>>()?;
        let final_norm = Norm::load(source, names.final_norm, config, device)?;
        let output = (output && !config.tied_embeddings)
            .then(|| Linear::load(source, "lm_head", [hidden, vocabulary], false, device))
            .transpose()?;
        let frequencies = config.rope.as_ref().map(|rope| rope.frequencies(config.head_size)).unwrap_or_default();
        Ok(Self {
            token_embedding,
            position_embedding,
            blocks,
            final_norm,
            output,
            frequencies,
            config: config.clone(),
            precision: Precision::Float32,
            held_output: None,
            packed_output: None,
        })
    }

    /// The same decoder, its matrix products computed in `precision`. Whether the device can is to be asked before
    /// ([`Precision::ensure_supported`]).
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// What matrix products are computed in; float32 unless [`Self::with_precision`] said otherwise.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The decoder without gradients, its matrices kept as its products take them: in low precision half the memory, and
    /// nothing to cast for each token. In bfloat16 on the CPU they are kept so beside the weights. It computes the same, but is not
    /// to be learned from or written.
    pub fn to_answer(&self) -> Self {
        let mut decoder = self.valid();
        let precision = decoder.precision;
        if precision == Precision::Float32 {
            return decoder;
        }
        decoder.for_each_linear(&mut |_, linear| linear.hold(precision));
        match &mut decoder.output {
            Some(output) => output.hold(precision),
            None => decoder.hold_output(precision),
        }
        decoder
    }

    /// The embedding as the output matrix that products in `precision` take.
    fn hold_output(&mut self, precision: Precision) {
        let embedding = self.token_embedding.val();
        if !precision.rounds_as_it_multiplies(&embedding.device()) {
            self.packed_output = None;
            self.held_output.get_or_insert_with(|| precision.cast(embedding));
        } else if !matches!(self.packed_output, Some(InOrder::Bfloat16(_))) {
            self.packed_output = fused::pack(&embedding, true, precision);
        }
    }

    /// The same decoder with a copy of each matrix that lies as products of some rows read it: it writes many answers at once
    /// up to twice as fast, and takes twice the memory. Not to be learned from. Elsewhere than in float32 on the CPU this
    /// changes nothing.
    pub fn packed(mut self) -> Self {
        if self.precision != Precision::Float32 {
            return self;
        }
        self.for_each_linear(&mut |_, linear| linear.pack());
        match &mut self.output {
            Some(output) => output.pack(),
            None if self.packed_output.is_some() => {}
            None => self.packed_output = fused::pack(&self.token_embedding.val(), true, Precision::Float32),
        }
        self
    }

    /// The decoder without gradients as it draws answers to learn from. In float32 adapters are merged: a token is then one
    /// product a layer, not three. In low precision they stay beside the weights, as they are when the answers are scored:
    /// what an adapter adds may be less than the rounding of a weight, and would be lost in it.
    pub fn to_sample(&self) -> Self {
        let decoder = self.valid();
        if decoder.precision == Precision::Float32 { decoder.merged() } else { decoder }
    }

    /// Hidden states after the final norm: `[batch, sequence, hidden]` for `input_ids` `[batch, sequence]`.
    ///
    /// With a cache, `input_ids` are the tokens that follow those already in it, and `layout` is
    /// [`Layout::left_padded`] or [`Layout::causal`] for the prompt and [`Layout::step`] from then on.
    pub fn hidden_states(&self, input_ids: Tensor<2, Int>, layout: &Layout, cache: Option<&mut KvCache>) -> Tensor<3> {
        self.final_norm.forward(self.through_blocks(input_ids, layout, cache, None))
    }

    /// As [`Self::hidden_states`] at some tokens alone, counted through all rows (row · sequence + token):
    /// `[1, tokens, hidden]`. Of the last block only the keys and values are computed elsewhere.
    pub fn hidden_states_at(
        &self,
        input_ids: Tensor<2, Int>,
        layout: &Layout,
        cache: Option<&mut KvCache>,
        at: &Tensor<1, Int>,
    ) -> Tensor<3> {
        self.final_norm.forward(self.through_blocks(input_ids, layout, cache, Some(at)))
    }

    /// As [`Self::hidden_states`] of each row's last token alone: `[batch, 1, hidden]`.
    pub fn last_hidden_states(&self, input_ids: Tensor<2, Int>, layout: &Layout, cache: &mut KvCache) -> Tensor<3> {
        let [batch, sequence] = input_ids.dims();
        let ends = Tensor::<1, Int>::arange(1..batch as i64 + 1, &input_ids.device()) * sequence as i64 - 1;
        self.hidden_states_at(input_ids, layout, Some(cache), &ends).swap_dims(0, 1)
    }

    /// What leaves the last block, everywhere or at some tokens.
    fn through_blocks(
        &self,
        input_ids: Tensor<2, Int>,
        layout: &Layout,
        mut cache: Option<&mut KvCache>,
        at: Option<&Tensor<1, Int>>,
    ) -> Tensor<3> {
        let [batch, sequence] = input_ids.dims();
        let chosen = |x: Tensor<3>| match at {
            Some(at) => tokens_at(x, at),
            None => x,
        };
        let mut x = self.embed(input_ids, layout);
        if cache.is_none() && recompute::is_wanted(&x) {
            return chosen(recompute::through_blocks(self, x, layout));
        }
        // Where nearly all are wanted, choosing them once costs less than the few that are not.
        let early = at.filter(|at| at.dims()[0] * 8 <= batch * sequence * 7);
        let last = self.blocks.len().saturating_sub(1);
        let rotation = self.rotation(layout, &x.device());
        let pass = Pass { rotation: rotation.as_ref(), layout, precision: self.precision, observer: None };
        if let Some(cache) = cache.as_deref_mut() {
            cache.begin(sequence, layout.pads());
        }
        for (index, block) in self.blocks.iter().enumerate() {
            let slot = cache.as_deref_mut().map(|cache| (cache, index));
            x = block.forward_at(x, &pass, slot, early.filter(|_| index == last));
        }
        if let Some(cache) = cache {
            cache.advance(sequence);
        }
        if early.is_some() && !self.blocks.is_empty() { x } else { chosen(x) }
    }

    /// What enters the first block: `[batch, sequence]` → `[batch, sequence, hidden]`.
    pub fn embed(&self, input_ids: Tensor<2, Int>, layout: &Layout) -> Tensor<3> {
        let _part = profile::part("embedding");
        let x = embedding(self.token_embedding.val(), input_ids);
        match &self.position_embedding {
            Some(positions) => x + embedding(positions.val(), layout.positions()),
            None => x,
        }
    }

    /// What leaves one block when `x` enters it, `[batch, sequence, hidden]` both; `observer` is shown what its linears are
    /// fed with. Together with [`Self::embed`] this is [`Self::hidden_states`] without a cache, up to the final norm.
    pub fn forward_block(
        &self,
        index: usize,
        x: Tensor<3>,
        layout: &Layout,
        observer: Option<InputObserver>,
    ) -> Tensor<3> {
        let rotation = self.rotation(layout, &x.device());
        let pass = Pass { rotation: rotation.as_ref(), layout, precision: self.precision, observer };
        self.blocks[index].forward(x, &pass, None)
    }

    fn rotation(&self, layout: &Layout, device: &Device) -> Option<Rotation> {
        (!self.frequencies.is_empty()).then(|| Rotation::new(&self.frequencies, layout.positions(), device))
    }

    /// `[batch, sequence, hidden]` → `[batch, sequence, vocabulary]`, float32. Give it only the positions that are needed: with a
    /// large vocabulary this product costs as much as several layers.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        let _part = profile::part("logits");
        let precision = self.precision;
        if let Some(output) = &self.output {
            return output.forward(hidden, precision);
        }
        let [batch, sequence, size] = hidden.dims();
        let (rows, vocabulary) = (batch * sequence, self.config.vocabulary_size);
        let hidden = hidden.reshape([rows, size]);
        if let Some([logits]) = fused::packed_linears(&hidden, [self.packed_output.as_ref()], precision) {
            return logits.reshape([batch, sequence, vocabulary]);
        }
        let embedding = self.held_output.clone().unwrap_or_else(|| self.token_embedding.val());
        let few = (2..=FEW_ROWS).contains(&rows);
        let at_once = precision == Precision::Bfloat16 || !few;
        let fused = if at_once { fused::linear(&hidden, &embedding, true, precision) } else { None };
        let logits = if let Some(logits) = fused {
            logits
        } else if few {
            precision.product(embedding, hidden.transpose()).transpose()
        } else {
            precision.product(hidden, embedding.transpose())
        };
        logits.reshape([batch, sequence, vocabulary])
    }

    /// The configuration that the decoder was made from.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    pub(super) fn config_mut(&mut self) -> &mut DecoderConfig {
        &mut self.config
    }

    /// An empty cache for `batch` rows with room for `capacity` tokens each, on this decoder's device.
    pub fn new_cache(&self, batch: usize, capacity: usize) -> KvCache {
        KvCache::new(&self.config, batch, capacity, self.precision, &self.token_embedding.device())
    }

    /// Calls `change` for every linear of every block, with its name (`layers.3.q_proj`).
    pub fn for_each_linear(&mut self, change: &mut dyn FnMut(&str, &mut Linear)) {
        for (index, block) in self.blocks.iter_mut().enumerate() {
            block.for_each_linear(&mut |name, linear| {
                change(&format!("layers.{index}.{name}"), linear);
            });
        }
    }

    /// Makes the configuration say how wide the feed-forward blocks are, after all were narrowed alike
    /// ([`super::FeedForward::keep_channels`]).
    pub fn adopt_intermediate_size(&mut self) {
        if let Some(block) = self.blocks.first() {
            self.config.intermediate_size = block.feed_forward.up_proj.weight.dims()[1];
        }
    }

    /// Every tensor under its Hugging Face name, adapters merged.
    pub fn named_tensors(&self) -> Vec<NamedTensor> {
        let architecture = self.config.architecture;
        let names = Names::of(architecture);
        let mut tensors = vec![NamedTensor::matrix(names.tokens, self.token_embedding.val())];
        if let Some(positions) = &self.position_embedding {
            tensors.push(NamedTensor::matrix("transformer.wpe.weight", positions.val()));
        }
        for (index, block) in self.blocks.iter().enumerate() {
            tensors.extend(block.named(&names.layer(index), architecture));
        }
        tensors.extend(self.final_norm.named(names.final_norm));
        if let Some(output) = &self.output {
            tensors.extend(output.named("lm_head"));
        }
        tensors
    }
}

/// The name of the tensor that tokens are looked up in.
pub(super) fn embedding_name(architecture: Architecture) -> &'static str {
    Names::of(architecture).tokens
}

/// What the architectures call the tensors outside their blocks.
struct Names {
    tokens: &'static str,
    layers: &'static str,
    final_norm: &'static str,
}

impl Names {
    fn of(architecture: Architecture) -> Self {
        match architecture {
            Architecture::Gpt2 => {
                Self { tokens: "transformer.wte.weight", layers: "transformer.h", final_norm: "transformer.ln_f" }
            }
            Architecture::Llama | Architecture::Qwen2 => {
                Self { tokens: "model.embed_tokens.weight", layers: "model.layers", final_norm: "model.norm" }
            }
        }
    }

    fn layer(&self, index: usize) -> String {
        format!("{}.{index}", self.layers)
    }
}
