//! Eight weeks of ranking by four more simulated annotators, so that the pages of quality have something to show: two careful
//! ones, one careless, and one who takes what stands first without reading. Written into the tables at once: nobody waits.

use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool, types::Json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::judge::Judge;
use crate::domain::{assignment, password, ranking::Ranking};
use laurel_records::Message;

/// Tasks that they have done, three of them each.
const TASKS: usize = 90;
const OVERLAP: usize = 3;
const WEEKS: i64 = 8;

/// A simulated annotator of the past.
struct Past {
    email: &'static str,
    name: &'static str,
    /// Error in units of the gold reward; none for somebody who does not read.
    noise: Option<f64>,
}

const PEOPLE: [Past; 4] = [
    Past { email: "simulated-3@laurel.example", name: "Simulated annotator 3 (careful)", noise: Some(0.8) },
    Past { email: "simulated-4@laurel.example", name: "Simulated annotator 4 (careful)", noise: Some(1.2) },
    Past { email: "simulated-5@laurel.example", name: "Simulated annotator 5 (careless)", noise: Some(3.0) },
    Past { email: "simulated-6@laurel.example", name: "Simulated annotator 6 (first is best)", noise: None },
];

/// A waiting task with its answers.
struct Task {
    id: Uuid,
    prompt_id: Uuid,
    conversation: Json<Vec<Message>>,
    responses: Vec<Uuid>,
    contents: Vec<String>,
}

/// What is written, column by column.
#[derive(Default)]
struct Rows {
    assignments: Vec<Uuid>,
    tasks: Vec<Uuid>,
    prompts: Vec<Uuid>,
    rankings: Vec<Uuid>,
    users: Vec<Uuid>,
    annotators: Vec<String>,
    seconds: Vec<f64>,
    at: Vec<OffsetDateTime>,
    /// As Postgres writes arrays.
    orders: Vec<String>,
    ranking_of_place: Vec<Uuid>,
    positions: Vec<i32>,
    responses: Vec<Uuid>,
    ranks: Vec<i32>,
}

/// Writes the history, once: where its people are, it has been written.
pub async fn write(pool: &PgPool, project: Uuid) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let Some(people) = accounts(&mut tx).await? else { return Ok(()) };
    let tasks = waiting(&mut tx, project).await?;
    let rows = rankings(&tasks, &people, OffsetDateTime::now_utc());
    insert(&mut tx, &tasks, &rows).await?;
    tx.commit().await?;
    Ok(())
}

/// Makes the accounts; nobody knows their password. `None` where they are here.
async fn accounts(connection: &mut PgConnection) -> anyhow::Result<Option<Vec<Uuid>>> {
    let secret = format!("{}{}", Uuid::now_v7(), Uuid::now_v7());
    let hash = password::hash(&secret)?;
    let ids: Vec<Uuid> = PEOPLE.iter().map(|_| Uuid::now_v7()).collect();
    let emails: Vec<String> = PEOPLE.iter().map(|past| past.email.to_owned()).collect();
    let names: Vec<String> = PEOPLE.iter().map(|past| past.name.to_owned()).collect();
    let made = sqlx::query!(
        r#"
        INSERT INTO users (id, email, name, password_hash, role, simulated)
        SELECT id, email, name, $4, 'annotator', true
        FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (id, email, name)
        ON CONFLICT DO NOTHING
        "#,
        &ids,
        &emails,
        &names,
        hash
    )
    .execute(connection)
    .await?;
    Ok((made.rows_affected() == PEOPLE.len() as u64).then_some(ids))
}

/// The tasks that would be handed out last: people get the others.
async fn waiting(connection: &mut PgConnection, project: Uuid) -> sqlx::Result<Vec<Task>> {
    sqlx::query_as!(
        Task,
        r#"
        SELECT
            t.id,
            t.prompt_id AS "prompt_id!",
            p.conversation AS "conversation: Json<Vec<Message>>",
            answers.responses AS "responses!",
            answers.contents AS "contents!"
        FROM tasks t
        JOIN prompts p ON p.id = t.prompt_id
        CROSS JOIN LATERAL (
            SELECT
                array_agg(place.response_id ORDER BY place.position) AS responses,
                array_agg(answer.content ORDER BY place.position) AS contents
            FROM task_responses place
            JOIN responses answer ON answer.id = place.response_id
            WHERE place.task_id = t.id
        ) answers
        WHERE t.project_id = $1 AND t.kind = 'ranking' AND t.labels = 0 AND t.withdrawn_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.task_id = t.id)
        ORDER BY t.id DESC
        LIMIT $2
        "#,
        project,
        TASKS as i64
    )
    .fetch_all(connection)
    .await
}

fn rankings(tasks: &[Task], people: &[Uuid], now: OffsetDateTime) -> Rows {
    let mut rows = Rows::default();
    for (number, task) in tasks.iter().enumerate() {
        let age = Duration::weeks(WEEKS) * (number as f64 / tasks.len().max(1) as f64);
        for turn in 0..OVERLAP {
            let who = (number + turn) % PEOPLE.len();
            let mut chance = Chance::of(task.id, PEOPLE[who].email);
            let order = assignment::shown_order(task.responses.len(), |below| chance.below(below));
            let Some(ranking) = opinion(task, &PEOPLE[who], &order) else { continue };
            let ranking_id = Uuid::now_v7();
            rows.assignments.push(Uuid::now_v7());
            rows.tasks.push(task.id);
            rows.prompts.push(task.prompt_id);
            rows.rankings.push(ranking_id);
            rows.users.push(people[who]);
            rows.annotators.push(PEOPLE[who].email.to_owned());
            let reads = PEOPLE[who].noise.is_some();
            rows.seconds.push(if reads { 20.0 + chance.below(70) as f64 } else { 2.0 + chance.below(3) as f64 });
            rows.at.push(now - age - Duration::hours(2 * turn as i64 + 1));
            let shown: Vec<String> = order.iter().map(i32::to_string).collect();
            rows.orders.push(format!("{{{}}}", shown.join(",")));
            for ((position, response), rank) in (0..).zip(&task.responses).zip(ranking.ranks()) {
                rows.ranking_of_place.push(ranking_id);
                rows.positions.push(position);
                rows.responses.push(*response);
                rows.ranks.push(i32::try_from(*rank).unwrap_or(1));
            }
        }
    }
    rows
}

fn opinion(task: &Task, past: &Past, order: &[i32]) -> Option<Ranking> {
    match past.noise {
        Some(noise) => {
            let answers: Vec<&str> = task.contents.iter().map(String::as_str).collect();
            Judge { name: past.email.to_owned(), noise, seed: 1 }.rank(&task.conversation, &answers)
        }
        None => {
            let tiers: Vec<Vec<usize>> = order
                .iter()
                .filter_map(|position| usize::try_from(*position).ok())
                .map(|position| vec![position])
                .collect();
            Ranking::from_tiers(&tiers).ok()
        }
    }
}

/// Numbers that follow from who and what, as a judge's errors do.
struct Chance([u8; 32]);

impl Chance {
    fn of(task: Uuid, email: &str) -> Self {
        Chance(Sha256::digest([task.as_bytes().as_slice(), email.as_bytes()].concat()).into())
    }

    fn below(&mut self, count: usize) -> usize {
        self.0 = Sha256::digest(self.0).into();
        let number =
            u64::from_le_bytes([self.0[0], self.0[1], self.0[2], self.0[3], self.0[4], self.0[5], self.0[6], 0]);
        usize::try_from(number % (count.max(1) as u64)).unwrap_or(0)
    }
}

async fn insert(connection: &mut PgConnection, tasks: &[Task], rows: &Rows) -> sqlx::Result<()> {
    let done: Vec<Uuid> = tasks.iter().map(|task| task.id).collect();
    sqlx::query!("UPDATE tasks SET overlap = $2, labels = $2 WHERE id = ANY ($1)", &done, OVERLAP as i32)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        r#"
        INSERT INTO assignments (id, task_id, user_id, state, lease_until, shown_order, created_at, finished_at)
        SELECT id, task_id, user_id, 'submitted', at, shown::integer[], at - make_interval(secs => seconds), at
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::double precision[])
            AS new (id, task_id, user_id, at, shown, seconds)
        "#,
        &rows.assignments,
        &rows.tasks,
        &rows.users,
        &rows.at,
        &rows.orders,
        &rows.seconds
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        r#"
        INSERT INTO rankings (id, prompt_id, task_id, assignment_id, user_id, annotator, seconds, created_at)
        SELECT id, prompt_id, task_id, assignment_id, user_id, annotator, seconds, at
        FROM unnest(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::double precision[], $8::timestamptz[]
        ) AS new (id, prompt_id, task_id, assignment_id, user_id, annotator, seconds, at)
        "#,
        &rows.rankings,
        &rows.prompts,
        &rows.tasks,
        &rows.assignments,
        &rows.users,
        &rows.annotators,
        &rows.seconds,
        &rows.at
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        r#"
        INSERT INTO ranking_responses (ranking_id, position, response_id, rank)
        SELECT ranking_id, position, response_id, rank
        FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::integer[]) AS new (ranking_id, position, response_id, rank)
        "#,
        &rows.ranking_of_place,
        &rows.positions,
        &rows.responses,
        &rows.ranks
    )
    .execute(connection)
    .await?;
    Ok(())
}
