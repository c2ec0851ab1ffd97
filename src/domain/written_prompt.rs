//! Prompts that people write: the three kinds of InstructGPT (Ouyang et al. 2022, section 3.2), and how each becomes a conversation.

use laurel_records::{Message, Role};

/// Fewest examples of a few-shot prompt: one alone shows no pattern.
pub const FEWEST_EXAMPLES: usize = 2;
/// Most examples of a few-shot prompt.
pub const MOST_EXAMPLES: usize = 5;

/// What kind of prompt is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    /// An arbitrary task.
    Plain,
    /// An instruction with several queries and their responses.
    FewShot,
    /// One that fits a use case, as users of the product stated it.
    UseCase,
}

impl PromptKind {
    pub const ALL: [PromptKind; 3] = [PromptKind::Plain, PromptKind::FewShot, PromptKind::UseCase];

    /// The word that forms and the database use.
    pub fn as_str(self) -> &'static str {
        match self {
            PromptKind::Plain => "plain",
            PromptKind::FewShot => "few_shot",
            PromptKind::UseCase => "use_case",
        }
    }

    /// The tag of such prompts, as the paper calls them.
    pub fn tag(self) -> &'static str {
        match self {
            PromptKind::Plain => "plain",
            PromptKind::FewShot => "few-shot",
            PromptKind::UseCase => "user-based",
        }
    }
}

/// A word that names no kind of prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of prompt “{0}”")]
pub struct UnknownKind(pub String);

impl std::str::FromStr for PromptKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        PromptKind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

/// One example of a few-shot prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub query: String,
    pub response: String,
}

/// What a person has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// A plain or a user-based prompt.
    Text(String),
    FewShot {
        instruction: String,
        examples: Vec<Example>,
        /// The query that waits for an answer.
        query: String,
    },
}

impl Written {
    /// What was written, from the conversation that it became; `None` where it is of another form. The instruction of a few-shot
    /// prompt ends at the first blank line: one with a blank line within comes back with its end before the first query.
    pub fn of_conversation(kind: PromptKind, messages: &[Message]) -> Option<Written> {
        let (last, before) = messages.split_last()?;
        if kind != PromptKind::FewShot {
            return before.is_empty().then(|| Written::Text(last.content.clone()));
        }
        let (instruction, first) = messages.first()?.content.split_once("\n\n")?;
        let query =
            |place: usize, message: &Message| if place == 0 { first.to_owned() } else { message.content.clone() };
        let examples = before
            .chunks_exact(2)
            .enumerate()
            .filter_map(|(place, turn)| match turn {
                [asked, said] => Some(Example { query: query(place, asked), response: said.content.clone() }),
                _ => None,
            })
            .collect::<Vec<Example>>();
        Some(Written::FewShot { instruction: instruction.to_owned(), query: query(examples.len(), last), examples })
    }

    /// The conversation that waits for the assistant: the examples of a few-shot prompt are turns of it, the instruction opens
    /// the first.
    pub fn conversation(&self) -> Vec<Message> {
        let said = |role, content: String| Message { role, content };
        match self {
            Written::Text(text) => vec![said(Role::User, text.clone())],
            Written::FewShot { instruction, examples, query } => {
                let mut opening = Some(instruction);
                let mut asked = |query: &str| match opening.take() {
                    Some(instruction) => said(Role::User, format!("{instruction}\n\n{query}")),
                    None => said(Role::User, query.to_owned()),
                };
                let mut messages = Vec::with_capacity(2 * examples.len() + 1);
                for example in examples {
                    messages.push(asked(&example.query));
                    messages.push(said(Role::Assistant, example.response.clone()));
                }
                messages.push(asked(query));
                messages
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_shot_prompt_shows_its_pattern_and_asks_the_last_query() {
        let example = |query: &str, response: &str| Example { query: query.to_owned(), response: response.to_owned() };
        let written = Written::FewShot {
            instruction: "Give the sentiment of a tweet.".to_owned(),
            examples: vec![example("I love it", "positive"), example("I hate it", "negative")],
            query: "It is fine".to_owned(),
        };
        let said: Vec<_> = written.conversation().into_iter().map(|message| (message.role, message.content)).collect();
        let expected = [
            (Role::User, "Give the sentiment of a tweet.\n\nI love it"),
            (Role::Assistant, "positive"),
            (Role::User, "I hate it"),
            (Role::Assistant, "negative"),
            (Role::User, "It is fine"),
        ];
        assert_eq!(said, expected.map(|(role, content)| (role, content.to_owned())));
        // It comes back as it was written, for a correction.
        assert_eq!(Written::of_conversation(PromptKind::FewShot, &written.conversation()), Some(written));
    }

    #[test]
    fn whatever_comes_back_of_a_prompt_makes_the_same_conversation() {
        let example = |query: &str| Example { query: query.to_owned(), response: "yes\n\nno".to_owned() };
        let blank_lines = Written::FewShot {
            instruction: "Say it.\n\nBriefly.".to_owned(),
            examples: vec![example("a\n\nb"), example("c\n\nd")],
            query: "e\n\nf".to_owned(),
        };
        let plain = Written::Text("One.\n\nTwo.".to_owned());
        for (kind, written) in [(PromptKind::FewShot, blank_lines), (PromptKind::Plain, plain)] {
            let again = Written::of_conversation(kind, &written.conversation()).expect("it comes back");
            assert_eq!(again.conversation(), written.conversation());
        }
        let text = Written::Text("No blank line".to_owned()).conversation();
        assert_eq!(Written::of_conversation(PromptKind::FewShot, &text), None);
    }
}
