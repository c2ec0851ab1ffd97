//! `/admin/projects/{slug}/prompts`, `…/answers`, `…/labels`: everything that a project holds, by search, filter and page.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse},
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    days,
    kept::{Kept, TO_THE_END},
    project::{Frame, InProject},
    show,
};
use crate::{
    db::{
        browse::{
            self, COUNTED, Choices, Filter, Listed,
            answers::{self, Answer},
            labels::{self, Label},
            prompts::{self, Prompt},
        },
        label_schemes,
    },
    domain::{
        label_scheme::LabelScheme,
        rating_scale::{HIGHEST, LOWEST},
    },
    web::{AppState, Page, PageError, authorise::Reviewer, label_words::flag_name},
};

/// The filters as they stand in the address; a list passes over those that are not its own.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Wanted {
    q: String,
    split: String,
    language: String,
    state: String,
    tag: String,
    model: String,
    annotator: String,
    kind: String,
    /// Days, both included.
    from: String,
    until: String,
    /// Not empty: labels that were corrected as well.
    replaced: String,
    flag: String,
    /// Ratings, both included.
    rating_from: String,
    rating_until: String,
    /// Not empty: only labels that find all answers bad.
    all_bad: String,
    /// Not empty: only rankings that were given far faster than their answers can be read.
    too_fast: String,
    /// What a reviewer found: one of [`REVIEWS`].
    review: String,
    /// Key of the last entry of the page before.
    #[serde(skip_serializing_if = "String::is_empty")]
    after: String,
}

/// What reviewers may have made of a label.
const REVIEWS: [&str; 5] = ["none", "accepted", "corrected", "rejected", "decision"];

/// A rating as typed; none where it can be on no scale.
fn rating(typed: &str) -> Option<i32> {
    typed.trim().parse().ok().filter(|rating| (*LOWEST.start()..=*HIGHEST.end()).contains(rating)).map(i32::from)
}

impl Wanted {
    fn filter(&self) -> Filter {
        Filter {
            search: self.q.trim().replace('\0', ""),
            split: self.split.clone(),
            language: self.language.clone(),
            tag: self.tag.clone(),
            state: self.state.clone(),
            model: self.model.clone(),
            annotator: self.annotator.clone(),
            kind: self.kind.clone(),
            from: days::begin(&self.from),
            until: days::end(&self.until),
            replaced: !self.replaced.is_empty(),
            flag: self.flag.clone(),
            lowest_rating: rating(&self.rating_from),
            highest_rating: rating(&self.rating_until),
            all_bad: !self.all_bad.is_empty(),
            too_fast: !self.too_fast.is_empty(),
            review: REVIEWS.into_iter().find(|word| *word == self.review).unwrap_or_default().to_owned(),
        }
    }

    fn key(&self) -> Option<Uuid> {
        self.after.parse().ok()
    }

    fn is_filtered(&self) -> bool {
        let fields = [
            &self.q,
            &self.split,
            &self.language,
            &self.state,
            &self.tag,
            &self.model,
            &self.annotator,
            &self.kind,
            &self.from,
            &self.until,
            &self.flag,
            &self.rating_from,
            &self.rating_until,
            &self.all_bad,
            &self.too_fast,
            &self.review,
        ];
        fields.iter().any(|field| !field.is_empty())
    }

    /// Puts what is looked for among what can be chosen, however rare it is: the form says what the list is of, and keeps it.
    fn stand_among(&self, choices: &mut Choices) {
        let lists = [
            (&mut choices.languages, &self.language),
            (&mut choices.tags, &self.tag),
            (&mut choices.models, &self.model),
        ];
        for (list, wanted) in lists {
            if !wanted.is_empty() && !list.contains(wanted) {
                list.push(wanted.clone());
            }
        }
        let annotator = &self.annotator;
        if !annotator.is_empty() && !choices.annotators.iter().any(|(known, _)| known == annotator) {
            choices.annotators.push((annotator.clone(), annotator.clone()));
        }
    }

    /// The address of a list with these filters, from a key on.
    fn address(&self, frame: &Frame, list: &str, after: Option<Uuid>) -> Result<String, PageError> {
        let here = Wanted { after: after.map(|key| key.to_string()).unwrap_or_default(), ..self.clone() };
        let query = serde_html_form::to_string(here).map_err(anyhow::Error::from)?;
        Ok(format!("/admin/projects/{}/{list}?{query}", frame.slug))
    }
}

/// What can be chosen, by project. It is gathered from everything that the project holds: where that takes long, who turns
/// a page does not wait for it, and sees what could be chosen when somebody looked last; the next page has what came since.
static CHOICES: Kept<Uuid, Choices> = Kept::with_patience(Duration::from_millis(300));

/// What can be chosen in the filters of a project.
pub(super) async fn choices_of(pool: &PgPool, project: Uuid) -> Result<Choices, PageError> {
    let stamp = browse::stamp(pool).await?;
    let pool = pool.clone();
    let gather = move || async move { Ok(browse::choices(&pool, project).await?) };
    let gathered = CHOICES.serve(project, stamp, TO_THE_END, gather).await?;
    Ok(gathered.map(|shown| Choices::clone(&shown.value)).unwrap_or_default())
}

/// What the three lists share: the form of the filters, and the way on.
struct Browsing {
    /// `prompts`, `answers` or `labels`.
    list: &'static str,
    wanted: Wanted,
    choices: Choices,
    /// Words and names of the flags that can be looked for; none but on the list of labels.
    flags: Vec<(String, String)>,
    /// Address of the next page.
    next: Option<String>,
    /// Address of the first page, on every other one.
    first: Option<String>,
}

impl Browsing {
    async fn new<T>(
        state: &AppState,
        frame: &Frame,
        project: Uuid,
        list: &'static str,
        wanted: Wanted,
        found: &Listed<T>,
    ) -> Result<Self, PageError> {
        let next = found.next.map(|key| wanted.address(frame, list, Some(key))).transpose()?;
        let first = wanted.key().map(|_| wanted.address(frame, list, None)).transpose()?;
        let mut choices = choices_of(&state.pool, project).await?;
        wanted.stand_among(&mut choices);
        Ok(Browsing { list, choices, flags: Vec::new(), next, first, wanted })
    }

    /// With the flags that labels have, and the one that is looked for.
    fn with_flags(mut self, page: &Page, scheme: &LabelScheme) -> Self {
        let mut words = std::mem::take(&mut self.choices.flags);
        if !self.wanted.flag.is_empty() && !words.contains(&self.wanted.flag) {
            words.push(self.wanted.flag.clone());
        }
        let name = |word: &String| flag_name(page, scheme, word);
        self.flags = words.iter().map(|word| (word.clone(), name(word))).collect();
        self
    }

    fn here(&self, list: &str) -> &'static str {
        if self.list == list { "page" } else { "false" }
    }

    fn is_filtered(&self) -> bool {
        self.wanted.is_filtered()
    }
}

#[derive(Template)]
#[template(path = "admin/prompts.html")]
struct PromptsPage {
    page: Page,
    frame: Frame,
    browsing: Browsing,
    prompts: Vec<Prompt>,
    total: i64,
}

impl PromptsPage {
    /// `1,234 prompts`, or that there are more than one counts.
    fn counted(&self) -> String {
        if self.total > COUNTED {
            return self.page.t1("browse-more-than", "count", show::count(COUNTED));
        }
        self.page.t1("admin-prompts-count", "count", self.total)
    }
}

pub async fn prompts(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let filter = wanted.filter();
    let (found, total) = tokio::try_join!(
        prompts::after(&state.pool, project.id, &filter, wanted.key()),
        prompts::count(&state.pool, project.id, &filter)
    )?;
    let frame = Frame::new(&page, &project, "prompts");
    let browsing = Browsing::new(&state, &frame, project.id, "prompts", wanted, &found).await?;
    Ok(Html(PromptsPage { page, frame, browsing, prompts: found.entries, total }.render()?))
}

#[derive(Template)]
#[template(path = "admin/answers.html")]
struct AnswersPage {
    page: Page,
    frame: Frame,
    browsing: Browsing,
    answers: Vec<Answer>,
}

pub async fn answers(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let found = answers::before(&state.pool, project.id, &wanted.filter(), wanted.key()).await?;
    let frame = Frame::new(&page, &project, "prompts");
    let browsing = Browsing::new(&state, &frame, project.id, "answers", wanted, &found).await?;
    Ok(Html(AnswersPage { page, frame, browsing, answers: found.entries }.render()?))
}

#[derive(Template)]
#[template(path = "admin/labels.html")]
struct LabelsPage {
    page: Page,
    frame: Frame,
    browsing: Browsing,
    labels: Vec<ShownLabel>,
    total: i64,
}

/// A label with the names of its flags.
struct ShownLabel {
    label: Label,
    flags: Vec<String>,
}

impl LabelsPage {
    /// `1,234 labels`, or that there are more than one counts.
    fn counted(&self) -> String {
        if self.total > COUNTED {
            return self.page.t1("browse-more-than-labels", "count", show::count(COUNTED));
        }
        self.page.t1("browse-labels-count", "count", self.total)
    }
}

pub async fn labels(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let filter = wanted.filter();
    let (found, total, scheme) = tokio::try_join!(
        labels::before(&state.pool, project.id, &filter, wanted.key()),
        labels::count(&state.pool, project.id, &filter),
        label_schemes::of_project(&state.pool, project.id)
    )?;
    let frame = Frame::new(&page, &project, "prompts");
    let browsing =
        Browsing::new(&state, &frame, project.id, "labels", wanted, &found).await?.with_flags(&page, &scheme);
    let named = |label: Label| ShownLabel {
        flags: label.flags.iter().map(|word| flag_name(&page, &scheme, word)).collect(),
        label,
    };
    let labels = found.entries.into_iter().map(named).collect();
    Ok(Html(LabelsPage { page, frame, browsing, labels, total }.render()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_can_be_chosen_however_rare_it_is() {
        let (rare, english) = ("rare@example.org".to_owned(), "en".to_owned());
        let wanted = Wanted { annotator: rare.clone(), language: english.clone(), ..Wanted::default() };
        let mut choices = Choices { languages: vec![english], ..Choices::default() };
        wanted.stand_among(&mut choices);
        assert_eq!(choices.languages, ["en"]);
        assert_eq!(choices.annotators, [(rare.clone(), rare)]);
        assert!(choices.tags.is_empty() && choices.models.is_empty());
    }
}
