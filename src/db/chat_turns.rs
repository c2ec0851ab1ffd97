//! What happens in a conversation: it begins, the person speaks, answers come, it ends. One transaction each.

use laurel_records::{Message, Role};
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{chats, guidelines, words};
use crate::domain::{
    conversation::{self, PromptError},
    split,
};

/// Why a step can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    #[error("there is no such conversation of this person")]
    NotYours,
    #[error("the conversation has ended")]
    Finished,
    #[error("the project is archived, or not this person's any more")]
    Closed,
    #[error("the project's training course comes first")]
    CourseFirst,
    #[error("there are guidelines to be read first")]
    GuidelinesFirst,
    #[error("a choice between the answers comes first")]
    ChoiceFirst,
    #[error("there are no answers to choose from yet")]
    NoAnswers,
    #[error("there is no answer at this place")]
    NoSuchAnswer,
    #[error("a reviewer has judged this choice: it stays as it is")]
    Reviewed,
    #[error(transparent)]
    Prompt(#[from] PromptError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// An answer as it came from the endpoint.
#[derive(Debug, Clone)]
pub struct NewAnswer {
    pub content: String,
    /// The model's name there.
    pub model: String,
    /// How it was sampled.
    pub sampling: Value,
}

/// Begins a conversation in a project where the person may chat.
///
/// # Errors
/// They may not; or its training course or its newest guidelines come first.
pub async fn begin(pool: &PgPool, user: Uuid, slug: &str) -> Result<Uuid, ChatError> {
    let projects = chats::projects(pool, user).await?;
    let project = projects.into_iter().find(|project| project.slug == slug).ok_or(ChatError::NotYours)?;
    if project.course {
        return Err(ChatError::CourseFirst);
    }
    if guidelines::unread_of_project(pool, user, slug).await? {
        return Err(ChatError::GuidelinesFirst);
    }
    let chat = sqlx::query_scalar!(
        r#"
        INSERT INTO chats (id, project_id, user_id)
        SELECT $1, p.id, $2
        FROM projects p
        WHERE p.slug = $3
        RETURNING id
        "#,
        Uuid::now_v7(),
        user,
        slug
    )
    .fetch_one(pool)
    .await?;
    Ok(chat)
}

/// A conversation, locked until the transaction ends.
pub(super) struct Held {
    project: Uuid,
    finished: bool,
    /// The project is not archived, and the person may work on it.
    pub may_go_on: bool,
    /// The training course has to be passed before.
    course: bool,
    split: Option<String>,
    validation_percent: i32,
    test_percent: i32,
    /// The person's address, as labels have it.
    pub annotator: String,
}

pub(super) async fn hold(tx: &mut Transaction<'_, Postgres>, user: Uuid, chat: Uuid) -> Result<Held, ChatError> {
    sqlx::query_as!(
        Held,
        r#"
        SELECT
            c.project_id AS project,
            c.finished_at IS NOT NULL AS "finished!",
            p.archived_at IS NULL AND (p.open_to_everyone OR EXISTS (
                SELECT 1 FROM memberships m WHERE m.project_id = p.id AND m.user_id = $2)) AS "may_go_on!",
            course_is_open(p.id, $2) AS "course!",
            c.split,
            p.validation_percent,
            p.test_percent,
            u.email AS annotator
        FROM chats c
        JOIN projects p ON p.id = c.project_id
        JOIN users u ON u.id = c.user_id
        WHERE c.id = $1 AND c.user_id = $2
        FOR UPDATE OF c
        "#,
        chat,
        user
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(ChatError::NotYours)
}

/// The person says something: a new turn, whose answers are still to come. While the last turn has no answers yet, what was
/// said there stands: sending the form twice says it once. `false` where something else stands there.
///
/// `system` opens a new conversation where it is not empty. `turn` is the number of the turn that the message is for, where the page
/// names it: sent again after the conversation has gone on, as happens when the answer to it was lost, it is said once too.
///
/// # Errors
/// The conversation has ended, a choice comes first, or nothing was said; the person may not work on the project any more, or its
/// training course or its newest guidelines come first.
pub async fn say(
    pool: &PgPool,
    user: Uuid,
    chat: Uuid,
    system: &str,
    turn: Option<i32>,
    said: &str,
) -> Result<bool, ChatError> {
    let before = chats::find(pool, user, chat).await?.ok_or(ChatError::NotYours)?;
    let there = turn.and_then(|turn| before.turns.get(usize::try_from(turn).ok()?));
    if let Some(there) = there {
        return Ok(there.said() == said);
    }
    let mut tx = pool.begin().await?;
    let held = hold(&mut tx, user, chat).await?;
    if held.finished {
        return Err(ChatError::Finished);
    }
    if let Some(open) = before.unanswered() {
        return Ok(open.said() == said);
    }
    if !held.may_go_on {
        return Err(ChatError::Closed);
    }
    if held.course {
        return Err(ChatError::CourseFirst);
    }
    if guidelines::unread_of_project(&mut *tx, user, &before.project_slug).await? {
        return Err(ChatError::GuidelinesFirst);
    }
    let mut messages = match before.turns.last() {
        Some(turn) => turn.with_choice().ok_or(ChatError::ChoiceFirst)?,
        None if system.trim().is_empty() => Vec::new(),
        None => vec![Message { role: Role::System, content: system.trim().to_owned() }],
    };
    messages.push(Message { role: Role::User, content: said.to_owned() });
    conversation::check_prompt(&messages)?;
    // It would go on with a choice that was corrected meanwhile.
    let standing =
        sqlx::query_scalar!("SELECT ranking_id FROM chat_turns WHERE chat_id = $1 ORDER BY number DESC LIMIT 1", chat)
            .fetch_optional(&mut *tx)
            .await?;
    if standing.flatten() != before.turns.last().and_then(|turn| turn.ranking) {
        return Ok(false);
    }
    let number = i32::try_from(before.turns.len()).unwrap_or(i32::MAX);
    let prompt = prompt(&mut tx, &held, chat, &messages).await?;
    let first = sqlx::query!(
        "INSERT INTO chat_turns (chat_id, number, prompt_id) VALUES ($1, $2, $3) ON CONFLICT (chat_id, number) DO NOTHING",
        chat,
        number,
        prompt
    )
    .execute(&mut *tx)
    .await?;
    if first.rows_affected() == 0 {
        // A second tab has said something meanwhile, and that counts: nobody has said this, and no prompt is made of it.
        return Ok(false);
    }
    // What was typed elsewhere for this turn is given back at the next one, unless it is the beginning of what was said: that was
    // saved on the way. What this turn gave back has had its time.
    sqlx::query!(
        "DELETE FROM chat_drafts WHERE chat_id = $1 AND (number < $2 OR starts_with($3, trim(E' \t\n\r' FROM body)))",
        chat,
        number,
        said
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}

/// The conversation as a prompt of the project, in the split of the whole chat.
async fn prompt(
    tx: &mut Transaction<'_, Postgres>,
    held: &Held,
    chat: Uuid,
    messages: &[Message],
) -> Result<Uuid, ChatError> {
    let hash = conversation::content_hash(messages);
    let by_hash = split::of(&hash, held.validation_percent, held.test_percent);
    let split = held.split.as_deref().unwrap_or(words::split(by_hash));
    sqlx::query!(
        r#"
        INSERT INTO prompts (id, project_id, conversation, tags, split, content_hash)
        VALUES ($1, $2, $3, '{chat}', $4, $5)
        ON CONFLICT (project_id, content_hash) DO NOTHING
        "#,
        Uuid::now_v7(),
        held.project,
        json!(messages),
        split,
        hash.as_slice()
    )
    .execute(&mut **tx)
    .await?;
    let prompt = sqlx::query!(
        "SELECT id, split FROM prompts WHERE project_id = $1 AND content_hash = $2",
        held.project,
        hash.as_slice()
    )
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query!("UPDATE chats SET split = coalesce(split, $2) WHERE id = $1", chat, prompt.split)
        .execute(&mut **tx)
        .await?;
    Ok(prompt.id)
}

/// Keeps the answers of a turn, all at once. Where answers are there already, these are dropped: a turn that was asked for
/// twice has the answers that were first. So has one after which the conversation has gone on.
///
/// # Errors
/// The conversation is not this person's, or nothing was said in it.
pub async fn keep_answers(
    pool: &PgPool,
    user: Uuid,
    (chat, number): (Uuid, i32),
    answers: &[NewAnswer],
) -> Result<(), ChatError> {
    let mut tx = pool.begin().await?;
    hold(&mut tx, user, chat).await?;
    let turn = sqlx::query!(
        r#"
        SELECT
            t.number,
            t.prompt_id,
            EXISTS (SELECT 1 FROM chat_answers a WHERE a.chat_id = t.chat_id AND a.number = t.number) AS "answered!"
        FROM chat_turns t
        WHERE t.chat_id = $1
        ORDER BY t.number DESC
        LIMIT 1
        "#,
        chat
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(ChatError::NoAnswers)?;
    if turn.answered || turn.number != number {
        return Ok(());
    }
    for (position, answer) in (0_i32..).zip(answers) {
        let response = Uuid::now_v7();
        sqlx::query!(
            "INSERT INTO responses (id, prompt_id, content, model, sampling) VALUES ($1, $2, $3, $4, $5)",
            response,
            turn.prompt_id,
            answer.content,
            answer.model,
            answer.sampling
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "INSERT INTO chat_answers (chat_id, number, position, response_id) VALUES ($1, $2, $3, $4)",
            chat,
            turn.number,
            position,
            response
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Ends a conversation. What was chosen stays; an open turn stays open.
pub async fn finish(pool: &PgPool, user: Uuid, chat: Uuid) -> Result<(), ChatError> {
    let done = sqlx::query!(
        "UPDATE chats SET finished_at = coalesce(finished_at, now()) WHERE id = $1 AND user_id = $2",
        chat,
        user
    )
    .execute(pool)
    .await?;
    if done.rows_affected() == 0 { Err(ChatError::NotYours) } else { Ok(()) }
}
