//! `laurel project`: projects by command.

use sqlx::PgPool;

use super::{WrongInput, print, with_database};
use crate::{
    config::Storage,
    db::{
        audit::Actor,
        projects::{self, CreateError, Project, ProjectSettings},
    },
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a project with the default settings
    Add(Add),
}

#[derive(Debug, clap::Args)]
pub struct Add {
    /// Its name in addresses and commands: lower-case letters, digits and hyphens
    slug: String,
    /// Its name for people
    #[arg(long)]
    name: String,
}

pub async fn run(storage: Storage, Command::Add(add): Command) -> anyhow::Result<()> {
    with_database(storage, async |database, _| {
        let settings = ProjectSettings { name: add.name.trim().to_owned(), ..ProjectSettings::default() };
        let project = projects::create(&database.pool, &Actor::program("command line"), &add.slug, &settings, false)
            .await
            .map_err(|error| match error {
                CreateError::Database(error) => anyhow::Error::from(error),
                other => WrongInput(other.to_string()).into(),
            })?;
        print(&project.slug)
    })
    .await
}

/// The project that a command names.
pub async fn named(pool: &PgPool, slug: &str) -> anyhow::Result<Project> {
    projects::by_slug(pool, slug).await.map_err(|error| match error {
        sqlx::Error::RowNotFound => WrongInput(format!("there is no project “{slug}”")).into(),
        other => other.into(),
    })
}
