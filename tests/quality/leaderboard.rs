//! The leaderboard over real HTTP, and blind tests between two models.

use laurel::domain::role::Role;

use crate::{project, rank, support::server};

#[tokio::test]
async fn models_stand_by_what_people_preferred_and_two_can_be_tested_blindly() {
    let server = server().await;
    project(&server, 2).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rosa.figures("/admin/projects/test/leaderboard").await.assert_contains("Nothing to compare yet");
    let ada = server.user("Ada", Role::Annotator).await;
    rank(&ada, &[1, 2, 3]).await;
    rank(&ada, &[1, 3, 2]).await;
    let page = rosa.figures("/admin/projects/test/leaderboard").await;
    page.assert_contains("secret-model-0").assert_contains("6 comparisons on 2 prompts");
    let table = rosa.get("/admin/projects/test/leaderboard/models.csv").await.assert(200);
    let first = table.text.lines().nth(1).expect("a model");
    assert!(first.starts_with("secret-model-0,") && first.ends_with(",1.000000,4,0,0"), "{first}");
    let pairs = rosa.get("/admin/projects/test/leaderboard/win-rates.csv").await.assert(200);
    pairs.assert_contains("secret-model-1,secret-model-2,0.500000,2");
    rosa.figures("/admin/projects/test/leaderboard?language=zh").await.assert_contains("Nothing to compare yet");

    let root = server.user("Root", Role::Admin).await;
    let form = [("first", "secret-model-0"), ("second", "secret-model-2"), ("prompts", "50")];
    let twins = [("first", "secret-model-0"), ("second", "secret-model-0"), ("prompts", "50")];
    root.post("/admin/projects/test/leaderboard", &twins).await.assert(422);
    let made = root.post("/admin/projects/test/leaderboard", &form).await;
    assert_eq!(made.leads_to(), "/admin/projects/test/leaderboard?made=2#blind-tests");
    root.post("/admin/projects/test/leaderboard", &form).await.assert(422).assert_contains("no prompt in common");
    // Handed out before anything else, and the page names no model.
    let bob = server.user("Bob", Role::Annotator).await;
    let assignment = rank(&bob, &[2, 1]).await;
    let page = bob.get(&format!("/tasks/{assignment}")).await.assert(200);
    assert!(!page.text.contains("secret-model"), "the page names a model");
    let page = rosa.figures("/admin/projects/test/leaderboard").await;
    page.assert_contains("secret-model-0 : secret-model-2").assert_contains("1 of 4 labels").assert_contains("0.0 %");
}
