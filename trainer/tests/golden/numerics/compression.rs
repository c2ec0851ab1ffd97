//! One layer compressed in each way. The names of the results say how: `wanda_50`, `sparsegpt_50_block4_damp1pct`.

use std::collections::BTreeMap;

use laurel_trainer::compress::{InputStatistics, Int8, Matrix, SparseGptSettings, magnitude, sparsegpt, wanda};
use serde::Deserialize;
use serde_json::Value;

use super::{PRECISIONS, flat, parse};
use crate::assert_close;

#[derive(Deserialize)]
pub struct Compression {
    out_features: usize,
    in_features: usize,
    samples: usize,
    /// `[out, in]`
    #[serde(deserialize_with = "flat")]
    weight: Vec<f64>,
    /// `[samples, in]`
    #[serde(deserialize_with = "flat")]
    inputs: Vec<f64>,
    #[serde(default)]
    squared_output_error: BTreeMap<String, f64>,
    #[serde(flatten)]
    results: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Numbers(#[serde(deserialize_with = "flat")] Vec<f64>);

pub fn check(what: &str, case: Compression) {
    let tolerance = PRECISIONS[0].1;
    let weight = Matrix::new(case.out_features, case.in_features, case.weight).unwrap();
    let inputs = InputStatistics::of(&Matrix::new(case.samples, case.in_features, case.inputs).unwrap());
    assert!(!case.results.is_empty(), "{what}: holds no result");
    let mut errors: Vec<(String, f64)> = vec![];
    let mut of_result = |name: String, compressed: &Matrix| {
        errors.push((name, inputs.squared_output_error(&weight, compressed).unwrap()));
    };
    for (name, expected) in case.results {
        let what = format!("{what}: {name}");
        let Numbers(expected) = parse(&what, expected);
        let int8 = Int8::quantise(&weight);
        match name.as_str() {
            "int8" => {
                let levels: Vec<f64> = int8.levels.iter().map(|&level| f64::from(level)).collect();
                assert_close(&what, &levels, &expected, 0.0);
                of_result(name, &int8.dequantise());
            }
            "int8_scale" => assert_close(&what, &int8.scales, &or_any_of_zeros(expected, &int8), tolerance),
            _ => {
                let pruned = prune(&name, &weight, &inputs).unwrap_or_else(|| panic!("{what}: no test knows this"));
                assert_close(&what, pruned.values(), &expected, tolerance);
                of_result(name, &pruned);
            }
        }
    }
    // By the name of a result, or by its method alone.
    for (method, expected) in case.squared_output_error {
        // A sum over samples and outputs, so its digits count from the first, not from the decimal point.
        let near = |error: &f64| (error - expected).abs() <= tolerance * expected.abs().max(1.0);
        let is_meant = |name: &str| name == method || name.split('_').next() == Some(method.as_str());
        let found: Vec<f64> = errors.iter().filter(|(name, _)| is_meant(name)).map(|(_, error)| *error).collect();
        assert!(found.iter().any(near), "{what}: squared_output_error of {method}: {found:?}, expected {expected}");
    }
}

/// Scales with ours for a row of zeros: each scale is right for one, and files have 0, 1 or a very small number.
fn or_any_of_zeros(mut scales: Vec<f64>, int8: &Int8) -> Vec<f64> {
    let rows = int8.levels.chunks(int8.columns.max(1)).zip(&int8.scales);
    for (scale, (levels, ours)) in scales.iter_mut().zip(rows) {
        if levels.iter().all(|level| *level == 0) {
            *scale = *ours;
        }
    }
    scales
}

/// What the method that a name stands for makes of the weight; `None` for a name that is not known.
fn prune(name: &str, weight: &Matrix, inputs: &InputStatistics) -> Option<Matrix> {
    let percent = |text: &str| Some(text.parse::<f64>().ok()? / 100.0);
    let pruned = match name.split('_').collect::<Vec<_>>()[..] {
        ["magnitude", sparsity] => magnitude(weight, percent(sparsity)?),
        ["wanda", sparsity] => wanda(weight, inputs, percent(sparsity)?),
        ["sparsegpt", sparsity, block, damping] => {
            let settings = SparseGptSettings {
                sparsity: percent(sparsity)?,
                block_size: block.strip_prefix("block")?.parse().ok()?,
                damping: percent(damping.strip_prefix("damp")?.strip_suffix("pct")?)?,
            };
            sparsegpt(weight, inputs, &settings)
        }
        _ => return None,
    };
    Some(pruned.unwrap_or_else(|error| panic!("{name}: {error}")))
}
