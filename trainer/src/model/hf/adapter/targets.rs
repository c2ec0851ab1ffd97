//! Which modules an `adapter_config.json` is for: `target_modules`, and what narrows them.

use fancy_regex::Regex;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The modules that an adapter is for, by PEFT's rule (`check_target_module_exists`). What the weights hold of other modules PEFT
/// passes over, with a warning.
#[derive(Debug)]
pub(super) struct Targets {
    /// Nothing where the configuration names none.
    targets: Names,
    excluded: Names,
    /// Nothing where all layers count.
    layers: Vec<usize>,
    /// What stands before the number of a layer; nothing where anything may.
    layer_patterns: Vec<Regex>,
}

/// Names of modules: whole ones or their ends after a dot, or an expression for whole ones.
#[derive(Debug)]
enum Names {
    List(Vec<String>),
    Expression(Regex),
}

/// PEFT takes one and a list alike.
#[derive(Deserialize)]
#[serde(untagged, expecting = "neither a value of its kind nor a list of such")]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl Targets {
    /// Of the content of an `adapter_config.json`; what is refused is said in words that follow its path.
    pub fn of(raw: &Map<String, Value>) -> Result<Self, String> {
        let targets = match read::<String>(raw, "target_modules")? {
            Some(OneOrMany::One(text)) if text.eq_ignore_ascii_case("all-linear") => OneOrMany::One(".*".into()),
            named => named.unwrap_or(OneOrMany::Many(vec![])),
        };
        let excluded = read(raw, "exclude_modules")?.unwrap_or(OneOrMany::Many(vec![]));
        let patterns = read::<String>(raw, "layers_pattern")?.map_or_else(Vec::new, OneOrMany::into_list);
        let pattern = |text: &String| expression(text, &format!(r"^(?:.*?\.)?{text}\.\d+\."));
        Ok(Self {
            targets: Names::of(targets)?,
            excluded: Names::of(excluded)?,
            layers: read(raw, "layers_to_transform")?.map_or_else(Vec::new, OneOrMany::into_list),
            layer_patterns: patterns.iter().filter(|text| !text.is_empty()).map(pattern).collect::<Result<_, _>>()?,
        })
    }

    /// Whether `module`, which lies in the layer of this number, has an adapter.
    pub fn hold(&self, module: &str, layer: usize) -> bool {
        if self.excluded.fit(module) {
            return false;
        }
        match &self.targets {
            // Whoever names a module whole means it, whatever is said of layers; an expression knows their numbers.
            Names::List(names) if !names.iter().any(|name| name == module) => {
                self.targets.fit(module) && self.counts(module, layer)
            }
            targets => targets.fit(module),
        }
    }

    /// Whether the layer is one of those that `layers_to_transform` is for.
    fn counts(&self, module: &str, layer: usize) -> bool {
        let is_named = |pattern: &Regex| pattern.is_match(module).unwrap_or(false);
        self.layers.is_empty()
            || self.layers.contains(&layer)
                && (self.layer_patterns.is_empty() || self.layer_patterns.iter().any(is_named))
    }
}

impl Names {
    fn of(named: OneOrMany<String>) -> Result<Self, String> {
        Ok(match named {
            OneOrMany::One(text) => Self::Expression(expression(&text, &format!("^(?:{text})$"))?),
            OneOrMany::Many(names) => Self::List(names),
        })
    }

    fn fit(&self, module: &str) -> bool {
        match self {
            // An expression that is given up for its cost fits nothing.
            Self::Expression(regex) => regex.is_match(module).unwrap_or(false),
            Self::List(names) => names.iter().any(|name| {
                module.strip_suffix(name.as_str()).is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }),
        }
    }
}

impl<T> OneOrMany<T> {
    fn into_list(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

fn read<T: DeserializeOwned>(raw: &Map<String, Value>, name: &str) -> Result<Option<OneOrMany<T>>, String> {
    let value = raw.get(name).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|error| format!("{name} is {error}"))
}

/// What `text` means to PEFT.
fn expression(text: &str, whole: &str) -> Result<Regex, String> {
    Regex::new(whole).map_err(|error| format!("the pattern {text:?} is no regular expression: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Expected values: `peft.tuners.tuners_utils.check_target_module_exists` of peft 0.21.2.
    #[test]
    fn a_module_is_a_target_by_the_rule_of_peft() {
        let (q, list) = ("model.layers.1.self_attn.q_proj", json!(["q_proj", "v_proj"]));
        for (config, expected) in [
            (json!({"target_modules": list}), true),
            (json!({"target_modules": ["self_attn.q_proj"]}), true),
            (json!({"target_modules": ["_proj"]}), false),
            (json!({"target_modules": ["v_proj"]}), false),
            (json!({"target_modules": [""]}), false),
            (json!({"target_modules": []}), false),
            (json!({"target_modules": q}), true),
            (json!({"target_modules": "q_proj"}), false),
            (json!({"target_modules": ".*q_proj|.*v_proj"}), true),
            (json!({"target_modules": r".*\.(?!1\.)\d\..*"}), false),
            (json!({"target_modules": list, "exclude_modules": null}), true),
            (json!({"target_modules": list, "exclude_modules": []}), true),
            (json!({"target_modules": list, "exclude_modules": ["q_proj"]}), false),
            (json!({"target_modules": [q], "exclude_modules": [q]}), false),
            (json!({"target_modules": list, "exclude_modules": r".*layers\.1\..*"}), false),
            (json!({"target_modules": list, "exclude_modules": "q_proj"}), true),
            (json!({"target_modules": list, "layers_to_transform": []}), true),
            (json!({"target_modules": list, "layers_to_transform": 1}), true),
            (json!({"target_modules": list, "layers_to_transform": 0}), false),
            (json!({"target_modules": list, "layers_to_transform": [0, 2]}), false),
            (json!({"target_modules": [q], "layers_to_transform": [0]}), true),
            (json!({"target_modules": list, "layers_to_transform": [1], "layers_pattern": "layers"}), true),
            (json!({"target_modules": list, "layers_to_transform": [1], "layers_pattern": ["h", "layers"]}), true),
            (json!({"target_modules": list, "layers_pattern": "h"}), true),
        ] {
            assert_eq!(Targets::of(config.as_object().unwrap()).unwrap().hold(q, 1), expected, "{config}");
        }
        let all = json!({"target_modules": "All-Linear"});
        assert!(Targets::of(all.as_object().unwrap()).unwrap().hold(q, 1));
    }

    #[test]
    fn what_names_no_modules_is_refused_by_its_field() {
        for (config, words) in [
            (json!({"target_modules": 5}), "target_modules is neither"),
            (json!({"layers_to_transform": "1"}), "layers_to_transform is neither"),
            (json!({"exclude_modules": "q_proj("}), "\"q_proj(\" is no regular expression"),
        ] {
            let why = Targets::of(config.as_object().unwrap()).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }
}
