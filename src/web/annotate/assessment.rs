//! What a form says of each answer besides its rank: ratings on their scale, flags, "all bad".

use std::collections::BTreeSet;

use super::forms::{Fields, FormError};
use crate::domain::{
    flag::Flag,
    label_scheme::{Assessment, LabelScheme},
    rating_scale::RatingScale,
};

impl Fields {
    /// The rating that was given to one answer, as it was sent.
    pub fn rating(&self, position: usize) -> &str {
        self.get(&format!("rating_{position}"))
    }

    /// The scale that the ratings are on, and that more of them are asked for on.
    pub fn scale(&self, scheme: &LabelScheme) -> Result<RatingScale, FormError> {
        if !self.has_ratings() {
            return Ok(scheme.scale.clone());
        }
        scheme.scale_of(self.get("scale")).ok_or(FormError::OtherScale)
    }

    /// Whether a flag of one answer is ticked.
    pub fn flagged(&self, position: usize, word: &str) -> bool {
        !self.get(&format!("flag_{position}_{word}")).is_empty()
    }

    /// Whether none of the answers is good.
    pub fn all_bad(&self) -> bool {
        !self.get("all_bad").is_empty()
    }

    /// What is said of each of `answers` answers, as far as the scheme asks for it.
    pub fn assessment(&self, scheme: &LabelScheme, answers: usize) -> Result<Assessment, FormError> {
        let scale = if scheme.rates() { self.scale(scheme)? } else { scheme.scale.clone() };
        let mut said = Assessment { scale, all_bad: self.all_bad(), ..Assessment::default() };
        for position in 0..answers {
            let rating = match self.rating(position).trim() {
                "" => None,
                _ if !scheme.rates() => None,
                typed => match typed.parse() {
                    Ok(rating) if said.scale.holds(rating) => Some(rating),
                    _ => return Err(FormError::NotARating { position, scale: said.scale }),
                },
            };
            said.ratings.push(rating);
            let ticked = scheme.offered().into_iter().filter(|word| self.flagged(position, word));
            let flags: BTreeSet<String> = ticked.map(str::to_owned).collect();
            if flags.contains(Flag::Other.as_str()) && self.get("note").trim().is_empty() {
                return Err(FormError::FlagNeedsNote { position });
            }
            said.flags.push(flags);
        }
        let unrated: Vec<usize> = (0..answers).filter(|position| said.ratings.get(*position) == Some(&None)).collect();
        if scheme.rating_required() && !unrated.is_empty() {
            return Err(FormError::Unrated { positions: unrated });
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{flag::OwnFlag, label_scheme::RatingRule};

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn scale(lowest: u8, highest: u8) -> RatingScale {
        serde_json::from_value(serde_json::json!({ "lowest": lowest, "highest": highest })).expect("a scale")
    }

    #[test]
    fn what_is_said_of_answers_is_what_the_scheme_asks_for() {
        let form =
            fields(&[("rating_0", "7"), ("flag_1_sexual", "1"), ("flag_1_off_topic", "1"), ("flag_1_late", "1")]);
        let own = |word: &str, removed| OwnFlag {
            word: word.to_owned(),
            names: [("en".to_owned(), word.to_owned())].into(),
            hint: String::new(),
            removed,
        };
        let offered = LabelScheme {
            flags: vec![Flag::Opinion],
            own_flags: vec![own("off_topic", false), own("late", true)],
            ..LabelScheme::default()
        };
        let said = form.assessment(&offered, 2).expect("said");
        assert_eq!(said.ratings, [Some(7), None]);
        assert_eq!(said.flags, [BTreeSet::new(), ["off_topic".to_owned()].into()]);
        assert!(!said.all_bad && fields(&[("all_bad", "1")]).assessment(&offered, 2).expect("said").all_bad);
        let demanded = LabelScheme { rating: RatingRule::Required, ..offered.clone() };
        assert_eq!(form.assessment(&demanded, 2), Err(FormError::Unrated { positions: vec![1] }));
        let off = LabelScheme { rating: RatingRule::Off, ..offered };
        assert_eq!(form.assessment(&off, 2).expect("said").ratings, [None, None]);
    }

    #[test]
    fn a_rating_is_read_on_the_scale_that_its_form_states() {
        let scheme = LabelScheme { scale: scale(0, 10), former_scales: vec![scale(1, 7)], ..LabelScheme::default() };
        let said = |rating: &str, on: &str| fields(&[("rating_1", rating), ("scale", on)]).assessment(&scheme, 2);
        let found = |rating, on: &RatingScale| said(rating, &on.stated()).map(|said| (said.ratings[1], said.scale));
        assert_eq!(found("10", &scale(0, 10)), Ok((Some(10), scale(0, 10))));
        assert_eq!(found("0", &scale(0, 10)), Ok((Some(0), scale(0, 10))));
        // The page was opened before the scale was changed.
        assert_eq!(found("7", &scale(1, 7)), Ok((Some(7), scale(1, 7))));
        for (wrong, on) in [("8", scale(1, 7)), ("0", scale(1, 7)), ("11", scale(0, 10)), ("x", scale(0, 10))] {
            assert_eq!(found(wrong, &on), Err(FormError::NotARating { position: 1, scale: on }), "{wrong}");
        }
        // One from before there was a choice.
        assert_eq!(said("7", "").map(|said| said.scale), Ok(scale(1, 7)));
        assert_eq!(found("3", &scale(1, 5)), Err(FormError::OtherScale));
        assert_eq!(said("", "nonsense").map(|said| said.scale), Ok(scale(0, 10)), "nothing is rated");
    }

    #[test]
    fn something_else_needs_a_note() {
        let bare = fields(&[("flag_1_other", "1"), ("note", " ")]);
        assert_eq!(bare.assessment(&LabelScheme::default(), 2), Err(FormError::FlagNeedsNote { position: 1 }));
        let said = fields(&[("flag_1_other", "1"), ("note", "It stops in the middle.")]);
        assert_eq!(said.assessment(&LabelScheme::default(), 2).expect("said").flags[1], ["other".to_owned()].into());
    }

    #[test]
    fn a_draft_keeps_the_scale_of_its_ratings_and_none_without() {
        let on = scale(0, 10).stated();
        let rated = fields(&[("rating_0", "3"), ("scale", &on)]);
        assert_eq!(rated.draft().get("scale"), Some(&on));
        let unrated = fields(&[("rating_0", ""), ("scale", &on)]);
        assert!(!unrated.draft().contains_key("scale") && unrated.is_blank());
    }
}
