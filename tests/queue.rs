//! The queue from outside: who gets which task, when, and how often.

mod support;

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use laurel::domain::role::Role;
use support::{
    Client,
    seed::{self, Seed, assignment_in, count},
    server,
};

/// Asks for the next task; `None` when nothing waits.
async fn next(client: &Client) -> Option<String> {
    let reply = client.post("/queue/next", &[]).await;
    let address = reply.leads_to().to_owned();
    address.starts_with("/tasks/").then_some(address)
}

/// Fifty people who label until nothing is left for them; half of them have pages that fetch the next task ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_people_give_two_hundred_tasks_exactly_three_labels_each() {
    let server = server().await;
    let project =
        seed::project(server.pool(), Seed { demonstration_overlap: 3, ranking_overlap: 3, ..Seed::default() }).await;
    for number in 0..100 {
        seed::demonstration_task(&server.state, project, &format!("Write number {number}.")).await;
        seed::ranking_task(&server.state, project, &format!("Rank number {number}."), &["one", "two", "three"]).await;
    }
    let mut people = Vec::new();
    for number in 0..50 {
        people.push(server.user(&format!("Person {number}"), Role::Annotator).await);
    }
    static DOUBLED: AtomicUsize = AtomicUsize::new(0);
    let work = people.into_iter().enumerate().map(|(number, person)| {
        tokio::spawn(async move {
            let mut seen = HashSet::new();
            let mut place = next(&person).await;
            while let Some(address) = place {
                let assignment = assignment_in(&address);
                assert!(seen.insert(assignment), "the same task twice");
                if number % 2 == 0 {
                    let ahead = format!("/tasks/{assignment}/ahead");
                    let reply = person.json(reqwest::Method::POST, &ahead, &serde_json::json!({})).await;
                    assert!(matches!(reply.status.as_u16(), 200 | 204), "{reply:?}");
                }
                let submit = format!("/tasks/{assignment}/submit");
                let form = [("completion", "An answer."), ("rank_0", "2"), ("rank_1", "1"), ("rank_2", "2")];
                let reply = person.post(&submit, &form).await;
                // Every fifth answer is “lost” on its way and sent again.
                let reply = if assignment.as_u128().is_multiple_of(5) {
                    DOUBLED.fetch_add(1, Ordering::Relaxed);
                    person.post(&submit, &form).await
                } else {
                    reply
                };
                let onward = reply.leads_to().to_owned();
                place = onward.starts_with("/tasks/").then_some(onward);
            }
            seen.len()
        })
    });
    let mut done = 0;
    for person in work {
        done += person.await.expect("a person without an error");
    }
    let pool = server.pool();
    assert_eq!(done, 600);
    assert!(DOUBLED.load(Ordering::Relaxed) > 50, "too few were sent twice to say anything");
    assert_eq!(count(pool, "SELECT count(*) FROM demonstrations").await, 300);
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 300);
    assert_eq!(count(pool, "SELECT count(*) FROM ranking_responses").await, 900);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE labels = 3").await, 200);
    assert_eq!(
        count(pool, "SELECT count(*) FROM (SELECT prompt_id, user_id FROM demonstrations UNION SELECT prompt_id, user_id FROM rankings) AS pairs").await,
        600,
        "somebody labelled a prompt twice"
    );
    assert_eq!(
        count(pool, "SELECT (SELECT count(*) FROM demonstrations WHERE extra_opinion) + (SELECT count(*) FROM rankings WHERE extra_opinion)").await,
        0
    );
    assert_eq!(count(pool, "SELECT count(*) FROM assignments WHERE state <> 'submitted'").await, 0);
    assert_eq!(count(pool, "SELECT count(*) FROM reservations").await, 0);
}

#[tokio::test]
async fn what_one_has_begun_comes_first_and_nobody_else_gets_it() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Only one.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let first = next(&ada).await.expect("a task");
    assert_eq!(next(&ada).await.as_ref(), Some(&first));
    assert_eq!(next(&bob).await, None);
    bob.get("/queue?empty=1").await.assert(200).assert_contains("Nothing waits for you at the moment");
    bob.get(&first).await.assert(404);
}

#[tokio::test]
async fn one_person_with_many_tabs_gets_one_task() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..5 {
        seed::demonstration_task(&server.state, project, &format!("Write {number}.")).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let tabs = (0..8).map(|_| {
        let tab = ada.clone();
        tokio::spawn(async move { next(&tab).await })
    });
    let mut places = HashSet::new();
    for tab in tabs {
        places.insert(tab.await.expect("a tab").expect("a task"));
    }
    assert_eq!(places.len(), 1);
}

#[tokio::test]
async fn a_lease_that_ends_gives_the_task_to_the_next_person() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Only one.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let hers = next(&ada).await.expect("a task");
    seed::end_lease(server.pool(), assignment_in(&hers)).await;
    let his = next(&bob).await.expect("the task whose lease ended");
    assert_ne!(hers, his);
    // Her time is over and he has the place: she is told, and is given nothing.
    assert_eq!(next(&ada).await, None);
    ada.get(&hers).await.assert(200).assert_contains("Your time for this task has ended");
    let beat = ada.json(reqwest::Method::POST, &format!("{hers}/heartbeat"), &serde_json::json!({})).await.assert(200);
    assert_eq!(beat.text, r#"{"lease":"lost"}"#);
    // He gives up: it is hers again, the same piece of work.
    seed::end_lease(server.pool(), assignment_in(&his)).await;
    assert_eq!(next(&ada).await, Some(hers.clone()));
    let beat = ada.json(reqwest::Method::POST, &format!("{hers}/heartbeat"), &serde_json::json!({})).await.assert(200);
    assert_eq!(beat.text, r#"{"lease":"live"}"#);
}

#[tokio::test]
async fn who_submits_late_and_asks_for_the_next_task_at_once_waits_in_no_ring() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Begun.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let begun = assignment_in(&next(&ada).await.expect("a task"));
    seed::end_lease(pool, begun).await;
    seed::demonstration_task(&server.state, project, "Another.").await;
    // As one who submits does in another tab: the assignment first, then its task.
    let mut submitting = pool.begin().await.expect("a transaction");
    sqlx::query("SELECT id FROM assignments FOR UPDATE").fetch_all(&mut *submitting).await.expect("locked");
    let other = tokio::time::timeout(Duration::from_secs(20), next(&ada)).await.expect("no waiting for the other tab");
    assert_ne!(assignment_in(&other.expect("the other task")), begun);
    submitting.rollback().await.expect("given back");
}

#[tokio::test]
async fn the_heartbeat_renews_the_lease() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Only one.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let place = next(&ada).await.expect("a task");
    sqlx::query("UPDATE assignments SET lease_until = now() + interval '1 second'")
        .execute(server.pool())
        .await
        .expect("set");
    ada.json(reqwest::Method::POST, &format!("{place}/heartbeat"), &serde_json::json!({})).await.assert(200);
    let long = "SELECT count(*) FROM assignments WHERE lease_until > now() + interval '59 minutes'";
    assert_eq!(count(server.pool(), long).await, 1);
    // Without the token it does nothing.
    ada.post_bare(&format!("{place}/heartbeat"), &[]).await.assert(403);
}

#[tokio::test]
async fn a_closed_project_is_for_its_members() {
    let server = server().await;
    let guidelines = Some("# Be kind\n\nHelpful first.");
    let closed = Seed { open_to_everyone: false, slug: "closed", guidelines, ..Seed::default() };
    let project = seed::project(server.pool(), closed).await;
    seed::demonstration_task(&server.state, project, "For members.").await;
    let ada_id = server.account("Ada", Role::Annotator).await;
    let ada = server.client();
    ada.log_in("ada@example.org", support::PASSWORD).await;
    let bob = server.user("Bob", Role::Annotator).await;
    seed::member(server.pool(), project, ada_id).await;
    assert_eq!(next(&bob).await, None);
    let queue = bob.get("/queue").await.assert(200);
    assert!(!queue.text.contains("Project closed"), "a stranger sees the project");
    queue.assert_contains("No projects yet");
    bob.get("/projects/closed/guidelines").await.assert(404);
    ada.get("/projects/closed/guidelines").await.assert(200).assert_contains("Be kind");
    ada.get("/queue").await.assert(200).assert_contains("Project closed").assert_contains("One task waits for you");
    assert!(next(&ada).await.is_some());
}

#[tokio::test]
async fn writing_and_ranking_take_turns() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..3 {
        seed::demonstration_task(&server.state, project, &format!("Write {number}.")).await;
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["a", "b"]).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let mut kinds = Vec::new();
    let mut place = next(&ada).await;
    while let Some(address) = place {
        let page = ada.get(&address).await.assert(200);
        kinds.push(if page.text.contains(r#"data-kind="ranking""#) { 'r' } else { 'w' });
        let submit = format!("/tasks/{}/submit", assignment_in(&address));
        let reply = ada.post(&submit, &[("completion", "x"), ("rank_0", "1"), ("rank_1", "2")]).await;
        place = reply.location.filter(|place| place.starts_with("/tasks/"));
    }
    assert_eq!(kinds.iter().collect::<String>(), "rwrwrw");
    ada.get("/queue").await.assert(200).assert_contains("All done");
}

#[tokio::test]
async fn a_skipped_task_goes_to_somebody_else_and_never_comes_back() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Only one.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let hers = next(&ada).await.expect("a task");
    let skip = format!("/tasks/{}/skip", assignment_in(&hers));
    ada.post(&skip, &[]).await.assert(422).assert_contains("Choose why you skip this task.");
    ada.post(&skip, &[("reason", "nonsense")]).await.assert(422);
    ada.post(&skip, &[("reason", "other")]).await.assert(422).assert_contains("Say in your words");
    let reply = ada.post(&skip, &[("reason", "other"), ("detail", "Too <hard>")]).await;
    assert!(reply.leads_to().starts_with("/queue?after="));
    assert_eq!(next(&ada).await, None);
    assert!(next(&bob).await.is_some());
    let reason: String = sqlx::query_scalar("SELECT skip_reason FROM assignments WHERE state = 'skipped'")
        .fetch_one(server.pool())
        .await
        .expect("a reason");
    assert_eq!(reason, "other: Too <hard>");
}

#[tokio::test]
async fn withdrawn_tasks_and_archived_projects_are_not_handed_out() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Withdrawn.").await;
    sqlx::query("UPDATE tasks SET withdrawn_at = now()").execute(server.pool()).await.expect("withdrawn");
    let other = seed::project(server.pool(), Seed { slug: "archived", ..Seed::default() }).await;
    seed::demonstration_task(&server.state, other, "Archived.").await;
    sqlx::query("UPDATE projects SET archived_at = now() WHERE slug = 'archived'")
        .execute(server.pool())
        .await
        .expect("archived");
    let ada = server.user("Ada", Role::Annotator).await;
    assert_eq!(next(&ada).await, None);
}
