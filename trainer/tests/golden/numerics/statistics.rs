//! What the server says about people and models: strengths and agreement. Its files need nothing but std, so they are read
//! here as they are; the trainer does not depend on the server.

#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../../../../src/domain/bradley_terry.rs"]
mod bradley_terry;
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../../../../src/domain/krippendorff.rs"]
mod krippendorff;

use krippendorff::{Distance, alpha};
use serde::Deserialize;
use serde_json::Value;

use crate::assert_close;

const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BradleyTerry {
    /// `wins[i][j]`: how often i beat j.
    wins: Vec<Vec<Option<f64>>>,
    /// Not there where the likelihood has no maximum.
    scores: Option<Vec<f64>>,
}

pub fn bradley_terry(what: &str, case: BradleyTerry) {
    let wins: Vec<Vec<f64>> =
        case.wins.iter().map(|row| row.iter().map(|wins| wins.unwrap_or(0.0)).collect()).collect();
    match (bradley_terry::scores(&wins), case.scores) {
        (Ok(found), Some(expected)) => {
            assert_close(&format!("{what}: scores"), &found, &expected, TOLERANCE);
            assert_close(&format!("{what}: sum of scores"), &[found.iter().sum()], &[0.0], TOLERANCE);
        }
        (Err(_), None) => {}
        (found, expected) => panic!("{what}: scores: {found:?}, expected {expected:?}"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Krippendorff {
    /// `units[unit][annotator]`, null where there is no label.
    units: Vec<Vec<Value>>,
    /// Not there where alpha is not defined.
    alpha: Option<f64>,
}

pub fn krippendorff_nominal(what: &str, case: Krippendorff) {
    // 1 and 1.0 are one number to JSON, and so one label.
    let label = |label: &Value| match label.as_f64() {
        Some(number) => Some(number.to_string()),
        None => (!label.is_null()).then(|| label.to_string()),
    };
    let units: Vec<Vec<Option<String>>> = case.units.iter().map(|unit| unit.iter().map(label).collect()).collect();
    check_alpha(what, alpha(&units, Distance::Nominal), case.alpha);
}

pub fn krippendorff_ordinal(what: &str, case: Krippendorff) {
    let given = case.units.iter().flatten().filter(|label| !label.is_null());
    let mut grades: Vec<f64> = given.map(|label| label.as_f64().expect("a number as label")).collect();
    grades.sort_by(f64::total_cmp);
    // The order alone counts, so a grade is its place, and may be a half one.
    let label = |label: &Value| label.as_f64().map(|label| grades.partition_point(|grade| *grade < label));
    let units: Vec<Vec<Option<usize>>> = case.units.iter().map(|unit| unit.iter().map(label).collect()).collect();
    check_alpha(what, alpha(&units, Distance::Ordinal), case.alpha);
}

fn check_alpha(what: &str, found: Option<f64>, expected: Option<f64>) {
    match (found, expected) {
        (Some(found), Some(expected)) => assert_close(&format!("{what}: alpha"), &[found], &[expected], TOLERANCE),
        (found, expected) => assert_eq!(found, expected, "{what}: alpha"),
    }
}
