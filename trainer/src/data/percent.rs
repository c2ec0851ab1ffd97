//! Python's `%` between a text and what fills it (`"%s: %s" % (role, content)`). The engine has `%` for numbers alone, so
//! where the text stands in quotes the `%` is made a call of a filter before the template is compiled.

use std::ops::Range;

use minijinja::{
    Error, Value,
    formatting::{FormatStyle, format},
    value::Tuple,
};

/// The filter that a `%` after a text becomes.
pub const FILTER: &str = "filled_by_percent";

/// `text % values` as Python has it: a tuple is one value a place, everything else is one value.
pub fn filled(text: &str, values: &Value) -> Result<String, Error> {
    match values.downcast_object_ref::<Tuple>() {
        Some(several) => format(FormatStyle::Printf, text, several),
        None => format(FormatStyle::Printf, text, std::slice::from_ref(values)),
    }
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
    let sign = usize::from(matches!(code.get(start), Some(b'-' | b'+')));
    let mut end = end_of_value(code, start + sign)?;
    while let Some(longer) = end_of_more(code, end) {
        end = longer;
    }
    Some(start..end)
}

/// Where a text, a list, a name or a number ends that begins at `at`.
fn end_of_value(code: &[u8], at: usize) -> Option<usize> {
    match *code.get(at)? {
        quote if is_quote(quote) => end_of_texts(code, at),
        b'(' | b'[' | b'{' => end_of_brackets(code, at),
        _ => end_of_word(code, at),
    }
}

/// Where an attribute, a place, the arguments of a call or a filter end that follow a value.
fn end_of_more(code: &[u8], at: usize) -> Option<usize> {
    let next = past_space(code, at);
    match *code.get(next)? {
        b'.' | b'|' => end_of_word(code, past_space(code, next + 1)),
        b'(' | b'[' => end_of_brackets(code, next),
        _ => None,
    }
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
        ] {
            assert_eq!(render(&format!("{{{{ {expression} }}}}")).unwrap(), expected, "{expression}");
        }
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
