//! Which names the files of a model may have: they become paths in the data directory.

/// The folder in which transformers keeps the chat templates that a model has besides its first.
pub const MORE_TEMPLATES: &str = "additional_chat_templates";

/// A name that a file of a model may have: a plain one, in the model's directory or among its further chat templates.
pub fn is_model_file(name: &str) -> bool {
    let template = name.strip_prefix(MORE_TEMPLATES).and_then(|rest| rest.strip_prefix('/'));
    is_plain_file_name(template.unwrap_or(name))
}

/// A name that can stand in a directory and leads nowhere else: letters, digits, `.`, `_`, `-`, not beginning with a dot.
pub fn is_plain_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
