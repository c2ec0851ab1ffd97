//! Seeding the demo: each step looks whether it was done, so that a second start, or one after a crash, does what is left.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Map;
use sqlx::PgPool;

use super::{
    accounts::{self, Account},
    files, history,
};
use crate::{
    db::{
        audit::Actor,
        drawn::DrawnWith,
        guidelines, label_schemes, memberships,
        projects::{self, Project, ProjectSettings},
    },
    domain::{flag::OwnFlag, label_scheme::LabelScheme, role::Role},
    import::{self, ImportError, Kind},
    jobs::base_model,
};

/// Short name of the sample project.
pub const PROJECT: &str = "sample";
/// Name of its pretrained model in the registry, and of the folder under `sample/`.
const BASE_MODEL: &str = "tiny-model";

/// What the demo has.
pub struct Seeded {
    pub accounts: Vec<Account>,
    pub project: Project,
}

/// Makes what is missing of the sample project: people, guidelines, prompts, labels, the tiny model.
pub async fn seed(pool: &PgPool, data_dir: &Path) -> anyhow::Result<Seeded> {
    let accounts = accounts::in_directory(data_dir)?;
    let admin = accounts::ensure(pool, &accounts).await?;
    let actor = Actor { name: "demo".to_owned(), user: Some(admin) };
    let project = project(pool, &actor, &accounts).await?;
    let text = files::text("guidelines.md")?;
    guidelines::save(pool, &actor, (project.id, PROJECT), &DrawnWith::default(), &text).await?;
    records(pool, &actor, &project).await?;
    history::write(pool, project.id).await.context("the past of the sample could not be written")?;
    base_model(pool, data_dir, &actor, &project).await?;
    Ok(Seeded { accounts, project })
}

async fn project(pool: &PgPool, actor: &Actor, accounts: &[Account]) -> anyhow::Result<Project> {
    match projects::by_slug(pool, PROJECT).await {
        Ok(project) => return Ok(project),
        Err(sqlx::Error::RowNotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let settings = ProjectSettings {
        name: "Short warm answers".to_owned(),
        description:
            "The sample task: a warm opening, one or two short sentences, a kind wish and a leaf. Most labels here are \
                      simulated."
                .to_owned(),
        validation_percent: 10,
        test_percent: 10,
        prompts_per_round: 40,
        training: training(),
        ..ProjectSettings::default()
    };
    let project = projects::create(pool, actor, PROJECT, &settings, true).await?;
    let leads: Vec<String> =
        accounts.iter().filter(|account| account.role == Role::Lead).map(|account| account.email.clone()).collect();
    memberships::add(pool, project.id, &leads).await?;
    label_schemes::save(pool, actor, (project.id, PROJECT), &DrawnWith::default(), label_scheme()).await?;
    Ok(project)
}

/// What the sample asks for has a length, which nobody's flags speak of.
fn label_scheme() -> LabelScheme {
    let names = [("en", "Too long"), ("zh", "太长")].map(|(tag, name)| (tag.to_owned(), name.to_owned()));
    let too_long = OwnFlag {
        word: "too_long".to_owned(),
        names: names.into(),
        hint: "More than two short sentences. 超过两个短句。".to_owned(),
        removed: false,
    };
    LabelScheme { own_flags: vec![too_long], ..LabelScheme::default() }
}

/// Settings of the stages that suit the tiny model: it learns faster than a pretrained one, its answers are short, and PPO has
/// to be held near the reference, or it soon finds word salad that the reward model likes.
fn training() -> Map<String, serde_json::Value> {
    let settings = serde_json::json!({
        "sft": { "epochs": 10, "learning_rate": 1e-3 },
        "reward": { "epochs": 2, "learning_rate": 3e-4 },
        "ppo": { "steps": 16, "learning_rate": 1e-4, "kl_coefficient": 0.2, "max_new_tokens": 64 },
        "sampling": { "temperature": 0.7, "max_new_tokens": 96 },
    });
    settings.as_object().cloned().unwrap_or_default()
}

/// Imports the records of the sample. Each import is all or nothing and changes nothing the second time; once the last one
/// is in the audit log, all were done.
async fn records(pool: &PgPool, actor: &Actor, project: &Project) -> anyhow::Result<()> {
    if imported(pool, actor, Kind::Responses).await? {
        return Ok(());
    }
    // Prompts first without asking for demonstrations, and again when those of the sample are in: people are asked for the rest.
    let mut quiet = project.clone();
    quiet.settings.demonstration_overlap = 0;
    for (project, kind, file) in [
        (&quiet, Kind::Prompts, "prompts.jsonl"),
        (project, Kind::Demonstrations, "demonstrations.jsonl"),
        (project, Kind::Prompts, "prompts.jsonl"),
        (project, Kind::Rankings, "rankings.jsonl"),
        (project, Kind::Responses, "responses.jsonl"),
    ] {
        match import::import(pool, actor, project, kind, &mut files::bytes(file)?.as_slice()).await {
            Ok(_) => {}
            Err(ImportError::BadRecords(bad)) => bail!("sample/{file} has bad records: {bad:?}"),
            Err(error) => return Err(error).context(format!("sample/{file} could not be imported")),
        }
    }
    Ok(())
}

async fn imported(pool: &PgPool, actor: &Actor, kind: Kind) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT FROM audit_log WHERE actor = $1 AND action = 'records.import' AND detail ->> 'kind' = $2
        ) AS "imported!"
        "#,
        actor.name,
        kind.as_str()
    )
    .fetch_one(pool)
    .await
}

async fn base_model(pool: &PgPool, data_dir: &Path, actor: &Actor, project: &Project) -> anyhow::Result<()> {
    if !files::has_folder(BASE_MODEL) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    files::unpack(BASE_MODEL, folder.path())?;
    base_model::import(pool, &data_dir.join("models"), actor, project.id, BASE_MODEL, folder.path())
        .await
        .context("the tiny model could not be registered")?;
    Ok(())
}
