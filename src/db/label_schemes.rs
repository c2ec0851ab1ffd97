//! What a project asks people to say of each answer.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    drawn::{DrawnWith, SaveError},
};
use crate::domain::label_scheme::LabelScheme;

/// The scheme of a project.
pub async fn of_project(pool: &PgPool, project: Uuid) -> sqlx::Result<LabelScheme> {
    let row = sqlx::query!(
        r#"SELECT label_scheme AS "label_scheme: Json<LabelScheme>" FROM projects WHERE id = $1"#,
        project
    )
    .fetch_one(pool)
    .await?;
    Ok(row.label_scheme.0)
}

/// What a form of a scheme is drawn with.
pub fn drawn_with(scheme: &LabelScheme) -> DrawnWith {
    DrawnWith::of(&shown(scheme))
}

/// What a form shows of a scheme.
fn shown(scheme: &LabelScheme) -> Value {
    json!({
        "rating": scheme.rating,
        "scale": scheme.scale,
        "flags": scheme.flags,
        "own_flags": scheme.own_flags,
        "note": scheme.note,
    })
}

/// Changes it and notes what was changed. Labels that are there stay as they are: they keep their scale and the words of their flags.
pub async fn save(
    pool: &PgPool,
    actor: &Actor,
    (project, slug): (Uuid, &str),
    drawn: &DrawnWith,
    wanted: LabelScheme,
) -> Result<(), SaveError> {
    let mut tx = pool.begin().await?;
    let standing = sqlx::query_scalar!(
        r#"SELECT label_scheme AS "label_scheme: Json<LabelScheme>" FROM projects WHERE id = $1 FOR NO KEY UPDATE"#,
        project
    )
    .fetch_one(&mut *tx)
    .await?;
    let in_use = if wanted.own_flags.iter().any(|flag| flag.removed) {
        flags_in_use(&mut tx, project).await?
    } else {
        BTreeSet::new()
    };
    let scheme = standing.changed_to(wanted, &in_use);
    let (before, after) = (shown(&standing), shown(&scheme));
    drawn.check(&before, &after)?;
    sqlx::query!("UPDATE projects SET label_scheme = $2 WHERE id = $1", project, Json(&scheme) as Json<&LabelScheme>)
        .execute(&mut *tx)
        .await?;
    let changes = audit::changes(before, after);
    if !changes.is_empty() {
        let subject = format!("project/{slug}");
        audit::record(&mut *tx, actor, "project.label_scheme", &subject, Value::Object(changes)).await?;
    }
    Ok(tx.commit().await?)
}

/// Words of flags that a label of the project has, in any version, or an answer to a task with a known answer.
async fn flags_in_use(connection: &mut PgConnection, project: Uuid) -> sqlx::Result<BTreeSet<String>> {
    let words = sqlx::query_scalar!(
        r#"
        SELECT unnest(given.flags) AS "word!"
        FROM ranking_responses given
        JOIN rankings r ON r.id = given.ranking_id
        JOIN prompts p ON p.id = r.prompt_id
        WHERE p.project_id = $1 AND given.flags <> '{}'
        UNION
        SELECT unnest(string_to_array(words, ','))
        FROM gold_answers a
        LEFT JOIN gold_corrections c ON c.assignment_id = a.assignment_id
        JOIN tasks t ON t.id = a.task_id
        CROSS JOIN unnest(a.flags || coalesce(c.flags, '{}')) AS words
        WHERE t.project_id = $1
        "#,
        project
    )
    .fetch_all(connection)
    .await?;
    Ok(words.into_iter().collect())
}
