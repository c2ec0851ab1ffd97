//! What labels say, in the reader's words: the names of flags and languages, and ratings with their scale.

use super::{Page, annotate::language_name};
use crate::domain::{flag::Flag, label_scheme::LabelScheme, rating_scale::RatingScale};

/// What a flag is called: everybody's in the page's language, the project's own as its lead named it. A word that neither has, as
/// imports bring them, stands for itself.
pub fn flag_name(page: &Page, scheme: &LabelScheme, word: &str) -> String {
    match (Flag::of(word), scheme.own_flag(word)) {
        (Some(flag), _) => page.word("flag", flag.as_str()),
        (None, Some(own)) => own.name(page.language()).to_owned(),
        (None, None) => word.to_owned(),
    }
}

/// A rating with what it is out of.
pub fn rated(page: &Page, scale: &RatingScale, rating: i32) -> String {
    let places = [("rating", rating.into()), ("lowest", scale.lowest().into()), ("highest", scale.highest().into())];
    // Only a scale from 1 is what "of seven" says.
    page.translator.with(if scale.lowest() == 1 { "scheme-rated" } else { "scheme-rated-from" }, &places)
}

/// What a language is called, with its whole tag where that says more: `Chinese`, `Chinese (zh-Hant)`.
pub fn language(page: &Page, tag: &str) -> String {
    let name = language_name(page, tag);
    if name != tag && tag.contains(['-', '_']) { format!("{name} ({tag})") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::session::Visitor;

    #[test]
    fn a_tag_that_says_more_than_the_language_stands_beside_its_name() {
        let page = Visitor::default().page("/");
        let named = ["zh", "zh-Hant", "ko_KR", "sw", "tlh", "tlh-Latn"].map(|tag| language(&page, tag));
        assert_eq!(named, ["Chinese", "Chinese (zh-Hant)", "Korean (ko_KR)", "Swahili", "tlh", "tlh-Latn"]);
    }
}
