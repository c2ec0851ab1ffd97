//! Who may see which page and send which form: every route of the pages, for every role, from one list.

#[path = "../support/mod.rs"]
mod support;

mod routes;

use std::collections::{BTreeMap, BTreeSet};

use laurel::{
    db::{
        audit::Actor,
        invitations, job_queue, password_resets,
        projects::{self, ProjectSettings},
        tokens::TokenRole,
        uploads,
    },
    domain::role::Role,
    web,
};
use reqwest::{Method, StatusCode, multipart};
use routes::{
    Needed::{Anyone, Role as Least},
    ROUTES,
};
use support::{
    Client, Server,
    seed::{self, assignment_in},
    training,
};
use uuid::Uuid;

#[tokio::test]
async fn every_route_is_on_the_list() {
    let server = support::server().await;
    let client = server.client();
    let mut served = BTreeSet::new();
    for path in web::pages().paths() {
        // A method that no page has: the answer names those that it has.
        let filled = path.replace(['{', '}'], "");
        let answer = client.request(Method::PATCH, &filled).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = answer.headers()["allow"].to_str().expect("text");
        for method in allowed.split(',').filter(|method| *method != "HEAD") {
            served.insert((method.to_owned(), without_names(path)));
        }
    }
    let listed: BTreeSet<_> =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), without_names(path))).collect();
    assert_eq!(served, listed, "the list and the router differ");
    assert_eq!(listed.len(), ROUTES.len(), "a route is on the list twice");
}

/// `/a/{id}/b` is `/a/{}/b`, whatever the parameter is called.
fn without_names(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

/// Something real for every parameter of a path.
async fn world(server: &Server) -> BTreeMap<&'static str, String> {
    let pool = server.pool();
    let actor = Actor::program("test");
    let project = training::ready_project(pool, ProjectSettings::default(), 5).await;
    let project = projects::by_id(pool, project.id).await.expect("the project");
    let (task, _) = seed::ranking_task(&server.state, project.id, "Rank.", &["a", "b"]).await;
    for number in 0..6 {
        seed::demonstration_task(&server.state, project.id, &format!("Write {number}.")).await;
    }
    let secret = invitations::create(pool, &actor, Role::Annotator, None, None).await.expect("an invitation");
    invitations::create(pool, &actor, Role::Annotator, None, Some(project.id)).await.expect("an invitation");
    server.token(TokenRole::Trainer).await;
    let job = job_queue::enqueue_nightly(pool, &actor, project.id).await.expect("a job");
    let upload =
        uploads::Upload { id: Uuid::now_v7(), kind: "prompts".to_owned(), name: "p.jsonl".to_owned(), bytes: 16 };
    let folder = server.state.config.data_dir.join("uploads");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(upload.id.to_string()), "{\"prompt\": \"Why?\"}").expect("a file");
    let person = server.account("Somebody", Role::Annotator).await;
    uploads::create(pool, project.id, person, &upload).await.expect("an upload");
    let reset = password_resets::create(pool, &actor, person).await.expect("an answer").expect("a link").secret;
    let one =
        async |sql: &'static str| sqlx::query_scalar::<_, Uuid>(sql).fetch_one(pool).await.expect(sql).to_string();
    [
        ("slug", project.slug),
        ("secret", secret),
        ("reset", reset),
        ("upload", upload.id.to_string()),
        ("job", job.to_string()),
        ("person", person.to_string()),
        ("task", task.to_string()),
        ("prompt", one("SELECT id FROM prompts LIMIT 1").await),
        ("task", one("SELECT id FROM tasks LIMIT 1").await),
        ("model", one("SELECT id FROM models LIMIT 1").await),
        ("demonstration", one("SELECT id FROM demonstrations LIMIT 1").await),
        ("invitation", one("SELECT id FROM invitations WHERE project_id IS NULL LIMIT 1").await),
        ("invited", one("SELECT id FROM invitations WHERE project_id IS NOT NULL LIMIT 1").await),
        ("token", one("SELECT id FROM api_tokens LIMIT 1").await),
        ("brief", Uuid::nil().to_string()),
        ("test", Uuid::nil().to_string()),
        ("position", "0".to_owned()),
        ("turn", "0".to_owned()),
        ("kind", "prompts".to_owned()),
        ("table", "annotators.csv".to_owned()),
        ("board", "models.csv".to_owned()),
    ]
    .into()
}

fn filled(path: &str, world: &BTreeMap<&'static str, String>) -> String {
    let value = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => world[name].clone(),
        None => part.to_owned(),
    };
    path.split('/').map(value).collect::<Vec<_>>().join("/")
}

/// What came back, without waiting for the end of a stream.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    location: String,
}

impl Answer {
    fn asks_to_log_in(&self) -> bool {
        self.status == StatusCode::SEE_OTHER && self.location.starts_with("/login")
    }
}

async fn ask(client: &Client, method: &str, path: &str, token: Option<&str>) -> Answer {
    let request = client.request(method.parse().expect("a method"), path);
    let request = match (method, token) {
        ("GET", _) => request,
        // Its form has a file in it.
        (_, token)
            if path.ends_with("/import/preview") || (path.ends_with("/import") && !path.contains("/models/")) =>
        {
            request.multipart(multipart::Form::new().text("csrf", token.unwrap_or_default().to_owned()))
        }
        ("PUT", None) => request.json(&serde_json::json!({})),
        ("PUT", Some(token)) => request.json(&serde_json::json!({})).header("x-csrf-token", token),
        (_, None) => request.form::<[(&str, &str); 0]>(&[]),
        // Heartbeats carry the token in a header, forms in a field.
        (_, Some(token)) => request.form(&[("csrf", token)]).header("x-csrf-token", token),
    };
    let answer = request.send().await.expect("an answer");
    let location = answer.headers().get("location").and_then(|place| place.to_str().ok()).unwrap_or_default();
    Answer { status: answer.status(), location: location.to_owned() }
}

/// Goes through the list as one visitor: what is theirs works, what is not is refused, and no form works without its token.
async fn go_through(client: &Client, role: Option<Role>, world: &BTreeMap<&'static str, String>) {
    let token = client.csrf().await;
    // Logging out comes last.
    let (last, routes): (Vec<_>, Vec<_>) = ROUTES.iter().copied().partition(|(_, path, _)| *path == "/logout");
    for (method, path, needed) in routes.into_iter().chain(last) {
        let address = filled(path, world);
        let what = format!("{role:?}: {method} {path}");
        if method != "GET" {
            let bare = ask(client, method, &address, None).await;
            let refused = bare.status == StatusCode::FORBIDDEN || (role.is_none() && bare.asks_to_log_in());
            assert!(refused, "{what} without the token: {bare:?}");
        }
        let answer = ask(client, method, &address, Some(&token)).await;
        if needed.allows(role) {
            assert_ne!(answer.status, StatusCode::FORBIDDEN, "{what}");
            assert!(answer.status.as_u16() < 500, "{what}: {answer:?}");
            assert!(needed == Anyone || !answer.asks_to_log_in(), "{what}: {answer:?}");
            let shown = matches!(answer.status, StatusCode::OK | StatusCode::SEE_OTHER);
            assert!(method != "GET" || shown, "{what} shows nothing: {answer:?}");
        } else if role.is_some() {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
        } else {
            assert!(answer.asks_to_log_in(), "{what}: {answer:?}");
        }
    }
}

/// A conversation of this person.
async fn chat(server: &Server, holder: &Client, slug: &str) -> String {
    sqlx::query(
        "INSERT INTO chat_endpoints (project_id, base_url, model) SELECT id, 'http://127.0.0.1:1/v1', 'none'
         FROM projects WHERE slug = $1",
    )
    .bind(slug)
    .execute(server.pool())
    .await
    .expect("an endpoint");
    let begun = holder.post("/chats", &[("slug", slug)]).await;
    begun.leads_to().trim_start_matches("/chats/").to_owned()
}

#[tokio::test]
async fn every_page_and_form_is_for_the_roles_that_it_is_for() {
    for role in [None, Some(Role::Annotator), Some(Role::Reviewer), Some(Role::Lead), Some(Role::Admin)] {
        let server = support::server().await;
        // An admin besides: the last one can't be changed.
        let ada = server.user("Ada", Role::Admin).await;
        let mut world = world(&server).await;
        let client = match role {
            None => server.client(),
            Some(role) => server.user("Visitor", role).await,
        };
        if role == Some(Role::Lead) {
            join(&server, "visitor@example.org", &world["slug"]).await;
        }
        let holder = if role.is_some() { &client } else { &ada };
        world.insert("chat", chat(&server, holder, &world["slug"]).await);
        let task = holder.post("/queue/next", &[]).await;
        world.insert("assignment", assignment_in(task.leads_to()).to_string());
        go_through(&client, role, &world).await;
    }
}

/// Makes a person a member of a project.
async fn join(server: &Server, email: &str, slug: &str) {
    let sql = "INSERT INTO memberships (project_id, user_id) SELECT p.id, u.id FROM projects p, users u WHERE p.slug = $1 AND u.email = $2";
    sqlx::query(sql).bind(slug).bind(email).execute(server.pool()).await.expect("a membership");
}

#[tokio::test]
async fn a_lead_manages_their_own_projects_and_sees_no_others() {
    let server = support::server().await;
    let mut world = world(&server).await;
    let lea = server.user("Lea", Role::Lead).await;
    let hers = seed::project(server.pool(), seed::Seed { slug: "hers", ..seed::Seed::default() }).await;
    join(&server, "lea@example.org", "hers").await;
    world.insert("assignment", Uuid::now_v7().to_string());
    let token = lea.csrf().await;
    for (method, path, needed) in ROUTES {
        let of_a_project = path.contains("{slug}") || path.contains("{job}");
        if of_a_project && matches!(needed, Least(least) if *least > Role::Annotator) {
            let answer = ask(&lea, method, &filled(path, &world), Some(&token)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
    let list = lea.get("/admin").await.assert(200).text;
    assert!(list.contains("Project hers") && !list.contains(&world["slug"]), "{list}");
    // An invitation of another project is not revoked through her own.
    lea.post(&format!("/admin/projects/hers/invitations/{}/revoke", world["invited"]), &[]).await.assert(404);
    // She can't shut herself out, and whom she invites is an annotator of her project.
    lea.post("/admin/projects/hers/people", &[]).await.leads_to();
    lea.post("/admin/projects/hers/invitations", &[("email", ""), ("role", "admin")]).await.assert(200);
    let made: (String, Option<Uuid>) =
        sqlx::query_as("SELECT role, project_id FROM invitations ORDER BY id DESC LIMIT 1")
            .fetch_one(server.pool())
            .await
            .expect("an invitation");
    assert_eq!(made, ("annotator".to_owned(), Some(hers)));
}

#[tokio::test]
async fn a_task_is_for_the_person_who_holds_it() {
    let server = support::server().await;
    let world = world(&server).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let hers = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    // Not even for an admin: labels are a person's own.
    for (name, role) in [("Bob", Role::Annotator), ("Cy", Role::Admin)] {
        let other = server.user(name, role).await;
        other.get(&format!("/tasks/{hers}")).await.assert(404);
        for form in ["submit", "skip", "preview"] {
            let fields = [("completion", "mine"), ("reason", "unclear")];
            other.post(&format!("/tasks/{hers}/{form}"), &fields).await.assert(404);
        }
        other.json(Method::PUT, &format!("/tasks/{hers}/draft"), &serde_json::json!({})).await.assert(404);
    }
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM drafts").await, 0);
    drop(world);
}
