//! Mathematics: LaTeX between `$`, `$$`, `\(…\)` and `\[…\]` as MathML, which browsers draw without a script.

use std::borrow::Cow;

use pulldown_latex::{Parser, RenderConfig, Storage, config::DisplayMode, mathml::push_mathml};

/// Bytes that a formula may have; a longer one is shown as it was written.
const LONGEST: usize = 4_000;

/// The commands that define others. A definition holds within its own formula only, and a few of them that stand in each other's
/// texts make a formula of a hundred characters one of gigabytes, or nest it so deep that the stack ends.
const DEFINING: [&str; 6] = ["\\def", "\\let", "\\futurelet", "\\newcommand", "\\renewcommand", "\\providecommand"];

/// The elements of MathML Core that formulas are made of. None of them can hold HTML or an address.
pub const ELEMENTS: [&str; 26] = [
    "math",
    "mrow",
    "mi",
    "mn",
    "mo",
    "ms",
    "mtext",
    "mspace",
    "mfrac",
    "msqrt",
    "mroot",
    "msub",
    "msup",
    "msubsup",
    "munder",
    "mover",
    "munderover",
    "mmultiscripts",
    "mprescripts",
    "mtable",
    "mtr",
    "mtd",
    "mstyle",
    "mpadded",
    "mphantom",
    "merror",
];
/// Their attributes: sizes, spaces and forms of signs.
pub const ATTRIBUTES: [&str; 24] = [
    "display",
    "displaystyle",
    "scriptlevel",
    "mathvariant",
    "stretchy",
    "fence",
    "separator",
    "symmetric",
    "largeop",
    "movablelimits",
    "form",
    "lspace",
    "rspace",
    "minsize",
    "maxsize",
    "accent",
    "accentunder",
    "linethickness",
    "width",
    "height",
    "depth",
    "voffset",
    "columnspan",
    "rowspan",
];

/// The formula as MathML; `None` where it can't be read.
pub fn render(latex: &str, display: bool) -> Option<String> {
    if latex.len() > LONGEST || defines(latex) {
        return None;
    }
    let storage = Storage::new();
    let events: Vec<_> = Parser::new(latex, &storage).collect();
    if events.iter().any(Result::is_err) {
        return None;
    }
    let display_mode = if display { DisplayMode::Block } else { DisplayMode::Inline };
    let mut mathml = String::with_capacity(latex.len() * 8);
    push_mathml(&mut mathml, events.into_iter(), RenderConfig { display_mode, ..RenderConfig::default() }).ok()?;
    Some(mathml)
}

/// Whether a formula has a command that defines others. The two backslashes that end a row begin none.
fn defines(latex: &str) -> bool {
    let latex = latex.replace("\\\\", " ");
    DEFINING.iter().any(|command| latex.contains(command))
}

/// Writes `\(…\)` and `\[…\]` as `$…$` and `$$…$$`, which Markdown knows. Code is left alone, and so is what has no end.
pub fn with_dollars(text: &str) -> Cow<'_, str> {
    if !text.contains("\\(") && !text.contains("\\[") {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    let mut line_start = true;
    while let Some(at) = rest.find(['\\', '`', '\n', '~']) {
        let (before, found) = rest.split_at(at);
        line_start = line_start && before.trim().is_empty();
        written.push_str(before);
        let taken = match found.as_bytes() {
            [b'`', ..] | [b'~', ..] => code_end(found, line_start),
            [b'\\', open @ (b'(' | b'['), ..] => match formula(found, *open == b'[') {
                Some((formula, length)) => {
                    written.push_str(&formula);
                    rest = &found[length..];
                    line_start = false;
                    continue;
                }
                None => 2,
            },
            // An escaped sign goes along, whatever it is.
            [b'\\', ..] => 1 + found[1..].chars().next().map_or(0, char::len_utf8),
            _ => 1,
        };
        written.push_str(&found[..taken]);
        line_start = found[..taken].ends_with('\n');
        rest = &found[taken..];
    }
    written.push_str(rest);
    Cow::Owned(written)
}

/// The formula that begins here, in dollars, and the bytes that it took.
fn formula(found: &str, display: bool) -> Option<(String, usize)> {
    let close = if display { "\\]" } else { "\\)" };
    // What is longer is no formula: a text of many beginnings without an end is not read to its end for each of them.
    let end = found[..found.floor_char_boundary(LONGEST + 2 * close.len())].find(close)?;
    let inside = found.get(2..end)?.trim();
    let fits = !inside.is_empty() && !inside.contains('$') && !inside.contains("\n\n");
    let dollars = if display { "$$" } else { "$" };
    (fits && (display || !inside.contains('\n'))).then(|| (format!("{dollars}{inside}{dollars}"), end + 2))
}

/// Bytes of the code that begins here: up to the closing fence, or up to as many backticks as it began with.
fn code_end(found: &str, line_start: bool) -> usize {
    let sign = found.chars().next().unwrap_or('`');
    let ticks = found.len() - found.trim_start_matches(sign).len();
    let mark = &found[..ticks];
    let after = &found[ticks..];
    if ticks >= 3 && line_start {
        return after.find(&format!("\n{mark}")).map_or(found.len(), |end| ticks + end + 1 + ticks);
    }
    if sign == '~' {
        return ticks;
    }
    match after.find(mark) {
        Some(end) if !after[..end].contains("\n\n") => ticks + end + ticks,
        // No end within the paragraph: they are plain signs.
        _ => ticks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_become_dollars_outside_code() {
        assert_eq!(with_dollars("so \\(a+b\\) and \\[\nc\n\\]"), "so $a+b$ and $$c$$");
        assert_eq!(with_dollars("a ` b\n\n`\\(a\\)"), "a ` b\n\n`$a$");
        for kept in ["`\\(a\\)`", "```\n\\(a\\)\n```", "\\(no end", "\\\\(x\\)", "\\( \\)", "a ` b"] {
            assert_eq!(with_dollars(kept), kept);
        }
        assert_eq!(with_dollars("```\n\\(a\\)\n```\n\\(b\\)"), "```\n\\(a\\)\n```\n$b$");
    }

    #[test]
    fn a_formula_that_defines_commands_is_none_however_much_they_would_make_of_it() {
        let bomb = r"\def\a#1{\b{#1#1#1#1}}\def\b#1{\c{#1#1#1#1}}\def\c#1{#1#1#1#1}\a{x}";
        let defining = [bomb, r"\newcommand{\a}{x}\a", r"\providecommand\a{x}\a", r"\let\a=\alpha \a", r"\def \a{x}\a"];
        for latex in defining {
            assert_eq!(render(latex, false), None, "{latex}");
        }
        let others = [r"\left( x \right)", r"\begin{matrix} abc\\def \end{matrix}"];
        assert!(others.iter().all(|latex| render(latex, false).is_some()), "no command defines here");
    }

    #[test]
    fn a_formula_is_mathml_and_nonsense_is_none() {
        let html = render("\\frac{a}{\\sqrt{b}}", true).expect("a formula");
        assert!(html.contains("<mfrac>") && html.contains("<msqrt>"), "{html}");
        assert!(html.contains("display=\"block\""), "{html}");
        assert_eq!(render("\\frac{a", false), None);
        assert_eq!(render("\\nosuchcommand", false), None);
    }
}
