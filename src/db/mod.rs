//! The database: the pool, the embedded server, and one file of queries a table family.

pub mod assignments;
pub mod audit;
pub mod audit_kinds;
pub mod audit_names;
pub mod blind_answers;
pub mod blind_tests;
pub mod blind_waits;
pub mod briefs;
pub mod browse;
pub mod bulk;
mod candidates;
pub mod chat_choice_drafts;
pub mod chat_choices;
pub mod chat_corrections;
pub mod chat_drafts;
pub mod chat_endpoints;
pub mod chat_turns;
pub mod chats;
pub mod closed_projects;
pub mod daily;
pub mod demonstration_reviews;
pub mod drafts;
pub mod drawn;
pub mod embedded;
pub mod export;
pub mod gold;
pub mod gold_scores;
pub mod gold_tasks;
pub mod guidelines;
pub mod invitations;
pub mod job_list;
pub mod job_metrics;
pub mod job_queue;
pub mod job_samples;
pub mod jobs;
pub mod label_schemes;
pub mod label_versions;
pub mod labels;
pub mod leaderboard;
pub mod memberships;
pub mod model_removal;
pub mod models;
pub mod near_duplicates;
pub mod overview;
pub mod own;
pub mod password_resets;
pub mod people;
pub mod plans;
pub mod project_settings;
pub mod projects;
pub mod promotions;
pub mod prompt_list;
pub mod prompt_order;
pub mod quality;
pub mod queue;
pub mod rehearsal;
pub mod reports;
pub mod reservations;
pub mod retention;
pub mod reviews;
pub mod sampling;
pub mod schedules;
pub mod sessions;
pub mod task_control;
pub mod tasks;
pub mod tokens;
pub mod uploads;
pub mod users;
pub mod words;
pub mod written_prompts;

use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::{
    PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::config::Config;
use embedded::Embedded;

/// The schema, step by step.
static MIGRATIONS: Migrator = sqlx::migrate!();
/// Connections of one process.
const CONNECTIONS: u32 = 20;
/// Connections of a server that wait for people, made ready.
const WAITING: u32 = 4;
/// Oldest Postgres that the schema works with, as `server_version_num` has it.
const OLDEST_VERSION: i32 = 150_000;

/// The open database.
pub struct Database {
    pub pool: PgPool,
    embedded: Option<Embedded>,
}

/// Opens the database (the private one, unless the settings name another) and brings its schema up to date.
///
/// # Errors
/// When it can't be reached, is too old, or was made by a newer Laurel.
pub async fn open(config: &Config) -> anyhow::Result<Database> {
    let (options, embedded) = match &config.database_url {
        Some(url) => {
            let options: PgConnectOptions =
                url.parse().context("DATABASE_URL is not an address of a Postgres database")?;
            (options, None)
        }
        None => {
            let embedded = Embedded::open(&config.data_dir).await?;
            (embedded.laurel(), Some(embedded))
        }
    };
    match up_to_date(options).await {
        Ok(pool) => Ok(Database { pool, embedded }),
        Err(error) => {
            // Nobody is there who would stop it later.
            stop(embedded).await?;
            Err(error)
        }
    }
}

/// Connections to a database whose schema is that of this program.
async fn up_to_date(options: PgConnectOptions) -> anyhow::Result<PgPool> {
    let pool = connections().connect_with(options).await.context("the database does not answer")?;
    let version: String = sqlx::query_scalar("SHOW server_version_num").fetch_one(&pool).await?;
    if version.parse::<i32>().unwrap_or_default() < OLDEST_VERSION {
        bail!("this Postgres is too old: Laurel needs version 15 or newer");
    }
    match MIGRATIONS.run(&pool).await {
        Err(MigrateError::VersionMissing(_)) => {
            bail!("this database was made by a newer Laurel: open it with that version or a later one")
        }
        other => other.context("the database's tables could not be brought up to date")?,
    }
    Ok(pool)
}

/// Stops the private Postgres if nobody else uses it.
async fn stop(embedded: Option<Embedded>) -> anyhow::Result<()> {
    match embedded {
        Some(embedded) => tokio::task::spawn_blocking(move || embedded.close()).await?,
        None => Ok(()),
    }
}

fn connections() -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(15))
        .after_connect(|connection, _| Box::pin(without_compiling(connection)))
}

/// Has the connection's statements run without being compiled to machine code first. Postgres compiles what it takes for
/// expensive; ours are many small parts, and in a large project compiling them takes as long as all the rest, or longer.
async fn without_compiling(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SET jit = off").execute(connection).await?;
    Ok(())
}

/// Opens the database as [`open`] does, for a server: its connections are made ready before anybody waits for what they do.
///
/// # Errors
/// As [`open`].
pub async fn open_to_serve(config: &Config) -> anyhow::Result<Database> {
    let mut database = open(config).await?;
    let options = (*database.pool.connect_options()).clone();
    let serving = connections()
        .min_connections(WAITING)
        .after_connect(|connection, _| {
            Box::pin(async move {
                without_compiling(connection).await?;
                rehearsal::run(connection).await
            })
        })
        .connect_lazy_with(options);
    std::mem::replace(&mut database.pool, serving.clone()).close().await;
    // The first page needs one of them.
    tokio::spawn(async move {
        let mut held = Vec::new();
        for _ in 0..WAITING {
            held.push(serving.acquire().await);
        }
    });
    Ok(database)
}

/// The newest version of the schema that this program knows.
pub fn newest_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The version of the schema that a database has.
pub async fn schema(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(pool).await
}

impl Database {
    /// The private Postgres, if that is what it is.
    pub fn embedded(&self) -> Option<&Embedded> {
        self.embedded.as_ref()
    }

    /// Closes the connections, and stops the private Postgres if nobody else uses it.
    pub async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        stop(self.embedded).await
    }
}
