//! `/api/v1/projects`: what there is, and what a script needs to bring a model and start a run.

use axum::{Json, extract::State, http::StatusCode};
use laurel_records::{ModelFile, ModelRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    error::Refusal,
    extract::{Place, Told, project},
    jobs,
    token::{Admin, Reader, Trainer},
    views::{JobView, ProjectName, ProjectView},
};
use crate::{
    db::{
        job_list,
        job_queue::{self, EnqueueError, FEWEST_LABELS},
        label_schemes,
        models::{self, NewBase, RegisterBaseError},
        projects, promotions,
    },
    jobs::model_files::model_digest,
    web::AppState,
};

/// Jobs in the list of a project's jobs.
const NEWEST_JOBS: i64 = 100;

/// List the projects.
pub async fn list(_: Reader, State(state): State<AppState>) -> Result<Json<Vec<ProjectName>>, Refusal> {
    let names = projects::names(&state.pool).await?;
    Ok(Json(names.into_iter().map(|(_, slug, name)| ProjectName { slug, name }).collect()))
}

/// Show a project.
pub async fn show(
    _: Reader,
    State(state): State<AppState>,
    Place(slug): Place<String>,
) -> Result<Json<ProjectView>, Refusal> {
    let project = project(&state, &slug).await?;
    let scheme = label_schemes::of_project(&state.pool, project.id).await?;
    let mut connection = state.pool.acquire().await?;
    let readiness = job_queue::readiness(&mut connection, project.id).await?;
    let answering = promotions::answering(&mut connection, project.id).await?;
    Ok(Json(ProjectView::new(project, scheme, readiness, answering.map(|model| model.record.name))))
}

/// Start a training run.
///
/// One run of a project at a time, and only with a base model and labels. Takes an admin's token.
pub async fn start(
    Admin(caller): Admin,
    State(state): State<AppState>,
    Place(slug): Place<String>,
) -> Result<(StatusCode, Json<JobView>), Refusal> {
    let project = project(&state, &slug).await?;
    let job = match job_queue::enqueue_nightly(&state.pool, &caller.actor(), project.id).await {
        Ok(job) => job,
        Err(EnqueueError::Database(error)) => return Err(error.into()),
        Err(error @ EnqueueError::Closed) => return Err(Refusal::conflict(error.to_string())),
        Err(error @ EnqueueError::UnderWay(job)) => {
            return Err(Refusal::Conflict { message: error.to_string(), details: vec![format!("job {job}")] });
        }
        Err(ref error @ EnqueueError::NotReady(found)) => {
            let mut details = Vec::new();
            if !found.has_base {
                details.push("there is no base model".to_owned());
            }
            if !found.has_labels() {
                details.push(format!(
                    "{FEWEST_LABELS} demonstrations or {FEWEST_LABELS} rankings of the training split are needed; there are {} and {}",
                    found.demonstrations, found.rankings
                ));
            }
            return Err(Refusal::Conflict { message: error.to_string(), details });
        }
    };
    Ok((StatusCode::CREATED, Json(jobs::by_id(&state, job).await?)))
}

/// List a project's newest jobs.
pub async fn list_jobs(
    _: Trainer,
    State(state): State<AppState>,
    Place(slug): Place<String>,
) -> Result<Json<Vec<JobView>>, Refusal> {
    let project = project(&state, &slug).await?;
    let jobs = job_list::of_project(&state.pool, project.id, NEWEST_JOBS).await?;
    Ok(Json(jobs.into_iter().map(JobView::from).collect()))
}

/// List a project's models.
pub async fn list_models(
    _: Trainer,
    State(state): State<AppState>,
    Place(slug): Place<String>,
) -> Result<Json<Vec<ModelRecord>>, Refusal> {
    let project = project(&state, &slug).await?;
    let models = models::of_project(&state.pool, project.id).await?;
    Ok(Json(models.into_iter().map(|model| model.record).collect()))
}

/// A base model that a script brings.
#[derive(Debug, Deserialize, Serialize)]
pub struct BringModel {
    /// Unique in its project.
    name: String,
    files: Vec<ModelFile>,
    /// Where it comes from.
    #[serde(default)]
    lineage: Option<Value>,
}

/// Bring a base model.
///
/// Its files follow with `PUT models/{id}/files/{name}`, then `POST models/{id}/complete`. The same name and files again give the
/// record that is there. Takes an admin's token.
pub async fn bring_model(
    Admin(caller): Admin,
    State(state): State<AppState>,
    Place(slug): Place<String>,
    Told(told): Told<BringModel>,
) -> Result<Json<ModelRecord>, Refusal> {
    let project = project(&state, &slug).await?;
    let base = NewBase {
        name: told.name.trim().to_owned(),
        digest: model_digest(&told.files),
        files: told.files,
        lineage: told.lineage.unwrap_or_else(|| json!({ "stage": "base", "source": format!("token {}", caller.name) })),
    };
    match models::register_base(&state.pool, &caller.actor(), project.id, &base).await {
        Ok(record) => Ok(Json(record)),
        Err(error @ (RegisterBaseError::NameTaken(_) | RegisterBaseError::FilesRemoved(_))) => {
            Err(Refusal::conflict(error.to_string()))
        }
        Err(RegisterBaseError::Invalid(reason)) => Err(Refusal::invalid(reason)),
        Err(RegisterBaseError::Database(error)) => Err(error.into()),
    }
}
