//! A project: it is made and set up, its members are chosen, its guidelines written, its prompts found.

use laurel::{
    db::{audit::Actor, invitations, projects},
    domain::role::Role,
};
use uuid::Uuid;

use crate::{demonstrations, project, support};

const SETTINGS: [(&str, &str); 13] = [
    ("name", "Assistant"),
    ("description", ""),
    ("access", "everyone"),
    ("answers_per_prompt", "4"),
    ("demonstration_overlap", "1"),
    ("ranking_overlap", "1"),
    ("lease_minutes", "60"),
    ("validation_percent", "10"),
    ("test_percent", "10"),
    ("promotion", "by_hand"),
    ("prompts_per_round", "100"),
    ("keep_models", ""),
    ("training", ""),
];

/// The settings' form with one field changed.
fn settings_with<'a>(field: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    SETTINGS.into_iter().map(|(name, usual)| (name, if name == field { value } else { usual })).collect()
}

#[tokio::test]
async fn an_admin_begins_with_an_invitation_to_make_a_project() {
    let server = support::server().await;
    let ada = server.user("Ada", Role::Admin).await;
    let page = ada.get("/admin").await.assert(200);
    page.assert_contains("Create your first project");
    let fields = [("name", "Helpful <assistant>"), ("slug", "helpful"), ("description", "Short answers")];
    let made = ada.post("/admin/projects/new", &fields).await;
    assert_eq!(made.leads_to(), "/admin/projects/helpful");
    let overview = ada.get("/admin/projects/helpful").await.assert(200);
    overview.assert_contains("First steps");
    overview.assert_contains("No label is asked for yet.");
    overview.assert_contains("Helpful &#60;assistant&#62;");
    let again = ada.post("/admin/projects/new", &fields).await.assert(422);
    again.assert_contains("already a project with this short name");
    again.assert_contains("value=\"Helpful &#60;assistant&#62;\"");
}

#[tokio::test]
async fn a_new_project_needs_a_name_and_a_short_name_that_can_stand_in_an_address() {
    let server = support::server().await;
    let ada = server.user("Ada", Role::Admin).await;
    for slug in ["", "Upper", "has space", "-begins", "new", "ü", &"a".repeat(64)] {
        let reply = ada.post("/admin/projects/new", &[("name", "A"), ("slug", slug)]).await.assert(422);
        reply.assert_contains("Small letters, digits and hyphens");
    }
    ada.post("/admin/projects/new", &[("name", " "), ("slug", "ok")]).await.assert(422).assert_contains("be empty");
    let too_many = [("name", "A"), ("slug", "ok"), ("answers_per_prompt", "10")];
    ada.post("/admin/projects/new", &too_many).await.assert(422).assert_contains("from 2 to 9");
    // Nor by command: the project's own address would be this form.
    let settings = projects::ProjectSettings { name: "A".to_owned(), ..projects::ProjectSettings::default() };
    let by_command = projects::create(server.pool(), &Actor::program("command line"), "new", &settings, false).await;
    assert!(matches!(by_command, Err(projects::CreateError::Reserved(_))), "{by_command:?}");
    let made: i64 =
        sqlx::query_scalar("SELECT count(*) FROM projects").fetch_one(server.pool()).await.expect("a number");
    assert_eq!(made, 0);
}

#[tokio::test]
async fn every_setting_says_what_is_wrong_with_it_and_keeps_what_was_typed() {
    let server = support::server().await;
    project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let cases = [
        ("name", "", "be empty"),
        ("answers_per_prompt", "1", "from 2 to 9"),
        ("answers_per_prompt", "four", "from 2 to 9"),
        ("demonstration_overlap", "10", "from 0 to 9"),
        ("ranking_overlap", "0", "from 1 to 9"),
        ("lease_minutes", "1441", "from 1 to 1440"),
        ("validation_percent", "51", "from 0 to 50"),
        ("test_percent", "-1", "from 0 to 40"),
        ("prompts_per_round", "0", "from 1 to 100000"),
        ("keep_models", "0", "from 1 to 100000"),
        ("training", "{\"sft\": ", "line 1"),
        ("training", "[]", "A JSON object is needed"),
        ("training", "{\"sfft\": {}}", "is no section"),
        ("training", "{\"pretrain\": {}}", "is no section"),
        ("training", "{\"sft\": 3}", "has the wrong form"),
        ("training", "{\"seed\": -1}", "has the wrong form"),
    ];
    for (field, value, message) in cases {
        let reply = ada.post("/admin/projects/p/settings", &settings_with(field, value)).await.assert(422);
        reply.assert_contains(message);
        reply.assert_contains("aria-invalid=\"true\"");
        if field.ends_with("minutes") {
            reply.assert_contains("value=\"1441\"");
        }
    }
    for (typed, kept) in [("6", Some(6)), ("", None)] {
        ada.post("/admin/projects/p/settings", &settings_with("keep_models", typed)).await.leads_to();
        let stored = projects::by_slug(server.pool(), "p").await.expect("the project");
        assert_eq!(stored.settings.keep_models, kept);
    }
    let training = "{\"sft\":{\"epochs\":3},\"seed\":7}";
    let saved = ada.post("/admin/projects/p/settings", &settings_with("training", training)).await;
    assert_eq!(saved.leads_to(), "/admin/projects/p/settings?saved=1");
    let stored = projects::by_slug(server.pool(), "p").await.expect("the project");
    assert_eq!(stored.settings.training["sft"]["epochs"], 3);
    assert_eq!(stored.settings.training["seed"], 7);
    let audit = ada.get("/admin/audit?q=project.settings").await.assert(200);
    audit.assert_contains("ada@example.org");
    audit.assert_contains("training");
}

#[tokio::test]
async fn members_are_chosen_where_a_project_is_not_open() {
    let server = support::server().await;
    project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.account("Bob", Role::Annotator).await;
    ada.post("/admin/projects/p/settings", &settings_with("access", "members")).await.leads_to();
    ada.get("/admin/projects/p/people").await.assert(200).assert_contains("bob@example.org");
    ada.post("/admin/projects/p/people", &[("member", &bob.to_string()), ("member", &Uuid::now_v7().to_string())])
        .await
        .leads_to();
    let members: Vec<Uuid> =
        sqlx::query_scalar("SELECT user_id FROM memberships").fetch_all(server.pool()).await.expect("members");
    assert_eq!(members, [bob]);
    // Cy accepts an invitation while the form that takes Bob's tick away is open: Cy stays.
    let page = ada.get("/admin/projects/p/people").await.assert(200);
    page.assert_contains(&format!("name=\"shown\" value=\"{bob}\""));
    let project = projects::by_slug(server.pool(), "p").await.expect("the project").id;
    let link = invitations::create(server.pool(), &Actor::program("test"), Role::Annotator, None, Some(project)).await;
    let accept = [("email", "cy@example.org"), ("name", "Cy"), ("new_password", support::PASSWORD)];
    let invited = server.client();
    invited.post(&format!("/invitations/{}", link.expect("a link")), &accept).await.leads_to();
    ada.post("/admin/projects/p/people", &[("shown", &bob.to_string())]).await.leads_to();
    let members: Vec<String> = sqlx::query_scalar("SELECT u.email FROM memberships m JOIN users u ON u.id = m.user_id")
        .fetch_all(server.pool())
        .await
        .expect("members");
    assert_eq!(members, ["cy@example.org"]);
    let cy: Uuid = sqlx::query_scalar("SELECT user_id FROM memberships").fetch_one(server.pool()).await.expect("Cy");
    ada.post("/admin/projects/p/people", &[("shown", &cy.to_string())]).await.leads_to();
    let members: i64 =
        sqlx::query_scalar("SELECT count(*) FROM memberships").fetch_one(server.pool()).await.expect("a number");
    assert_eq!(members, 0);
}

#[tokio::test]
async fn guidelines_are_previewed_without_saving_and_every_save_is_a_version() {
    let server = support::server().await;
    project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let page = "/admin/projects/p/guidelines";
    ada.post(page, &[("body", "  \n "), ("action", "save")]).await.assert(422).assert_contains("be empty");
    let preview = ada.post(page, &[("body", "# Be <b>kind</b>"), ("action", "preview")]).await.assert(200);
    preview.assert_contains("<h1>Be &lt;b&gt;kind&lt;/b&gt;</h1>");
    preview.assert_contains("not saved");
    assert_eq!(ada.post(page, &[("body", "one"), ("action", "save")]).await.leads_to(), format!("{page}?saved=1"));
    assert_eq!(ada.post(page, &[("body", "one"), ("action", "save")]).await.leads_to(), format!("{page}?saved=1"));
    assert_eq!(ada.post(page, &[("body", "two"), ("action", "save")]).await.leads_to(), format!("{page}?saved=2"));
    ada.get(&format!("{page}?version=1")).await.assert(200).assert_contains("This is version 1");
    ada.get(&format!("{page}?version=9")).await.assert(404);
}

#[tokio::test]
async fn prompts_are_found_by_text_filter_and_page() {
    let server = support::server().await;
    let found = project(&server, "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    ada.get("/admin/projects/p/prompts").await.assert(200).assert_contains("No prompts yet");
    demonstrations(server.pool(), &found, 60).await;
    let first = ada.get("/admin/projects/p/prompts").await.assert(200);
    first.assert_contains("60 prompts");
    assert!(!first.text.contains("question 59 blue"), "the page has them all");
    let next = support::client::link_with(&first.text, "rel=\"next\"");
    ada.get(&next).await.assert(200).assert_contains("question 59 blue");
    let searched = ada.get("/admin/projects/p/prompts?q=QUESTION+7+blue").await.assert(200);
    searched.assert_contains("1 prompt");
    assert!(!searched.text.contains("question 8 blue"));
    ada.get("/admin/projects/p/prompts?split=test").await.assert(200).assert_contains("Nothing matches");
    ada.get("/admin/projects/p/prompts?state=done&tag=daily&language=en")
        .await
        .assert(200)
        .assert_contains("60 prompts");
    // Wrong numbers and signs that mean something to SQL find nothing and break nothing.
    ada.get("/admin/projects/p/prompts?after=-3&from=soon&q=%25%27%00").await.assert(200);

    let id: Uuid =
        sqlx::query_scalar("SELECT id FROM prompts LIMIT 1").fetch_one(server.pool()).await.expect("a prompt");
    let one = ada.get(&format!("/admin/projects/p/prompts/{id}")).await.assert(200);
    one.assert_contains("<strong>answer</strong>");
    project(&server, "other").await;
    ada.get(&format!("/admin/projects/other/prompts/{id}")).await.assert(404);
}
