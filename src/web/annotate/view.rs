//! What templates of this room show: messages, answers, times.

use laurel_records::{Message, Role};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};
use uuid::Uuid;

use super::forms::Fields;
use crate::{
    db::{
        drafts::{Displaced, Draft, DraftFields},
        queue::Task,
    },
    domain::{assignment, label_scheme::LabelScheme, language, rating_scale::RatingScale},
    web::{Page, label_words, markdown},
};

/// Characters from which an answer is folded.
const LONG: usize = 1_800;
/// Bytes from which a page has only the beginning of an answer, rendered: the rest is rendered when it is unfolded.
const VERY_LONG: usize = 12_000;
/// Bytes of that beginning, more than a folded answer shows.
const BEGINNING: usize = 4_000;

/// A message of the conversation.
pub struct MessageView {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    pub html: String,
    pub source: String,
    pub long: bool,
}

/// An answer as the page shows it.
pub struct AnswerView {
    pub letter: char,
    /// Place in the task.
    pub position: i32,
    pub html: String,
    /// `html` is only the beginning; the whole is on a page of its own.
    pub begun: bool,
    pub source: String,
    pub long: bool,
    pub characters: usize,
    /// The rank chosen so far, as text; empty where none is.
    pub rank: String,
    /// The rating chosen so far, as text; empty where none is.
    pub rating: String,
    /// Those that are offered.
    pub flags: Vec<FlagView>,
}

/// A flag that can be ticked.
pub struct FlagView {
    pub word: String,
    pub name: String,
    /// What it means; empty where nobody said.
    pub hint: String,
    pub ticked: bool,
}

impl AnswerView {
    pub fn flagged(&self) -> usize {
        self.flags.iter().filter(|flag| flag.ticked).count()
    }
}

/// What both kinds of task pages show around their own part.
pub struct TaskFrame {
    pub assignment: Uuid,
    pub project_name: String,
    pub project_slug: String,
    pub simulated: bool,
    pub guidelines: Option<String>,
    pub language: Option<String>,
    pub conversation: Vec<MessageView>,
    /// Milliseconds between heartbeats: a third of the lease, at most a minute.
    pub heartbeat: i64,
    /// Milliseconds since 1970 at which the draft was saved that is shown or told of, or that the page had before it whose form is shown;
    /// 0 where there is none.
    pub saved_at: i128,
    /// The fields of a correction of an earlier version, as JSON: told of, not shown.
    pub older: Option<String>,
    /// Drafts that wait beside the one that is shown, as JSON: told of, not shown.
    pub displaced: Option<String>,
    pub seconds: String,
    /// The task that was finished just before this one.
    pub after: Option<After>,
    pub error: Option<String>,
    /// The lease has ended and others have the task.
    pub lost: bool,
    /// A task of the course that was skipped and has come again.
    pub again: bool,
    pub skip: SkipView,
    /// What the project asks people to say of each answer.
    pub scheme: LabelScheme,
    /// What the ratings of this form are on.
    pub scale: RatingScale,
    pub all_bad: bool,
    /// Whether Enter alone submits: not where one writes.
    pub enter_submits: bool,
    /// The version of a submitted label that is corrected here.
    pub corrects: Option<Uuid>,
}

impl TaskFrame {
    /// Where the form is sent to.
    pub fn action(&self) -> String {
        let what = if self.corrects.is_some() { "correct" } else { "submit" };
        format!("/tasks/{}/{what}", self.assignment)
    }

    /// Whether what the form has is a draft. What was sent and could not be stored is saved nowhere.
    pub fn is_draft(&self) -> bool {
        self.saved_at > 0 && self.older.is_none() && self.error.is_none()
    }
}

/// A correction that was begun and not saved, on the page of what was submitted.
pub struct BegunView {
    /// The version that it would replace.
    pub replaces: Uuid,
    /// Milliseconds since 1970.
    pub saved_at: i128,
    /// Its fields, as JSON.
    pub fields: String,
    /// What waits beside it, as JSON.
    pub displaced: Option<String>,
}

impl BegunView {
    pub fn of(draft: &Draft) -> Option<Self> {
        Some(BegunView {
            replaces: draft.replaces?,
            saved_at: draft.saved_at(),
            fields: as_json(&draft.fields)?,
            displaced: displaced_as_json(&draft.displaced),
        })
    }
}

/// The fields of a draft as a script reads them.
pub fn as_json(fields: &DraftFields) -> Option<String> {
    serde_json::to_string(fields).ok()
}

/// Drafts that wait beside another one as a script reads them; `None` where none does.
pub fn displaced_as_json(displaced: &[Displaced]) -> Option<String> {
    if displaced.is_empty() { None } else { serde_json::to_string(displaced).ok() }
}

/// The skip form as it was sent.
#[derive(Default)]
pub struct SkipView {
    /// It is shown because somebody without JavaScript has asked for it.
    pub asked: bool,
    pub reason: String,
    pub detail: String,
    pub error: Option<String>,
}

impl SkipView {
    pub fn is_open(&self) -> bool {
        self.asked || self.error.is_some()
    }

    pub fn chose(&self, reason: &str) -> bool {
        self.reason == reason
    }
}

/// What became of the task before.
pub struct After {
    pub assignment: Uuid,
    /// Who gets it now, where it was skipped.
    pub skipped: Option<Skipped>,
    pub extra_opinion: bool,
}

/// Who gets a task that was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// Others. A check says so too: nothing tells it apart.
    Others,
    /// The same person: a task of the course that they have not passed yet.
    Again,
    /// Nobody on its account: a task of a course that the person does not take any more.
    Nobody,
}

impl Skipped {
    /// The key of the message that says so.
    pub fn message(self) -> &'static str {
        match self {
            Skipped::Others => "annotate-after-skipped",
            Skipped::Again => "annotate-after-skipped-again",
            Skipped::Nobody => "annotate-after-skipped-nobody",
        }
    }
}

pub fn messages(conversation: &[Message]) -> Vec<MessageView> {
    conversation
        .iter()
        .map(|message| MessageView {
            role: role(message.role),
            html: markdown::render(&message.content),
            long: message.content.chars().count() > 2 * LONG,
            source: message.content.clone(),
        })
        .collect()
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

pub fn answers(page: &Page, task: &Task, fields: &Fields) -> Vec<AnswerView> {
    // Numbers on a scale that nobody knows any more say nothing: they are asked for again.
    let rated = fields.scale(&task.label_scheme).is_ok();
    task.answers
        .iter()
        .enumerate()
        .map(|(place, answer)| {
            let position = usize::try_from(answer.position).unwrap_or_default();
            let characters = answer.content.chars().count();
            let beginning = beginning(&answer.content);
            AnswerView {
                letter: assignment::letter(place),
                position: answer.position,
                html: markdown::render(beginning),
                begun: beginning.len() < answer.content.len(),
                source: answer.content.clone(),
                long: characters > LONG || answer.content.lines().count() > 40,
                characters,
                rank: fields.rank(position).to_owned(),
                rating: if rated { fields.rating(position).to_owned() } else { String::new() },
                flags: flags(page, &task.label_scheme, |word| fields.flagged(position, word)),
            }
        })
        .collect()
}

/// The flags that a scheme offers.
fn flags(page: &Page, scheme: &LabelScheme, ticked: impl Fn(&str) -> bool) -> Vec<FlagView> {
    let offered = scheme.offered().into_iter().map(|word| FlagView {
        name: label_words::flag_name(page, scheme, word),
        hint: scheme.own_flag(word).map(|flag| flag.hint.clone()).unwrap_or_default(),
        ticked: ticked(word),
        word: word.to_owned(),
    });
    offered.collect()
}

/// A very long text up to the end of a paragraph or a line, where there is one in time; another as it is.
fn beginning(text: &str) -> &str {
    if text.len() <= VERY_LONG {
        return text;
    }
    let cut = &text[..text.floor_char_boundary(BEGINNING)];
    let end = [cut.rfind("\n\n"), cut.rfind('\n')].into_iter().flatten().find(|end| *end > BEGINNING / 2);
    &cut[..end.unwrap_or(cut.len())]
}

/// The letter that a position has on this person's page.
pub fn letter_of(task: &Task, position: usize) -> char {
    let place = task.answers.iter().position(|answer| usize::try_from(answer.position) == Ok(position));
    place.map_or('?', assignment::letter)
}

/// `2026-11-24 02:10`, UTC; the browser makes it local.
pub fn when(at: &OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    at.to_offset(UtcOffset::UTC).format(&format).unwrap_or_default()
}

/// For `datetime=""`.
pub fn machine_time(at: &OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// The name of a language in the words of the page, or its tag where the page has no word for it.
pub fn language_name(page: &Page, tag: &str) -> String {
    let known = language::primary(tag).ok().and_then(|primary| page.translator.known(&format!("language-{primary}")));
    known.unwrap_or_else(|| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_very_long_answer_is_begun_at_the_end_of_a_paragraph_or_within_a_word_of_any_script() {
        assert_eq!(beginning(&"a".repeat(VERY_LONG)).len(), VERY_LONG);
        let paragraphs = "Some words that stand together.\n\n".repeat(1_000);
        assert!(beginning(&paragraphs).ends_with("together."), "{}", beginning(&paragraphs));
        assert!(beginning(&paragraphs).len() <= BEGINNING);
        // Three bytes a character: the cut falls between two of them.
        assert_eq!(beginning(&"蜜".repeat(10_000)).chars().count(), BEGINNING / 3);
    }
}
