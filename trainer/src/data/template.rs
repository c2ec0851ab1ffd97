//! Chat templates: the Jinja text of a model that turns a conversation into the text that the model was trained on.
//!
//! What `transformers` gives a template to work with is given here too: whitespace rules (`trim_blocks`,
//! `lstrip_blocks`), Python's methods on strings and lists, `raise_exception`, `strftime_now`, a `tojson` that escapes
//! nothing for HTML, loop controls. `{% generation %}` blocks, which mark the assistant's words, print what is in them.

use laurel_records::{Message, Role};
use minijinja::{Environment, Error, ErrorKind, Value, context, syntax::SyntaxConfig, value::Kwargs};

use super::error::DataError;

const NAME: &str = "chat";

/// A compiled chat template with the model's special tokens.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
}

impl ChatTemplate {
    /// Compiles `source`. `special_tokens`: `bos_token`, `eos_token`, … as text, which templates print by name.
    pub fn new(source: &str, special_tokens: &[(String, String)]) -> Result<Self, DataError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(error)?;
        environment.set_syntax(syntax);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", tojson);
        for (name, value) in special_tokens {
            environment.add_global(name.clone(), value.as_str());
        }
        environment.add_template_owned(NAME, without_generation_blocks(source)).map_err(error)?;
        Ok(Self { environment })
    }

    /// The conversation as text. `generation_prompt` adds what comes before the assistant's next message.
    pub fn render(&self, messages: &[Message], generation_prompt: bool) -> Result<String, DataError> {
        let template = self.environment.get_template(NAME).map_err(error)?;
        let values = context! {
            messages => messages.iter().map(message_value).collect::<Vec<_>>(),
            add_generation_prompt => generation_prompt,
            tools => (),
            documents => (),
        };
        template.render(values).map_err(error)
    }
}

fn message_value(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    Value::from_pairs([("role", role), ("content", message.content.as_str())])
}

/// Says what a template does wrong in words, without the engine's names for kinds of errors.
fn error(error: Error) -> DataError {
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    DataError::Template(match (error.kind(), error.detail()) {
        (ErrorKind::InvalidOperation, Some(detail)) if detail.starts_with(REFUSAL) => {
            format!("refuses this conversation: {}", detail.trim_start_matches(REFUSAL))
        }
        (kind, Some(detail)) => format!("fails: {kind}: {detail}{line}"),
        (kind, None) => format!("fails: {kind}{line}"),
    })
}

/// Marks what a template says by `raise_exception`, to tell it from errors in the template.
const REFUSAL: &str = "\u{1}";

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, format!("{REFUSAL}{message}")))
}

/// Today's date (UTC) by a format of C's `strftime`; some templates tell it to the model.
fn strftime_now(format: String) -> Result<String, Error> {
    let wrong = |reason: String| Error::new(ErrorKind::InvalidOperation, format!("date format {format:?}: {reason}"));
    let items =
        time::format_description::parse_strftime_borrowed(&format).map_err(|reason| wrong(reason.to_string()))?;
    time::OffsetDateTime::now_utc().format(&items).map_err(|reason| wrong(reason.to_string()))
}

/// `json.dumps(value, ensure_ascii=False, indent=indent)`: the engine's own filter also escapes what HTML would need.
fn tojson(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<String, Error> {
    // What transformers accepts besides; both are the defaults here.
    let _: Option<Value> = options.get("ensure_ascii")?;
    let _: Option<Value> = options.get("sort_keys")?;
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get("indent")?,
    };
    options.assert_all_used()?;
    let json = minijinja::filters::tojson(value, indent, Kwargs::from_iter(None::<(&str, Value)>))?;
    Ok(without_html_escapes(json.as_str().unwrap_or_default()))
}

fn without_html_escapes(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at..];
        let html = [("\\u003c", '<'), ("\\u003e", '>'), ("\\u0026", '&'), ("\\u0027", '\'')];
        rest = match html.iter().find(|(code, _)| escape.starts_with(code)) {
            Some((code, character)) => {
                out.push(*character);
                &escape[code.len()..]
            }
            None => {
                // A backslash and what it escapes (one ASCII character) stay together: "\\u003c" is no escape of '<'.
                out.push_str(&escape[..2]);
                &escape[2..]
            }
        };
    }
    out + rest
}

/// `{% generation %}…{% endgeneration %}` is an extension of transformers that prints its content. An `if` that is
/// always true does the same with the same whitespace rules.
fn without_generation_blocks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + length + 2];
        out.push_str(&rest[..start]);
        let word = tag.trim_start_matches("{%").trim_end_matches("%}").trim_matches(['-', '+']).trim();
        match word {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = &rest[start + length + 2..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, content: &str) -> Result<String, DataError> {
        let messages = [Message { role: Role::User, content: content.into() }];
        ChatTemplate::new(source, &[])?.render(&messages, true)
    }

    #[test]
    fn json_comes_as_python_writes_it() {
        // json.dumps({"role": "user", "content": …}, ensure_ascii=False)
        let found = render("{{ messages[0] | tojson }}", "<a href='x'> & \\u003c 茶").unwrap();
        assert_eq!(found, r#"{"role": "user", "content": "<a href='x'> & \\u003c 茶"}"#);
    }

    #[test]
    fn a_conversation_that_the_template_refuses_is_refused_in_its_words() {
        let error = render("{{ raise_exception('Roles must alternate') }}", "").unwrap_err().to_string();
        assert_eq!(error, "the model's chat template refuses this conversation: Roles must alternate");
    }

    #[test]
    fn a_broken_template_says_where() {
        let error = render("\n{% if %}", "").unwrap_err().to_string();
        assert!(
            error.starts_with("the model's chat template fails: syntax error") && error.contains("line 2"),
            "{error}"
        );
    }

    #[test]
    fn generation_blocks_print_what_is_in_them() {
        let source = "a\n{% generation %}\n{{ messages[0].content }}\n{%- endgeneration -%}\nb";
        assert_eq!(render(source, "x").unwrap(), "a\nxb");
    }

    #[test]
    fn the_date_is_written_as_asked() {
        let found = render("{{ strftime_now('%Y-%m-%d') }}", "").unwrap();
        assert_eq!(found, time::OffsetDateTime::now_utc().date().to_string());
    }
}
