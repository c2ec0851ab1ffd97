//! Chat templates: the Jinja text of a model that turns a conversation into the text that the model was trained on.
//!
//! What `transformers` gives a template to work with is given here too: whitespace rules (`trim_blocks`,
//! `lstrip_blocks`), Python's methods on strings and lists, `raise_exception`, `strftime_now`, a `tojson` that is Python's
//! `json.dumps`, loop controls, `%` after a text in quotes. `{% generation %}` blocks, which mark the assistant's words, print
//! what is in them.

use laurel_records::{Message, Role};
use minijinja::{Environment, Error, ErrorKind, Value, context, syntax::SyntaxConfig, value::Kwargs};

use super::{error::DataError, percent, python_json::Style, python_methods};

const NAME: &str = "chat";

/// How much a template may do for one conversation, as the engine counts: one for an instruction, one for 64 bytes that
/// are made. That is seconds of work, or 2 GiB of text. It stops a template that runs for ever or grows step by step. One
/// that means harm has single steps that the engine does not foresee, such as to join a list of one text many times.
///
/// A real template takes up to some 300 a message, and copies a text of 1,000 bytes about ten times on its way, which
/// is 150 more: a conversation of ten thousand such messages takes 4.5 million.
const FUEL: u64 = 1 << 25;

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
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(python_methods::call);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_function("joiner", minijinja_contrib::globals::joiner);
        environment.add_filter("tojson", tojson);
        environment.add_filter(percent::FILTER, percent::filled);
        environment.add_test("sequence", is_sequence);
        environment.add_test("iterable", is_iterable);
        for (name, value) in special_tokens {
            environment.add_global(name.clone(), value.as_str());
        }
        // Jinja has one kind of line end, wherever a file was written.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let source = percent::as_filter(&without_generation_blocks(&source));
        environment.add_template_owned(NAME, source).map_err(error)?;
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
        template.render(values).map_err(|error| of_conversation(error, messages))
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

/// As [`of_conversation`], of the template as such.
fn error(error: Error) -> DataError {
    of_conversation(error, &[])
}

/// Says what a template does wrong in words, without the engine's names for kinds of errors, and which conversation it refuses.
fn of_conversation(error: Error, messages: &[Message]) -> DataError {
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    DataError::Template(match (error.kind(), error.detail()) {
        (ErrorKind::InvalidOperation, Some(detail)) if detail.starts_with(REFUSAL) => {
            format!("refuses this conversation{}: {}", last_words(messages), detail.trim_start_matches(REFUSAL))
        }
        (ErrorKind::OutOfFuel, _) => {
            format!("does not end, or makes far more than a conversation needs{line}: mend it, or take another model")
        }
        (_, Some(detail)) if detail.starts_with(FILLS_A_TEXT) => {
            format!("fills a text by %{line}, which is known of a text in quotes alone: write text | format(value, …)")
        }
        (kind, Some(detail)) => format!("fails: {kind}: {detail}{line}"),
        (kind, None) => format!("fails: {kind}{line}"),
    })
}

/// So many characters of a message tell which conversation is meant.
const TELLING: usize = 60;

/// How the last message begins, by which a conversation is found among many.
fn last_words(messages: &[Message]) -> String {
    let line = messages.last().and_then(|message| message.content.trim().lines().next());
    let begins: String = line.unwrap_or_default().chars().take(TELLING).collect();
    if begins.is_empty() { String::new() } else { format!(" (its last message begins with “{begins}”)") }
}

/// Marks what a template says by `raise_exception`, to tell it from errors in the template.
const REFUSAL: &str = "\u{1}";

/// What the engine says of `%` between a text and something.
const FILLS_A_TEXT: &str = "tried to use % operator on unsupported types string and";

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

/// `json.dumps` with the arguments of transformers' own filter: the engine's also escapes what HTML would need.
fn tojson(value: &Value, ensure_ascii: Option<Value>, indent: Option<Value>, options: Kwargs) -> Result<String, Error> {
    let named = |name: &str| -> Result<Option<Value>, Error> { options.get(name) };
    let is_on = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let style = Style {
        ensure_ascii: is_on(ensure_ascii.map_or_else(|| named("ensure_ascii"), |given| Ok(Some(given)))?),
        indent: indent.map_or_else(|| named("indent"), |given| Ok(Some(given)))?.map(|indent| indentation(&indent)),
        separators: named("separators")?.map(|given| separators(&given)).transpose()?,
        sort_keys: is_on(named("sort_keys")?),
    };
    options.assert_all_used()?;
    let json = minijinja::filters::tojson(value, None, Kwargs::from_iter(None::<(&str, Value)>))?;
    let json: serde_json::Value = serde_json::from_str(json.as_str().unwrap_or_default())
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("tojson: {error}")))?;
    Ok(style.dumps(&json))
}

/// What has a length and places: text and mappings too, and what was cut out of a list.
fn is_sequence(value: &Value) -> bool {
    value.is_undefined() || value.len().is_some()
}

/// What a loop can go through: what is not there, too, but not `none`, as which templates are given tools (`tools is iterable and
/// tools | length > 0`).
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// A number of spaces, or text that stands as it is.
fn indentation(indent: &Value) -> String {
    match indent.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let spaces = indent.as_i64().unwrap_or_else(|| i64::from(indent.is_true()));
            " ".repeat(usize::try_from(spaces).unwrap_or(0))
        }
    }
}

fn separators(given: &Value) -> Result<[String; 2], Error> {
    let texts: Vec<String> = given.try_iter()?.filter_map(|text| text.as_str().map(str::to_owned)).collect();
    texts.try_into().map_err(|_| Error::new(ErrorKind::InvalidOperation, "tojson: separators must be two strings"))
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

    /// Expected: the same templates rendered by transformers.
    #[test]
    fn json_takes_the_arguments_of_python() {
        for (arguments, expected) in [
            ("", "{\"b\": [1, \"茶\"], \"a\": {}}"),
            ("ensure_ascii=true", "{\"b\": [1, \"\\u8336\"], \"a\": {}}"),
            ("true", "{\"b\": [1, \"\\u8336\"], \"a\": {}}"),
            ("sort_keys=true", "{\"a\": {}, \"b\": [1, \"茶\"]}"),
            ("separators=(',', ':')", "{\"b\":[1,\"茶\"],\"a\":{}}"),
            ("indent=2", "{\n  \"b\": [\n    1,\n    \"茶\"\n  ],\n  \"a\": {}\n}"),
            ("false, 1", "{\n \"b\": [\n  1,\n  \"茶\"\n ],\n \"a\": {}\n}"),
            ("indent='-'", "{\n-\"b\": [\n--1,\n--\"茶\"\n-],\n-\"a\": {}\n}"),
            ("indent=none, ensure_ascii=false", "{\"b\": [1, \"茶\"], \"a\": {}}"),
        ] {
            let source = format!("{{{{ {{'b': [1, '茶'], 'a': {{}} }} | tojson({arguments}) }}}}");
            assert_eq!(render(&source, "").unwrap(), expected, "{arguments}");
        }
        let error = render("{{ 1 | tojson(separators=',') }}", "").unwrap_err().to_string();
        assert!(error.contains("two strings"), "{error}");
    }

    #[test]
    fn a_conversation_that_the_template_refuses_is_refused_in_its_words() {
        let error = render("{{ raise_exception('Roles must alternate') }}", "").unwrap_err().to_string();
        assert_eq!(error, "the model's chat template refuses this conversation: Roles must alternate");
        let error = render("{{ raise_exception('no') }}", " What is\nit?").unwrap_err().to_string();
        assert!(error.ends_with("conversation (its last message begins with “What is”): no"), "{error}");
    }

    /// Expected: the same template rendered by Jinja2.
    #[test]
    fn a_text_in_quotes_is_filled_by_percent_and_of_another_it_is_said_what_to_write() {
        let source = "{% for message in messages %}{{ '<%s>%s' % (message.role, message['content']) }}{% endfor %}";
        assert_eq!(render(source, "100 %").unwrap(), "<user>100 %");
        let error = render("{% set line = '%s' %}\n{{ line % 'a' }}", "").unwrap_err().to_string();
        assert!(error.contains("fills a text by % (line 2)") && error.contains("| format(value"), "{error}");
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
    fn a_template_that_does_not_end_or_grows_without_end_is_stopped() {
        for source in [
            // Methods make little of what they read.
            "{% set text = 'a' * 10000000 %}{% for i in range(1000) %}{% if text.find('b') %}{% endif %}{% endfor %}",
            "{% set text = 'a' * 10000000 %}{% for i in range(1000) %}{% set longer = text ~ i %}{% endfor %}",
            "{{ ('a' * 1000000).replace('a', 'b' * 10000) }}",
        ] {
            let error = render(source, "").unwrap_err().to_string();
            assert!(error.starts_with("the model's chat template does not end, or makes far"), "{source}: {error}");
        }
    }

    #[test]
    fn ten_thousand_messages_take_less_than_a_tenth_of_what_a_template_may_do() {
        let templates: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/chat_templates.json")).unwrap();
        let tokens = [("bos_token".to_owned(), "<s>".to_owned()), ("eos_token".to_owned(), "</s>".to_owned())];
        let roles = [Role::User, Role::Assistant].into_iter().cycle().take(1000);
        let messages: Vec<Message> = roles.map(|role| Message { role, content: "What is it?".into() }).collect();
        for template in templates["templates"].as_array().unwrap() {
            let mut known = ChatTemplate::new(template["template"].as_str().unwrap(), &tokens).unwrap();
            // A tenth of the messages, a hundredth of the work.
            known.environment.set_fuel(Some(FUEL / 100));
            assert!(known.render(&messages, true).is_ok(), "{}", template["name"]);
        }
    }

    #[test]
    fn generation_blocks_print_what_is_in_them() {
        let source = "a\n{% generation %}\n{{ messages[0].content }}\n{%- endgeneration -%}\nb";
        assert_eq!(render(source, "x").unwrap(), "a\nxb");
    }

    /// Expected: the same template rendered by transformers.
    #[test]
    fn lines_end_alike_wherever_the_template_was_written() {
        let source = "a\r\n{% if true %}\r\nb{% endif %}\rc\r{{ 'd\r\n' }}e\r\n";
        assert_eq!(render(source, "").unwrap(), "a\nbc\nd\ne");
    }

    /// Expected: the same expressions in Jinja2.
    #[test]
    fn what_is_a_sequence_to_python_is_one_here() {
        let sequences = ["messages", "messages[0].content", "messages[0]", "messages[:1]", "[]", "nothing"];
        for (expressions, expected) in [(&sequences[..], "True"), (&["1", "none", "true"][..], "False")] {
            for expression in expressions {
                let source = format!("{{{{ {expression} is sequence }}}}");
                assert_eq!(render(&source, "a").unwrap(), expected, "{expression}");
            }
        }
        let source = "{% set comma = joiner() %}{% for i in range(3) %}{{ comma() }}{{ i }}{% endfor %}";
        assert_eq!(render(source, "").unwrap(), "0, 1, 2");
    }

    /// Expected: the same expressions in Jinja2. The last is how Qwen3-Coder and Nemotron ask for tools.
    #[test]
    fn what_loops_go_through_is_iterable_and_none_is_not() {
        for (expressions, expected) in [
            (&["messages", "messages[0]", "'a'", "[]", "nothing"][..], "True"),
            (&["1", "none", "true", "tools"][..], "False"),
        ] {
            for expression in expressions {
                let source = format!("{{{{ {expression} is iterable }}}}");
                assert_eq!(render(&source, "a").unwrap(), expected, "{expression}");
            }
        }
        let source = "{% if tools is iterable and tools | length > 0 %}tools{% else %}none{% endif %}";
        assert_eq!(render(source, "").unwrap(), "none");
    }

    #[test]
    fn the_date_is_written_as_asked() {
        let today = || time::OffsetDateTime::now_utc().date().to_string();
        let before = today();
        let found = render("{{ strftime_now('%Y-%m-%d') }}", "").unwrap();
        // Midnight may have passed meanwhile.
        assert!([before, today()].contains(&found), "{found}");
    }
}
