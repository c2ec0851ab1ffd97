//! Pieces of code get the classes that a reader expects, and nothing in them becomes markup.

use super::*;

#[test]
fn words_texts_numbers_and_comments_have_classes() {
    let html = highlight("python", "def f(x):  # <why>\n    return \"a \\\" b\" + 12").expect("known");
    for piece in [
        "<span class=\"code-keyword\">def</span>",
        "<span class=\"code-call\">f</span>",
        "<span class=\"code-comment\"># &lt;why&gt;</span>",
        "<span class=\"code-text\">&quot;a \\&quot; b&quot;</span>",
        "<span class=\"code-number\">12</span>",
    ] {
        assert!(html.contains(piece), "{piece} is not in {html}");
    }
    assert!(highlight("SQL", "select 1").expect("known").contains("code-keyword"));
    assert_eq!(highlight("brainfuck", "+"), None);
}

#[test]
fn no_character_is_lost_whatever_the_code_is() {
    let odd = "\"open\n'''x\n/* never closed 你好 🌿 \\";
    for name in ["python", "js", "rust", "c", "sh", "sql", "rb", "html"] {
        let html = highlight(name, odd).expect("known");
        let mut plain = String::new();
        let mut inside = false;
        for sign in html.chars() {
            match sign {
                '<' => inside = true,
                '>' => inside = false,
                other if !inside => plain.push(other),
                _ => {}
            }
        }
        let plain = plain.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        assert_eq!(plain, odd, "{name}");
    }
}
