//! Somebody with work in every state: tasks submitted, reviewed, skipped and in hand, lessons of the course, conversations.

use laurel::{
    db::{
        chat_choices::{self, Choice},
        chat_turns::{self, NewAnswer},
    },
    sample::seed,
};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    endpoint,
    support::{Client, Server, seed::assignment_in},
};

/// What comes next in each conversation.
const TALKS: [&str; 5] = ["choice", "message", "nothing", "answers", "failure"];

/// Somebody whose pages are looked at.
pub struct Person {
    pub email: String,
    pub password: String,
    /// A browser in which they are logged in.
    pub client: Client,
    /// A ranking that they have submitted and may correct.
    pub ranking: Uuid,
    /// Conversations by what comes next in them.
    chats: Vec<(&'static str, Uuid)>,
}

impl Person {
    /// Logs in, submits two rankings and two texts and skips a task. A reviewer puts something else in the place of the last two.
    pub async fn at_work(server: &Server, email: &str, password: &str, reviewer: &Client) -> Person {
        let pool = server.pool();
        let client = server.client();
        client.log_in(email, password).await;
        let mut done = Vec::new();
        for number in 0..5 {
            let assignment = assignment_in(client.post("/queue/next", &[]).await.leads_to());
            let page = client.get(&format!("/tasks/{assignment}")).await.assert(200).text;
            let answers = page.matches("<article class=\"answer\"").count();
            assert_eq!(answers > 0, number % 2 == 0, "rankings and texts take turns");
            let mut form: Vec<_> = (0..answers).map(|at| (format!("rank_{at}"), (at + 1).to_string())).collect();
            let said = [
                ("completion", "A warm answer."),
                ("reason", "report"),
                ("detail", "It names a person."),
                ("then", "queue"),
            ];
            form.extend(said.map(|(name, value)| (name.to_owned(), value.to_owned())));
            let finish = if number == 4 { "skip" } else { "submit" };
            send(&client, &format!("/tasks/{assignment}/{finish}"), &form).await;
            done.push(assignment);
        }
        let of = async |sql: &'static str, assignment: Uuid| {
            sqlx::query_scalar::<_, Uuid>(sql).bind(assignment).fetch_one(pool).await.expect(sql)
        };
        decide(pool, reviewer, of("SELECT task_id FROM assignments WHERE id = $1", done[2]).await).await;
        decide_text(reviewer, of("SELECT id FROM demonstrations WHERE assignment_id = $1", done[3]).await).await;
        Person { email: email.to_owned(), password: password.to_owned(), client, ranking: done[0], chats: Vec::new() }
    }

    /// Takes a task of each kind in hand, one of them with a draft, has two tasks of the course, and begins to talk.
    pub async fn begin(&mut self, server: &Server) {
        let pool = server.pool();
        let free: Vec<(String, Uuid)> = sqlx::query_as(
            "SELECT DISTINCT ON (kind) kind, id
             FROM tasks t
             WHERE withdrawn_at IS NULL AND NOT EXISTS (SELECT FROM assignments a WHERE a.task_id = t.id)
             ORDER BY kind, id",
        )
        .fetch_all(pool)
        .await
        .expect("tasks");
        assert_eq!(free.len(), 4, "a task of each kind: {free:?}");
        for (kind, task) in free {
            let assignment = self.lease(pool, task, None).await;
            if kind == "prompt" {
                let draft = json!({ "instruction": "Say whether it is friendly." });
                self.client.json(Method::PUT, &format!("/tasks/{assignment}/draft"), &draft).await.assert(200);
            }
        }
        let course: Vec<Uuid> = sqlx::query_scalar("SELECT task_id FROM gold_tasks ORDER BY created_at, task_id")
            .fetch_all(pool)
            .await
            .expect("a course");
        // One was skipped and has come again, the other is answered.
        self.lease(pool, course[0], Some("knowledge")).await;
        let answered = self.lease(pool, course[1], None).await;
        send(&self.client, &format!("/tasks/{answered}/submit"), &ranks(pool, course[1]).await).await;
        self.talk(pool).await;
    }

    /// The conversation in which this comes next.
    pub fn chat(&self, next: &str) -> Uuid {
        let chat = self.chats.iter().find(|(known, _)| *known == next);
        chat.unwrap_or_else(|| panic!("in no conversation comes {next}")).1
    }

    /// Has a task in hand, as if it had been given out; one with a reason was skipped before and has come again.
    async fn lease(&self, pool: &PgPool, task: Uuid, skipped: Option<&str>) -> Uuid {
        sqlx::query_scalar(
            "INSERT INTO assignments (id, task_id, user_id, lease_until, skip_reason, shown_order)
             SELECT gen_random_uuid(), $1, u.id, now() + interval '1 hour', $3,
                 ARRAY(SELECT position FROM task_responses WHERE task_id = $1 ORDER BY position DESC)
             FROM users u
             WHERE u.email = $2
             RETURNING id",
        )
        .bind(task)
        .bind(&self.email)
        .bind(skipped)
        .fetch_one(pool)
        .await
        .expect("an assignment")
    }

    /// Begins the conversations.
    async fn talk(&mut self, pool: &PgPool) {
        let user: Uuid = sqlx::query_scalar("SELECT id FROM users WHERE email = $1")
            .bind(&self.email)
            .fetch_one(pool)
            .await
            .expect("a person");
        let answer =
            |content: &str| NewAnswer { content: content.to_owned(), model: "parrot".to_owned(), sampling: json!({}) };
        let answers =
            [answer("Bees **dry** nectar:\n\n- they fan it\n- they seal it 🌿"), answer("蜜蜂从花朵中采集花蜜。")];
        for next in TALKS {
            let chat = chat_turns::begin(pool, user, seed::PROJECT).await.expect("a conversation");
            let words = if next == "failure" { endpoint::REFUSED } else { "How do bees make honey?" };
            chat_turns::say(pool, user, chat, "", None, words).await.expect("said");
            self.chats.push((next, chat));
            if matches!(next, "answers" | "failure") {
                continue;
            }
            chat_turns::keep_answers(pool, user, (chat, 0), &answers).await.expect("kept");
            if next != "choice" {
                let choice = Choice { turn: 0, position: 1, seconds: None };
                chat_choices::choose(pool, user, chat, choice).await.expect("chosen");
            }
            if next == "nothing" {
                chat_turns::finish(pool, user, chat).await.expect("ended");
            }
        }
    }
}

/// Sends a form, which has to be taken.
async fn send(client: &Client, path: &str, form: &[(String, String)]) {
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    client.post(path, &form).await.assert(303);
}

/// A rank for each answer of a task, the last one first.
async fn ranks(pool: &PgPool, task: Uuid) -> Vec<(String, String)> {
    let answers: i64 = sqlx::query_scalar("SELECT count(*) FROM task_responses WHERE task_id = $1")
        .bind(task)
        .fetch_one(pool)
        .await
        .expect("a number");
    (0..answers).map(|at| (format!("rank_{at}"), (answers - at).to_string())).collect()
}

/// A reviewer gives a task an order of their own, and says something of every ranking of it.
pub async fn decide(pool: &PgPool, reviewer: &Client, task: Uuid) {
    let rankings: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM rankings WHERE task_id = $1 AND NOT adjudicated")
        .bind(task)
        .fetch_all(pool)
        .await
        .expect("rankings");
    let mut form = ranks(pool, task).await;
    for (ranking, verdict) in rankings.iter().zip(["corrected", "accepted", "rejected"].into_iter().cycle()) {
        form.push((format!("verdict_{ranking}"), verdict.to_owned()));
        form.push((format!("feedback_{ranking}"), "The last one is the kindest.".to_owned()));
    }
    send(reviewer, &format!("/admin/projects/{}/reviews/{task}", seed::PROJECT), &form).await;
}

/// A reviewer puts a text of their own in the place of another.
pub async fn decide_text(reviewer: &Client, text: Uuid) {
    let form = [
        ("verdict", "corrected"),
        ("feedback", "A kind wish was missing."),
        ("text", "What a lovely question! Here is an **answer**. Have a happy day 🌿"),
        ("seen", ""),
    ];
    let page = format!("/admin/projects/{}/reviews/demonstrations/{text}", seed::PROJECT);
    reviewer.post(&page, &form).await.assert(303);
}

/// Two tasks with known answers make a course, which nobody has to take.
pub async fn course(pool: &PgPool, admin: &Client) {
    let tasks: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM tasks WHERE kind = 'ranking' AND withdrawn_at IS NULL ORDER BY id LIMIT 2")
            .fetch_all(pool)
            .await
            .expect("tasks");
    for task in tasks {
        let mut form = ranks(pool, task).await;
        for (name, value) in [("purpose", "course"), ("explanation", "It is **warmer**, and has a kind wish 🌿")] {
            form.push((name.to_owned(), value.to_owned()));
        }
        send(admin, &format!("/admin/projects/{}/gold/{task}", seed::PROJECT), &form).await;
    }
}
