//! Roles of people: who may do what.

use serde::{Deserialize, Serialize};

/// The role of a person. Each may do all that the one before may: annotator, reviewer, lead, admin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Writes and ranks.
    Annotator,
    /// Sees the labels of others and judges them.
    Reviewer,
    /// Manages the projects that they are a member of, and sees no others: people, imports, exports, tasks, training.
    Lead,
    /// Every project, every account, tokens, and what lies on the server's disk.
    Admin,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Annotator, Role::Reviewer, Role::Lead, Role::Admin];

    /// The word that the database, the command line and the API use.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Annotator => "annotator",
            Role::Reviewer => "reviewer",
            Role::Lead => "lead",
            Role::Admin => "admin",
        }
    }

    /// Whether this role may do what `needed` may.
    pub fn allows(self, needed: Role) -> bool {
        self >= needed
    }
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role “{0}”: use admin, lead, reviewer or annotator")]
pub struct UnknownRole(pub String);

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Role::ALL.into_iter().find(|role| role.as_str() == word).ok_or_else(|| UnknownRole(word.to_owned()))
    }
}
