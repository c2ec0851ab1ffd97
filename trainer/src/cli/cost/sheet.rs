//! What went into an estimate and what came of it: each result knows which of its inputs were assumed.

use serde_json::{Value, json};

use super::quantity::readable;
use crate::cost::Figure;

/// An input with where it is from.
#[derive(Debug)]
struct Input {
    flag: &'static str,
    value: f64,
    unit: &'static str,
    /// Why this value, where the user gave none.
    assumed: Option<String>,
}

/// A result, or what is missing for it.
#[derive(Debug)]
struct Outcome {
    section: &'static str,
    name: String,
    value: Option<f64>,
    unit: &'static str,
    how: String,
    /// Inputs that it depends on and the user did not give.
    assumed: Vec<&'static str>,
}

/// Inputs and results in the order in which they came up.
#[derive(Debug, Default)]
pub struct Sheet {
    title: String,
    inputs: Vec<Input>,
    outcomes: Vec<Outcome>,
}

impl Sheet {
    /// An empty one.
    pub fn new(title: String) -> Self {
        Self { title, ..Self::default() }
    }

    /// An input that has a default.
    pub fn input(
        &mut self,
        flag: &'static str,
        given: Option<f64>,
        default: f64,
        unit: &'static str,
        why: &str,
    ) -> f64 {
        let value = given.unwrap_or(default);
        self.note(flag, value, unit, given.is_none().then(|| why.to_owned()));
        value
    }

    /// An input that only the user or the device can know. `scale`: of the figure to the flag's unit.
    pub fn known(
        &mut self,
        flag: &'static str,
        given: Option<f64>,
        figure: Option<Figure>,
        scale: f64,
        unit: &'static str,
    ) -> Option<f64> {
        let assumed = given.is_none().then(|| figure.map_or(String::new(), |figure| figure.source.to_owned()));
        let value = given.or_else(|| figure.map(|figure| figure.value / scale))?;
        self.note(flag, value, unit, assumed);
        Some(value * scale)
    }

    fn note(&mut self, flag: &'static str, value: f64, unit: &'static str, assumed: Option<String>) {
        if !self.has(flag) {
            self.inputs.push(Input { flag, value, unit, assumed });
        }
    }

    /// Whether something was made of an input.
    pub fn has(&self, flag: &str) -> bool {
        self.inputs.iter().any(|input| input.flag == flag)
    }

    /// A result, how it comes about, and the inputs that it depends on.
    pub fn result(
        &mut self,
        section: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        how: impl Into<String>,
        uses: &[&'static str],
    ) {
        let is_assumed = |flag: &&&str| self.inputs.iter().any(|input| input.flag == **flag && input.assumed.is_some());
        let assumed = uses.iter().filter(is_assumed).copied().collect();
        self.outcomes.push(Outcome { section, name: name.into(), value: Some(value), unit, how: how.into(), assumed });
    }

    /// A result that can't be had without an input.
    pub fn missing(&mut self, section: &'static str, name: impl Into<String>, flag: &str) {
        let how = format!("give --{flag}");
        self.outcomes.push(Outcome { section, name: name.into(), value: None, unit: "", how, assumed: vec![] });
    }

    /// For people. Assumptions are numbered, and each result names the numbers of its own.
    pub fn table(&self) -> String {
        let mut lines = vec![self.title.clone(), "Inputs".to_owned()];
        let mut numbers: Vec<&str> = vec![];
        for Input { flag, value, unit, assumed } in &self.inputs {
            let origin = match assumed {
                None => "given".to_owned(),
                Some(why) => {
                    numbers.push(flag);
                    format!("assumed [{}]: {why}", numbers.len())
                }
            };
            lines.push(format!("  {:<26} {:>16} {unit:<10} {origin}", format!("--{flag}"), readable(*value)));
        }
        let mut section = "";
        for outcome in &self.outcomes {
            if outcome.section != section {
                section = outcome.section;
                lines.extend([String::new(), section.to_owned()]);
            }
            let value = outcome.value.map_or("?".to_owned(), readable);
            let of = |flag: &&str| numbers.iter().position(|other| other == flag).map(|place| (place + 1).to_string());
            let assumed: Vec<String> = outcome.assumed.iter().filter_map(of).collect();
            let mut notes = vec![];
            if !outcome.how.is_empty() {
                notes.push(outcome.how.clone());
            }
            if !assumed.is_empty() {
                notes.push(format!("[{}]", assumed.join(" ")));
            }
            let line = format!("  {:<36} {value:>16} {:<13} {}", outcome.name, outcome.unit, notes.join(" "));
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let inputs = self.inputs.iter().map(|input| {
            json!({"name": input.flag, "value": input.value, "unit": input.unit, "assumed": input.assumed.is_some(),
                "source": input.assumed})
        });
        let results = self.outcomes.iter().map(|outcome| {
            json!({"section": outcome.section, "name": outcome.name, "value": outcome.value, "unit": outcome.unit,
                "how": outcome.how, "assumed": outcome.assumed})
        });
        json!({"inputs": inputs.collect::<Vec<_>>(), "results": results.collect::<Vec<_>>()})
    }
}
