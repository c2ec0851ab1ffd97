//! What a project asks people to say of each answer besides its rank: a rating, flags, a note.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    flag::{Flag, OwnFlag},
    rating_scale::RatingScale,
};

/// Flags of its own that a project may offer: more nobody reads for every answer.
pub const MOST_OWN_FLAGS: usize = 20;
/// Scales from before that ratings may still come in on.
const FORMER_SCALES: usize = 20;

/// Whether answers are rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatingRule {
    Off,
    #[default]
    Optional,
    Required,
}

impl RatingRule {
    pub const ALL: [RatingRule; 3] = [RatingRule::Off, RatingRule::Optional, RatingRule::Required];

    pub fn as_str(self) -> &'static str {
        match self {
            RatingRule::Off => "off",
            RatingRule::Optional => "optional",
            RatingRule::Required => "required",
        }
    }
}

/// What a project asks for. A project that says nothing lets people rate from 1 to 7, flag and write as they like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelScheme {
    pub rating: RatingRule,
    pub scale: RatingScale,
    /// The scales before this one, the last first: what was begun on one of them is finished on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub former_scales: Vec<RatingScale>,
    /// Those of everybody's flags that are offered.
    pub flags: Vec<Flag>,
    /// The project's own, with those that labels still have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub own_flags: Vec<OwnFlag>,
    /// Whether a note can be written.
    pub note: bool,
    /// Words that are offered once more to the label that has them.
    #[serde(skip)]
    pub kept: BTreeSet<String>,
}

impl Default for LabelScheme {
    fn default() -> Self {
        LabelScheme {
            rating: RatingRule::default(),
            scale: RatingScale::default(),
            former_scales: Vec::new(),
            flags: Flag::ALL.to_vec(),
            own_flags: Vec::new(),
            note: true,
            kept: BTreeSet::new(),
        }
    }
}

impl LabelScheme {
    pub fn rates(&self) -> bool {
        self.rating != RatingRule::Off
    }

    pub fn rating_required(&self) -> bool {
        self.rating == RatingRule::Required
    }

    /// The words of the flags that are offered, in the order in which they are shown.
    pub fn offered(&self) -> Vec<&str> {
        let own = self.own_flags.iter().filter(|flag| !flag.removed).map(|flag| flag.word.as_str());
        let mut words: Vec<&str> = self.flags.iter().map(|flag| flag.as_str()).chain(own).collect();
        let kept: Vec<&str> = self.kept.iter().map(String::as_str).filter(|word| !words.contains(word)).collect();
        words.extend(kept);
        words
    }

    /// The project's own flag of a word, offered or not.
    pub fn own_flag(&self, word: &str) -> Option<&OwnFlag> {
        self.own_flags.iter().find(|flag| flag.word == word)
    }

    /// The note has its place where it is asked for, or where a flag needs it.
    pub fn has_note(&self) -> bool {
        self.note || self.offered().contains(&Flag::Other.as_str())
    }

    /// The scale that a form states, where it is this project's, now or before.
    pub fn scale_of(&self, stated: &str) -> Option<RatingScale> {
        let stated = RatingScale::from_stated(stated)?;
        (stated == self.scale || self.former_scales.contains(&stated)).then_some(stated)
    }

    /// What takes the place of this scheme where `wanted` is asked for: the old scale is known as a former one, and flags that
    /// are taken away stay known where labels have them. `in_use` has the words of those.
    pub fn changed_to(&self, mut wanted: LabelScheme, in_use: &BTreeSet<String>) -> LabelScheme {
        wanted.former_scales.clone_from(&self.former_scales);
        if wanted.scale != self.scale {
            wanted.former_scales.insert(0, self.scale.clone());
        }
        wanted.former_scales.retain(|scale| *scale != wanted.scale);
        wanted.former_scales.truncate(FORMER_SCALES);
        wanted.own_flags.retain(|flag| !flag.removed || in_use.contains(&flag.word));
        wanted
    }

    /// The scheme for another version of a label: on its scale, with its flags, so that a correction of one thing leaves the
    /// others as they are, whatever the project asks for meanwhile.
    pub fn as_of(&self, said: &Assessment) -> LabelScheme {
        let rated = said.ratings.iter().any(Option::is_some);
        LabelScheme {
            rating: if rated && !self.rates() { RatingRule::Optional } else { self.rating },
            scale: if rated { said.scale.clone() } else { self.scale.clone() },
            kept: said.flags.iter().flatten().cloned().collect(),
            ..self.clone()
        }
    }
}

/// What somebody said of the answers of a task, by their positions; shorter than the task where nothing was said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assessment {
    /// What the ratings are on.
    pub scale: RatingScale,
    pub ratings: Vec<Option<u8>>,
    /// Words of flags.
    pub flags: Vec<BTreeSet<String>>,
    /// None of them is good.
    pub all_bad: bool,
}

impl Assessment {
    /// Whether two of them say the same; the scale of no ratings says nothing.
    pub fn says_the_same(&self, other: &Assessment) -> bool {
        let unrated = self.ratings.iter().all(Option::is_none);
        (&self.ratings, &self.flags, self.all_bad) == (&other.ratings, &other.flags, other.all_bad)
            && (unrated || self.scale == other.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(lowest: u8, highest: u8) -> RatingScale {
        serde_json::from_value(serde_json::json!({ "lowest": lowest, "highest": highest })).expect("a scale")
    }

    fn own(word: &str, removed: bool) -> OwnFlag {
        let names = [("en".to_owned(), word.to_uppercase())].into();
        OwnFlag { word: word.to_owned(), names, hint: String::new(), removed }
    }

    #[test]
    fn a_project_that_says_nothing_offers_everything_and_demands_nothing() {
        let scheme: LabelScheme = serde_json::from_str("{}").expect("a scheme");
        assert_eq!(scheme, LabelScheme::default());
        assert!(scheme.rates() && !scheme.rating_required() && scheme.has_note());
        assert_eq!(scheme.scale.points(), 1..=7);
        let bare: LabelScheme = serde_json::from_str(r#"{"rating":"off","flags":[],"note":false}"#).expect("a scheme");
        assert!(!bare.rates() && !bare.has_note());
    }

    #[test]
    fn what_was_begun_on_a_former_scale_is_finished_on_it() {
        let first = LabelScheme::default();
        let wanted = LabelScheme { scale: scale(0, 10), ..LabelScheme::default() };
        let second = first.changed_to(wanted, &BTreeSet::new());
        assert_eq!(second.scale_of(""), Some(scale(1, 7)), "a page from before there was a choice");
        assert_eq!(second.scale_of(&scale(0, 10).stated()), Some(scale(0, 10)));
        assert_eq!(second.scale_of(&scale(1, 5).stated()), None);
        let back = second.changed_to(LabelScheme::default(), &BTreeSet::new());
        assert_eq!((back.scale.clone(), back.former_scales), (scale(1, 7), vec![scale(0, 10)]));
    }

    #[test]
    fn a_flag_that_is_taken_away_stays_known_where_labels_have_it() {
        let wanted = LabelScheme {
            own_flags: vec![own("used", true), own("unused", true), own("new", false)],
            ..LabelScheme::default()
        };
        let scheme = LabelScheme::default().changed_to(wanted, &["used".to_owned()].into());
        assert_eq!(scheme.own_flags, [own("used", true), own("new", false)]);
        assert!(scheme.offered().contains(&"new") && !scheme.offered().contains(&"used"));
        assert_eq!(scheme.own_flag("used").map(|flag| flag.name("en")), Some("USED"));
    }

    #[test]
    fn a_correction_has_the_scale_and_the_flags_of_what_it_corrects() {
        let project = LabelScheme {
            rating: RatingRule::Off,
            scale: scale(0, 10),
            flags: vec![Flag::Sexual],
            own_flags: vec![own("used", true)],
            ..LabelScheme::default()
        };
        let said = Assessment {
            ratings: vec![None, Some(7)],
            flags: vec![["used".to_owned(), "sexual".to_owned()].into(), BTreeSet::new()],
            ..Assessment::default()
        };
        let scheme = project.as_of(&said);
        assert!(scheme.rates() && !scheme.rating_required());
        assert_eq!(scheme.scale, scale(1, 7));
        assert_eq!(scheme.offered(), ["sexual", "used"]);
        let unrated = project.as_of(&Assessment { ratings: vec![None, None], ..Assessment::default() });
        assert_eq!((unrated.rates(), unrated.scale), (false, scale(0, 10)));
    }

    #[test]
    fn the_same_number_on_another_scale_says_something_else() {
        let of_seven = Assessment { ratings: vec![Some(5)], ..Assessment::default() };
        let of_ten = Assessment { scale: scale(0, 10), ..of_seven.clone() };
        assert!(of_seven.says_the_same(&of_seven.clone()) && !of_seven.says_the_same(&of_ten));
        let none = |scale| Assessment { scale, ratings: vec![None], ..Assessment::default() };
        assert!(none(scale(1, 7)).says_the_same(&none(scale(0, 10))));
    }
}
