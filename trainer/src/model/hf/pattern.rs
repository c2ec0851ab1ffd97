//! `rank_pattern` and `alpha_pattern` of an `adapter_config.json`: numbers for the modules whose names fit a pattern.

use std::fmt;

use fancy_regex::Regex;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

/// Numbers by pattern, in the order of the file.
///
/// PEFT's rule (`get_pattern_key`): the first key for which `(.*\.)?(KEY)$` matches from the beginning of the module's name. So a
/// key is a regular expression, for the whole name or for what follows a dot in it.
#[derive(Debug, Clone)]
pub(super) struct Pattern<T>(Vec<(Regex, T)>);

impl<T> Default for Pattern<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<T: Copy> Pattern<T> {
    /// The number of the first key that fits `module`.
    pub fn of(&self, module: &str) -> Option<T> {
        // An expression that is given up for its cost fits nothing.
        let fits = |regex: &Regex| regex.is_match(module).unwrap_or(false);
        self.0.iter().find(|(regex, _)| fits(regex)).map(|(_, value)| *value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pattern<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries(std::marker::PhantomData))
    }
}

struct Entries<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Pattern<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of patterns and numbers")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Pattern::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = vec![];
        while let Some((key, value)) = map.next_entry::<String, T>()? {
            let regex = Regex::new(&format!(r"^(.*\.)?({key})$"))
                .map_err(|error| A::Error::custom(format!("the pattern {key:?} is no regular expression: {error}")))?;
            entries.push((regex, value));
        }
        Ok(Pattern(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(json: &str) -> Pattern<usize> {
        serde_json::from_str(json).unwrap()
    }

    /// Expected values: `peft.utils.other.get_pattern_key` of peft 0.21.2.
    #[test]
    fn a_key_is_a_regular_expression_for_the_end_of_a_name_and_the_first_in_the_file_counts() {
        let q = "model.layers.1.self_attn.q_proj";
        for (json, expected) in [
            (r#"{"q_proj": 3}"#, Some(3)),
            (r#"{"self_attn.q_proj": 3}"#, Some(3)),
            (r#"{"_proj": 3}"#, None),
            (r#"{"q": 3}"#, None),
            (r#"{".*_proj": 3}"#, Some(3)),
            (r#"{"^model.layers.1.self_attn.q_proj": 3}"#, Some(3)),
            (r#"{"^layers.1.self_attn.q_proj": 3}"#, None),
            (r#"{"layers\\.(0|1)\\..*(q|v)_proj": 3}"#, Some(3)),
            (r#"{"layers.[2-9].*": 3}"#, None),
            (r#"{"k_proj|q_proj": 3}"#, Some(3)),
            (r#"{"(?!model).*q_proj": 3}"#, Some(3)),
            (r#"{"q_proj": 3, ".*": 5}"#, Some(3)),
            (r#"{".*": 5, "q_proj": 3}"#, Some(5)),
            (r#"{}"#, None),
            ("null", None),
        ] {
            assert_eq!(pattern(json).of(q), expected, "{json}");
        }
    }

    #[test]
    fn a_key_that_is_no_expression_is_refused_by_name() {
        let error = serde_json::from_str::<Pattern<usize>>(r#"{"q_proj(": 3}"#).unwrap_err().to_string();
        assert!(error.contains("q_proj("), "{error}");
    }
}
