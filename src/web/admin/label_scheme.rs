//! `POST /admin/projects/{slug}/label-scheme`: what people are asked to say of each answer besides its rank.

use axum::{extract::State, response::Redirect};
use serde::Deserialize;

use super::project::{InProject, actor};
use crate::{
    db::label_schemes,
    domain::label_scheme::{Flag, LabelScheme, RatingRule},
    web::{AppState, PageError, authorise::Lead, csrf::CsrfForm},
};

#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct LabelSchemeForm {
    rating: RatingRule,
    flag: Vec<String>,
    /// There where the box is ticked.
    note: Option<String>,
}

pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    CsrfForm(form): CsrfForm<LabelSchemeForm>,
) -> Result<Redirect, PageError> {
    let flags = Flag::ALL.into_iter().filter(|flag| form.flag.iter().any(|word| word == flag.as_str())).collect();
    let scheme = LabelScheme { rating: form.rating, flags, note: form.note.is_some() };
    label_schemes::save(&state.pool, &actor(&user), (project.id, &project.slug), &scheme).await?;
    Ok(Redirect::to(&format!("/admin/projects/{}/settings?saved=1#label-scheme", project.slug)))
}
