//! A server with something on every page: the sample project, labels by people, a finished run and one under way.

use std::collections::BTreeMap;

use laurel::{
    db::{
        audit::Actor,
        chat_endpoints::{self, ChatEndpoint},
        chat_turns::{self, Choice, NewAnswer},
        invitations, job_metrics, job_queue, jobs, password_resets,
        tokens::TokenRole,
        uploads,
    },
    domain::role::Role,
    sample::seed::{self, Seeded},
};
use laurel_records::Stage;
use reqwest::{Method, StatusCode};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Client, Server, server, training};

pub struct World {
    pub server: Server,
    seeded: Seeded,
    invitation: String,
    /// Secret of a link for a new password.
    reset: String,
    /// The admin, logged in.
    client: Client,
    /// Conversations by what comes next in them.
    chats: [(&'static str, Uuid); 3],
    /// Something real by the name of what it is in an address.
    values: BTreeMap<&'static str, String>,
}

impl World {
    pub async fn make() -> World {
        let server = server().await;
        let pool = server.pool();
        let seeded = seed::seed(pool, &server.state.config.data_dir).await.expect("the sample project");
        let actor = Actor::program("test");
        let invitation = invitations::create(pool, &actor, Role::Annotator, None, None).await.expect("an invitation");
        server.token(TokenRole::Trainer).await;
        let finished = run(pool, seeded.project.id, true).await;
        run(pool, seeded.project.id, false).await;
        let account = seeded.accounts.iter().find(|account| account.role == Role::Admin).expect("an admin");
        let client = Client::new(&server.address);
        client.log_in(&account.email, &account.password).await;
        crate::support::seed::everyone_has_read(pool).await;
        let task = work(&server, &client, &account.email).await;
        let chats = chats(&server, &account.email, seeded.project.id).await;
        let one =
            async |sql: &'static str| sqlx::query_scalar::<_, Uuid>(sql).fetch_one(pool).await.expect(sql).to_string();
        let person: Uuid = sqlx::query_scalar("SELECT id FROM users WHERE role = 'annotator' LIMIT 1")
            .fetch_one(pool)
            .await
            .expect("a person");
        let reset = password_resets::create(pool, &actor, person).await.expect("an answer").expect("a link").secret;
        let values = [
            ("projects", seeded.project.slug.clone()),
            ("jobs", finished.to_string()),
            ("tasks", task.to_string()),
            // The one in which something is chosen.
            ("chats", chats[1].1.to_string()),
            ("turns", "0".to_owned()),
            ("answers", "0".to_owned()),
            ("export", "prompts".to_owned()),
            ("quality", "annotators.csv".to_owned()),
            ("leaderboard", "models.csv".to_owned()),
            (
                "reviews",
                one("SELECT task_id FROM rankings GROUP BY task_id ORDER BY task_id IS NULL, count(*) DESC LIMIT 1")
                    .await,
            ),
            (
                "demonstrations",
                one("SELECT id FROM demonstrations WHERE NOT adjudicated ORDER BY user_id IS NOT NULL, id LIMIT 1")
                    .await,
            ),
            ("import", upload(&server, seeded.project.id).await.to_string()),
            ("invitations", invitation.clone()),
            ("reset", reset.clone()),
            ("prompts", one("SELECT prompt_id FROM rankings LIMIT 1").await),
            ("gold", one("SELECT id FROM tasks WHERE kind = 'ranking' LIMIT 1").await),
            ("models", one("SELECT id FROM models WHERE stage = 'ppo' LIMIT 1").await),
        ]
        .into();
        World { server, seeded, invitation, reset, client, chats, values }
    }

    /// Email address and password of the first of a role.
    fn account(&self, role: Role) -> (&str, &str) {
        let first = self.seeded.accounts.iter().find(|account| account.role == role);
        first.map(|account| (account.email.as_str(), account.password.as_str())).expect("an account")
    }

    pub fn admin(&self) -> (&str, &str) {
        self.account(Role::Admin)
    }

    pub fn annotator(&self) -> (&str, &str) {
        self.account(Role::Annotator)
    }

    /// Pages for people who are not logged in.
    pub fn for_strangers(&self) -> Vec<(String, String)> {
        [
            ("login", "/login".to_owned()),
            ("invitation", format!("/invitations/{}", self.invitation)),
            ("invitation-over", "/invitations/00".to_owned()),
            ("reset", format!("/reset/{}", self.reset)),
            ("reset-over", "/reset/00".to_owned()),
        ]
        .into_iter()
        .map(|(name, path)| (name.to_owned(), path))
        .collect()
    }

    /// Names and addresses of the pages of a route, with real things for its parameters; none where it shows no page.
    pub async fn addresses(&self, route: &str) -> Vec<(String, String)> {
        if !self.can_be_opened(route).await {
            return Vec::new();
        }
        let path = route.split('/').map(|part| self.value(route, part)).collect::<Vec<_>>().join("/");
        if !self.is_page(&path).await {
            return Vec::new();
        }
        let name = |path: &str| path.trim_start_matches('/').replace(['/', '{', '}'], "-").replace("--", "-");
        match route {
            "/tasks/{assignment}" => {
                let tasks = self.tasks().await.into_iter();
                tasks.map(|(kind, id)| (format!("task-{kind}"), format!("/tasks/{id}"))).collect()
            }
            "/chats/{chat}" => {
                let chats = self.chats.iter();
                chats.map(|(next, id)| (format!("chat-{next}"), format!("/chats/{id}"))).collect()
            }
            _ => vec![(name(route), path)],
        }
    }

    /// Whether a route is more than a form's other side: asked by a method that none has, the router names those that it has.
    async fn can_be_opened(&self, route: &str) -> bool {
        let path = route.replace(['{', '}'], "");
        let answer = self.client.request(Method::PATCH, &path).send().await.expect("an answer");
        let methods = answer.headers().get("allow").and_then(|methods| methods.to_str().ok()).unwrap_or_default();
        methods.split(',').any(|method| method == "GET")
    }

    /// Whether a page is there, and not a file, a stream or the way to another page.
    async fn is_page(&self, path: &str) -> bool {
        let answer = self.client.request(Method::GET, path).send().await.expect("an answer");
        let form = answer.headers().get("content-type").and_then(|form| form.to_str().ok()).unwrap_or_default();
        assert!(answer.status() == StatusCode::OK || answer.status().is_redirection(), "{path}: {}", answer.status());
        form.starts_with("text/html") && answer.status() == StatusCode::OK
    }

    /// The value for a part of a route's path: a parameter means what the part before it says.
    fn value(&self, route: &str, part: &str) -> String {
        if !part.starts_with('{') {
            return part.to_owned();
        }
        let before = route.split(part).next().unwrap_or_default().trim_end_matches('/').rsplit('/').next();
        let thing = before.unwrap_or_default();
        self.values.get(thing).unwrap_or_else(|| panic!("what is {part} in {route}? Name one of “{thing}”")).clone()
    }

    /// The admin's tasks, one of each kind and state.
    pub async fn tasks(&self) -> Vec<(String, Uuid)> {
        sqlx::query_as(
            "SELECT DISTINCT ON (t.kind, a.state) t.kind || '-' || a.state, a.id
             FROM assignments a JOIN tasks t ON t.id = a.task_id JOIN users u ON u.id = a.user_id WHERE u.email = $1",
        )
        .bind(self.admin().0)
        .fetch_all(self.server.pool())
        .await
        .expect("tasks")
    }
}

/// A file that waits to be imported, with columns of other names.
async fn upload(server: &Server, project: Uuid) -> Uuid {
    let content = "prompt,completion\nWhy is tea warm?,Because it was made with love.\n";
    let upload = uploads::Upload {
        id: Uuid::now_v7(),
        kind: "demonstrations".to_owned(),
        name: "questions.csv".to_owned(),
        bytes: i64::try_from(content.len()).expect("short"),
    };
    let folder = server.state.config.data_dir.join("uploads");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(upload.id.to_string()), content).expect("a file");
    let user = sqlx::query_scalar("SELECT id FROM users LIMIT 1").fetch_one(server.pool()).await.expect("a person");
    uploads::create(server.pool(), project, user, &upload).await.expect("an upload");
    upload.id
}

/// A training run of the project, with figures and a line of its log; `finished`, with its models, or under way.
async fn run(pool: &PgPool, project: Uuid, finished: bool) -> Uuid {
    let queued = job_queue::enqueue_nightly(pool, &training::admin(), project).await.expect("a job");
    let job = training::claim(pool).await;
    assert_eq!(job.id, queued);
    job_metrics::report(pool, job.id, &training::report(job.lease)).await.expect("a report");
    if finished {
        for stage in [Stage::Sft, Stage::Reward, Stage::Ppo] {
            training::made(pool, &job, stage).await;
        }
        jobs::finish(pool, job.id, &training::finished(&job, Some(true))).await.expect("the end");
    }
    job.id
}

/// Two tasks submitted, one skipped, and one of each kind begun; gives one that was submitted.
async fn work(server: &Server, client: &Client, email: &str) -> Uuid {
    crate::support::seed::everyone_has_read(server.pool()).await;
    for finish in ["submit", "submit", "skip"] {
        let task = client.post("/queue/next", &[]).await;
        let path = task.leads_to().split('?').next().expect("a path").to_owned();
        let answers = client.get(&path).await.assert(200).text.matches("<article class=\"answer\"").count();
        let ranks: Vec<_> = (0..answers).map(|at| (format!("rank_{at}"), (at + 1).to_string())).collect();
        let mut fields: Vec<_> = ranks.iter().map(|(name, rank)| (name.as_str(), rank.as_str())).collect();
        fields.extend([
            ("completion", "A warm answer."),
            ("reason", "report"),
            ("detail", "It names a person."),
            ("then", "queue"),
        ]);
        client.post(&format!("{path}/{finish}"), &fields).await.assert(303);
    }
    head_to_head(server).await;
    for (kind, about) in [("few_shot", "Something with bees"), ("use_case", "A shop answers its customers.")] {
        let form = [("kind", kind), ("count", "2"), ("language", "en"), ("about", about)];
        client.post(&format!("/admin/projects/{}/writing", seed::PROJECT), &form).await.assert(303);
    }
    sqlx::query(
        "INSERT INTO assignments (id, task_id, user_id, lease_until, shown_order)
         SELECT gen_random_uuid(), t.id, u.id, now() + interval '1 hour',
             ARRAY(SELECT position FROM task_responses WHERE task_id = t.id ORDER BY position DESC)
         FROM (SELECT DISTINCT ON (kind) id FROM tasks t
               WHERE NOT EXISTS (SELECT FROM assignments a WHERE a.task_id = t.id) ORDER BY kind, id) t,
             users u
         WHERE u.email = $1",
    )
    .bind(email)
    .execute(server.pool())
    .await
    .expect("tasks of each kind, begun");
    sqlx::query_scalar(
        "SELECT a.id FROM assignments a JOIN users u ON u.id = a.user_id WHERE u.email = $1 AND a.state = 'submitted' LIMIT 1",
    )
    .bind(email)
    .fetch_one(server.pool())
    .await
    .expect("a task")
}

/// A ranking task that shows two answers becomes one that compares them.
async fn head_to_head(server: &Server) {
    let pool = server.pool();
    let task: Uuid = sqlx::query_scalar(
        "SELECT id FROM tasks t WHERE kind = 'ranking' AND NOT EXISTS (SELECT FROM assignments a WHERE a.task_id = t.id)
         ORDER BY id DESC LIMIT 1",
    )
    .fetch_one(pool)
    .await
    .expect("a task");
    for sql in [
        "DELETE FROM task_responses WHERE task_id = $1 AND position > 1",
        "UPDATE tasks SET kind = 'comparison' WHERE id = $1",
    ] {
        sqlx::query(sql).bind(task).execute(pool).await.expect(sql);
    }
}

/// A conversation that waits for a choice, one that waits for a message, one that has ended.
async fn chats(server: &Server, email: &str, project: Uuid) -> [(&'static str, Uuid); 3] {
    let pool = server.pool();
    let user: Uuid = sqlx::query_scalar("SELECT id FROM users WHERE email = $1")
        .bind(email)
        .fetch_one(pool)
        .await
        .expect("a person");
    let endpoint = ChatEndpoint {
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        model: "parrot".to_owned(),
        ..ChatEndpoint::default()
    };
    let actor = Actor::program("test");
    chat_endpoints::save(pool, &actor, (project, seed::PROJECT), &endpoint).await.expect("an endpoint");
    let answer = |content: &str| NewAnswer {
        content: content.to_owned(),
        model: "parrot".to_owned(),
        sampling: serde_json::json!({}),
    };
    let answers =
        [answer("Bees **dry** nectar:\n\n- they fan it\n- they seal it 🌿"), answer("蜜蜂从花朵中采集花蜜。")];
    let mut begun = Vec::new();
    for next in ["choice", "message", "nothing"] {
        let chat = chat_turns::begin(pool, user, seed::PROJECT).await.expect("a conversation");
        chat_turns::say(pool, user, chat, "", None, "How do bees make honey?").await.expect("said");
        chat_turns::keep_answers(pool, user, chat, &answers).await.expect("kept");
        if next != "choice" {
            chat_turns::choose(pool, user, chat, Choice { turn: 0, position: 1, seconds: None }).await.expect("chosen");
        }
        if next == "nothing" {
            chat_turns::finish(pool, user, chat).await.expect("ended");
        }
        begun.push((next, chat));
    }
    begun.try_into().expect("three")
}
