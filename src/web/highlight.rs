//! Code in colours: one pass over the text that knows comments, texts, numbers and the words of common languages. What it does not
//! know stays plain; it never changes a character. Colours are classes, as pages allow no inline style.

use std::fmt::Write;

/// What a family of languages looks like.
struct Grammar {
    names: &'static [&'static str],
    line_comments: &'static [&'static str],
    block_comment: Option<(&'static str, &'static str)>,
    /// Delimiters of texts, longer ones first.
    quotes: &'static [&'static str],
    keywords: &'static [&'static str],
    /// `select` is `SELECT`.
    any_case: bool,
}

const C_COMMENT: Option<(&str, &str)> = Some(("/*", "*/"));

static GRAMMARS: [Grammar; 8] = [
    Grammar {
        names: &["python", "py", "python3"],
        line_comments: &["#"],
        block_comment: None,
        quotes: &["\"\"\"", "'''", "\"", "'"],
        keywords: &[
            "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else",
            "except", "False", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "match",
            "None", "nonlocal", "not", "or", "pass", "raise", "return", "True", "try", "while", "with", "yield",
            "self",
        ],
        any_case: false,
    },
    Grammar {
        names: &["javascript", "js", "typescript", "ts", "jsx", "tsx", "json"],
        line_comments: &["//"],
        block_comment: C_COMMENT,
        quotes: &["\"", "'", "`"],
        keywords: &[
            "async",
            "await",
            "break",
            "case",
            "catch",
            "class",
            "const",
            "continue",
            "default",
            "delete",
            "do",
            "else",
            "enum",
            "export",
            "extends",
            "false",
            "finally",
            "for",
            "from",
            "function",
            "if",
            "import",
            "in",
            "instanceof",
            "interface",
            "let",
            "new",
            "null",
            "of",
            "return",
            "static",
            "super",
            "switch",
            "this",
            "throw",
            "true",
            "try",
            "type",
            "typeof",
            "undefined",
            "var",
            "void",
            "while",
            "yield",
        ],
        any_case: false,
    },
    Grammar {
        names: &["rust", "rs"],
        line_comments: &["//"],
        block_comment: C_COMMENT,
        quotes: &["\""],
        keywords: &[
            "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "false", "fn", "for",
            "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "Self",
            "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while",
        ],
        any_case: false,
    },
    Grammar {
        names: &[
            "c", "cpp", "c++", "h", "hpp", "java", "kotlin", "kt", "cs", "csharp", "c#", "go", "golang", "swift",
            "scala", "php", "dart",
        ],
        line_comments: &["//"],
        block_comment: C_COMMENT,
        quotes: &["\"", "'", "`"],
        keywords: &[
            "abstract",
            "auto",
            "bool",
            "boolean",
            "break",
            "byte",
            "case",
            "catch",
            "char",
            "class",
            "const",
            "continue",
            "default",
            "defer",
            "delete",
            "do",
            "double",
            "else",
            "enum",
            "extends",
            "false",
            "final",
            "finally",
            "float",
            "for",
            "foreach",
            "fun",
            "func",
            "function",
            "go",
            "if",
            "implements",
            "import",
            "in",
            "int",
            "interface",
            "let",
            "long",
            "map",
            "namespace",
            "new",
            "nil",
            "null",
            "nullptr",
            "override",
            "package",
            "private",
            "protected",
            "public",
            "range",
            "return",
            "short",
            "signed",
            "sizeof",
            "static",
            "string",
            "String",
            "struct",
            "super",
            "switch",
            "template",
            "this",
            "throw",
            "throws",
            "true",
            "try",
            "type",
            "typedef",
            "unsigned",
            "using",
            "val",
            "var",
            "virtual",
            "void",
            "while",
        ],
        any_case: false,
    },
    Grammar {
        names: &["bash", "sh", "shell", "zsh", "console", "dockerfile", "makefile"],
        line_comments: &["#"],
        block_comment: None,
        quotes: &["\"", "'"],
        keywords: &[
            "case", "do", "done", "elif", "else", "esac", "export", "fi", "for", "function", "if", "in", "local",
            "return", "set", "then", "until", "while", "FROM", "RUN", "COPY", "CMD",
        ],
        any_case: false,
    },
    Grammar {
        names: &["sql", "postgresql", "mysql", "sqlite"],
        line_comments: &["--"],
        block_comment: C_COMMENT,
        quotes: &["'", "\""],
        keywords: &[
            "alter",
            "and",
            "as",
            "asc",
            "between",
            "by",
            "case",
            "create",
            "delete",
            "desc",
            "distinct",
            "drop",
            "else",
            "end",
            "exists",
            "from",
            "full",
            "group",
            "having",
            "in",
            "index",
            "inner",
            "insert",
            "into",
            "is",
            "join",
            "key",
            "left",
            "like",
            "limit",
            "not",
            "null",
            "on",
            "or",
            "order",
            "outer",
            "primary",
            "references",
            "right",
            "select",
            "set",
            "table",
            "then",
            "union",
            "unique",
            "update",
            "values",
            "view",
            "when",
            "where",
            "with",
        ],
        any_case: true,
    },
    Grammar {
        names: &["ruby", "rb", "yaml", "yml", "toml", "ini", "r", "julia", "jl", "perl"],
        line_comments: &["#"],
        block_comment: None,
        quotes: &["\"", "'"],
        keywords: &[
            "and", "begin", "break", "class", "def", "do", "else", "elsif", "end", "false", "FALSE", "for", "function",
            "if", "in", "let", "module", "nil", "not", "NULL", "null", "or", "require", "rescue", "return", "self",
            "then", "true", "TRUE", "unless", "using", "when", "while", "yield",
        ],
        any_case: false,
    },
    Grammar {
        names: &["html", "xml", "svg", "css", "scss"],
        line_comments: &[],
        block_comment: None,
        quotes: &["\"", "'"],
        keywords: &[],
        any_case: false,
    },
];

/// Whether code of this language gets colours.
pub fn knows(language: &str) -> bool {
    grammar(language).is_some()
}

fn grammar(language: &str) -> Option<&'static Grammar> {
    GRAMMARS.iter().find(|grammar| grammar.names.iter().any(|name| name.eq_ignore_ascii_case(language)))
}

/// The code as HTML, escaped, with `<span class="code-…">` around what has a colour; `None` for a language that is not known.
pub fn highlight(language: &str, code: &str) -> Option<String> {
    let grammar = grammar(language)?;
    let mut html = String::with_capacity(code.len() * 2);
    let mut rest = code;
    while !rest.is_empty() {
        let (class, length) = next(grammar, rest);
        let (piece, after) = rest.split_at(length);
        match class {
            Some(class) => {
                let _ = write!(html, "<span class=\"code-{class}\">");
                escape(&mut html, piece);
                html.push_str("</span>");
            }
            None => escape(&mut html, piece),
        }
        rest = after;
    }
    Some(html)
}

/// The next piece: its class and its length in bytes, at least one character.
fn next(grammar: &Grammar, rest: &str) -> (Option<&'static str>, usize) {
    let line = rest.find('\n').unwrap_or(rest.len());
    if grammar.line_comments.iter().any(|mark| rest.starts_with(mark)) {
        return (Some("comment"), line);
    }
    if let Some((open, close)) = grammar.block_comment.filter(|(open, _)| rest.starts_with(open)) {
        let end = rest[open.len()..].find(close).map_or(rest.len(), |at| open.len() + at + close.len());
        return (Some("comment"), end);
    }
    if let Some(quote) = grammar.quotes.iter().find(|quote| rest.starts_with(**quote)) {
        // A text ends with its line unless its delimiter is one that spans lines.
        let spans_lines = quote.len() == 3 || *quote == "`";
        let within = if spans_lines { rest } else { &rest[..line] };
        return (Some("text"), text_end(within, quote));
    }
    let first = rest.chars().next().unwrap_or(' ');
    if first.is_ascii_digit() {
        let end =
            rest.find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '.' && sign != '_').unwrap_or(rest.len());
        return (Some("number"), end);
    }
    if first.is_alphabetic() || first == '_' {
        let end = rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_').unwrap_or(rest.len());
        let word = &rest[..end];
        let known = grammar
            .keywords
            .iter()
            .any(|keyword| if grammar.any_case { keyword.eq_ignore_ascii_case(word) } else { *keyword == word });
        let class = match () {
            () if known => Some("keyword"),
            () if rest[end..].starts_with('(') => Some("call"),
            () => None,
        };
        return (class, end);
    }
    (None, first.len_utf8())
}

/// Where a text that begins with `quote` ends, a backslash taking the next character along.
fn text_end(within: &str, quote: &str) -> usize {
    let mut escaped = false;
    for (at, sign) in within.char_indices().skip_while(|(at, _)| *at < quote.len()) {
        if escaped {
            escaped = false;
        } else if sign == '\\' {
            escaped = true;
        } else if within[at..].starts_with(quote) {
            return at + quote.len();
        }
    }
    within.len()
}

fn escape(html: &mut String, text: &str) {
    for sign in text.chars() {
        match sign {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
