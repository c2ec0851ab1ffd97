//! Multi-head attention over a causal layout, with or without a cache.

use burn::{
    module::Module,
    tensor::{Device, Tensor, activation},
};

use super::{
    blocks::{LinearInput, Pass},
    cache::KvCache,
    config::{Architecture, DecoderConfig},
    error::ModelError,
    linear::Linear,
    rope::Rotation,
    weights::{NamedTensor, WeightSource},
};
use crate::{
    fused::{self, Heads},
    profile,
};

/// Multi-head attention whose query heads may share key-value heads (Ainslie et al. 2023).
#[derive(Module, Debug)]
pub struct Attention {
    pub q_proj: Linear,
    pub k_proj: Linear,
    pub v_proj: Linear,
    pub o_proj: Linear,
    heads: usize,
    key_value_heads: usize,
    head_size: usize,
    query_factor: f64,
    /// Tokens that each looks back at, itself among them; `None`: all.
    #[module(skip)]
    window: Option<usize>,
}

impl Attention {
    pub(super) fn load(
        source: &mut dyn WeightSource,
        layer: &str,
        index: usize,
        config: &DecoderConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let (q, kv) = (config.heads * config.head_size, config.key_value_heads * config.head_size);
        let [q_proj, k_proj, v_proj, o_proj] = if config.architecture == Architecture::Gpt2 {
            let [q_proj, k_proj, v_proj] = load_fused(source, layer, hidden, device)?;
            let name = format!("{layer}.attn.c_proj");
            let o_proj = Linear::load_conv1d(source, &name, [hidden, hidden], device)?;
            [q_proj, k_proj, v_proj, o_proj]
        } else {
            let mut linear = |name: &str, shape: [usize; 2], bias: bool| {
                Linear::load(source, &format!("{layer}.self_attn.{name}"), shape, bias, device)
            };
            let bias = config.query_key_value_bias;
            [
                linear("q_proj", [hidden, q], bias)?,
                linear("k_proj", [hidden, kv], bias)?,
                linear("v_proj", [hidden, kv], bias)?,
                linear("o_proj", [q, hidden], config.attention_output_bias)?,
            ]
        };
        Ok(Self {
            q_proj,
            k_proj,
            v_proj,
            o_proj,
            heads: config.heads,
            key_value_heads: config.key_value_heads,
            head_size: config.head_size,
            query_factor: config.query_factor(index),
            window: config.window(index),
        })
    }

    /// What each token's queries take from the values that they see, `[batch, sequence, heads · size]`: what
    /// [`Self::output`] is fed with.
    pub(super) fn mixed(&self, x: Tensor<3>, pass: &Pass, cache: Option<(&mut KvCache, usize)>) -> Tensor<3> {
        let _part = profile::part("attention, linear");
        pass.saw(LinearInput::Attention, &x);
        let [q, k, v] = Linear::forward_together([&self.q_proj, &self.k_proj, &self.v_proj], x, pass.precision);
        self.mix(q, k, v, pass, cache)
    }

    /// What attention adds to the residual stream.
    pub(super) fn output(&self, mixed: Tensor<3>, pass: &Pass) -> Tensor<3> {
        let _part = profile::part("attention, linear");
        pass.saw(LinearInput::AttentionOutput, &mixed);
        self.o_proj.forward(mixed, pass.precision)
    }

    /// softmax(q·kᵀ / √size)·v over what each token may see: q `[batch, sequence, heads · size]`, k and v
    /// `[batch, sequence, key_value_heads · size]`.
    fn mix(
        &self,
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
        pass: &Pass,
        mut cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let _part = profile::part("attention");
        let q = if self.query_factor == 1.0 { q } else { q * self.query_factor };
        match self.mix_at_once([&q, &k, &v], pass, &mut cache) {
            Some(mixed) => mixed,
            None => self.mix_plainly([q, k, v], pass, cache),
        }
    }

    /// In one operation, where the device has it: in float32, over keys and values as they are kept.
    fn mix_at_once(
        &self,
        [q, k, v]: [&Tensor<3>; 3],
        pass: &Pass,
        cache: &mut Option<(&mut KvCache, usize)>,
    ) -> Option<Tensor<3>> {
        let shape = Heads {
            heads: self.heads,
            groups: self.key_value_heads,
            head_size: self.head_size,
            before: cache.as_ref().map_or(0, |(cache, _)| cache.length()),
            starts: pass.layout.starts_within(self.window, q.dims()[0])?,
            shared: pass.layout.shared().to_vec(),
            kept: pass.precision,
        };
        let rotation = pass.rotation.map(Rotation::angles);
        match cache {
            None => fused::attention(q, k, v, rotation, &shape, None),
            Some((cache, layer)) => {
                let mut store = |keys, values| cache.append(*layer, keys, values);
                fused::attention(q, k, v, rotation, &shape, Some(&mut store))
            }
        }
    }

    /// By burn's operations, which are the definition. Rotation, mask and softmax are float32 in any precision.
    fn mix_plainly(&self, [q, k, v]: [Tensor<3>; 3], pass: &Pass, cache: Option<(&mut KvCache, usize)>) -> Tensor<3> {
        let [batch, sequence, _] = q.dims();
        let (size, groups) = (self.head_size, self.key_value_heads);
        let precision = pass.precision.of_attention(&q.device());
        let split = |y: Tensor<3>, heads: usize| y.reshape([batch, sequence, heads, size]);
        let (mut q, mut k, v) = (split(q, self.heads), split(k, groups), split(v, groups).swap_dims(1, 2));
        if let Some(rotation) = pass.rotation {
            q = rotation.apply(q);
            k = rotation.apply(k);
        }
        // Cast before anyone sees them, so that it makes no difference whether they come from a cache.
        let (k, v) = (pass.precision.cast(k.swap_dims(1, 2)), pass.precision.cast(v));
        let (k, v) = match cache {
            Some((cache, layer)) => cache.append(layer, k, v),
            None => (k, v),
        };
        let keys = k.dims()[2];

        // Query heads that share keys are stacked as rows, so that keys and values are never repeated.
        let rows = self.heads / groups * sequence;
        let q = q.swap_dims(1, 2) * (1.0 / (size as f64).sqrt());
        let mut scores = precision.product(q.reshape([batch, groups, rows, size]), k.swap_dims(2, 3));
        if let Some(bias) = pass.layout.bias_within(self.window) {
            scores = (scores.reshape([batch, self.heads, sequence, keys]) + bias).reshape([batch, groups, rows, keys]);
        }
        let mixed = precision.product(activation::softmax(scores, 3), v);
        mixed.reshape([batch, self.heads, sequence, size]).swap_dims(1, 2).reshape([batch, sequence, self.heads * size])
    }

    pub(super) fn named(&self, layer: &str, architecture: Architecture) -> Vec<NamedTensor> {
        if architecture == Architecture::Gpt2 {
            let mut tensors = named_fused(layer, [&self.q_proj, &self.k_proj, &self.v_proj]);
            tensors.extend(self.o_proj.named_conv1d(&format!("{layer}.attn.c_proj")));
            return tensors;
        }
        let name = |part: &str| format!("{layer}.self_attn.{part}");
        let mut tensors = self.q_proj.named(&name("q_proj"));
        tensors.extend(self.k_proj.named(&name("k_proj")));
        tensors.extend(self.v_proj.named(&name("v_proj")));
        tensors.extend(self.o_proj.named(&name("o_proj")));
        tensors
    }
}

/// GPT-2 keeps q, k and v in one matrix `[hidden, 3·hidden]`; here they are three.
fn load_fused(
    source: &mut dyn WeightSource,
    layer: &str,
    hidden: usize,
    device: &Device,
) -> Result<[Linear; 3], ModelError> {
    let weight = source.load(&format!("{layer}.attn.c_attn.weight"), &[hidden, 3 * hidden])?;
    let bias = source.load(&format!("{layer}.attn.c_attn.bias"), &[3 * hidden])?;
    Ok([0, 1, 2].map(|part| {
        let columns = part * hidden..(part + 1) * hidden;
        let third = weight.chunks(3 * hidden).flat_map(|row| &row[columns.clone()]).copied().collect();
        let bias = bias[columns].to_vec();
        Linear::from_values(third, Some(bias), [hidden, hidden], device)
    }))
}

fn named_fused(layer: &str, parts: [&Linear; 3]) -> Vec<NamedTensor> {
    let weight = Tensor::cat(parts.map(Linear::merged_weight).to_vec(), 1);
    let biases = parts.iter().filter_map(|part| part.bias.as_ref());
    let bias = Tensor::cat(biases.map(|bias| bias.val()).collect(), 0);
    vec![
        NamedTensor::matrix(format!("{layer}.attn.c_attn.weight"), weight),
        NamedTensor::vector(format!("{layer}.attn.c_attn.bias"), bias),
    ]
}

#[cfg(test)]
mod tests {
    use burn::tensor::{FloatDType, TensorData};

    use super::*;
    use crate::model::{Decoder, Layout, Precision};

    /// A window over branches takes the plain way, where the same text alone is mixed in one operation.
    #[test]
    fn on_the_cpu_attention_in_bfloat16_is_float32_over_rounded_keys_and_values() {
        let device = Device::flex();
        let config = DecoderConfig::preset("llama-tiny").unwrap().with_vocabulary(97, Some(1), vec![2], None);
        let attention = Decoder::init(&config, &device).blocks[0].attention.clone();
        let layout = Layout::causal(1, 6, &device);
        let tensor = |heads: usize, seed: usize| {
            let size = heads * config.head_size;
            let values: Vec<f32> = (0..6 * size).map(|at| ((at * 37 + seed) % 29) as f32 / 9.7 - 1.4).collect();
            Tensor::<3>::from_data(TensorData::new(values, [1, 6, size]), &device)
        };
        let (q, k, v) = (tensor(config.heads, 1), tensor(config.key_value_heads, 2), tensor(config.key_value_heads, 3));
        let [k_kept, v_kept] = [&k, &v].map(|kept| kept.clone().cast(FloatDType::BF16).cast(FloatDType::F32));
        let numbers = |mixed: Tensor<3>| -> Vec<f32> { mixed.into_data_as::<f32>().try_to_vec().unwrap() };
        let pass = |precision| Pass { rotation: None, layout: &layout, precision, observer: None };
        let plainly = |k: &Tensor<3>, v: &Tensor<3>, precision| {
            numbers(attention.mix_plainly([q.clone(), k.clone(), v.clone()], &pass(precision), None))
        };
        let apart = |found: &[f32], expected: &[f32]| -> f32 {
            assert_eq!(found.len(), expected.len());
            found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
        };
        let expected = plainly(&k_kept, &v_kept, Precision::Float32);
        assert!(apart(&plainly(&k, &v, Precision::Bfloat16), &expected) < 1e-6);
        assert!(apart(&plainly(&k, &v, Precision::Float32), &expected) > 1e-3);

        let mix = |q: &Tensor<3>, k: &Tensor<3>, v: &Tensor<3>, pass: &Pass, cache: Option<&mut KvCache>| {
            let cache = cache.map(|cache| (cache, 0));
            numbers(attention.mix(q.clone(), k.clone(), v.clone(), pass, cache))
        };
        assert!(apart(&mix(&q, &k, &v, &pass(Precision::Bfloat16), None), &expected) < 1e-6);
        // A prompt of five tokens, and the sixth over the cache.
        let mut cache = KvCache::new(&config, 1, 6, Precision::Bfloat16, &device);
        let [prompt, step] = [0..5, 5..6].map(|tokens| [&q, &k, &v].map(|x| x.clone().slice([0..1, tokens.clone()])));
        let begun = Pass { layout: &Layout::causal(1, 5, &device), ..pass(Precision::Bfloat16) };
        let [q, k, v] = &prompt;
        let row = config.heads * config.head_size;
        assert!(apart(&mix(q, k, v, &begun, Some(&mut cache)), &expected[..5 * row]) < 1e-6);
        cache.advance(5);
        let next = Pass { layout: &Layout::step(&cache), ..pass(Precision::Bfloat16) };
        let [q, k, v] = &step;
        assert!(apart(&mix(q, k, v, &next, Some(&mut cache)), &expected[5 * row..]) < 1e-6);
    }
}
