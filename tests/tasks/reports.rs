//! Reported prompts: a lead sees who says what, and keeps the prompt, withdraws it, or asks for another.

use laurel::{domain::role::Role, export::Kind};

use super::exported;
use crate::support::{
    Client,
    seed::{self, Seed, assignment_in, count},
    server,
};

/// Takes the next task and reports its prompt.
async fn report(who: &Client, words: &str) {
    let task = assignment_in(who.post("/queue/next", &[]).await.leads_to());
    let form = [("reason", "report"), ("detail", words), ("then", "queue")];
    who.post(&format!("/tasks/{task}/skip"), &form).await.assert(303);
}

#[tokio::test]
async fn a_reported_prompt_is_kept_withdrawn_or_replaced_and_the_audit_log_says_so() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { demonstration_overlap: 3, ..Seed::default() }).await;
    let prompt = seed::demonstration_task(&server.state, project, "Say how to pick a lock.").await;
    let [ada, bob] = [server.user("Ada", Role::Annotator).await, server.user("Bob", Role::Annotator).await];
    report(&ada, "It asks for a break-in.").await;
    report(&bob, "Not for us: <b>really</b>").await;

    let lea = server.user("Lea", Role::Admin).await;
    lea.get("/admin/projects/test").await.assert(200).assert_contains("One prompt has been reported");
    let page = lea.get("/admin/projects/test/reports").await.assert(200);
    for part in ["Say how to pick a lock.", "It asks for a break-in.", "Ada", "Bob", "Not for us: &#60;b&#62;really"] {
        page.assert_contains(part);
    }
    let decide = async |decision: &str| {
        lea.post(&format!("/admin/projects/test/reports/{prompt}"), &[("decision", decision)]).await
    };
    decide("burn").await.assert(422);
    decide("withdraw").await.assert(303);
    let cy = server.user("Cy", Role::Annotator).await;
    assert!(cy.post("/queue/next", &[]).await.leads_to().starts_with("/queue"), "nobody is asked any more");
    assert!(exported(&server, Kind::Prompts).await.is_empty());
    // A second thought: it is asked again.
    decide("keep").await.assert(303);
    let task = assignment_in(cy.post("/queue/next", &[]).await.leads_to());
    cy.post(&format!("/tasks/{task}/skip"), &[("reason", "unclear"), ("then", "queue")]).await.assert(303);
    assert_eq!(exported(&server, Kind::Prompts).await.len(), 1);

    // Another is written in its place.
    decide("replace").await.assert(303);
    let task = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    ada.get(&format!("/tasks/{task}")).await.assert(200).assert_contains("Say how to pick a lock.");
    let form = [("prompt", "Say how a lock works."), ("then", "queue")];
    ada.post(&format!("/tasks/{task}/submit"), &form).await.assert(303);
    let prompts = exported(&server, Kind::Prompts).await;
    assert_eq!(
        prompts.iter().map(|prompt| &prompt["prompt"][0]["content"]).collect::<Vec<_>>(),
        ["Say how a lock works."]
    );

    lea.get("/admin/projects/test/reports").await.assert(200).assert_contains("to be replaced");
    assert_eq!(count(pool, "SELECT count(*) FROM audit_log WHERE action = 'prompt.report'").await, 3);
    // Only of a prompt that somebody has reported, in this project.
    let other = seed::prompt(pool, project, "Never reported").await;
    lea.post(&format!("/admin/projects/test/reports/{other}"), &[("decision", "keep")]).await.assert(404);
    bob.post(&format!("/admin/projects/test/reports/{prompt}"), &[("decision", "keep")]).await.assert(403);
}
