//! Browsing everything that a project holds: prompts, answers, labels; by search and filter, page after page by key, so that the
//! last page of a hundred thousand is as quick as the first.

pub mod answers;
pub mod labels;
pub mod prompts;

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// Entries of one page.
pub const PER_PAGE: usize = 50;
/// Up to here entries are counted; beyond it the page says "more than".
pub const COUNTED: i64 = 10_000;

/// What a person looks for; empty means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A text that it contains, in capitals or not.
    pub search: String,
    pub split: String,
    pub language: String,
    pub tag: String,
    /// `idle`, `waiting`, `under_way`, `done`.
    pub state: String,
    /// Name of a model that answered.
    pub model: String,
    /// Who labelled, as labels name them.
    pub annotator: String,
    /// `demonstration`, `ranking`, `comparison`.
    pub kind: String,
    pub from: Option<OffsetDateTime>,
    pub until: Option<OffsetDateTime>,
    /// Labels that were corrected as well.
    pub replaced: bool,
    /// Word of a flag that one of the answers has.
    pub flag: String,
    /// Ratings of which one of the answers has one, both ends included.
    pub lowest_rating: Option<i32>,
    pub highest_rating: Option<i32>,
    /// Only labels that find all answers bad.
    pub all_bad: bool,
    /// Only rankings that were given far faster than their answers can be read.
    pub too_fast: bool,
    /// `accepted`, `corrected`, `rejected`: what a reviewer found; `none`: not looked at; `decision`: a reviewer's own.
    pub review: String,
}

impl Filter {
    /// Whether something is looked for that demonstrations don't have.
    fn of_rankings_only(&self) -> bool {
        let rated = self.lowest_rating.is_some() || self.highest_rating.is_some();
        rated || self.all_bad || self.too_fast || !self.flag.is_empty()
    }

    /// The search as a pattern of `ILIKE`.
    fn pattern(&self) -> String {
        if self.search.is_empty() {
            return String::new();
        }
        let literal = self.search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        format!("%{literal}%")
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    pub entries: Vec<T>,
    /// The key after which the next page begins; none on the last page.
    pub next: Option<Uuid>,
}

/// Cuts what was read, one more than a page, to a page.
fn page<T>(mut entries: Vec<T>, key: impl Fn(&T) -> Uuid) -> Listed<T> {
    let more = entries.len() > PER_PAGE;
    entries.truncate(PER_PAGE);
    let next = more.then(|| entries.last().map(key)).flatten();
    Listed { entries, next }
}

/// One more than a page, so that it shows whether there is a next one.
const READ: i64 = PER_PAGE as i64 + 1;

/// What can be chosen in the filters of a project.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    pub languages: Vec<String>,
    pub tags: Vec<String>,
    pub models: Vec<String>,
    /// As labels name them, and as people know them.
    pub annotators: Vec<(String, String)>,
    /// Words of flags that labels have.
    pub flags: Vec<String>,
}

/// The languages, tags, models, annotators and flags of a project, the most frequent 50 of each.
pub async fn choices(pool: &PgPool, project: Uuid) -> Result<Choices, sqlx::Error> {
    let languages = sqlx::query_scalar!(
        r#"
        SELECT language AS "language!"
        FROM prompts
        WHERE project_id = $1 AND language IS NOT NULL
        GROUP BY language
        ORDER BY count(*) DESC, language
        LIMIT 50
        "#,
        project
    );
    let tags = sqlx::query_scalar!(
        r#"
        SELECT tag AS "tag!"
        FROM prompts, unnest(tags) AS tag
        WHERE project_id = $1
        GROUP BY tag
        ORDER BY count(*) DESC, tag
        LIMIT 50
        "#,
        project
    );
    let models = sqlx::query_scalar!(
        r#"
        SELECT r.model AS "model!"
        FROM responses r
        JOIN prompts p ON p.id = r.prompt_id
        WHERE p.project_id = $1 AND r.model IS NOT NULL
        GROUP BY r.model
        ORDER BY count(*) DESC, r.model
        LIMIT 50
        "#,
        project
    );
    let annotators = sqlx::query!(
        r#"
        WITH labels AS (
            SELECT prompt_id, annotator, user_id FROM demonstrations WHERE annotator IS NOT NULL
            UNION ALL
            SELECT prompt_id, annotator, user_id FROM rankings WHERE annotator IS NOT NULL
        )
        SELECT
            l.annotator AS "annotator!",
            coalesce(max(u.name), l.annotator) AS "name!"
        FROM labels l
        JOIN prompts p ON p.id = l.prompt_id
        LEFT JOIN users u ON u.id = l.user_id
        WHERE p.project_id = $1
        GROUP BY l.annotator
        ORDER BY count(*) DESC, l.annotator
        LIMIT 50
        "#,
        project
    );
    let flags = sqlx::query_scalar!(
        r#"
        SELECT flag AS "flag!"
        FROM ranking_responses given
        CROSS JOIN unnest(given.flags) AS flag
        JOIN rankings r ON r.id = given.ranking_id
        JOIN prompts p ON p.id = r.prompt_id
        WHERE p.project_id = $1 AND given.flags <> '{}'
        GROUP BY flag
        ORDER BY count(*) DESC, flag
        LIMIT 50
        "#,
        project
    );
    let (languages, tags, models, annotators, flags) = tokio::try_join!(
        languages.fetch_all(pool),
        tags.fetch_all(pool),
        models.fetch_all(pool),
        annotators.fetch_all(pool),
        flags.fetch_all(pool)
    )?;
    let annotators = annotators.into_iter().map(|row| (row.annotator, row.name)).collect();
    Ok(Choices { languages, tags, models, annotators, flags })
}

/// A number that changes when prompts, answers or labels come, to whatever project, and every minute, as other changes don't
/// show in it. It is had at once, however much there is.
pub async fn stamp(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT hashtextextended(
            concat_ws(
                ' ',
                date_trunc('minute', now()),
                (SELECT id FROM prompts ORDER BY id DESC LIMIT 1),
                (SELECT id FROM responses ORDER BY id DESC LIMIT 1),
                (SELECT id FROM demonstrations ORDER BY id DESC LIMIT 1),
                (SELECT id FROM rankings ORDER BY id DESC LIMIT 1)
            ),
            0
        ) AS "stamp!"
        "#
    )
    .fetch_one(pool)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_patterns_are_looked_for_as_they_are() {
        let filter = Filter { search: r"100%_\".to_owned(), ..Filter::default() };
        assert_eq!(filter.pattern(), r"%100\%\_\\%");
        assert_eq!(Filter::default().pattern(), "");
    }
}
