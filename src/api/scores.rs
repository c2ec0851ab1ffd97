//! `/api/v1/projects/{slug}/prompt-scores`: how unsure the reward model is of prompts comes in.

use axum::{Json, extract::State};
use laurel_records::{PromptScores, PromptScoresAnswer};
use uuid::Uuid;

use super::{
    error::Refusal,
    extract::{Place, Told, project},
    token::Trainer,
};
use crate::{db::prompt_order, web::AppState};

/// Scores that one call may bring.
const MOST: usize = 100_000;

/// Tell how unsure the reward model is of prompts.
pub async fn store(
    _: Trainer,
    State(state): State<AppState>,
    Place(slug): Place<String>,
    Told(told): Told<PromptScores>,
) -> Result<Json<PromptScoresAnswer>, Refusal> {
    let project = project(&state, &slug).await?;
    if told.scores.len() > MOST {
        return Err(Refusal::invalid(format!("at most {MOST} scores a call")));
    }
    if let Some(wrong) = told.scores.iter().find(|score| !score.uncertainty.is_finite() || score.uncertainty < 0.0) {
        return Err(Refusal::invalid(format!("the uncertainty of {} is not 0 or more", wrong.prompt_id)));
    }
    let scores: Vec<(Uuid, f64)> = told.scores.iter().map(|score| (score.prompt_id, score.uncertainty)).collect();
    let unknown = prompt_order::store_scores(&state.pool, project.id, told.model.as_deref(), &scores).await?;
    Ok(Json(PromptScoresAnswer { stored: scores.len() - unknown.len(), unknown }))
}
