//! Reads what our own pages say: elements with their attributes and text. Not a general HTML parser: it trusts that
//! attributes are quoted and elements closed, as our templates and the markdown renderer write them.

/// An element: its attributes, and all text within it as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub tag: String,
    attributes: Vec<(String, String)>,
    pub text: String,
    /// What stands within it.
    pub inner: String,
}

impl Element {
    /// The value of an attribute; empty where it stands without one.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Elements that have no end tag.
const VOID: &[&str] = &["input", "meta", "link", "br", "hr", "img"];
/// Elements after which a new line begins, where a person sees one.
const BLOCKS: &[&str] = &["p", "div", "li", "br", "pre", "h1", "h2", "h3", "h4", "tr", "blockquote"];

/// All elements with this tag, in the order of the page, nested ones too.
pub fn elements(html: &str, tag: &str) -> Vec<Element> {
    all(html).filter(|element| element.tag == tag).collect()
}

/// All elements that carry this attribute, in the order of the page.
pub fn with_attribute(html: &str, attribute: &str) -> Vec<Element> {
    all(html).filter(|element| element.attribute(attribute).is_some()).collect()
}

fn all(html: &str) -> impl Iterator<Item = Element> {
    starts(html).map(move |start| {
        let inner = if VOID.contains(&start.tag) { "" } else { inner(&html[start.end..], start.tag) };
        Element {
            tag: start.tag.to_owned(),
            attributes: attributes(start.attributes),
            text: text(inner),
            inner: inner.to_owned(),
        }
    })
}

struct Start<'a> {
    tag: &'a str,
    attributes: &'a str,
    /// Where the element's inside begins.
    end: usize,
}

fn starts(html: &str) -> impl Iterator<Item = Start<'_>> {
    html.match_indices('<').filter_map(move |(at, _)| {
        let rest = &html[at + 1..];
        let length = rest.find(|character: char| !character.is_ascii_alphanumeric())?;
        if length == 0 {
            return None;
        }
        let end = tag_end(rest)?;
        Some(Start { tag: &rest[..length], attributes: &rest[length..end], end: at + 1 + end + 1 })
    })
}

/// The place of the `>` that ends a tag, outside of quotes.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quoted = false;
    rest.char_indices().find_map(|(at, character)| {
        quoted ^= character == '"';
        (character == '>' && !quoted).then_some(at)
    })
}

fn inner<'a>(html: &'a str, tag: &str) -> &'a str {
    let (open, close) = (format!("<{tag}"), format!("</{tag}"));
    let mut depth = 1;
    let mut at = 0;
    while let Some(next) = html[at..].find('<').map(|found| at + found) {
        let rest = &html[next..];
        let ends = |name: &str| rest[name.len()..].starts_with(|character: char| !character.is_ascii_alphanumeric());
        if rest.starts_with(&close) && ends(&close) {
            depth -= 1;
            if depth == 0 {
                return &html[..next];
            }
        } else if rest.starts_with(&open) && ends(&open) {
            depth += 1;
        }
        at = next + 1;
    }
    html
}

fn attributes(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(end) = rest.find(|character: char| character == '=' || character.is_whitespace() || character == '/')
    {
        let name = rest[..end].to_owned();
        let after = &rest[end..];
        let value = after.strip_prefix("=\"").and_then(|quoted| quoted.split_once('"'));
        let value_text = value.map(|(value, _)| unescape(value)).unwrap_or_default();
        rest = value.map_or(&after[after.len().min(1)..], |(_, rest)| rest).trim_start();
        if !name.is_empty() {
            found.push((name, value_text));
        }
    }
    if !rest.is_empty() {
        found.push((rest.to_owned(), String::new()));
    }
    found
}

/// The text of a piece of HTML, entities resolved, a new line where a block ends.
pub fn text(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&unescape(&rest[..at]));
        let Some(end) = tag_end(&rest[at + 1..]) else { break };
        let tag = rest[at + 1..at + 1 + end].trim_start_matches('/');
        let name = tag.split(|character: char| !character.is_ascii_alphanumeric()).next().unwrap_or_default();
        if BLOCKS.contains(&name) && !out.ends_with('\n') {
            out.push('\n');
        }
        rest = &rest[at + 1 + end + 1..];
    }
    if !rest.starts_with('<') {
        out.push_str(&unescape(rest));
    }
    out.trim().to_owned()
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let entity = rest[at + 1..].split_once(';').filter(|(name, _)| name.len() <= 8);
        match entity.and_then(|(name, after)| Some((character(name)?, after))) {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "nbsp" => Some('\u{a0}'),
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_attributes_and_text() {
        let page = r#"<form action="/a?b=1&amp;c" method="post"><input type="hidden" name="csrf" value="x&#34;y" required>
            <div data-answer="2"><div><p>Tom &amp; <em>Li</em></p><p>Zwei</p></div></div></form>"#;
        assert_eq!(elements(page, "form")[0].attribute("action"), Some("/a?b=1&c"));
        let input = &elements(page, "input")[0];
        assert_eq!((input.attribute("value"), input.attribute("required")), (Some("x\"y"), Some("")));
        let answer = &with_attribute(page, "data-answer")[0];
        assert_eq!((answer.attribute("data-answer"), answer.text.as_str()), (Some("2"), "Tom & Li\nZwei"));
    }
}
