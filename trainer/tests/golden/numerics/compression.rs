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
    let mut errors: Vec<(&str, f64)> = vec![];
    for (name, expected) in case.results {
        let what = format!("{what}: {name}");
        let Numbers(expected) = parse(&what, expected);
        let int8 = Int8::quantise(&weight);
        match name.as_str() {
            "int8" => {
                let levels: Vec<f64> = int8.levels.iter().map(|&level| f64::from(level)).collect();
                assert_close(&what, &levels, &expected, 0.0);
                continue;
            }
            "int8_scale" => {
                assert_close(&what, &int8.scales, &expected, tolerance);
                continue;
            }
            _ => {}
        }
        let (method, pruned) = prune(&name, &weight, &inputs).unwrap_or_else(|| panic!("{what}: no test knows this"));
        assert_close(&what, pruned.values(), &expected, tolerance);
        errors.push((method, inputs.squared_output_error(&weight, &pruned).unwrap()));
    }
    for (method, expected) in case.squared_output_error {
        // A sum over samples and outputs, so its digits count from the first, not from the decimal point.
        let near = |error: &f64| (error - expected).abs() <= tolerance * expected.abs().max(1.0);
        let found: Vec<f64> = errors.iter().filter(|(name, _)| *name == method).map(|(_, error)| *error).collect();
        assert!(found.iter().any(near), "{what}: squared_output_error of {method}: {found:?}, expected {expected}");
    }
}

/// The method that a name stands for and what it makes of the weight; `None` for a name that is not known.
fn prune(name: &str, weight: &Matrix, inputs: &InputStatistics) -> Option<(&'static str, Matrix)> {
    let percent = |text: &str| Some(text.parse::<f64>().ok()? / 100.0);
    let pruned = match name.split('_').collect::<Vec<_>>()[..] {
        ["magnitude", sparsity] => ("magnitude", magnitude(weight, percent(sparsity)?)),
        ["wanda", sparsity] => ("wanda", wanda(weight, inputs, percent(sparsity)?)),
        ["sparsegpt", sparsity, block, damping] => {
            let settings = SparseGptSettings {
                sparsity: percent(sparsity)?,
                block_size: block.strip_prefix("block")?.parse().ok()?,
                damping: percent(damping.strip_prefix("damp")?.strip_suffix("pct")?)?,
            };
            ("sparsegpt", sparsegpt(weight, inputs, &settings))
        }
        _ => return None,
    };
    Some((pruned.0, pruned.1.unwrap_or_else(|error| panic!("{name}: {error}"))))
}
