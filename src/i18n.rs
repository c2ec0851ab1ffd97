//! The words of the interface: one Fluent folder a language under `locales/`, found by key. A folder more is a language more: it names
//! itself in its message `language-own-name`, and what it lacks comes in English.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use fluent_templates::{LanguageIdentifier, Loader, fluent_bundle::FluentValue, langid, static_loader};

static_loader! {
    static LOCALES = {
        locales: "./locales",
        fallback_language: "en",
        // No invisible isolation marks around arguments: pages set `dir="auto"` where text of another direction may stand.
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// The language whose messages stand in for those that others lack.
const FALLBACK: &str = "en";
/// The message in which a language names itself.
const OWN_NAME: &str = "language-own-name";

/// Arguments of a message.
type Arguments = HashMap<Cow<'static, str>, FluentValue<'static>>;

/// A folder of messages.
#[derive(Debug, PartialEq, Eq)]
struct Folder {
    identifier: LanguageIdentifier,
    tag: String,
    own_name: String,
}

/// The languages of this program, English first, the others by tag.
static FOLDERS: LazyLock<Vec<Folder>> = LazyLock::new(|| folders(&*LOCALES));

fn folders(loader: &dyn Loader) -> Vec<Folder> {
    let name_of = |identifier: &LanguageIdentifier| loader.try_lookup(identifier, OWN_NAME);
    let mut found: Vec<Folder> = loader
        .locales()
        .map(|identifier| {
            let tag = identifier.to_string();
            Folder { own_name: name_of(identifier).unwrap_or_else(|| tag.clone()), identifier: identifier.clone(), tag }
        })
        .collect();
    found.sort_by(|one, other| (one.tag != FALLBACK, &one.tag).cmp(&(other.tag != FALLBACK, &other.tag)));
    // A language that does not name itself is called by its tag, and not “English”.
    let english = found.first().map(|folder| folder.own_name.clone()).unwrap_or_default();
    for folder in found.iter_mut().skip(1).filter(|folder| folder.own_name == english) {
        folder.own_name.clone_from(&folder.tag);
    }
    found
}

/// A language of the interface; by default English.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Language(
    /// Its place among [`FOLDERS`].
    usize,
);

/// Where the lines of a language begin: right, as those of Arabic do, or left.
fn direction(of: &LanguageIdentifier) -> &'static str {
    if of.character_direction() == langid!("ar").character_direction() { "rtl" } else { "ltr" }
}

impl Language {
    /// Every language that the program speaks, English first.
    pub fn all() -> impl Iterator<Item = Language> {
        (0..FOLDERS.len()).map(Language)
    }

    /// The tag that `lang=""` and the database carry.
    pub fn tag(self) -> &'static str {
        &FOLDERS[self.0].tag
    }

    /// The language's name in itself.
    pub fn own_name(self) -> &'static str {
        &FOLDERS[self.0].own_name
    }

    /// `ltr` or `rtl`, as `dir=""` has it.
    pub fn direction(self) -> &'static str {
        direction(self.identifier())
    }

    /// By tag: the language itself, else one with the same primary tag; `zh`, `zh-CN`, `zh-Hant` are Chinese.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let itself = Language::all().find(|language| language.tag().eq_ignore_ascii_case(&tag.replace('_', "-")));
        itself.or_else(|| Language::all().find(|language| primary(language.tag()) == primary(tag)))
    }

    /// The first language of an `Accept-Language` header that we speak. Browsers send it in order of preference.
    pub fn from_accept_language(header: &str) -> Option<Self> {
        header.split(',').filter_map(|part| Self::from_tag(part.split(';').next()?.trim())).next()
    }

    fn identifier(self) -> &'static LanguageIdentifier {
        &FOLDERS[self.0].identifier
    }
}

/// Looks messages up in one language; what it lacks comes in English.
#[derive(Debug, Clone, Copy, Default)]
pub struct Translator {
    pub language: Language,
}

impl Translator {
    /// The message of a key.
    pub fn t(&self, key: &str) -> String {
        LOCALES.lookup(self.language.identifier(), key)
    }

    /// The message of a key that may have none, as words of the data may.
    pub fn known(&self, key: &str) -> Option<String> {
        LOCALES.try_lookup(self.language.identifier(), key)
    }

    /// The message of a key with arguments filled in: numbers choose plural forms.
    pub fn with(&self, key: &str, arguments: &[(&'static str, Argument)]) -> String {
        let arguments: Arguments =
            arguments.iter().map(|(name, value)| (Cow::Borrowed(*name), value.clone().into())).collect();
        LOCALES.lookup_with_args(self.language.identifier(), key, &arguments)
    }
}

/// A value that stands in a message.
#[derive(Debug, Clone)]
pub enum Argument {
    Text(String),
    Number(f64),
}

impl From<Argument> for FluentValue<'static> {
    fn from(argument: Argument) -> Self {
        match argument {
            Argument::Text(text) => text.into(),
            Argument::Number(number) => number.into(),
        }
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Argument::Text(text.to_owned())
    }
}

impl From<&String> for Argument {
    fn from(text: &String) -> Self {
        Argument::Text(text.clone())
    }
}

impl From<String> for Argument {
    fn from(text: String) -> Self {
        Argument::Text(text)
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => { $(
        impl From<$kind> for Argument {
            fn from(number: $kind) -> Self {
                Argument::Number(number as f64)
            }
        }
        impl From<&$kind> for Argument {
            fn from(number: &$kind) -> Self {
                Argument::Number(*number as f64)
            }
        }
    )* };
}
numbers!(u8, i16, i32, i64, u32, u64, usize, f64);

#[cfg(test)]
mod tests {
    use fluent_templates::ArcLoader;

    use super::*;

    /// The folders under `locales/`.
    fn tags_on_disk() -> Vec<String> {
        let folder = std::fs::read_dir(format!("{}/locales", env!("CARGO_MANIFEST_DIR"))).expect("the locales");
        let mut tags: Vec<String> =
            folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("a tag")).collect();
        tags.sort();
        tags
    }

    #[test]
    fn the_browsers_first_known_language_wins() {
        let tag = |header: &str| Language::from_accept_language(header).map(Language::tag);
        assert_eq!(tag("fr-FR,zh-CN;q=0.9,en;q=0.8"), Some("zh"));
        assert_eq!(tag("de"), None);
        assert_eq!(Language::default().tag(), "en");
    }

    #[test]
    fn lines_begin_where_those_of_the_language_do() {
        for (tag, expected) in [("en", "ltr"), ("zh", "ltr"), ("ar", "rtl"), ("he", "rtl"), ("fa-IR", "rtl")] {
            assert_eq!(direction(&tag.parse().expect("a tag")), expected, "{tag}");
        }
    }

    #[test]
    fn every_folder_is_a_language_that_names_itself() {
        let mut spoken: Vec<&str> = Language::all().map(Language::tag).collect();
        spoken.sort_unstable();
        assert_eq!(spoken, tags_on_disk());
        for language in Language::all() {
            assert_ne!(language.own_name(), language.tag(), "it lacks {OWN_NAME}");
        }
    }

    #[test]
    fn a_folder_more_is_a_language_more() {
        let directory = tempfile::tempdir().expect("a directory");
        for (tag, name) in [("zh", "中文"), ("en", "English"), ("eo", "Esperanto"), ("fy", "")] {
            let folder = directory.path().join(tag);
            std::fs::create_dir(&folder).expect("a folder");
            let own = if name.is_empty() { String::new() } else { format!("{OWN_NAME} = {name}\n") };
            std::fs::write(folder.join("layout.ftl"), format!("{own}layout-skip = …\n")).expect("a file");
        }
        let loader = ArcLoader::builder(directory.path(), langid!("en")).build().expect("a loader");
        let found: Vec<(String, String)> =
            folders(&loader).into_iter().map(|folder| (folder.tag, folder.own_name)).collect();
        let expected = [("en", "English"), ("eo", "Esperanto"), ("fy", "fy"), ("zh", "中文")];
        assert_eq!(found, expected.map(|(tag, name)| (tag.to_owned(), name.to_owned())));
    }

    /// The keys that the files of a language have.
    fn keys(language: &str) -> Vec<String> {
        let mut found: Vec<String> = std::fs::read_dir(format!("{}/locales/{language}", env!("CARGO_MANIFEST_DIR")))
            .expect("the locale's folder")
            .flat_map(|entry| {
                let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a readable file");
                text.lines()
                    .filter(|line| line.chars().next().is_some_and(|first| first.is_ascii_lowercase()))
                    .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
                    .collect::<Vec<_>>()
            })
            .collect();
        found.sort();
        found
    }

    #[test]
    fn all_languages_have_the_same_keys() {
        for tag in tags_on_disk() {
            assert_eq!(keys(FALLBACK), keys(&tag), "{tag}");
        }
    }

    #[test]
    fn every_key_that_a_template_names_has_a_message() {
        let known = keys(FALLBACK);
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of templates") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("a template");
                for call in [".t(\"", ".t1(\"", ".t2(\"", ".with(\""] {
                    for named in text.split(call).skip(1).filter_map(|after| after.split('"').next()) {
                        assert!(known.iter().any(|key| key == named), "{named} in {}", path.display());
                    }
                }
            }
        }
    }
}
