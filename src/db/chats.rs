//! Conversations with a model, as their person sees them: which there are, and one with its turns.

use laurel_records::Message;
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// A project in which the person may chat.
#[derive(Debug, Clone)]
pub struct ChatProject {
    pub slug: String,
    pub name: String,
    pub description: String,
    pub simulated: bool,
    /// The training course has to be passed before.
    pub course: bool,
}

/// The projects that have an endpoint and that the person may work on.
pub async fn projects(pool: &PgPool, user: Uuid) -> sqlx::Result<Vec<ChatProject>> {
    sqlx::query_as!(
        ChatProject,
        r#"
        SELECT p.slug, p.name, p.description, p.simulated, course_is_open(p.id, $1) AS "course!"
        FROM projects p
        JOIN chat_endpoints e ON e.project_id = p.id
        WHERE p.archived_at IS NULL
            AND (p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $1))
        ORDER BY p.name, p.id
        "#,
        user
    )
    .fetch_all(pool)
    .await
}

/// A conversation on the list.
#[derive(Debug, Clone)]
pub struct ChatLine {
    pub id: Uuid,
    pub project: String,
    /// The beginning of what the person said first.
    pub opening: Option<String>,
    pub turns: i64,
    pub finished: bool,
    pub created_at: OffsetDateTime,
}

/// The person's last conversations, newest first: `most` of those that were begun before the one of the id `before`.
pub async fn recent(pool: &PgPool, user: Uuid, before: Option<Uuid>, most: i64) -> sqlx::Result<Vec<ChatLine>> {
    sqlx::query_as!(
        ChatLine,
        r#"
        SELECT
            c.id,
            p.name AS project,
            (
                SELECT left(pr.conversation -> -1 ->> 'content', 200)
                FROM chat_turns t
                JOIN prompts pr ON pr.id = t.prompt_id
                WHERE t.chat_id = c.id AND t.number = 0
            ) AS opening,
            (SELECT count(*) FROM chat_turns t WHERE t.chat_id = c.id AND t.ranking_id IS NOT NULL) AS "turns!",
            c.finished_at IS NOT NULL AS "finished!",
            c.created_at
        FROM chats c
        JOIN projects p ON p.id = c.project_id
        WHERE c.user_id = $1 AND ($2::uuid IS NULL OR c.id < $2)
        ORDER BY c.id DESC
        LIMIT $3
        "#,
        user,
        before,
        most
    )
    .fetch_all(pool)
    .await
}

/// A conversation.
#[derive(Debug, Clone)]
pub struct Chat {
    pub id: Uuid,
    pub project: Uuid,
    pub project_slug: String,
    pub project_name: String,
    pub project_simulated: bool,
    /// The newest guidelines, in Markdown.
    pub guidelines: Option<String>,
    pub finished: bool,
    /// The project is not archived, and the person may work on it.
    pub may_go_on: bool,
    /// In their order.
    pub turns: Vec<Turn>,
}

impl Chat {
    /// The turn whose answers are not there yet.
    pub fn unanswered(&self) -> Option<&Turn> {
        self.turns.last().filter(|turn| turn.answers.is_empty())
    }

    /// The turn whose answers wait for a choice.
    pub fn unchosen(&self) -> Option<&Turn> {
        self.turns.last().filter(|turn| !turn.answers.is_empty() && turn.chosen.is_none())
    }
}

/// What the person said, the answers to it, and the choice.
#[derive(Debug, Clone)]
pub struct Turn {
    pub number: i32,
    /// Up to and with what the person said.
    pub conversation: Vec<Message>,
    /// In the order shown; empty until all are written.
    pub answers: Vec<TurnAnswer>,
    /// Position of the answer that is the best one, by the choice that stands.
    pub chosen: Option<i32>,
    /// That choice.
    pub ranking: Option<Uuid>,
    /// Position of the answer that the next turn goes on with; `None` where there is no next turn.
    pub went_on: Option<i32>,
}

impl Turn {
    /// What the person said.
    pub fn said(&self) -> &str {
        self.conversation.last().map_or("", |message| &message.content)
    }

    /// The conversation with the chosen answer: what a next turn begins with.
    pub fn with_choice(&self) -> Option<Vec<Message>> {
        let chosen = self.answers.iter().find(|answer| Some(answer.position) == self.chosen)?;
        let mut messages = self.conversation.clone();
        messages.push(Message { role: laurel_records::Role::Assistant, content: chosen.content.clone() });
        Some(messages)
    }
}

/// One of the answers of a turn.
#[derive(Debug, Clone)]
pub struct TurnAnswer {
    pub position: i32,
    pub response: Uuid,
    pub content: String,
}

/// The person's conversation; `None` where it is not theirs.
pub async fn find(pool: &PgPool, user: Uuid, chat: Uuid) -> sqlx::Result<Option<Chat>> {
    let row = sqlx::query!(
        r#"
        SELECT
            c.project_id,
            p.slug,
            p.name,
            p.simulated,
            (
                SELECT g.body FROM guidelines g WHERE g.project_id = p.id ORDER BY g.version DESC LIMIT 1
            ) AS guidelines,
            c.finished_at IS NOT NULL AS "finished!",
            p.archived_at IS NULL AND (p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $2)) AS "may_go_on!"
        FROM chats c
        JOIN projects p ON p.id = c.project_id
        WHERE c.id = $1 AND c.user_id = $2
        "#,
        chat,
        user
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Chat {
        id: chat,
        project: row.project_id,
        project_slug: row.slug,
        project_name: row.name,
        project_simulated: row.simulated,
        guidelines: row.guidelines,
        finished: row.finished,
        may_go_on: row.may_go_on,
        turns: turns(pool, chat).await?,
    }))
}

async fn turns(pool: &PgPool, chat: Uuid) -> sqlx::Result<Vec<Turn>> {
    let rows = sqlx::query!(
        r#"
        SELECT
            t.number,
            t.ranking_id,
            p.conversation AS "conversation: Json<Vec<Message>>",
            (
                SELECT a.position
                FROM chat_answers a
                JOIN ranking_responses r ON r.response_id = a.response_id AND r.ranking_id = t.ranking_id
                WHERE a.chat_id = t.chat_id AND a.number = t.number AND r.rank = 1
            ) AS chosen
        FROM chat_turns t
        JOIN prompts p ON p.id = t.prompt_id
        WHERE t.chat_id = $1
        ORDER BY t.number
        "#,
        chat
    )
    .fetch_all(pool)
    .await?;
    let answers = sqlx::query!(
        r#"
        SELECT a.number, a.position, a.response_id, r.content
        FROM chat_answers a
        JOIN responses r ON r.id = a.response_id
        WHERE a.chat_id = $1
        ORDER BY a.number, a.position
        "#,
        chat
    )
    .fetch_all(pool)
    .await?;
    let of_turn = |number: i32| {
        let answers = answers.iter().filter(|answer| answer.number == number);
        answers
            .map(|answer| TurnAnswer {
                position: answer.position,
                response: answer.response_id,
                content: answer.content.clone(),
            })
            .collect()
    };
    let mut turns: Vec<Turn> = rows
        .into_iter()
        .map(|row| Turn {
            number: row.number,
            conversation: row.conversation.0,
            answers: of_turn(row.number),
            chosen: row.chosen,
            ranking: row.ranking_id,
            went_on: None,
        })
        .collect();
    for place in 1..turns.len() {
        turns[place - 1].went_on = went_on(&turns[place - 1], &turns[place]);
    }
    Ok(turns)
}

/// The answer that the next turn carries; of several that say the same, the chosen one.
fn went_on(turn: &Turn, next: &Turn) -> Option<i32> {
    let said = &next.conversation.get(turn.conversation.len())?.content;
    let same = || turn.answers.iter().filter(|answer| &answer.content == said).map(|answer| answer.position);
    same().find(|position| Some(*position) == turn.chosen).or_else(|| same().next())
}
