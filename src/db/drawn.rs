//! Two leads at one form: a form says what it was drawn with, and is not stored over what somebody else has saved since.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes of a digest: enough to tell what two leads save apart.
const DIGEST_BYTES: usize = 8;

/// Of the text: numbers may change a little when they are written and read again, and their text does not.
pub(super) fn digest(value: &Value) -> String {
    let sum = Sha256::digest(value.to_string().as_bytes());
    sum.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// What a form was drawn with: a digest of the values that it showed, as a hidden field has it. Empty where a form does not say.
/// No secret goes into one: it could be guessed from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DrawnWith(String);

impl DrawnWith {
    pub fn of(values: &Value) -> Self {
        DrawnWith(digest(values))
    }

    /// From its text.
    pub fn read(text: &str) -> Self {
        DrawnWith(text.to_owned())
    }

    /// Refuses to put what is wanted in the place of what somebody has saved since the form was drawn. What stands is read with
    /// its row locked. A form that does not say what it was drawn with counts as it is.
    pub(super) fn check(&self, standing: &Value, wanted: &Value) -> Result<(), SaveError> {
        let now = DrawnWith::of(standing);
        if self.0.is_empty() || *self == now || standing == wanted {
            return Ok(());
        }
        Err(SaveError::Changed(now))
    }
}

impl fmt::Display for DrawnWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a form was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// With this the form is to be drawn again.
    #[error("somebody has saved something else since the form was drawn")]
    Changed(DrawnWith),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_is_refused_that_would_undo_what_it_did_not_show() {
        let (shown, saved, wanted) = (json!({ "share": 5 }), json!({ "share": 7 }), json!({ "share": 9 }));
        let drawn = DrawnWith::read(&DrawnWith::of(&shown).to_string());
        assert!(drawn.check(&shown, &wanted).is_ok(), "nobody else has saved");
        assert!(drawn.check(&saved, &saved).is_ok(), "both want the same");
        assert!(DrawnWith::default().check(&saved, &wanted).is_ok(), "it does not say");
        let Err(SaveError::Changed(now)) = drawn.check(&saved, &wanted) else { panic!("stored over what stands") };
        assert!(now.check(&saved, &wanted).is_ok(), "saved knowingly");
    }
}
