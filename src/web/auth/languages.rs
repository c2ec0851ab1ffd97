//! `POST /account/languages`: the languages in which a person is given tasks.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};

use crate::{
    db::{audit::Actor, plans},
    domain::language,
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm},
};

/// Ticked ones come as `spoken`, others as a list in `others`; none at all means every language.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    page: Page,
    CsrfForm(sent): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let named = sent.iter().filter(|(name, _)| matches!(name.as_str(), "spoken" | "others"));
    let languages = language::list(named.map(|(_, value)| value.as_str()))
        .map_err(|wrong| PageError::Invalid(page.t1("work-error-language", "tag", wrong.0)))?;
    plans::set_languages(&state.pool, &Actor::person(user.id, &user.email), user.id, &languages).await?;
    Ok(Redirect::to("/account?done=languages").into_response())
}
