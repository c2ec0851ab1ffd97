//! Reasons that the program itself writes into the database, in the reader's words. What people and other programs gave as a reason stands
//! as they wrote it.

use uuid::Uuid;

use super::value_words::spelled;
use crate::{
    db::{
        job_queue::{EnqueueError, Readiness},
        promotions::{BETTER_ON_SPLIT, BY_COMMAND, BY_HAND, BY_TOKEN},
    },
    web::Page,
};

/// What jobs say of their end, as the queries of `job_queue.rs` and `jobs.rs` have it.
const ANOTHER_PROMOTED: &str = "another model was promoted";
const FELL_SILENT: &str = "the worker fell silent ";

/// Why a model was promoted.
pub fn promotion(page: &Page, reason: &str) -> String {
    if reason == BY_HAND {
        return page.t("training-by-hand");
    }
    if reason == BY_COMMAND {
        return page.t("training-by-command");
    }
    if let Some(token) = reason.strip_prefix(BY_TOKEN) {
        return page.t1("training-by-token", "token", token.trim_matches(['“', '”']));
    }
    match reason.strip_prefix(BETTER_ON_SPLIT) {
        Some(numbers) => {
            let numbers = numbers.trim_start_matches([':', ' ']).split(", ").filter(|number| !number.is_empty());
            let told: Vec<String> = numbers.map(|number| finding(page, number)).collect();
            match told.is_empty() {
                true => page.t("training-by-split"),
                false => page.t1("training-by-split-numbers", "numbers", told.join(page.t("value-comma").as_str())),
            }
        }
        None => reason.to_owned(),
    }
}

/// `win_rate 0.612` under the name that the run's page has for it.
fn finding(page: &Page, number: &str) -> String {
    let (name, value) = number.split_once(' ').unwrap_or((number, ""));
    let name = page.translator.known(&format!("training-found-{name}")).unwrap_or_else(|| spelled(name));
    format!("{name} {value}").trim_end().to_owned()
}

/// Why a run that was due was not started.
pub fn passed_over(page: &Page, reason: &str) -> String {
    let nothing = Readiness { has_base: false, demonstrations: 0, rankings: 0 };
    let known = [
        (EnqueueError::UnderWay(Uuid::nil()), "audit-passed-under-way"),
        (EnqueueError::Closed, "audit-passed-closed"),
        (EnqueueError::NotReady(nothing), "audit-passed-nothing"),
    ];
    let found = known.iter().find(|(error, _)| error.to_string() == reason);
    found.map_or_else(|| reason.to_owned(), |(_, message)| page.t(message))
}

/// Why a job ended without being done. What went wrong in a worker stands as the worker said it.
pub fn job(page: &Page, reason: &str) -> String {
    if reason == ANOTHER_PROMOTED {
        return page.t("training-ended-promoted");
    }
    let attempts = reason.strip_prefix(FELL_SILENT).and_then(|rest| rest.strip_suffix(" times"));
    match attempts.and_then(|attempts| attempts.parse::<i32>().ok()) {
        Some(attempts) => page.t1("training-ended-silent", "attempts", attempts),
        None => reason.to_owned(),
    }
}

/// Why a task was skipped: the word of the reason, and what the person said besides. Nothing where the reason has no word.
pub fn skip(page: &Page, reason: &str) -> Option<(String, String)> {
    let (word, said) = reason.split_once(':').unwrap_or((reason, ""));
    let word = page.translator.known(&format!("reports-reason-{word}"))?;
    Some((word, said.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{
        annotate::forms::SKIP_REASONS,
        i18n::{Language, Translator},
        session::Visitor,
    };

    fn english() -> Page {
        Visitor::default().page("/admin")
    }

    #[test]
    fn a_promotion_says_who_or_what_decided() {
        let told = |reason| promotion(&english(), reason);
        assert_eq!(told("by hand"), "by hand");
        assert_eq!(told("by the token “gpu-box”"), "with the API token “gpu-box”");
        assert_eq!(told("better on the held-out split"), "better on the held-out prompts");
        assert_eq!(
            told("better on the held-out split: win_rate 0.612, nll_after 2.100"),
            "better on the held-out prompts: Win rate 0.612, NLL after 2.100"
        );
        assert_eq!(told("It is kinder."), "It is kinder.");
    }

    #[test]
    fn what_a_job_and_the_clock_say_is_known_and_all_else_stands() {
        assert!(include_str!("../../db/job_queue.rs").contains(ANOTHER_PROMOTED));
        assert!(include_str!("../../db/jobs.rs").contains(FELL_SILENT));
        assert_eq!(job(&english(), ANOTHER_PROMOTED), "Another model was promoted.");
        assert_eq!(job(&english(), "the worker fell silent 3 times"), "The worker fell silent 3 times.");
        assert_eq!(job(&english(), "out of memory"), "out of memory");
        assert_eq!(passed_over(&english(), &EnqueueError::Closed.to_string()), "The project was closed.");
        assert_eq!(passed_over(&english(), "the moon"), "the moon");
    }

    #[test]
    fn every_reason_for_a_skip_has_a_word_in_every_language() {
        for language in Language::all() {
            let page = Page { translator: Translator { language }, ..english() };
            for reason in SKIP_REASONS {
                let told = skip(&page, &format!("{reason}: It ends: so what"));
                assert_eq!(told.expect("a word").1, "It ends: so what", "{reason}");
            }
        }
        assert_eq!(skip(&english(), "as it came: once"), None);
    }
}
