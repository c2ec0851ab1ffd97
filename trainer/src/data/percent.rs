//! Python's `%` between a text and what fills it (`"%s: %s" % (role, content)`). The engine has `%` for numbers alone, so
//! where the text stands in quotes the `%` is made a call of a filter before the template is compiled.

use std::{ops::Range, slice};

use minijinja::{
    Error, ErrorKind, Value,
    formatting::{FormatStyle, format},
    value::{Tuple, ValueKind},
};

/// The filter that a `%` after a text becomes.
pub const FILTER: &str = "filled_by_percent";

/// Words that stand after a test and are not what it compares with.
const NO_ARGUMENTS: [&[u8]; 6] = [b"and", b"or", b"else", b"if", b"in", b"is"];

/// `text % values` as Python has it: a tuple is one value a place, everything else is one value. Each has to have its place, but for
/// what values are looked up in.
pub fn filled(text: &str, values: &Value) -> Result<String, Error> {
    let fill = |values: &[Value]| format(FormatStyle::Printf, text, values);
    let (filled, without_the_last) = match values.downcast_object_ref::<Tuple>() {
        Some(several) => {
            let several: &[Value] = several;
            (fill(several)?, several.split_last().map(|(_, others)| fill(others)))
        }
        None => (fill(slice::from_ref(values))?, is_one(values).then(|| fill(&[]))),
    };
    match without_the_last {
        Some(Ok(_)) => {
            let words = "not all arguments converted during string formatting";
            Err(Error::new(ErrorKind::InvalidOperation, words))
        }
        _ => Ok(filled),
    }
}

/// Whether nothing can be looked up in a value.
fn is_one(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::String)
}

/// A template with each `%` after a text made a call of [`FILTER`]. What is no tag, and what can't be read, stays as it is.
pub fn as_filter(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find('{') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let (is_code, end) = match tag.as_bytes().get(1) {
            Some(b'#') => (false, tag.find("#}").map(|at| at + 2)),
            Some(b'{') => (true, end_of_brackets(tag.as_bytes(), 0)),
            Some(b'%') if opens_raw(tag) => (false, tag.find("endraw")),
            Some(b'%') => (true, end_of_brackets(tag.as_bytes(), 0)),
            _ => (false, Some(1)),
        };
        let (tag, after) = tag.split_at(end.unwrap_or(tag.len()));
        out.push_str(&if is_code { rewritten(tag) } else { tag.to_owned() });
        rest = after;
    }
    out + rest
}

/// Whether a tag begins text that is no code.
fn opens_raw(tag: &str) -> bool {
    let word = tag.trim_start_matches(['{', '%', '-', '+']).trim_start();
    word.strip_prefix("raw").is_some_and(|after| after.trim_start().starts_with(['%', '-', '+']))
}

fn rewritten(code: &str) -> String {
    let bytes = code.as_bytes();
    let (mut out, mut copied, mut at) = (String::with_capacity(code.len()), 0, 0);
    while at < bytes.len() {
        if !is_quote(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        let Some(end) = end_of_texts(bytes, start) else { break };
        at = end;
        let Some(first) = values_after(bytes, end) else { continue };
        out.push_str(&code[copied..start]);
        out.push('(');
        out.push_str(&code[start..end]);
        let mut next = Some(first);
        while let Some(values) = next {
            at = values.end;
            out.push_str(&format!("|{FILTER}({})", rewritten(&code[values])));
            next = values_after(bytes, at);
        }
        out.push(')');
        copied = at;
    }
    out.push_str(&code[copied..]);
    out
}

/// Where the values stand that a `%` at `at` fills a text with: all that binds more tightly than `%`.
fn values_after(code: &[u8], at: usize) -> Option<Range<usize>> {
    let percent = past_space(code, at);
    // `%}` ends a tag.
    if code.get(percent) != Some(&b'%') || code.get(percent + 1) == Some(&b'}') {
        return None;
    }
    let start = past_space(code, percent + 1);
    let mut end = end_of_signed(code, start)?;
    while let Some(longer) = end_of_more(code, end) {
        end = longer;
    }
    Some(start..end)
}

/// As [`end_of_value`], with a sign in front.
fn end_of_signed(code: &[u8], at: usize) -> Option<usize> {
    let sign = usize::from(matches!(code.get(at), Some(b'-' | b'+')));
    end_of_value(code, at + sign)
}

/// Where a text, a list, a name or a number ends that begins at `at`.
fn end_of_value(code: &[u8], at: usize) -> Option<usize> {
    match *code.get(at)? {
        quote if is_quote(quote) => end_of_texts(code, at),
        b'(' | b'[' | b'{' => end_of_brackets(code, at),
        _ => end_of_word(code, at),
    }
}

/// Where an attribute, a place, the arguments of a call, a filter, a power or a test end that follow a value.
fn end_of_more(code: &[u8], at: usize) -> Option<usize> {
    let next = past_space(code, at);
    match *code.get(next)? {
        b'.' | b'|' => end_of_word(code, past_space(code, next + 1)),
        b'(' | b'[' => end_of_brackets(code, next),
        b'*' if code.get(next + 1) == Some(&b'*') => end_of_signed(code, past_space(code, next + 2)),
        b'i' => end_of_test(code, next),
        _ => None,
    }
}

/// Where a test ends, with what it compares with unless that stands in brackets: `is not none`, `is divisibleby 3`.
fn end_of_test(code: &[u8], at: usize) -> Option<usize> {
    let word = |at: usize| end_of_word(code, at).map(|end| (&code[at..end], end));
    let (_, is) = word(at).filter(|(word, _)| *word == b"is")?;
    let (name, mut end) = word(past_space(code, is))?;
    if name == b"not" {
        end = end_of_word(code, past_space(code, end))?;
    }
    let argument = past_space(code, end);
    let has_argument = match code.get(argument) {
        Some(&quote) if is_quote(quote) => true,
        _ => word(argument).is_some_and(|(word, _)| !NO_ARGUMENTS.contains(&word)),
    };
    if has_argument { end_of_value(code, argument) } else { Some(end) }
}

/// Past the bracket that closes the one at `start`.
fn end_of_brackets(code: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut open) = (start, 0);
    loop {
        match *code.get(at)? {
            quote if is_quote(quote) => {
                at = end_of_text(code, at)?;
                continue;
            }
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open -= 1,
            _ => {}
        }
        at += 1;
        if open == 0 {
            return Some(at);
        }
    }
}

/// Past texts that stand one after the other, which are one text.
fn end_of_texts(code: &[u8], start: usize) -> Option<usize> {
    let mut end = end_of_text(code, start)?;
    loop {
        let next = past_space(code, end);
        if !code.get(next).copied().is_some_and(is_quote) {
            return Some(end);
        }
        end = end_of_text(code, next)?;
    }
}

/// Past the quote that closes the one at `start`.
fn end_of_text(code: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    while *code.get(at)? != code[start] {
        at += if code[at] == b'\\' { 2 } else { 1 };
    }
    Some(at + 1)
}

fn end_of_word(code: &[u8], start: usize) -> Option<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_' || !byte.is_ascii();
    let length = code.get(start..)?.iter().take_while(is_part).count();
    (length > 0).then_some(start + length)
}

fn past_space(code: &[u8], start: usize) -> usize {
    start + code.iter().skip(start).take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context};

    use super::*;

    fn render(source: &str) -> Result<String, Error> {
        let mut environment = Environment::new();
        environment.add_filter(FILTER, filled);
        let values = context! { role => "user", n => 3, message => context! { content => "Tea?", role => "user" } };
        environment.render_str(&as_filter(source), values)
    }

    /// Expected: what Python and Jinja2 make of the same expressions.
    #[test]
    fn a_text_is_filled_as_python_does_it() {
        for (expression, expected) in [
            ("'%s: %s' % (role, message.content)", "user: Tea?"),
            ("\"%s\" % message['content']", "Tea?"),
            ("'%d%%' % n", "3%"),
            ("'%03d|%-3s|%.2f' % (n, 'a', n + 0.5)", "003|a  |3.50"),
            ("'%(role)s %(content)s' % message", "user Tea?"),
            ("'%s' % -1", "-1"),
            ("'%s' % (n + 1)", "4"),
            ("'%s' % (role,)", "user"),
            ("'%s' % [1, 2]", "[1, 2]"),
            ("'<%s>' % message.content[:3] + '!'", "<Tea>!"),
            ("'<' ~ '%s' % role ~ '>'", "<user>"),
            ("'%s' % role|upper", "USER"),
            ("'a' '%s' % role", "auser"),
            ("'%%%s' % 's' % role", "user"),
            ("'%s' % ('<%s>' % role)", "<user>"),
            ("'%s' % role if n % 2 == 1 else 'even'", "user"),
            ("'100 %'", "100 %"),
            ("{'a': '%s' % role}['a']", "user"),
            ("'茶%s' % '🌿'", "茶🌿"),
            ("'%s' % n is string", "False"),
            ("'%s' % n is not none", "True"),
            ("'%s' % n is divisibleby 3 and n", "3"),
            ("'%s' % role is string or n", "True"),
            ("'%s' % role is in(['user'])", "True"),
            ("'%d' % n ** 2", "9"),
            ("'%d' % 2 ** 3 ** 2 ~ '!'", "64!"),
            ("'Tea' % ()", "Tea"),
            ("'Tea' % message", "Tea"),
            ("'Tea' % [1]", "Tea"),
        ] {
            assert_eq!(render(&format!("{{{{ {expression} }}}}")).unwrap(), expected, "{expression}");
        }
    }

    /// In Python's words.
    #[test]
    fn values_that_have_no_place_are_refused() {
        for expression in ["'%s' % (role, n)", "'Tea' % role", "'100%%' % n", "'Tea' % (n,)", "'Tea' % none"] {
            let error = render(&format!("{{{{ {expression} }}}}")).unwrap_err().to_string();
            assert!(error.contains("not all arguments converted during string formatting"), "{expression}: {error}");
        }
        assert!(render("{{ '%s %s' % (role,) }}").is_err());
    }

    #[test]
    fn what_is_no_expression_stays_as_it_is() {
        for source in [
            "'%s' % role {# '%s' % role #}",
            "{% raw %}{{ '%s' % role }}{% endraw %}{{ n % 2 }}",
            "{% set a = 'b' %}{% set c = \"d\" -%} {{ a }} } { {{ 'open",
            "it's {{ 5 % n }} and '%s'{% if 'a' %}b{% endif %}",
        ] {
            assert_eq!(as_filter(source), source);
        }
        let source = "{%- set line = '%s\\'s' % role -%}{% if '%d' % n == '3' %}{{ line }}{% endif %}";
        assert_eq!(render(source).unwrap(), "user's");
    }
}
