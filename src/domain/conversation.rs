//! What a prompt's conversation must be, and the hash by which the same conversation is recognised.

use laurel_records::{Message, Role};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// SHA-256 of a normalised conversation.
pub type ContentHash = [u8; 32];

/// Why messages are no prompt. Positions count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    #[error("it has no message")]
    Empty,
    #[error("the message says nothing")]
    Silent { position: usize },
    #[error("a prompt ends with what the user says: the assistant's answer is not part of it")]
    NotTheUsersTurn { position: usize },
}

impl PromptError {
    /// The message that is wrong, where it is one.
    pub fn position(self) -> Option<usize> {
        match self {
            PromptError::Empty => None,
            PromptError::Silent { position } | PromptError::NotTheUsersTurn { position } => Some(position),
        }
    }
}

/// Whether the conversation waits for the assistant's next message.
///
/// # Errors
/// No message, an empty one, or a last one that is not the user's.
pub fn check_prompt(messages: &[Message]) -> Result<(), PromptError> {
    let last = messages.len().checked_sub(1).ok_or(PromptError::Empty)?;
    if let Some(position) = messages.iter().position(|message| message.content.trim().is_empty()) {
        return Err(PromptError::Silent { position });
    }
    if messages[last].role != Role::User {
        return Err(PromptError::NotTheUsersTurn { position: last });
    }
    Ok(())
}

/// The hash of a conversation; the same for texts that differ only in Unicode composition (NFC), in line ends, or in white
/// space around a message. It knows no project: a prompt that goes on from no other is in the same split wherever the percentages are
/// the same.
pub fn content_hash(messages: &[Message]) -> ContentHash {
    let mut hash = Sha256::new();
    messages.iter().for_each(|message| add(&mut hash, message));
    hash.finalize().into()
}

/// The hashes of the prompts that this one goes on from, the shortest first: what was said up to each earlier turn of the user.
pub fn earlier_prompts(messages: &[Message]) -> Vec<ContentHash> {
    let mut hash = Sha256::new();
    let mut found = Vec::new();
    let earlier = messages.split_last().map_or(messages, |(_, earlier)| earlier);
    for message in earlier {
        add(&mut hash, message);
        if message.role == Role::User {
            found.push(hash.clone().finalize().into());
        }
    }
    found
}

fn add(hash: &mut Sha256, message: &Message) {
    let role = match message.role {
        Role::System => b's',
        Role::User => b'u',
        Role::Assistant => b'a',
    };
    let content: String = message.content.trim().nfc().collect();
    let content = content.replace("\r\n", "\n");
    // The length keeps apart what one message says and what two say.
    hash.update([role]);
    hash.update(u64::try_from(content.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(content.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: Role, content: &str) -> Message {
        Message { role, content: content.to_owned() }
    }

    #[test]
    fn a_prompt_waits_for_the_assistant() {
        assert_eq!(check_prompt(&[]), Err(PromptError::Empty));
        assert_eq!(check_prompt(&[said(Role::User, " ")]), Err(PromptError::Silent { position: 0 }));
        let answered = [said(Role::User, "Hello"), said(Role::Assistant, "Hello!")];
        assert_eq!(check_prompt(&answered), Err(PromptError::NotTheUsersTurn { position: 1 }));
        assert_eq!(check_prompt(&[said(Role::System, "Be kind"), said(Role::User, "Hello")]), Ok(()));
    }

    #[test]
    fn what_reads_the_same_is_the_same() {
        let hash = |content: &str| content_hash(&[said(Role::User, content)]);
        assert_eq!(hash("Caf\u{e9}\nau lait"), hash(" Cafe\u{301}\r\nau lait\n"));
        assert_ne!(hash("a b"), hash("a  b"));
        assert_ne!(hash("a"), content_hash(&[said(Role::Assistant, "a")]));
        assert_ne!(hash("ab"), content_hash(&[said(Role::User, "a"), said(Role::User, "b")]));
    }

    #[test]
    fn a_prompt_goes_on_from_what_the_user_said_before() {
        let turns: Vec<Message> = [Role::System, Role::User, Role::Assistant, Role::User, Role::Assistant, Role::User]
            .into_iter()
            .enumerate()
            .map(|(turn, role)| said(role, &format!("{turn}")))
            .collect();
        assert_eq!(earlier_prompts(&turns), [content_hash(&turns[..2]), content_hash(&turns[..4])]);
        assert_eq!(earlier_prompts(&turns[..2]), [[0; 32]; 0]);
    }
}
