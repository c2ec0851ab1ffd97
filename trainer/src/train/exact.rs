//! Numbers in the state of a checkpoint, bit for bit: JSON's decimal form may come back one unit in the last place off.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// What a number is written under: its bits, in hexadecimal.
const BITS: &str = "f64";

/// A state as JSON whose numbers come back as they were. A number that JSON has no word for becomes null.
pub fn write<T: Serialize>(state: &T) -> Result<Value, serde_json::Error> {
    Ok(each_number(serde_json::to_value(state)?))
}

/// What [`write`] wrote. States written with plain numbers are read too.
pub fn read<T: DeserializeOwned>(state: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(back(state))
}

fn each_number(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            json!({ BITS: format!("{:016x}", number.as_f64().unwrap_or_default().to_bits()) })
        }
        Value::Array(items) => items.into_iter().map(each_number).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, each_number(value))).collect(),
        other => other,
    }
}

fn back(value: Value) -> Value {
    match value {
        Value::Object(fields) => match bits_of(&fields) {
            Some(bits) => f64::from_bits(bits).into(),
            None => fields.into_iter().map(|(name, value)| (name, back(value))).collect(),
        },
        Value::Array(items) => items.into_iter().map(back).collect(),
        other => other,
    }
}

fn bits_of(fields: &serde_json::Map<String, Value>) -> Option<u64> {
    let bits = fields.get(BITS).filter(|_| fields.len() == 1)?;
    u64::from_str_radix(bits.as_str()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn numbers_come_back_bit_for_bit() {
        // Numbers whose decimal form a quick reader gets wrong in the last bit are among many thousands.
        let mut number = 0.1_f64;
        let numbers: BTreeMap<String, Vec<f64>> = (0..20_000)
            .map(|at| {
                number = (number * 1.234_567_89 + 0.017).fract();
                (format!("{at}"), vec![number, number * 1e-9, -number * 1e12])
            })
            .collect();
        let text = serde_json::to_string(&write(&numbers).unwrap()).unwrap();
        let found: BTreeMap<String, Vec<f64>> = read(serde_json::from_str(&text).unwrap()).unwrap();
        assert!(numbers == found);
        let plain: BTreeMap<String, Vec<f64>> = read(json!({"a": [1.5, 2.0]})).unwrap();
        assert_eq!(plain["a"], [1.5, 2.0]);
    }
}
