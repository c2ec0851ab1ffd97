//! Products in bfloat16 and float16 beside what PyTorch's autocast makes of the same weights.
//!
//! Expected values: tests/precision.json, written by scripts/precision_reference.py.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path};

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Int, Tensor, TensorData},
};
use laurel_trainer::{
    model::{Decoder, Layout, ModelDirectory, Precision},
    rlhf::logprobs::token_log_probs,
};
use serde::Deserialize;

/// A row of tokens, and what each precision gives of it.
#[derive(Deserialize)]
struct Row {
    input_ids: Vec<i32>,
    #[serde(flatten)]
    by_precision: BTreeMap<String, Found>,
}

#[derive(Debug, Clone, Deserialize)]
struct Found {
    last_logits: Vec<f64>,
    /// Mean over the tokens but the first, nats.
    loss: f64,
    /// Of its gradient over all weights.
    gradient_norm: f64,
}

fn expected() -> BTreeMap<String, Vec<Row>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    serde_json::from_str(&fs::read_to_string(tests.join("precision.json")).unwrap()).unwrap()
}

fn open(name: &str) -> Decoder {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_files/models").join(name);
    ModelDirectory::open(path).unwrap().load_decoder(&Device::flex()).unwrap()
}

/// What this program computes of a row; in float16 the loss is scaled on the way back, as it is in training.
fn found(decoder: &Decoder, ids: &[i32], precision: Precision) -> Found {
    let decoder = decoder.clone().with_precision(precision).train();
    let device = Device::flex().autodiff();
    let length = ids.len();
    let input = Tensor::<2, Int>::from_data(TensorData::new(ids.to_vec(), [1, length]), &device);
    let logits = decoder.logits(decoder.hidden_states(input.clone(), &Layout::causal(1, length, &device), None));
    let last = logits.clone().narrow(1, length - 1, 1).inner().into_data_as::<f64>().try_to_vec().unwrap();
    let loss = -token_log_probs(logits.narrow(1, 0, length - 1), input.narrow(1, 1, length - 1)).mean();
    let scale = if precision == Precision::Float16 { 1024.0 } else { 1.0 };
    let gradients = GradientsParams::from_grads((loss.clone() * scale).backward(), &decoder);
    struct Squares<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id).expect("every weight has a gradient");
            self.1 += f64::from(gradient.square().sum().into_scalar::<f32>());
        }
    }
    let mut squares = Squares(&gradients, 0.0);
    decoder.visit(&mut squares);
    Found {
        last_logits: last,
        loss: f64::from(loss.inner().into_scalar::<f32>()),
        gradient_norm: squares.1.sqrt() / scale,
    }
}

/// The root of the mean square of the differences.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
}

#[test]
fn every_model_computes_in_low_precision_as_pytorch_does() {
    for (name, rows) in expected() {
        let decoder = open(&name);
        for (number, row) in rows.iter().enumerate() {
            for precision in Precision::ALL {
                let ours = found(&decoder, &row.input_ids, precision);
                let theirs = &row.by_precision[precision.name()];
                let exact = &row.by_precision["float32"];
                println!(
                    "{name} {number} {precision}: ours-theirs {:.2e}, theirs-exact {:.2e}, ours-exact {:.2e}; loss {} {} {}; norm {} {} {}",
                    distance(&ours.last_logits, &theirs.last_logits),
                    distance(&theirs.last_logits, &exact.last_logits),
                    distance(&ours.last_logits, &exact.last_logits),
                    ours.loss,
                    theirs.loss,
                    exact.loss,
                    ours.gradient_norm,
                    theirs.gradient_norm,
                    exact.gradient_norm
                );
            }
        }
    }
}
