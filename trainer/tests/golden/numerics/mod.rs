//! Numerics: losses, advantages, compression and statistics, as PyTorch computes them in double precision.
//!
//! A file's name begins with what it holds (`ppo.json`, `ppo-masked.json`), and it holds one case or a list of cases.

mod compression;
mod losses;
mod statistics;

use std::path::Path;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::{assert_close, directory, entries, without_remarks};

/// Checks one case; `what` names it.
type Check = fn(&str, Value);

/// What a case is checked with, and the beginning of the names of its files.
const KINDS: [(&str, Check); 8] = [
    ("sft_completion_loss", |what, case| losses::sft(what, parse(what, case))),
    ("reward_kwise_loss", |what, case| losses::reward(what, parse(what, case))),
    ("ppo", |what, case| losses::ppo(what, parse(what, case))),
    ("compression", |what, case| compression::check(what, parse(what, case))),
    ("bradley_terry", |what, case| statistics::bradley_terry(what, parse(what, case))),
    ("krippendorff_alpha", |what, case| statistics::krippendorff_nominal(what, parse(what, case))),
    ("krippendorff_alpha_nominal", |what, case| statistics::krippendorff_nominal(what, parse(what, case))),
    ("krippendorff_alpha_ordinal", |what, case| statistics::krippendorff_ordinal(what, parse(what, case))),
];

/// The precisions that tensor code is checked in, with how far it may be off.
pub const PRECISIONS: [(DType, f64); 2] = [(DType::F64, 1e-6), (DType::F32, 1e-4)];

#[test]
fn every_case_agrees_with_pytorch() {
    for path in entries(&directory().join("numerics")) {
        let check = kind(&path).unwrap_or_else(|| panic!("{}: no test knows this", path.display()));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Python writes NaN, which JSON has not, where a value is not defined.
        let content: Value = serde_json::from_str(&text.replace("NaN", "null"))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases = match content {
            Value::Array(cases) => cases,
            case => vec![case],
        };
        assert!(!cases.is_empty(), "{}: holds no case", path.display());
        for (i, case) in cases.into_iter().enumerate() {
            check(&format!("{} case {i}", path.display()), case);
        }
    }
}

#[test]
fn files_are_known_by_the_longest_beginning_of_their_name() {
    let known = |name: &str| kind(Path::new(name)).is_some();
    assert!(
        ["ppo.json", "ppo_2.json", "ppo-masked.json", "ppo2.json", "krippendorff_alpha_nominal_3.json"]
            .iter()
            .all(|name| known(name))
    );
    assert!(!["ppolicy.json", "unheard_of.json", "ppo.txt", "ppo"].iter().any(|name| known(name)));
}

fn kind(path: &Path) -> Option<fn(&str, Value)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".json")?;
    let begins = |name: &str| {
        let rest = stem.strip_prefix(name)?;
        rest.chars().next().is_none_or(|next| !next.is_alphabetic()).then_some(name.len())
    };
    let known = KINDS.iter().filter_map(|(name, check)| Some((begins(name)?, *check)));
    known.max_by_key(|(length, _)| *length).map(|(_, check)| check)
}

fn parse<T: DeserializeOwned>(what: &str, case: Value) -> T {
    serde_json::from_value(without_remarks(case)).unwrap_or_else(|error| panic!("{what}: no test knows this: {error}"))
}

/// As [`assert_close`], for what was computed in that precision. Single precision has seven digits, wherever the point stands:
/// beyond 1 they are what counts.
pub fn assert_precise(what: &str, found: &[f64], expected: &[f64], (precision, tolerance): (DType, f64)) {
    let largest = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    let tolerance = if precision == DType::F32 { tolerance * largest } else { tolerance };
    assert_close(what, found, expected, tolerance);
}

/// Numbers of any nesting, one after another; NaN for null, which stands where a value is not defined.
pub fn flat<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let mut numbers = vec![];
    flatten(&Value::deserialize(deserializer)?, &mut numbers).map_err(serde::de::Error::custom)?;
    Ok(numbers)
}

fn flatten(value: &Value, numbers: &mut Vec<f64>) -> Result<(), String> {
    match value {
        Value::Array(values) => return values.iter().try_for_each(|value| flatten(value, numbers)),
        Value::Bool(value) => numbers.push(f64::from(u8::from(*value))),
        Value::Number(number) => numbers.extend(number.as_f64()),
        Value::Null => numbers.push(f64::NAN),
        other => return Err(format!("a number expected, not {other}")),
    }
    Ok(())
}

/// A tensor of that precision on a device with gradients.
pub fn tensor<const D: usize>(numbers: &[f64], shape: [usize; D], precision: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), (&Device::flex().autodiff(), precision))
}

pub fn integers<const D: usize>(numbers: &[f64], shape: [usize; D]) -> Tensor<D, Int> {
    let numbers: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
    Tensor::from_data(TensorData::new(numbers, shape), &Device::flex().autodiff())
}

/// The values of a tensor, whose precision must be that of the case.
pub fn values<const D: usize>(tensor: Tensor<D>, precision: DType) -> Vec<f64> {
    assert_eq!(tensor.dtype(), precision, "the precision of the input is kept");
    tensor.into_data_as::<f64>().try_to_vec().unwrap()
}
