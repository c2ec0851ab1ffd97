//! The fields of a request's JSON object, taken out one by one: what is wrong is named, what nobody took is refused.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::error::ApiError;

/// A request's JSON object. A field that is null counts as absent, as in OpenAI's API.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(ApiError::malformed("the body must be a JSON object")),
            Err(error) => Err(ApiError::malformed(format!("the body is not JSON: {error}"))),
        }
    }

    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name).filter(|value| !value.is_null())
    }

    pub fn string(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ApiError::invalid(name, format!("{name} must be a string"))),
        }
    }

    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(ApiError::invalid(name, format!("{name} must be true or false"))),
        }
    }

    pub fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_f64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (from, to) = (range.start(), range.end());
                Err(ApiError::invalid(name, format!("{name} must be a number from {from} to {to}, not {value}")))
            }
        }
    }

    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_i64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let what = match (*range.start(), *range.end()) {
                    (i64::MIN, i64::MAX) => "an integer".to_owned(),
                    (from, i64::MAX) => format!("an integer of at least {from}"),
                    (from, to) => format!("an integer from {from} to {to}"),
                };
                Err(ApiError::invalid(name, format!("{name} must be {what}, not {value}")))
            }
        }
    }

    /// As [`Self::integer`], for counts.
    pub fn count(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<usize>, ApiError> {
        Ok(self.integer(name, range)?.map(|number| number.unsigned_abs() as usize))
    }

    /// Refuses a field unless its value asks for nothing.
    pub fn refuse(&mut self, name: &str, why: &str, asks_for_nothing: fn(&Value) -> bool) -> Result<(), ApiError> {
        match self.take(name) {
            Some(value) if !asks_for_nothing(&value) => Err(ApiError::unsupported(name, format!("{name}: {why}"))),
            _ => Ok(()),
        }
    }

    /// Refuses what nobody has taken: nothing is ignored silently.
    pub fn finish(self) -> Result<(), ApiError> {
        match self.0.into_iter().find(|(_, value)| !value.is_null()) {
            Some((name, _)) => Err(ApiError::unknown_field(&name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut fields = fields(json!({"a": 3, "b": "x", "c": 1.5, "d": null, "e": true}));
        assert_eq!(fields.number("a", 0.0..=2.0).unwrap_err().message, "a must be a number from 0 to 2, not 3");
        assert_eq!(fields.integer("b", 1..=9).unwrap_err().message, "b must be an integer from 1 to 9, not \"x\"");
        let error = fields.integer("c", i64::MIN..=i64::MAX).unwrap_err();
        assert_eq!((error.message.as_str(), error.param.as_deref()), ("c must be an integer, not 1.5", Some("c")));
        assert_eq!(fields.string("d"), Ok(None));
        assert_eq!(fields.finish().unwrap_err().message, "unknown field e");
    }

    #[test]
    fn what_asks_for_nothing_is_taken() {
        let mut fields = fields(json!({"tools": [], "store": true}));
        let is_empty = |value: &Value| value == &json!([]);
        assert_eq!(fields.refuse("tools", "there are none", is_empty), Ok(()));
        let error = fields.refuse("store", "nothing is stored", |value| value == &json!(false)).unwrap_err();
        assert_eq!(error.message, "store: nothing is stored");
        assert_eq!(fields.finish(), Ok(()));
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["", "[1]", "{\"a\": }", "\u{0}"] {
            assert_eq!(Fields::parse(body.as_bytes()).unwrap_err().status.as_u16(), 400, "{body:?}");
        }
    }
}
