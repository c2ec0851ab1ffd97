//! Many rows at once, for imports: what is here already, and inserts of thousands of rows in one statement.

pub mod answers;
pub mod gold;
pub mod labels;
pub mod prompts;

use sqlx::PgConnection;
use uuid::Uuid;

/// Waits until no other import of the project runs; holds until the transaction ends.
pub async fn one_import_at_a_time(connection: &mut PgConnection, project: Uuid) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", format!("import {project}"))
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Names by which records call rows: ids of the file's, and, where they look so, ids of ours.
#[derive(Debug, Default)]
pub struct Names {
    pub external: Vec<String>,
    pub ids: Vec<Uuid>,
}

impl<'a> FromIterator<&'a str> for Names {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let external: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let ids = external.iter().filter_map(|name| Uuid::parse_str(name).ok()).collect();
        Names { external, ids }
    }
}
