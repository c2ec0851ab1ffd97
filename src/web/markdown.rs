//! Markdown from people and models as HTML that can do no harm.

use std::sync::LazyLock;

use ammonia::Builder;
use pulldown_cmark::{Event, Options, Parser, Tag, html};

/// Elements and attributes that an answer may have: text, lists, tables, code, links. No pictures: they would call out.
static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .rm_tags(["img", "map", "area", "bdo"])
        .add_tag_attributes("code", ["class"])
        .add_tag_attributes("ol", ["start"])
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank")
        .url_schemes(["http", "https", "mailto"].into());
    builder
});

/// Renders Markdown (tables, strikethrough, task lists, footnotes off) to sanitised HTML. Raw HTML in the text is shown
/// as text: what a model wrote is seen, not run. Pictures become their description and address.
pub fn render(text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(text, options).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        Event::End(pulldown_cmark::TagEnd::Image) => Event::End(pulldown_cmark::TagEnd::Link),
        Event::TaskListMarker(done) => Event::Text(if done { "☑ ".into() } else { "☐ ".into() }),
        // A model's line break is meant as one.
        Event::SoftBreak => Event::HardBreak,
        other => other,
    });
    let mut rendered = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut rendered, events);
    CLEANER.clean(&rendered).to_string()
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
    fn a_picture_is_a_link_and_loads_nothing() {
        let html = render("![cat](https://example.org/cat.png)");
        assert!(!html.contains("<img") && html.contains("href=\"https://example.org/cat.png\""), "{html}");
    }
}
