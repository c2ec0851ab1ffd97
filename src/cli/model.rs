//! `laurel model`: base models come in from the disk, the registry is listed, a policy is promoted, files that nothing needs go.

use std::path::{Path, PathBuf};

use sqlx::PgPool;

use super::{WrongInput, print, project::named, with_database};
use crate::{
    config::Storage,
    db::{
        audit::Actor,
        model_removal::{self as removal, RemoveError},
        models::{self, Model, RegisterBaseError},
        promotions::{self, BY_COMMAND, PromoteError, Promoted},
        words,
    },
    jobs::{
        base_model::{self, ImportError},
        model_removal,
    },
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Bring a pretrained model: training starts from the one that was brought last
    Add(Add),
    /// List a project's models, newest first: name, stage, round, state, bytes on the disk, digest
    List(List),
    /// Make a model the one that answers, and print the job that samples its answers
    Promote(OneModel),
    /// Remove the files of one model that nothing needs; its record and its name on labels stay
    Remove(OneModel),
    /// Remove the files of all models that runs made and nothing needs, but for the newest; print their names and bytes
    Prune(Prune),
}

#[derive(Debug, clap::Args)]
pub struct Add {
    /// Short name of the project
    #[arg(long, value_name = "SLUG")]
    project: String,
    /// A Hugging Face directory, or one GGUF file
    #[arg(long, value_name = "DIRECTORY-OR-FILE.gguf")]
    path: PathBuf,
    /// Name in the registry; the directory's or the file's own where none is given
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Short name of the project
    #[arg(long, value_name = "SLUG")]
    project: String,
}

#[derive(Debug, clap::Args)]
pub struct OneModel {
    /// Short name of the project
    #[arg(long, value_name = "SLUG")]
    project: String,
    /// Name of the model in the registry
    name: String,
}

#[derive(Debug, clap::Args)]
pub struct Prune {
    /// Short name of the project
    #[arg(long, value_name = "SLUG")]
    project: String,
    /// How many stay beside those that are needed: the newest
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    keep: i32,
    /// Print what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(storage: Storage, command: Command) -> anyhow::Result<()> {
    with_database(storage, async |database, config| match command {
        Command::Add(add) => add.run(&database.pool, &config.models_dir()).await,
        Command::List(list) => list.run(&database.pool).await,
        Command::Promote(model) => model.promote(&database.pool).await,
        Command::Remove(model) => model.remove(&database.pool, &config.models_dir()).await,
        Command::Prune(prune) => prune.run(&database.pool, &config.models_dir()).await,
    })
    .await
}

fn actor() -> Actor {
    Actor::program("command line")
}

impl Add {
    async fn run(self, pool: &PgPool, models_dir: &Path) -> anyhow::Result<()> {
        let project = named(pool, &self.project).await?;
        let name = match self.name {
            Some(name) => name,
            None => name_of(&self.path)?,
        };
        let record =
            base_model::import(pool, models_dir, &actor(), project.id, &name, &self.path).await.map_err(|error| {
                match error {
                    ImportError::Database(error) | ImportError::Register(RegisterBaseError::Database(error)) => {
                        anyhow::Error::from(error)
                    }
                    ImportError::Store(error) => error.into(),
                    wrong => WrongInput(wrong.to_string()).into(),
                }
            })?;
        print(&record.name)
    }
}

/// `smollm2` of `models/smollm2/` and of `smollm2.gguf`.
fn name_of(path: &Path) -> anyhow::Result<String> {
    let whole = path
        .canonicalize()
        .map_err(|_| WrongInput(format!("“{}” is not there, or may not be read", path.display())))?;
    let name = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    let name = name.map(|name| name.to_string_lossy().into_owned());
    Ok(name.ok_or_else(|| WrongInput("the model needs a name: give it with --name".to_owned()))?)
}

impl List {
    async fn run(self, pool: &PgPool) -> anyhow::Result<()> {
        let project = named(pool, &self.project).await?;
        let answering = promotions::current(pool, project.id).await?;
        for model in models::of_project(pool, project.id).await? {
            let record = model.record;
            let state = match (record.complete, answering == Some(record.id)) {
                (false, _) if record.files_removed_at.is_some() => "removed",
                (false, _) => "incomplete",
                (true, true) => "answers",
                (true, false) => "complete",
            };
            let bytes = removal::bytes(&record);
            let stage = words::stage(record.stage);
            print(format!("{}\t{stage}\t{}\t{state}\t{bytes}\t{}", record.name, record.round, record.digest))?;
        }
        Ok(())
    }
}

impl OneModel {
    async fn promote(self, pool: &PgPool) -> anyhow::Result<()> {
        let model = self.find(pool).await?;
        match promotions::promote(pool, &actor(), model.project_id, model.record.id, BY_COMMAND).await {
            Ok(Promoted::Now { sample_job }) => print(sample_job)?,
            Ok(Promoted::Already) => eprintln!("laurel: “{}” answers already", self.name),
            Err(PromoteError::Database(error)) => return Err(error.into()),
            Err(refused) => return Err(WrongInput(refused.to_string()).into()),
        }
        Ok(())
    }

    async fn remove(self, pool: &PgPool, models_dir: &Path) -> anyhow::Result<()> {
        let model = self.find(pool).await?;
        match model_removal::remove(pool, models_dir, &actor(), model.project_id, model.record.id).await {
            Ok(true) => {}
            Ok(false) => eprintln!("laurel: the files of “{}” were removed before", self.name),
            Err(RemoveError::Database(error)) => return Err(error.into()),
            Err(refused) => return Err(WrongInput(refused.to_string()).into()),
        }
        Ok(())
    }

    async fn find(&self, pool: &PgPool) -> anyhow::Result<Model> {
        let project = named(pool, &self.project).await?;
        let model = models::by_name(pool, project.id, &self.name).await?;
        Ok(model.ok_or_else(|| WrongInput(format!("the project “{}” has no model “{}”", project.slug, self.name)))?)
    }
}

impl Prune {
    async fn run(self, pool: &PgPool, models_dir: &Path) -> anyhow::Result<()> {
        let project = named(pool, &self.project).await?;
        let gone = match self.dry_run {
            true => removal::prunable(pool, project.id, self.keep).await?,
            false => model_removal::prune(pool, models_dir, &actor(), project.id, self.keep).await?,
        };
        for record in gone {
            print(format!("{}\t{}", record.name, removal::bytes(&record)))?;
        }
        Ok(())
    }
}
