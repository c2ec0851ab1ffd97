//! Languages that people work in, as primary tags of BCP 47: `zh` for `zh-Hant-TW`.

/// A word that can't be a language tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is no language tag such as “en”")]
pub struct NotATag(pub String);

/// The primary tag: two to eight letters.
///
/// # Errors
/// Anything else.
pub fn primary(tag: &str) -> Result<String, NotATag> {
    let first = tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let letters = first.bytes().all(|byte| byte.is_ascii_lowercase());
    if letters && (2..=8).contains(&first.len()) { Ok(first) } else { Err(NotATag(tag.trim().to_owned())) }
}

/// The primary tags in texts that separate them by commas or spaces, each once, in alphabetical order.
///
/// # Errors
/// The first word that is none.
pub fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, NotATag> {
    let mut tags = texts
        .into_iter()
        .flat_map(|text| text.split([',', ';', ' ', '，', '、']))
        .filter(|word| !word.trim().is_empty())
        .map(primary)
        .collect::<Result<Vec<String>, NotATag>>()?;
    tags.sort();
    tags.dedup();
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_people_write_it() {
        assert_eq!(list(["zh-CN, EN", "en_GB、de"]), Ok(vec!["de".to_owned(), "en".to_owned(), "zh".to_owned()]));
        assert_eq!(list([""]), Ok(Vec::new()));
        assert_eq!(list(["en, 中文"]), Err(NotATag("中文".to_owned())));
        assert_eq!(list(["e"]), Err(NotATag("e".to_owned())));
    }
}
