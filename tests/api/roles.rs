//! Who may call what: every call of the description, by every kind of token.

use std::collections::BTreeMap;

use laurel::{
    db::{
        audit::Actor,
        tokens::{self, TokenRole},
    },
    domain::role::Role,
};
use reqwest::Method;
use serde_json::Value;

use crate::{Api, support};

/// The lowest role that each call takes.
const NEEDED: &[(&str, &str, TokenRole)] = &[
    ("post", "/jobs/claim", TokenRole::Trainer),
    ("get", "/jobs/{id}", TokenRole::Trainer),
    ("post", "/jobs/{id}/heartbeat", TokenRole::Trainer),
    ("post", "/jobs/{id}/report", TokenRole::Trainer),
    ("post", "/jobs/{id}/finish", TokenRole::Trainer),
    ("post", "/jobs/{id}/stop", TokenRole::Admin),
    ("get", "/jobs/{id}/prompts", TokenRole::Trainer),
    ("post", "/jobs/{id}/responses", TokenRole::Trainer),
    ("get", "/jobs/{id}/waiting", TokenRole::Trainer),
    ("get", "/jobs/{id}/samples", TokenRole::Trainer),
    ("post", "/jobs/{id}/models", TokenRole::Trainer),
    ("get", "/models/{id}", TokenRole::Trainer),
    ("put", "/models/{id}/files/{name}", TokenRole::Trainer),
    ("get", "/models/{id}/files/{name}", TokenRole::Trainer),
    ("post", "/models/{id}/complete", TokenRole::Trainer),
    ("post", "/models/{id}/promote", TokenRole::Admin),
    ("get", "/projects", TokenRole::Annotator),
    ("get", "/projects/{slug}", TokenRole::Annotator),
    ("post", "/projects/{slug}/jobs", TokenRole::Admin),
    ("get", "/projects/{slug}/jobs", TokenRole::Trainer),
    ("post", "/projects/{slug}/models", TokenRole::Admin),
    ("get", "/projects/{slug}/models", TokenRole::Trainer),
    ("post", "/projects/{slug}/prompt-scores", TokenRole::Trainer),
    ("get", "/projects/{slug}/export/{kind}", TokenRole::Trainer),
    ("post", "/projects/{slug}/import/{kind}", TokenRole::Admin),
];

const RANKS: [TokenRole; 3] = [TokenRole::Annotator, TokenRole::Trainer, TokenRole::Admin];

fn rank(role: TokenRole) -> usize {
    RANKS.iter().position(|known| *known == role).expect("a role")
}

#[tokio::test]
async fn every_described_call_takes_its_role_and_no_lower_one() {
    let server = support::server().await;
    let stranger = Api::with(&server, None);
    let description: Value = stranger.get("openapi.json").await.assert(200).json();
    let mut described: BTreeMap<(String, String), bool> = BTreeMap::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            described.insert((method.clone(), path.clone()), false);
        }
    }
    let revoked = server.token(TokenRole::Admin).await;
    let (token, _) = tokens::find(server.pool(), &revoked).await.expect("a token");
    tokens::revoke(server.pool(), &Actor::program("test"), token.id).await.expect("revoked");
    // Of somebody who was an admin when they made it.
    let bea = Actor::person(server.account("Bea", Role::Lead).await, "bea@example.org");
    let resting = tokens::create(server.pool(), &bea, "script", TokenRole::Annotator).await.expect("a token");
    let mut with_role = Vec::new();
    for role in RANKS {
        with_role.push((role, Api::of(&server, role).await));
    }
    for (method, path, needed) in NEEDED {
        let known = described.get_mut(&((*method).to_owned(), (*path).to_owned()));
        *known.unwrap_or_else(|| panic!("{method} {path} is not described")) = true;
        let method: Method = method.to_uppercase().parse().expect("a method");
        let path = path.trim_start_matches('/').replace("{id}", "0198c5f0-0000-7000-8000-000000000000");
        let path = path.replace("{name}", "config.json").replace("{slug}", "nowhere").replace("{kind}", "prompts");
        let wrong = [None, Some("laurel_unknown".to_owned()), Some(revoked.clone()), Some(resting.clone())];
        for wrong in wrong {
            let caller = Api::with(&server, wrong);
            let answer = caller.send(caller.request(method.clone(), &path)).await;
            assert_eq!(answer.headers.get("www-authenticate").map(|value| value.as_bytes()), Some(&b"Bearer"[..]));
            answer.refused(401, "unauthorised");
        }
        for (role, caller) in &with_role {
            let answer = caller.send(caller.request(method.clone(), &path)).await;
            if rank(*role) < rank(*needed) {
                answer.refused(403, "forbidden");
            } else {
                assert!(
                    !matches!(answer.status.as_u16(), 401 | 403 | 500..),
                    "{method} {path} as {role:?}: {answer:?}"
                );
            }
        }
    }
    let unknown: Vec<_> = described.iter().filter(|(_, seen)| !**seen).map(|(call, _)| call).collect();
    assert!(unknown.is_empty(), "no role is written down for {unknown:?}");
}

#[tokio::test]
async fn a_token_rests_while_whoever_made_it_is_shut_out_or_no_admin() {
    let server = support::server().await;
    let root = server.user("Root", Role::Admin).await;
    let ada = server.account("Ada", Role::Admin).await;
    let actor = Actor::person(ada, "ada@example.org");
    let secret = tokens::create(server.pool(), &actor, "gpu-box", TokenRole::Trainer).await.expect("a token");
    let hers = Api::with(&server, Some(secret));
    let nobodys = Api::of(&server, TokenRole::Trainer).await;
    hers.get("projects").await.assert(200);
    for (form, field, off, on) in [("disable", "disabled", "yes", "no"), ("role", "role", "lead", "admin")] {
        let form = format!("/admin/people/{ada}/{form}");
        root.post(&form, &[(field, off)]).await.assert(303);
        for _ in 0..2 {
            let told = hers.post("jobs/claim", &serde_json::json!({ "worker": "w" })).await;
            let told = told.refused(401, "unauthorised");
            assert!(told.message.contains("whoever made it is shut out or no admin"), "{}", told.message);
        }
        // Those that nobody's account made go on working, and the page says which do not.
        nobodys.get("projects").await.assert(200);
        let page = root.get("/admin/people").await.assert(200);
        assert_eq!(page.text.matches("its maker is shut out or no admin").count(), 1);
        root.post(&form, &[(field, on)]).await.assert(303);
        hers.get("projects").await.assert(200);
    }
}

#[tokio::test]
async fn cookies_do_not_open_the_api_and_tokens_need_no_origin() {
    let server = support::server().await;
    let admin = server.user("Ada", Role::Admin).await;
    admin.get("/admin").await.assert(200);
    admin.get("/api/v1/projects").await.assert(401);
    let script = Api::of(&server, TokenRole::Admin).await;
    let foreign = script
        .request(Method::POST, "jobs/claim")
        .header("origin", "https://elsewhere.example")
        .header("sec-fetch-site", "cross-site")
        .body(r#"{"worker":"a worker"}"#);
    script.send(foreign).await.assert(204);
    // No page of another origin may read an answer.
    let answer = script.get("projects").await.assert(200);
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn the_description_is_whole() {
    let server = support::server().await;
    let text = Api::with(&server, None).get("openapi.json").await.assert(200);
    let description: Value = text.json();
    assert!(description["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
    assert_eq!(description["servers"][0]["url"], "/api/v1");
    let text = String::from_utf8(text.body).expect("text");
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(description.pointer(reference).is_some(), "{reference} leads nowhere");
    }
    // A worker written from the description alone finds what it has to send.
    let claimed = &description["components"]["schemas"]["ClaimedJob"]["properties"];
    for field in ["id", "lease", "lease_until", "config", "completed", "answers_per_prompt"] {
        assert!(claimed.get(field).is_some(), "{field} is not described: {claimed}");
    }
    for (path, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
            assert!(operation["responses"].get("401").is_some(), "{method} {path}");
        }
    }
}
