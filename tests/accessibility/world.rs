//! A server with something on every page: the sample project, labels by people and by reviewers, a finished run and one under way.
//! Two admins have the same kinds of work, as an account has one language at a time.

use std::collections::BTreeMap;

use laurel::{
    db::{
        audit::Actor,
        chat_endpoints::{self, ChatEndpoint},
        drawn::DrawnWith,
        invitations, job_metrics, job_queue, jobs, password_resets,
        tokens::TokenRole,
        uploads,
    },
    domain::role::Role,
    sample::{
        accounts::Account,
        seed::{self, Seeded},
    },
    web,
};
use laurel_records::Stage;
use reqwest::{Method, StatusCode};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    endpoint,
    person::{self, Person},
    support::{Client, PASSWORD, Server, email_of, seed::everyone_has_read, server, training},
};

pub struct World {
    pub server: Server,
    seeded: Seeded,
    invitation: String,
    /// Secret of a link for a new password.
    reset: String,
    /// For pages in English and in Chinese.
    people: [Person; 2],
    /// Routes that show a page.
    routes: Vec<&'static str>,
    /// Something real by the name of what it is in an address.
    values: BTreeMap<&'static str, String>,
    /// Further addresses of some routes: with what reviewers have decided.
    decided: BTreeMap<&'static str, String>,
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
        let chat =
            ChatEndpoint { base_url: endpoint::start().await, model: "parrot".to_owned(), ..ChatEndpoint::default() };
        let of = (seeded.project.id, seed::PROJECT);
        chat_endpoints::save(pool, &actor, of, &DrawnWith::default(), &chat).await.expect("an endpoint");
        let (people, decided) = labels(&server, &seeded).await;
        let one =
            async |sql: &'static str| sqlx::query_scalar::<_, Uuid>(sql).fetch_one(pool).await.expect(sql).to_string();
        let annotator: Uuid = sqlx::query_scalar("SELECT id FROM users WHERE role = 'annotator' LIMIT 1")
            .fetch_one(pool)
            .await
            .expect("a person");
        let reset = password_resets::create(pool, &actor, annotator).await.expect("an answer").expect("a link").secret;
        let values = [
            ("projects", seeded.project.slug.clone()),
            ("jobs", finished.to_string()),
            ("people", annotator.to_string()),
            ("turns", "0".to_owned()),
            ("answers", "0".to_owned()),
            ("export", "prompts".to_owned()),
            ("quality", "annotators.csv".to_owned()),
            ("leaderboard", "models.csv".to_owned()),
            ("reviews", one(MOST_RANKED).await),
            ("demonstrations", one(OLDEST_TEXT).await),
            ("import", upload(&server, seeded.project.id).await.to_string()),
            ("invitations", invitation.clone()),
            ("reset", reset.clone()),
            ("prompts", one("SELECT prompt_id FROM rankings LIMIT 1").await),
            ("gold", one("SELECT id FROM tasks WHERE kind = 'ranking' LIMIT 1").await),
            ("models", one("SELECT id FROM models WHERE stage = 'ppo' LIMIT 1").await),
        ]
        .into();
        let routes = Vec::new();
        let mut world = World { server, seeded, invitation, reset, people, routes, values, decided };
        // A page whose figures are still being reckoned would load itself anew while somebody looks at it.
        let figures = async |page: &str| {
            world.people[0].client.figures(&format!("/admin/projects/{}/{page}", seed::PROJECT)).await
        };
        let (routes, _, _) = tokio::join!(world.page_routes(), figures("quality"), figures("leaderboard"));
        world.routes = routes;
        world
    }

    /// Whose pages are looked at in a language.
    pub fn person(&self, language: &str) -> &Person {
        &self.people[usize::from(language == "zh")]
    }

    /// Email address and password of an annotator who has this language.
    pub fn annotator(&self, language: &str) -> (&str, &str) {
        let fits =
            |account: &&Account| account.role == Role::Annotator && !account.simulated && account.language == language;
        let first = self.seeded.accounts.iter().find(fits);
        first.map(|account| (account.email.as_str(), account.password.as_str())).expect("an account")
    }

    /// Names and addresses of pages for people who are not logged in, and the status that they come with.
    pub fn for_strangers(&self) -> [(&'static str, String, u16); 5] {
        [
            ("login", "/login".to_owned(), 200),
            ("invitation", format!("/invitations/{}", self.invitation), 200),
            ("invitation-over", "/invitations/00".to_owned(), 410),
            ("reset", format!("/reset/{}", self.reset), 200),
            ("reset-over", "/reset/00".to_owned(), 410),
        ]
    }

    /// Names and addresses of the pages of every route, with a person's own things and real ones for the other parameters.
    pub async fn pages(&self, who: &Person) -> Vec<(String, String)> {
        let mut pages = Vec::new();
        for route in &self.routes {
            let name = route.trim_start_matches('/').replace(['/', '{', '}'], "-").replace("--", "-");
            match *route {
                "/tasks/{assignment}" => {
                    let tasks = self.tasks(who).await.into_iter();
                    pages.extend(tasks.map(|(state, id)| (format!("task-{state}"), format!("/tasks/{id}"))));
                }
                "/chats/{chat}" => {
                    let chats = ["choice", "message", "nothing"].map(|next| (next, who.chat(next)));
                    pages.extend(chats.map(|(next, id)| (format!("chat-{next}"), format!("/chats/{id}"))));
                }
                _ => pages.push((name.clone(), self.address(route, who))),
            }
            pages.extend(self.decided.get(route).map(|address| (format!("{name}-decided"), address.clone())));
        }
        pages
    }

    /// The routes that show a page, and not a file, a stream, the way to another page or a form's other side.
    async fn page_routes(&self) -> Vec<&'static str> {
        let mut routes = Vec::new();
        for route in web::pages().paths() {
            if self.can_be_opened(route).await && self.is_page(&self.address(route, &self.people[0])).await {
                routes.push(*route);
            }
        }
        routes
    }

    /// Whether a route is more than a form's other side: asked by a method that none has, the router names those that it has.
    async fn can_be_opened(&self, route: &str) -> bool {
        let path = route.replace(['{', '}'], "");
        let answer = self.people[0].client.request(Method::PATCH, &path).send().await.expect("an answer");
        let methods = answer.headers().get("allow").and_then(|methods| methods.to_str().ok()).unwrap_or_default();
        methods.split(',').any(|method| method == "GET")
    }

    /// Whether a page is there, and not a file, a stream or the way to another page.
    async fn is_page(&self, path: &str) -> bool {
        let answer = self.people[0].client.request(Method::GET, path).send().await.expect("an answer");
        let form = answer.headers().get("content-type").and_then(|form| form.to_str().ok()).unwrap_or_default();
        assert!(answer.status() == StatusCode::OK || answer.status().is_redirection(), "{path}: {}", answer.status());
        form.starts_with("text/html") && answer.status() == StatusCode::OK
    }

    /// The address of a route, with something real for its parameters.
    fn address(&self, route: &str, who: &Person) -> String {
        route.split('/').map(|part| self.value(route, part, who)).collect::<Vec<_>>().join("/")
    }

    /// The value for a part of a route's path: a parameter means what the part before it says.
    fn value(&self, route: &str, part: &str, who: &Person) -> String {
        if !part.starts_with('{') {
            return part.to_owned();
        }
        let before = route.split(part).next().unwrap_or_default().trim_end_matches('/').rsplit('/').next();
        match before.unwrap_or_default() {
            "tasks" => who.ranking.to_string(),
            // The one in which something was chosen.
            "chats" => who.chat("message").to_string(),
            thing => {
                let value = self.values.get(thing);
                value.unwrap_or_else(|| panic!("what is {part} in {route}? Name one of “{thing}”")).clone()
            }
        }
    }

    /// A person's tasks, one of each kind and state.
    pub async fn tasks(&self, who: &Person) -> Vec<(String, Uuid)> {
        sqlx::query_as(
            "SELECT DISTINCT ON (own.state) own.state, own.id
             FROM (
                 SELECT
                     a.id,
                     t.kind || '-' || a.state || CASE
                         WHEN EXISTS (SELECT FROM gold_tasks g WHERE g.task_id = t.id) THEN '-lesson'
                         WHEN EXISTS (SELECT FROM rankings r JOIN reviews v ON v.ranking_id = r.id WHERE r.assignment_id = a.id)
                             OR EXISTS (SELECT FROM demonstrations d JOIN demonstration_reviews v ON v.demonstration_id = d.id
                                        WHERE d.assignment_id = a.id) THEN '-reviewed'
                         ELSE ''
                     END AS state
                 FROM assignments a
                 JOIN tasks t ON t.id = a.task_id
                 JOIN users u ON u.id = a.user_id
                 WHERE u.email = $1
             ) AS own
             ORDER BY own.state, own.id",
        )
        .bind(&who.email)
        .fetch_all(self.server.pool())
        .await
        .expect("tasks")
    }
}

/// The task with the most rankings; [`labels`] decides about the one after it.
const MOST_RANKED: &str = "SELECT task_id FROM rankings WHERE task_id IS NOT NULL AND NOT adjudicated
    GROUP BY task_id ORDER BY count(*) DESC, task_id LIMIT 1";
/// A text that came with the sample; again, the one after it is decided.
const OLDEST_TEXT: &str =
    "SELECT id FROM demonstrations WHERE NOT adjudicated ORDER BY user_id IS NOT NULL, id LIMIT 1";

/// The work of two admins, and what a reviewer says of it and of what came with the sample; gives where the latter is shown.
async fn labels(server: &Server, seeded: &Seeded) -> ([Person; 2], BTreeMap<&'static str, String>) {
    let pool = server.pool();
    let first = seeded.accounts.iter().find(|account| account.role == Role::Admin).expect("an admin");
    server.account("Ming", Role::Admin).await;
    let reviewer = server.user("Rita", Role::Reviewer).await;
    everyone_has_read(pool).await;
    let mut people = [
        Person::at_work(server, &first.email, &first.password, &reviewer).await,
        Person::at_work(server, &email_of("Ming"), PASSWORD, &reviewer).await,
    ];
    person::course(pool, &people[0].client).await;
    ask_for_prompts(&people[0].client).await;
    for person in &mut people {
        head_to_head(pool).await;
        person.begin(server).await;
    }
    let after = async |first: &str| {
        let second = sqlx::AssertSqlSafe(format!("{first} OFFSET 1"));
        sqlx::query_scalar::<_, Uuid>(second).fetch_one(pool).await.expect("another one")
    };
    let (task, text) = (after(MOST_RANKED).await, after(OLDEST_TEXT).await);
    person::decide(pool, &reviewer, task).await;
    person::decide_text(&reviewer, text).await;
    let reviews = format!("/admin/projects/{}/reviews", seed::PROJECT);
    let decided = [
        ("/admin/projects/{slug}/reviews", format!("{reviews}?state=decided&done=1")),
        ("/admin/projects/{slug}/reviews/{task}", format!("{reviews}/{task}")),
        ("/admin/projects/{slug}/reviews/demonstrations", format!("{reviews}/demonstrations?state=decided&done=1")),
        ("/admin/projects/{slug}/reviews/demonstrations/{id}", format!("{reviews}/demonstrations/{text}")),
    ];
    (people, decided.into())
}

/// Prompts of two kinds are asked for, enough for everybody.
async fn ask_for_prompts(admin: &Client) {
    for (kind, about) in [("few_shot", "Something with bees"), ("use_case", "A shop answers its customers.")] {
        let form = [("kind", kind), ("count", "2"), ("language", "en"), ("about", about)];
        admin.post(&format!("/admin/projects/{}/writing", seed::PROJECT), &form).await.assert(303);
    }
}

/// A ranking task that shows two answers becomes one that compares them.
async fn head_to_head(pool: &PgPool) {
    let task: Uuid = sqlx::query_scalar(
        "SELECT id
         FROM tasks t
         WHERE kind = 'ranking' AND withdrawn_at IS NULL
             AND NOT EXISTS (SELECT FROM assignments a WHERE a.task_id = t.id)
         ORDER BY id DESC
         LIMIT 1",
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
