//! What labels say, in the reader's words: the names of flags, and ratings with their scale.

use super::Page;
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
