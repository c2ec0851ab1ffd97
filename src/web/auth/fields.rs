//! What is wrong with the fields of an account's form, in the visitor's words.

use crate::{
    db::users::AccountError,
    domain::password::{LONGEST, PasswordError, SHORTEST},
    web::{Page, PageError},
};

/// Messages by field.
#[derive(Debug, Default)]
pub struct Errors(Vec<(&'static str, String)>);

impl Errors {
    /// One message.
    pub fn one(field: &'static str, text: String) -> Self {
        Errors(vec![(field, text)])
    }

    /// The message of a field.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }

    /// The field and the words for a refused account; what is not the person's doing goes on as an error.
    pub fn explain(page: &Page, error: AccountError) -> Result<Self, PageError> {
        let (field, text) = match error {
            AccountError::Email(_) => ("email", page.t("auth-error-email")),
            AccountError::EmailTaken => ("email", page.t("auth-error-email-taken")),
            AccountError::Name => ("name", page.t("auth-error-name")),
            AccountError::Password(PasswordError::TooShort) => {
                ("new_password", page.t1("auth-error-password-short", "least", SHORTEST))
            }
            AccountError::Password(PasswordError::TooLong) => {
                ("new_password", page.t1("auth-error-password-long", "most", LONGEST))
            }
            AccountError::Internal(error) => return Err(error.into()),
        };
        Ok(Errors::one(field, text))
    }
}
