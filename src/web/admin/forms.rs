//! Reading forms: every wrong field gets a sentence of its own, and what was typed stays.

use std::ops::RangeInclusive;

use axum::http::StatusCode;
use serde::Deserialize;

use crate::web::Page;

/// Whether something is asked no more.
#[derive(Debug, Deserialize)]
pub struct Withdrawal {
    /// `yes` takes it back, anything else asks again.
    withdrawn: String,
}

impl Withdrawal {
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn == "yes"
    }
}

/// What is wrong with a form, by field.
#[derive(Debug, Clone, Default)]
pub struct Errors(Vec<(&'static str, String)>);

impl Errors {
    pub fn add(&mut self, field: &'static str, message: String) {
        self.0.push((field, message));
    }

    /// The sentence for a field.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, message)| message.as_str())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields that are wrong.
    #[cfg(test)]
    pub fn fields(&self) -> Vec<&'static str> {
        self.0.iter().map(|(field, _)| *field).collect()
    }

    /// A whole number within a range; an error is noted and the lower end given otherwise.
    pub fn number(&mut self, page: &Page, field: &'static str, text: &str, range: RangeInclusive<i32>) -> i32 {
        match text.trim().parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.add(field, page.t2("admin-error-range", "from", *range.start(), "to", *range.end()));
                *range.start()
            }
        }
    }

    /// Text without space around it, of 1 to `most` characters.
    pub fn text(&mut self, page: &Page, field: &'static str, text: &str, most: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 {
            self.add(field, page.t("admin-error-empty"));
        } else if length > most {
            self.add(field, page.t1("admin-error-long", "most", most));
        }
        text.to_owned()
    }
}

/// What is said above a form.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub errors: Errors,
    pub saved: bool,
    /// Somebody else has saved it since it was drawn: it shows what was typed, and is not stored.
    pub meanwhile: bool,
}

impl Told {
    /// Of a form as it stands, which may have just been saved.
    pub fn saved(query: &Saved) -> Self {
        Told { saved: query.saved.is_some(), ..Told::default() }
    }

    pub fn wrong(errors: Errors) -> Self {
        Told { errors, ..Told::default() }
    }

    pub fn meanwhile() -> Self {
        Told { meanwhile: true, ..Told::default() }
    }

    pub fn status(&self) -> StatusCode {
        if self.meanwhile {
            StatusCode::CONFLICT
        } else if self.errors.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    }
}

/// The query of a page that a form has led back to: `?saved=1` where something was saved.
#[derive(Debug, serde::Deserialize)]
pub struct Saved {
    pub saved: Option<String>,
}

/// A form that is only a button.
#[derive(Debug, serde::Deserialize)]
pub struct Button {}
