//! `laurel model`: base models come in from the disk, the registry is listed, a policy is promoted.

use std::path::{Path, PathBuf};

use sqlx::PgPool;

use super::{WrongInput, print, project::named, with_database};
use crate::{
    config::Storage,
    db::{
        audit::Actor,
        models::{self, RegisterBaseError},
        promotions::{self, BY_COMMAND, PromoteError, Promoted},
        words,
    },
    jobs::base_model::{self, ImportError},
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Bring a pretrained model: training starts from the one that was brought last
    Add(Add),
    /// List a project's models, newest first: name, stage, round, state, bytes, digest
    List(List),
    /// Make a model the one that answers, and print the job that samples its answers
    Promote(Promote),
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
pub struct Promote {
    /// Short name of the project
    #[arg(long, value_name = "SLUG")]
    project: String,
    /// Name of the model in the registry
    name: String,
}

pub async fn run(storage: Storage, command: Command) -> anyhow::Result<()> {
    with_database(storage, async |database, config| match command {
        Command::Add(add) => add.run(&database.pool, &config.models_dir()).await,
        Command::List(list) => list.run(&database.pool).await,
        Command::Promote(promote) => promote.run(&database.pool).await,
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
                (false, _) => "incomplete",
                (true, true) => "answers",
                (true, false) => "complete",
            };
            let bytes: u64 = record.files.iter().map(|file| file.bytes).sum();
            let stage = words::stage(record.stage);
            print(format!("{}\t{stage}\t{}\t{state}\t{bytes}\t{}", record.name, record.round, record.digest))?;
        }
        Ok(())
    }
}

impl Promote {
    async fn run(self, pool: &PgPool) -> anyhow::Result<()> {
        let project = named(pool, &self.project).await?;
        let models = models::of_project(pool, project.id).await?;
        let model = models.iter().find(|model| model.record.name == self.name);
        let model =
            model.ok_or_else(|| WrongInput(format!("the project “{}” has no model “{}”", self.project, self.name)))?;
        match promotions::promote(pool, &actor(), project.id, model.record.id, BY_COMMAND).await {
            Ok(Promoted::Now { sample_job }) => print(sample_job)?,
            Ok(Promoted::Already) => eprintln!("laurel: “{}” answers already", self.name),
            Err(PromoteError::Database(error)) => return Err(error.into()),
            Err(refused) => return Err(WrongInput(refused.to_string()).into()),
        }
        Ok(())
    }
}
