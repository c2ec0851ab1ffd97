//! How much a chat template may do for one conversation. It comes with a model, maybe from a stranger, and may run for
//! ever or grow without end.
//!
//! The engine counts in fuel: one for an instruction, one for 64 bytes that are made. It can't see what functions of
//! our own are about to make, so they pay for it here.

use minijinja::{Error, State};
use serde_json::Value;

/// The fuel of one conversation: seconds of work, or 2 GiB of text.
///
/// A real template takes up to some 300 a message, and copies a text of 1,000 bytes about ten times on its way, which
/// is 150 more: a conversation of ten thousand such messages takes 4.5 million.
pub const LIMIT: u64 = 1 << 25;

/// Bytes that one unit pays for.
const BYTES: usize = 64;

/// Pays for bytes that are read or about to be made.
pub fn pay(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(u64::try_from(bytes / BYTES).unwrap_or(u64::MAX))
}

/// Pays for the widths that a text asks for which `str.format` fills: `{:>9}`.
pub fn pay_for_widths(state: &State, text: &str) -> Result<(), Error> {
    let fields = text.split('{').skip(1).filter_map(|field| field.split('}').next());
    let numbers = fields.flat_map(|field| field.split(|letter: char| !letter.is_ascii_digit()));
    // Nothing stands between two other letters; a number that is none is too long to be one.
    let width = |number: &str| if number.is_empty() { 0 } else { number.parse().unwrap_or(usize::MAX) };
    pay(state, numbers.map(width).fold(0, usize::saturating_add))
}

/// How deep lists and objects lie in one another.
pub fn depth(json: &Value) -> usize {
    match json {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
