//! Markdown from people and models as HTML that can do no harm.

use std::sync::LazyLock;

use ammonia::Builder;
use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::{highlight, mathematics};

/// What code has colours by; see `reading.css`.
const CODE_CLASSES: [&str; 5] = ["code-comment", "code-keyword", "code-text", "code-number", "code-call"];

/// Elements and attributes that an answer may have: text, lists, tables, code, links, formulas. No pictures: they would call out.
static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .rm_tags(["img", "map", "area", "bdo"])
        .add_tag_attributes("code", ["class"])
        .add_allowed_classes("span", CODE_CLASSES)
        .add_tags(mathematics::ELEMENTS)
        .add_tag_attributes("ol", ["start"])
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank")
        .url_schemes(["http", "https", "mailto"].into());
    for element in mathematics::ELEMENTS {
        builder.add_tag_attributes(element, mathematics::ATTRIBUTES);
    }
    builder
});

/// Elements that may stand in each other. Of deeper ones the text alone is shown: the cleaner looks at all that are open for each that
/// opens, so that a line of many `>` would keep it busy for minutes, and browsers draw no more than some hundred.
const DEEPEST: usize = 100;

/// Characters of an address that are shown where a link or a picture has no words of its own: pictures may stand in theirs whole.
const LONGEST_ADDRESS: usize = 100;

/// Renders Markdown (tables, strikethrough, task lists, mathematics, code in colours) to sanitised HTML. Raw HTML in the text is shown
/// as text: what a model wrote is seen, not run. Pictures become links with their description, or their address where they have none.
pub fn render(text: &str) -> String {
    let text = mathematics::with_dollars(text);
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_MATH;
    let (mut code, mut depth) = (None, 0);
    let events = linked(Parser::new_ext(&text, options).filter(|event| is_within(&mut depth, event)))
        .filter_map(|event| shown(&mut code, event));
    let mut rendered = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut rendered, events);
    CLEANER.clean(&rendered).to_string()
}

/// Whether an event is no element's that stands too deep in others.
fn is_within(depth: &mut usize, event: &Event<'_>) -> bool {
    match event {
        Event::Start(_) => {
            *depth += 1;
            *depth <= DEEPEST
        }
        Event::End(_) => {
            *depth -= 1;
            *depth < DEEPEST
        }
        _ => true,
    }
}

/// Makes pictures links to them. Of one within a link, as badges are, the words alone stand: no link may stand in another. A link without
/// words says its address: nobody would see it.
fn linked<'a>(events: impl Iterator<Item = Event<'a>>) -> impl Iterator<Item = Event<'a>> {
    let mut open = 0_usize;
    let mut wordless: Option<CowStr<'a>> = None;
    events.flat_map(move |event| {
        let mut words = None;
        let event = match event {
            Event::Start(
                Tag::Link { link_type, dest_url, title, id } | Tag::Image { link_type, dest_url, title, id },
            ) => {
                open += 1;
                (open == 1).then(|| {
                    wordless = Some(dest_url.clone());
                    Event::Start(Tag::Link { link_type, dest_url, title, id })
                })
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                open -= 1;
                (open == 0).then(|| {
                    words = wordless.take().map(|address| Event::Text(in_short(&address).into()));
                    Event::End(TagEnd::Link)
                })
            }
            Event::Start(_) | Event::End(_) | Event::SoftBreak | Event::HardBreak => Some(event),
            seen => {
                if !matches!(&seen, Event::Text(text) if text.trim().is_empty()) {
                    wordless = None;
                }
                Some(seen)
            }
        };
        words.into_iter().chain(event)
    })
}

/// An address, or its beginning.
fn in_short(address: &str) -> String {
    match address.char_indices().nth(LONGEST_ADDRESS) {
        Some((end, _)) => format!("{}…", &address[..end]),
        None => address.to_owned(),
    }
}

/// Code of a language with colours, while it is read.
struct Code {
    language: String,
    text: String,
}

/// What an event of the text becomes; nothing while code is gathered.
fn shown<'a>(code: &mut Option<Code>, event: Event<'a>) -> Option<Event<'a>> {
    if let Some(gathered) = code.as_mut() {
        match event {
            Event::End(TagEnd::CodeBlock) => {
                let Code { language, text } = code.take()?;
                let html = highlight::highlight(&language, &text)?;
                return Some(Event::Html(
                    format!("<pre><code class=\"language-{language}\">{html}</code></pre>\n").into(),
                ));
            }
            Event::Text(text) => gathered.text.push_str(&text),
            _ => {}
        }
        return None;
    }
    Some(match event {
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => match language(&info) {
            Some(language) => {
                *code = Some(Code { language, text: String::new() });
                return None;
            }
            None => Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))),
        },
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::TaskListMarker(done) => Event::Text(if done { "☑ ".into() } else { "☐ ".into() }),
        Event::InlineMath(latex) => formula(&latex, false),
        Event::DisplayMath(latex) => formula(&latex, true),
        // A model's line break is meant as one.
        Event::SoftBreak => Event::HardBreak,
        other => other,
    })
}

/// The language that a code block names, if it is one with colours.
fn language(info: &str) -> Option<String> {
    let name = info.split([' ', ',', '{']).next()?.trim().to_ascii_lowercase();
    highlight::knows(&name).then_some(name)
}

/// A formula as MathML, or as it was written where it can't be read.
fn formula<'a>(latex: &CowStr<'_>, display: bool) -> Event<'a> {
    let dollars = if display { "$$" } else { "$" };
    match mathematics::render(latex, display) {
        Some(mathml) => Event::InlineHtml(mathml.into()),
        None => Event::Text(format!("{dollars}{latex}{dollars}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_shown_and_not_run() {
        let html = render("a <script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1))");
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("javascript:"), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
    }

    #[test]
    fn code_and_tables_stay() {
        let html = render("```rust\nfn main() {}\n```\n\n|a|b|\n|-|-|\n|1|2|");
        assert!(html.contains("<pre><code class=\"language-rust\">") && html.contains("<table>"), "{html}");
    }

    #[test]
    fn of_what_is_nested_very_deep_the_text_is_shown() {
        for mark in [">", "+ "] {
            let html = render(&format!("{} deep\n\nafter", mark.repeat(20_000)));
            assert!(html.matches("<blockquote>").count() + html.matches("<ul>").count() <= DEEPEST, "{mark}");
            assert!(html.contains("deep") && html.contains("<p>after</p>"), "{mark}");
        }
        assert_eq!(render(">>> deep").matches("<blockquote>").count(), 3);
    }

    #[test]
    fn a_picture_is_a_link_and_loads_nothing() {
        let html = render("![cat](https://example.org/cat.png)");
        assert!(!html.contains("<img") && html.contains("href=\"https://example.org/cat.png\""), "{html}");
    }

    #[test]
    fn a_picture_or_link_without_words_shows_its_address() {
        for words in ["![]", "[]", "[ ]", "[&nbsp;]", "![ ]"] {
            let html = render(&format!("{words}(https://example.org/cat.png)"));
            assert!(html.contains("href=\"https://example.org/cat.png\""), "{html}");
            assert!(html.contains("https://example.org/cat.png</a>"), "{html}");
        }
        let html = render(&format!("![](data:image/png;base64,{})", "A".repeat(5_000)));
        assert!(html.contains(">data:image/png;base64,AAA") && html.contains("AAA…</a>"), "{html}");
        assert!(html.len() < 300 && !html.contains("href"), "{html}");
    }

    #[test]
    fn a_badge_is_one_link_with_the_words_of_its_picture() {
        for (picture, words) in [("![Build](b.svg)", "Build"), ("![](b.svg)", "https://example.org/")] {
            let html = render(&format!("[{picture}](https://example.org/) after"));
            assert_eq!(html.matches("<a ").count(), 1, "{html}");
            assert!(html.contains(&format!(">{words}</a> after")), "{html}");
        }
        assert_eq!(render("![a ![b](c) d](https://example.org/e)").matches("<a ").count(), 1);
    }

    #[test]
    fn code_has_colours_and_nothing_of_it_is_run() {
        let html = render("```python\ndef f():\n    return '<script>'\n```");
        assert!(html.contains("<span class=\"code-keyword\">def</span>"), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
        // A class of the text's own is no class of the page.
        assert!(!render("<span class=\"code-keyword\">x</span>").contains("<span"));
    }

    #[test]
    fn formulas_are_drawn_and_money_is_not() {
        let html = render("With $a^2$ and \\(b\\):\n\n$$\\frac{1}{2}$$");
        assert_eq!(html.matches("<math").count(), 3, "{html}");
        assert!(html.contains("<msup>") && html.contains("<mfrac>") && html.contains("display=\"block\""), "{html}");
        assert!(render("It costs $5 and $10.").contains("$5 and $10."));
        assert!(render("$\\nosuchcommand$").contains("$\\nosuchcommand$"));
    }

    #[test]
    fn a_formula_brings_no_style_no_address_and_no_html() {
        let html = render(r"$\color{red}{x}$ $\text{<img src=x onerror=alert(1)>}$ $\href{javascript:alert(1)}{x}$");
        for evil in ["style=", "<img", "href=\"javascript"] {
            assert!(!html.contains(evil), "{evil} in {html}");
        }
    }
}
