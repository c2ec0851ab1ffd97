//! Methods of Python's strings that chat templates may call and the engine lacks, or has without names for their arguments.

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, Tuple, from_args},
};
use minijinja_contrib::pycompat;

/// Bytes that the engine counts as one of fuel.
const BYTES_OF_FUEL: u64 = 64;

/// A method of a value as Python has it: one of those here, else one of the engine's.
pub fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match value.as_str() {
        Some(text) => {
            // The engine counts what a method makes, and not how much of a text it reads for that.
            state.consume_fuel(text.len() as u64 / BYTES_OF_FUEL)?;
            of_text(text, method, args)?
        }
        None => None,
    };
    match own {
        Some(found) => Ok(found),
        None => pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn of_text(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" | "rpartition" => partition(text, args, method == "rpartition")?,
        "split" | "rsplit" => split(text, args, method == "rsplit")?,
        "center" | "ljust" | "rjust" => padded(text, args, method)?,
        "index" | "rindex" => {
            let (what,): (&str,) = from_args(args)?;
            let at = if method == "index" { text.find(what) } else { text.rfind(what) };
            let at = at.ok_or_else(|| wrong(format!("{what:?} is not in the text")))?;
            Value::from(text[..at].chars().count())
        }
        _ => return Ok(None),
    }))
}

/// What stands before a separator, the separator, and what stands after it.
fn partition(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(args)?;
    ensure_some(separator)?;
    let found = if from_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

/// `center(width, fillchar=' ')` and its like: a text that is as wide already stays as it is.
fn padded(text: &str, args: &[Value], method: &str) -> Result<Value, Error> {
    let (width, fill): (i32, Option<char>) = from_args(args)?;
    let width = usize::try_from(width).unwrap_or(0);
    let missing = width.saturating_sub(text.chars().count());
    let left = match method {
        "ljust" => 0,
        "rjust" => missing,
        // Of what can't be shared evenly the left side has more where the width is odd.
        _ => missing / 2 + (missing & width & 1),
    };
    let side = |count: usize| fill.unwrap_or(' ').to_string().repeat(count);
    Ok(Value::from(format!("{}{text}{}", side(left), side(missing - left))))
}

/// `split(sep=None, maxsplit=-1)`
fn split(text: &str, args: &[Value], from_right: bool) -> Result<Value, Error> {
    let (separator, most, named): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
    let separator: Option<&str> = if separator.is_some() { separator } else { named.get("sep")? };
    let most: Option<i64> = if most.is_some() { most } else { named.get("maxsplit")? };
    named.assert_all_used()?;
    // Less than nothing is no limit.
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let mut pieces: Vec<&str> = match separator {
        None => words(text, most, from_right),
        Some(separator) => {
            ensure_some(separator)?;
            let pieces = most.saturating_add(1);
            match from_right {
                true => text.rsplitn(pieces, separator).collect(),
                false => text.splitn(pieces, separator).collect(),
            }
        }
    };
    if from_right {
        pieces.reverse();
    }
    Ok(pieces.into_iter().map(Value::from).collect())
}

/// The words of a text from one of its ends; what is left after `most` of them is one piece.
fn words(text: &str, most: usize, from_right: bool) -> Vec<&str> {
    let (mut words, mut rest) = (vec![], text);
    loop {
        rest = if from_right { rest.trim_end() } else { rest.trim_start() };
        if rest.is_empty() {
            return words;
        }
        if words.len() == most {
            words.push(rest);
            return words;
        }
        let (word, others) = if from_right {
            rest.rsplit_once(char::is_whitespace).map_or((rest, ""), |(others, word)| (word, others))
        } else {
            rest.split_once(char::is_whitespace).unwrap_or((rest, ""))
        };
        words.push(word);
        rest = others;
    }
}

fn ensure_some(separator: &str) -> Result<(), Error> {
    if separator.is_empty() { Err(wrong("empty separator".into())) } else { Ok(()) }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

#[cfg(test)]
mod tests {
    use minijinja::Environment;

    use super::*;

    fn render(expression: &str) -> Result<String, Error> {
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(call);
        environment.render_str(&format!("{{{{ {expression} }}}}"), minijinja::context! {})
    }

    /// Expected: the same expressions in Jinja2.
    #[test]
    fn texts_are_taken_apart_as_python_does_it() {
        for (expression, expected) in [
            ("'<think>a'.removeprefix('<think>')", "a"),
            ("'abc'.removeprefix('b')", "abc"),
            ("'a</think>'.removesuffix('</think>')", "a"),
            ("'k: v: w'.partition(': ')", "('k', ': ', 'v: w')"),
            ("'k: v: w'.rpartition(': ')", "('k: v', ': ', 'w')"),
            ("'k'.partition(':')", "('k', '', '')"),
            ("'k'.rpartition(':')", "('', '', 'k')"),
            ("'a-b-c'.split('-', 1)", "['a', 'b-c']"),
            ("'a-b-c'.rsplit('-', 1)", "['a-b', 'c']"),
            ("'a-b-c'.split('-', maxsplit=1)", "['a', 'b-c']"),
            ("'a-b-c'.rsplit(sep='-', maxsplit=1)[0]", "a-b"),
            ("'aaa'.split('aa')", "['', 'a']"),
            ("'aaa'.rsplit('aa')", "['a', '']"),
            ("'a-b'.split('-', -1)", "['a', 'b']"),
            ("'  a  b c '.split()", "['a', 'b', 'c']"),
            ("'  a  b c '.rsplit()", "['a', 'b', 'c']"),
            ("'  a  b c '.split(none, 1)", "['a', 'b c ']"),
            ("'  a  b c '.split(maxsplit=1)", "['a', 'b c ']"),
            ("'  a  b c '.rsplit(none, 1)", "['  a  b', 'c']"),
            ("''.split()", "[]"),
            ("''.split('-')", "['']"),
            ("'茶 a 茶'.index('a')", "2"),
            ("'茶 a 茶'.rindex('茶')", "4"),
            ("'ab'.center(5, '*')", "**ab*"),
            ("'abc'.center(8, '-')", "--abc---"),
            ("'茶'.center(4, '·')", "·茶··"),
            ("'ab'.center(1)", "ab"),
            ("'ab'.ljust(4, '.')", "ab.."),
            ("'ab'.rjust(4)", "  ab"),
            ("'ab'.ljust(-3)", "ab"),
            ("'a'.upper()", "A"),
        ] {
            assert_eq!(render(expression).unwrap(), expected, "{expression}");
        }
        for none in ["split('')", "partition('')", "index('b')", "split('b', most=1)", "center(3, '--')", "reversed()"]
        {
            assert!(render(&format!("'a'.{none}")).is_err(), "{none}");
        }
    }
}
