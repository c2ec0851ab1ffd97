//! Rotary position embedding (Su et al. 2021), with the linear and the Llama 3 scaling of its frequencies.

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::{Map, Value, json};

use super::{
    config::{number, object, text},
    error::ModelError,
};

/// Base and scaling of the rotary frequencies, as `config.json` gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base of the geometric series of wavelengths (10,000 in the paper).
    pub theta: f64,
    /// How the frequencies are stretched to reach beyond the context of pretraining.
    pub scaling: RopeScaling,
}

/// How rotary frequencies are stretched.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Frequencies as they are.
    None,
    /// All frequencies divided by `factor` (position interpolation, Chen et al. 2023).
    Linear { factor: f64 },
    /// Low frequencies divided by `factor`, high ones kept, a ramp between them (Llama 3.1).
    Llama3 { factor: f64, low_frequency_factor: f64, high_frequency_factor: f64, original_context_length: f64 },
}

impl Rope {
    /// Rotary settings from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (4 and earlier). Where a file
    /// has both, the older ones count, as in transformers 5 (`convert_rope_params_to_dict`).
    pub(super) fn from_json(raw: &Map<String, Value>) -> Result<Self, ModelError> {
        let settings = |name: &str| object(raw, name).map(|found| found.filter(|fields| !fields.is_empty()));
        let (older, newer) = (settings("rope_scaling")?, settings("rope_parameters")?);
        let beside = number(raw, "rope_theta")?;
        let Some(settings) = older.or(newer) else {
            let theta = positive("rope_theta", beside.unwrap_or(10_000.0))?;
            return Ok(Self { theta, scaling: RopeScaling::None });
        };
        let theta = positive("rope_theta", number(settings, "rope_theta")?.or(beside).unwrap_or(10_000.0))?;
        Ok(Self { theta, scaling: RopeScaling::from_json(settings, raw)? })
    }

    /// Whether `rope_parameters`, as they were read, say this.
    pub(super) fn is_in_parameters(&self, raw: &Map<String, Value>) -> bool {
        let has_some = raw.get("rope_parameters").and_then(Value::as_object).is_some_and(|fields| !fields.is_empty());
        let mut alone = raw.clone();
        alone.remove("rope_scaling");
        has_some && Self::from_json(&alone).is_ok_and(|rope| rope == *self)
    }

    /// The fields of a `config.json` that say this. transformers 5 reads `rope_parameters`; 4 and what is built on it read the
    /// two older fields, and without them take 10,000 and no scaling.
    pub(super) fn to_json(&self) -> [(&'static str, Value); 3] {
        let scaling = self.scaling.to_json();
        let mut parameters =
            scaling.clone().unwrap_or_else(|| Map::from_iter([("rope_type".to_string(), json!("default"))]));
        parameters.insert("rope_theta".into(), json!(self.theta));
        [
            ("rope_theta", json!(self.theta)),
            ("rope_scaling", json!(scaling)),
            ("rope_parameters", Value::Object(parameters)),
        ]
    }

    /// Angular frequencies in radians a position, one for each pair of dimensions: `[head_size / 2]`. Rounded wherever PyTorch
    /// rounds them: a last digit is multiplied by the position, and after a thousand tokens the logits show it.
    pub fn frequencies(&self, head_size: usize) -> Vec<f32> {
        (0..head_size / 2)
            .map(|pair| {
                let exponent = (2 * pair) as f32 / head_size as f32;
                self.scaling.scale(1.0 / self.theta.powf(exponent.into()) as f32)
            })
            .collect()
    }
}

impl RopeScaling {
    /// `settings`: those of the rotary positions; `raw`: the `config.json` that they stand in.
    fn from_json(settings: &Map<String, Value>, raw: &Map<String, Value>) -> Result<Self, ModelError> {
        let kind = match text(settings, "rope_type")? {
            Some(kind) => kind,
            None => text(settings, "type")?.unwrap_or("default"),
        };
        let need = |name: &str| {
            let lacks = || ModelError::Unsupported(format!("config.json: the rope settings lack {name}"));
            positive(name, number(settings, name)?.ok_or_else(lacks)?)
        };
        let scaling = match kind {
            "default" => return Ok(Self::None),
            "linear" => Self::Linear { factor: need("factor")? },
            "llama3" => Self::Llama3 {
                factor: need("factor")?,
                low_frequency_factor: need("low_freq_factor")?,
                high_frequency_factor: need("high_freq_factor")?,
                original_context_length: original_context_length(settings, raw)?,
            },
            other => {
                return Err(ModelError::Unsupported(format!(
                    "rope scaling {other:?} is not supported (default, linear and llama3 are)"
                )));
            }
        };
        // Without a scaling transformers turns the whole head whatever this says.
        for part in [number(settings, "partial_rotary_factor")?, number(raw, "partial_rotary_factor")?] {
            if let Some(part) = part.filter(|part| *part != 1.0) {
                let text = format!("config.json: partial_rotary_factor = {part} with rope scaling is not supported");
                return Err(ModelError::Unsupported(text));
            }
        }
        Ok(scaling)
    }

    fn to_json(&self) -> Option<Map<String, Value>> {
        let object = match self {
            Self::None => return None,
            Self::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
            Self::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context_length } => json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low_frequency_factor,
                "high_freq_factor": high_frequency_factor,
                "original_max_position_embeddings": *original_context_length as u64,
            }),
        };
        object.as_object().cloned()
    }

    fn scale(&self, frequency: f32) -> f32 {
        match *self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor as f32,
            Self::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context_length } => {
                let wavelength = std::f32::consts::TAU / frequency;
                if wavelength < (original_context_length / high_frequency_factor) as f32 {
                    frequency
                } else if wavelength > (original_context_length / low_frequency_factor) as f32 {
                    frequency / factor as f32
                } else {
                    let smooth = (original_context_length as f32 / wavelength - low_frequency_factor as f32)
                        / (high_frequency_factor - low_frequency_factor) as f32;
                    (1.0 - smooth) * frequency / factor as f32 + smooth * frequency
                }
            }
        }
    }
}

/// What stands beside the settings goes before what stands in them (`standardize_rope_params` of transformers).
fn original_context_length(settings: &Map<String, Value>, raw: &Map<String, Value>) -> Result<f64, ModelError> {
    const NAME: &str = "original_max_position_embeddings";
    for (fields, name) in [(raw, NAME), (settings, NAME), (raw, "max_position_embeddings")] {
        if let Some(length) = number(fields, name)? {
            return positive(name, length);
        }
    }
    Err(ModelError::Unsupported(format!("config.json: the rope settings lack {NAME}")))
}

/// A number of the rotary settings, none of which makes sense at 0 or below.
fn positive(name: &str, value: f64) -> Result<f64, ModelError> {
    if value > 0.0 {
        return Ok(value);
    }
    Err(ModelError::Unsupported(format!("the rope settings' {name} must be above 0, not {value}")))
}

/// Cosines and sines of one forward pass, made once and used by every layer.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// `[batch or 1, sequence, 1, head_size / 2]`
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotation {
    /// Angles for `positions` `[batch or 1, sequence]`.
    pub fn new(frequencies: &[f32], positions: Tensor<2, Int>, device: &Device) -> Self {
        let half = frequencies.len();
        let frequencies =
            Tensor::<1>::from_data(TensorData::new(frequencies.to_vec(), [half]), device).reshape([1, 1, 1, half]);
        let [batch, sequence] = positions.dims();
        let angles = positions.float().reshape([batch, sequence, 1, 1]) * frequencies;
        Self { cos: angles.clone().cos(), sin: angles.sin() }
    }

    /// Cosines and sines, `[batch or 1, sequence, 1, head_size / 2]` each.
    pub fn angles(&self) -> (&Tensor<4>, &Tensor<4>) {
        (&self.cos, &self.sin)
    }

    /// Turns each pair (i, i + head_size / 2) of `x` `[batch, sequence, heads, head_size]` by its angle.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let first = x.clone().narrow(3, 0, half);
        let second = x.narrow(3, half, half);
        let turned_first = first.clone() * self.cos.clone() - second.clone() * self.sin.clone();
        let turned_second = second * self.cos.clone() + first * self.sin.clone();
        Tensor::cat(vec![turned_first, turned_second], 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: `rope_parameters` of the LlamaConfig that transformers 5.24 makes of the same fields.
    #[test]
    fn files_with_older_and_newer_fields_are_read_as_transformers_reads_them_and_written_as_one_thing() {
        use crate::model::DecoderConfig;
        let llama3 = json!({"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0});
        let linear = |factor| RopeScaling::Linear { factor };
        let stretched = |original_context_length| RopeScaling::Llama3 {
            factor: 4.0,
            low_frequency_factor: 1.0,
            high_frequency_factor: 4.0,
            original_context_length,
        };
        for (fields, theta, scaling) in [
            (json!({"rope_scaling": llama3, "rope_theta": 500.0}), 500.0, stretched(64.0)),
            (json!({"rope_parameters": llama3}), 10_000.0, stretched(64.0)),
            (json!({"rope_scaling": llama3, "original_max_position_embeddings": 16}), 10_000.0, stretched(16.0)),
            (
                json!({"rope_scaling": {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 32}, "original_max_position_embeddings": 16}),
                10_000.0,
                stretched(16.0),
            ),
            (
                json!({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_theta": 500.0,
                    "rope_parameters": {"rope_type": "default", "rope_theta": 9.0}}),
                500.0,
                linear(2.0),
            ),
            (
                json!({"rope_scaling": {"rope_type": "default"},
                    "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 9.0}}),
                10_000.0,
                RopeScaling::None,
            ),
            (
                json!({"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 9.0}}),
                9.0,
                linear(2.0),
            ),
            (
                json!({"rope_scaling": null, "rope_theta": 7.0, "rope_parameters": {"rope_type": "linear", "factor": 2.0}}),
                7.0,
                linear(2.0),
            ),
        ] {
            let mut config = json!({"model_type": "llama", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 8,
                "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 64});
            let config = config.as_object_mut().unwrap();
            config.extend(fields.as_object().unwrap().clone());
            let read = DecoderConfig::from_json(config.clone()).unwrap();
            let expected = Rope { theta, scaling };
            assert_eq!(read.rope.as_ref(), Some(&expected), "{fields}");
            // Whichever of the fields a program looks for, it finds the same.
            let written = read.to_json();
            assert_eq!(Rope::from_json(&written).unwrap(), expected, "{fields}");
            assert!(expected.is_in_parameters(&written), "{fields}");
        }
    }

    /// Expected: `inv_freq` of `LlamaRotaryEmbedding` of transformers 5.24.
    #[test]
    fn frequencies_are_those_of_pytorch_to_the_last_digit() {
        let linear = RopeScaling::Linear { factor: 3.0 };
        let llama3 = RopeScaling::Llama3 {
            factor: 8.0,
            low_frequency_factor: 1.0,
            high_frequency_factor: 4.0,
            original_context_length: 8192.0,
        };
        for (theta, scaling, head_size, expected) in [
            (10_000.0, RopeScaling::None, 80, [(24, 0.0039810706), (31, 0.0007943284), (34, 0.00039810708)]),
            (10_000.0, linear, 80, [(21, 0.0026477613), (24, 0.0013270235), (36, 8.372957e-5)]),
            (500_000.0, llama3, 128, [(2, 0.6636013), (32, 0.000524846), (33, 0.00031269365)]),
        ] {
            let found = Rope { theta, scaling }.frequencies(head_size);
            for (pair, frequency) in expected {
                assert_eq!(found[pair], frequency, "{theta} {pair}");
            }
        }
    }

    /// From the definition: below the short wavelength nothing changes, above the long one all is divided.
    #[test]
    fn llama3_scaling_keeps_fast_frequencies_and_divides_slow_ones() {
        let rope = Rope {
            theta: 500_000.0,
            scaling: RopeScaling::Llama3 {
                factor: 8.0,
                low_frequency_factor: 1.0,
                high_frequency_factor: 4.0,
                original_context_length: 8192.0,
            },
        };
        let plain = Rope { theta: 500_000.0, scaling: RopeScaling::None };
        let (scaled, plain) = (rope.frequencies(128), plain.frequencies(128));
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[63] * 8.0 - plain[63]).abs() < 1e-12);
        let between = scaled[34] / plain[34];
        assert!(between > 0.125 && between < 1.0, "{between}");
    }
}
