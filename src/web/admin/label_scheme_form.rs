//! The label scheme as its form has it, and back. Field names: `own` names a flag of the project's own that the form shows,
//! `own.WORD.name.LANGUAGE` and `own.WORD.hint` say what it is, `offered` ticks it; `new.…` is one more.

use std::collections::{BTreeMap, HashSet};

use super::forms::Errors;
use crate::{
    db::{drawn::DrawnWith, label_schemes},
    domain::{
        flag::{self, Flag, OwnFlag},
        label_scheme::{LabelScheme, MOST_OWN_FLAGS, RatingRule},
        rating_scale::{self, HIGHEST, LOWEST, RatingScale},
    },
    web::{Page, i18n::Language},
};

/// Characters that a flag's name and its explanation may have.
pub const LONGEST_NAME: usize = 60;
pub const LONGEST_HINT: usize = 300;

/// What was typed.
pub struct SchemeForm {
    pub drawn: DrawnWith,
    pub rating: RatingRule,
    pub lowest: String,
    pub highest: String,
    pub lowest_word: String,
    pub highest_word: String,
    /// Those of everybody's flags that are ticked.
    pub flags: Vec<Flag>,
    pub own: Vec<FlagRow>,
    /// One more flag, where anything is typed.
    pub new: FlagRow,
    pub note: bool,
}

/// A flag of the project's own.
pub struct FlagRow {
    pub word: String,
    pub names: Vec<Name>,
    pub hint: String,
    pub offered: bool,
    pub error: Option<String>,
}

/// A name in a language of the interface.
pub struct Name {
    pub language: Language,
    pub text: String,
}

/// The fields as they were sent.
struct Sent<'a>(&'a [(String, String)]);

impl Sent<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(known, sent)| known == name && sent == value)
    }

    fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().replace('\0', "")
    }

    /// The row whose fields begin with a prefix.
    fn row(&self, prefix: &str, word: String, offered: bool) -> FlagRow {
        let name =
            |language: Language| Name { language, text: self.text(&format!("{prefix}.name.{}", language.tag())) };
        let hint = self.text(&format!("{prefix}.hint"));
        FlagRow { word, names: Language::all().map(name).collect(), hint, offered, error: None }
    }
}

impl FlagRow {
    fn of(flag: &OwnFlag) -> Self {
        let name =
            |language: Language| Name { language, text: flag.names.get(language.tag()).cloned().unwrap_or_default() };
        FlagRow {
            word: flag.word.clone(),
            names: Language::all().map(name).collect(),
            hint: flag.hint.clone(),
            offered: !flag.removed,
            error: None,
        }
    }

    fn is_blank(&self) -> bool {
        self.word.is_empty() && self.hint.is_empty() && self.names.iter().all(|name| name.text.is_empty())
    }

    /// The flag, or the sentence that says what is wrong with it.
    fn read(&self, page: &Page) -> Result<OwnFlag, String> {
        let given = self.names.iter().filter(|name| !name.text.is_empty());
        let names: BTreeMap<String, String> =
            given.map(|name| (name.language.tag().to_owned(), name.text.clone())).collect();
        if names.is_empty() {
            return Err(page.t("scheme-error-no-name"));
        }
        if names.values().any(|name| name.chars().count() > LONGEST_NAME) {
            return Err(page.t1("scheme-error-long-name", "most", LONGEST_NAME));
        }
        if self.hint.chars().count() > LONGEST_HINT {
            return Err(page.t1("scheme-error-long-hint", "most", LONGEST_HINT));
        }
        Ok(OwnFlag { word: self.word.clone(), names, hint: self.hint.clone(), removed: !self.offered })
    }

    /// A flag that is new, with a word of its own: the one that was typed, or else one made from a name.
    fn read_new(&self, page: &Page, taken: &HashSet<String>) -> Result<OwnFlag, String> {
        let mut flag = self.read(page)?;
        if flag.word.is_empty() {
            let names = flag.names.get("en").into_iter().chain(flag.names.values());
            let made = names.filter_map(|name| flag::word_of(name)).next();
            flag.word = made.ok_or_else(|| page.t("scheme-error-no-word"))?;
        }
        if !flag::is_word(&flag.word) {
            return Err(page.t1("scheme-error-word", "most", flag::LONGEST_WORD));
        }
        if Flag::of(&flag.word).is_some() || taken.contains(&flag.word) {
            return Err(page.t1("scheme-error-word-taken", "word", &flag.word));
        }
        Ok(flag)
    }
}

impl SchemeForm {
    /// The form of a scheme as it stands.
    pub fn of(scheme: &LabelScheme) -> Self {
        SchemeForm {
            drawn: label_schemes::drawn_with(scheme),
            rating: scheme.rating,
            lowest: scheme.scale.lowest().to_string(),
            highest: scheme.scale.highest().to_string(),
            lowest_word: scheme.scale.lowest_word().to_owned(),
            highest_word: scheme.scale.highest_word().to_owned(),
            flags: scheme.flags.clone(),
            own: scheme.own_flags.iter().map(FlagRow::of).collect(),
            new: Sent(&[]).row("new", String::new(), true),
            note: scheme.note,
        }
    }

    /// The form as it was sent. What it does not show stays as it stands: a flag that somebody else has added meanwhile.
    pub fn sent(fields: &[(String, String)], standing: &LabelScheme) -> Self {
        let (sent, stands) = (Sent(fields), Self::of(standing));
        let text = |name: &str, standing: String| if sent.get(name).is_some() { sent.text(name) } else { standing };
        let row = |flag: &OwnFlag| match sent.has("own", &flag.word) {
            true => sent.row(&format!("own.{}", flag.word), flag.word.clone(), sent.has("offered", &flag.word)),
            false => FlagRow::of(flag),
        };
        SchemeForm {
            drawn: DrawnWith::read(&sent.text("drawn")),
            rating: RatingRule::ALL.into_iter().find(|rule| sent.has("rating", rule.as_str())).unwrap_or(stands.rating),
            lowest: text("lowest", stands.lowest),
            highest: text("highest", stands.highest),
            lowest_word: text("lowest_word", stands.lowest_word),
            highest_word: text("highest_word", stands.highest_word),
            flags: Flag::ALL.into_iter().filter(|flag| sent.has("flag", flag.as_str())).collect(),
            own: standing.own_flags.iter().map(row).collect(),
            new: sent.row("new", sent.text("new.word"), true),
            note: sent.get("note").is_some(),
        }
    }

    /// The scheme that the form asks for; every wrong field is told otherwise.
    pub fn read(&mut self, page: &Page) -> Result<LabelScheme, Errors> {
        let mut errors = Errors::default();
        let scale = self.scale(page, &mut errors);
        let own_flags = self.own_flags(page, &mut errors);
        if own_flags.iter().filter(|flag| !flag.removed).count() > MOST_OWN_FLAGS {
            errors.add("own", page.t1("scheme-error-too-many", "most", MOST_OWN_FLAGS));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(LabelScheme {
            rating: self.rating,
            scale: scale.unwrap_or_default(),
            flags: self.flags.clone(),
            own_flags,
            note: self.note,
            ..LabelScheme::default()
        })
    }

    fn scale(&self, page: &Page, errors: &mut Errors) -> Option<RatingScale> {
        let whole = |range: std::ops::RangeInclusive<u8>| i32::from(*range.start())..=i32::from(*range.end());
        let lowest = errors.number(page, "lowest", &self.lowest, whole(LOWEST));
        let highest = errors.number(page, "highest", &self.highest, whole(HIGHEST));
        for (field, word) in [("lowest_word", &self.lowest_word), ("highest_word", &self.highest_word)] {
            if word.chars().count() > rating_scale::LONGEST_WORD {
                errors.add(field, page.t1("admin-error-long", "most", rating_scale::LONGEST_WORD));
            }
        }
        let written = laurel_records::RatingScale {
            lowest: u8::try_from(lowest).ok()?,
            highest: u8::try_from(highest).ok()?,
            lowest_word: self.lowest_word.clone(),
            highest_word: self.highest_word.clone(),
        };
        RatingScale::try_from(written).ok()
    }

    fn own_flags(&mut self, page: &Page, errors: &mut Errors) -> Vec<OwnFlag> {
        let mut flags = Vec::new();
        let taken: HashSet<String> = self.own.iter().map(|row| row.word.clone()).collect();
        let mut keep = |row: &mut FlagRow, read: Result<OwnFlag, String>| match read {
            Ok(flag) => flags.push(flag),
            Err(error) => {
                // The sentence stands at the flag; this says that there is one.
                errors.add("flag", error.clone());
                row.error = Some(error);
            }
        };
        for row in &mut self.own {
            let read = row.read(page);
            keep(row, read);
        }
        if !self.new.is_blank() {
            let read = self.new.read_new(page, &taken);
            keep(&mut self.new, read);
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fields: &[(&str, &str)], standing: &LabelScheme) -> Result<LabelScheme, Vec<&'static str>> {
        let fields: Vec<(String, String)> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let page = Page {
            user: None,
            csrf: String::new(),
            theme: String::new(),
            path: String::new(),
            back: String::new(),
            translator: Default::default(),
        };
        SchemeForm::sent(&fields, standing).read(&page).map_err(|errors| errors.fields())
    }

    fn with_own() -> LabelScheme {
        let standing = LabelScheme::default();
        sent(
            &[("new.name.en", "Off topic"), ("new.name.zh", "跑题"), ("new.hint", "Answers something else")],
            &standing,
        )
        .expect("a scheme")
    }

    #[test]
    fn a_new_flag_gets_its_word_from_its_name_or_from_the_lead() {
        let scheme = with_own();
        let flag = scheme.own_flag("off_topic").expect("the flag");
        assert_eq!((flag.name("zh"), flag.hint.as_str(), flag.removed), ("跑题", "Answers something else", false));
        let standing = LabelScheme::default();
        let named = sent(&[("new.name.zh", "跑题"), ("new.word", "drifts")], &standing).expect("a scheme");
        assert_eq!(named.own_flag("drifts").map(|flag| flag.name("en")), Some("跑题"));
        for wrong in [
            &[("new.name.zh", "跑题")][..],
            &[("new.word", "drifts")],
            &[("new.name.en", "Bad"), ("new.word", "Not a word")],
            &[("new.name.en", "Sexual")],
            &[("new.hint", "what?")],
        ] {
            assert_eq!(sent(wrong, &standing).err(), Some(vec!["flag"]), "{wrong:?}");
        }
        assert_eq!(sent(&[("new.name.en", "off-topic")], &scheme).err(), Some(vec!["flag"]), "the word is taken");
    }

    #[test]
    fn a_flag_is_renamed_or_taken_away_and_keeps_its_word() {
        let standing = with_own();
        let row = [("own", "off_topic"), ("own.off_topic.name.en", "Beside the point")];
        let taken_away = sent(&row, &standing).expect("a scheme");
        let flag = taken_away.own_flag("off_topic").expect("known still");
        assert!(flag.removed && flag.name("zh") == "Beside the point" && flag.hint.is_empty());
        let renamed = sent(&[&row[..], &[("offered", "off_topic")]].concat(), &standing).expect("a scheme");
        assert_eq!(renamed.offered(), ["off_topic"]);
        // A form from before the flag was added does not show it, and takes nothing away.
        assert_eq!(sent(&[("rating", "off")], &standing).expect("a scheme").own_flags, standing.own_flags);
        assert_eq!(sent(&[("own", "off_topic")], &standing).err(), Some(vec!["flag"]), "it has no name");
    }

    #[test]
    fn a_project_offers_twenty_flags_of_its_own_at_most() {
        let mut scheme = LabelScheme::default();
        for number in 0..MOST_OWN_FLAGS {
            scheme = sent(&[("new.name.en", &format!("flag {number}"))], &scheme).expect("room");
        }
        assert_eq!(sent(&[("new.name.en", "one more")], &scheme).err(), Some(vec!["own"]));
    }

    #[test]
    fn the_scale_is_what_is_typed_within_bounds_and_stays_where_nothing_is() {
        let standing = LabelScheme::default();
        let ten = [("lowest", "0"), ("highest", "10"), ("lowest_word", " terrible "), ("highest_word", "excellent")];
        let scheme = sent(&ten, &standing).expect("a scheme");
        assert_eq!((scheme.scale.points(), scheme.scale.lowest_word()), (0..=10, "terrible"));
        assert_eq!(sent(&[("rating", "required")], &scheme).expect("a scheme").scale, scheme.scale);
        let long = "x".repeat(41);
        let wrong = [("lowest", "2"), ("highest", "11"), ("lowest_word", long.as_str())];
        assert_eq!(sent(&wrong, &standing).err(), Some(vec!["lowest", "highest", "lowest_word"]));
    }
}
