//! Who may see which page and send which form: every route of the pages, for every role, from one list.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use Needed::{Anyone, Role as Least};
use laurel::{
    db::{
        audit::Actor,
        invitations, job_queue,
        projects::{self, ProjectSettings},
        tokens::TokenRole,
    },
    domain::role::Role,
    web,
};
use reqwest::{Method, StatusCode, multipart};
use support::{
    Client, Server,
    seed::{self, assignment_in},
    training,
};
use uuid::Uuid;

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    Anyone,
    /// This role and those above it.
    Role(Role),
}

impl Needed {
    fn allows(self, role: Option<Role>) -> bool {
        match self {
            Anyone => true,
            Least(needed) => role.is_some_and(|role| role.allows(needed)),
        }
    }
}

const ANNOTATOR: Needed = Least(Role::Annotator);
const REVIEWER: Needed = Least(Role::Reviewer);
const ADMIN: Needed = Least(Role::Admin);

/// The list. A route that is not on it fails the first test.
const ROUTES: &[(&str, &str, Needed)] = &[
    ("GET", "/", Anyone),
    ("POST", "/preferences", Anyone),
    ("GET", "/login", Anyone),
    ("POST", "/login", Anyone),
    ("POST", "/logout", Anyone),
    ("GET", "/invitations/{secret}", Anyone),
    ("POST", "/invitations/{secret}", Anyone),
    ("GET", "/account", ANNOTATOR),
    ("POST", "/account", ANNOTATOR),
    ("POST", "/account/password", ANNOTATOR),
    ("POST", "/account/sessions", ANNOTATOR),
    ("GET", "/queue", ANNOTATOR),
    ("GET", "/queue/next", Anyone),
    ("POST", "/queue/next", ANNOTATOR),
    ("GET", "/tasks/{assignment}", ANNOTATOR),
    ("GET", "/tasks/{assignment}/submit", Anyone),
    ("POST", "/tasks/{assignment}/submit", ANNOTATOR),
    ("GET", "/tasks/{assignment}/skip", Anyone),
    ("POST", "/tasks/{assignment}/skip", ANNOTATOR),
    ("GET", "/tasks/{assignment}/preview", Anyone),
    ("POST", "/tasks/{assignment}/preview", ANNOTATOR),
    ("PUT", "/tasks/{assignment}/draft", ANNOTATOR),
    ("POST", "/tasks/{assignment}/heartbeat", ANNOTATOR),
    ("GET", "/projects/{slug}/guidelines", ANNOTATOR),
    ("GET", "/admin", REVIEWER),
    ("GET", "/admin/projects/new", ADMIN),
    ("POST", "/admin/projects/new", ADMIN),
    ("GET", "/admin/projects/{slug}", REVIEWER),
    ("GET", "/admin/projects/{slug}/settings", ADMIN),
    ("POST", "/admin/projects/{slug}/settings", ADMIN),
    ("POST", "/admin/projects/{slug}/members", ADMIN),
    ("GET", "/admin/projects/{slug}/guidelines", REVIEWER),
    ("POST", "/admin/projects/{slug}/guidelines", ADMIN),
    ("GET", "/admin/projects/{slug}/prompts", REVIEWER),
    ("GET", "/admin/projects/{slug}/prompts/{prompt}", REVIEWER),
    ("GET", "/admin/projects/{slug}/import", ADMIN),
    ("POST", "/admin/projects/{slug}/import", ADMIN),
    ("GET", "/admin/projects/{slug}/export", ADMIN),
    ("GET", "/admin/projects/{slug}/export/{kind}", ADMIN),
    ("GET", "/admin/projects/{slug}/training", ADMIN),
    ("POST", "/admin/projects/{slug}/training/run", ADMIN),
    ("POST", "/admin/projects/{slug}/training/schedule", ADMIN),
    ("GET", "/admin/projects/{slug}/models", ADMIN),
    ("POST", "/admin/projects/{slug}/models/import", ADMIN),
    ("GET", "/admin/projects/{slug}/models/{model}/promote", ADMIN),
    ("POST", "/admin/projects/{slug}/models/{model}/promote", ADMIN),
    ("GET", "/admin/jobs/{job}", REVIEWER),
    ("GET", "/admin/jobs/{job}/events", REVIEWER),
    ("POST", "/admin/jobs/{job}/stop", ADMIN),
    ("GET", "/admin/people", ADMIN),
    ("POST", "/admin/people/invite", ADMIN),
    ("POST", "/admin/people/{person}/role", ADMIN),
    ("POST", "/admin/people/{person}/disable", ADMIN),
    ("POST", "/admin/invitations/{invitation}/revoke", ADMIN),
    ("POST", "/admin/tokens", ADMIN),
    ("POST", "/admin/tokens/{token}/revoke", ADMIN),
    ("GET", "/admin/audit", ADMIN),
];

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
    for number in 0..6 {
        seed::demonstration_task(&server.state, project.id, &format!("Write {number}.")).await;
    }
    let secret = invitations::create(pool, &actor, Role::Annotator, None, None).await.expect("an invitation");
    server.token(TokenRole::Trainer).await;
    let job = job_queue::enqueue_nightly(pool, &actor, project.id).await.expect("a job");
    let person = server.account("Somebody", Role::Annotator).await;
    let one =
        async |sql: &'static str| sqlx::query_scalar::<_, Uuid>(sql).fetch_one(pool).await.expect(sql).to_string();
    [
        ("slug", project.slug),
        ("secret", secret),
        ("job", job.to_string()),
        ("person", person.to_string()),
        ("prompt", one("SELECT id FROM prompts LIMIT 1").await),
        ("model", one("SELECT id FROM models LIMIT 1").await),
        ("invitation", one("SELECT id FROM invitations LIMIT 1").await),
        ("token", one("SELECT id FROM api_tokens LIMIT 1").await),
        ("kind", "prompts".to_owned()),
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
        (_, token) if path.ends_with("/import") && !path.contains("/models/") => {
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

#[tokio::test]
async fn every_page_and_form_is_for_the_roles_that_it_is_for() {
    for role in [None, Some(Role::Annotator), Some(Role::Reviewer), Some(Role::Admin)] {
        let server = support::server().await;
        // An admin besides: the last one can't be changed.
        let ada = server.user("Ada", Role::Admin).await;
        let mut world = world(&server).await;
        let client = match role {
            None => server.client(),
            Some(role) => server.user("Visitor", role).await,
        };
        let holder = if role.is_some() { &client } else { &ada };
        let task = holder.post("/queue/next", &[]).await;
        world.insert("assignment", assignment_in(task.leads_to()).to_string());
        go_through(&client, role, &world).await;
    }
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
