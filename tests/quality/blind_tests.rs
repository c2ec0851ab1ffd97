//! Blind tests of models that have not answered the same prompts: the answers that lack are asked for, and tasks come of them by
//! themselves.

use laurel::{
    db::{
        job_queue,
        jobs::{self, JobError},
        models,
        projects::{Judgement, Project, ProjectSettings},
        promotions, sampling,
        tasks::{self, NewRankingTask},
    },
    domain::role::Role,
};
use laurel_records::{
    ClaimedJob, FinishRequest, JobKind, JobOutcome, PromptRecord, ResponseRecord, ResponsesRecord, Stage,
};
use serde_json::Map;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    stands_first,
    support::{
        Client, Server,
        seed::{self, assignment_in, count},
        server,
        training::{admin, claim, finished, made, ready_project},
    },
};

const SAMPLING: &str = "SELECT count(*) FROM jobs WHERE kind = 'sample'";

/// A project of six prompts with the policies sft-1 and ppo-1, neither of which has answered any.
pub async fn contest(server: &Server, settings: ProjectSettings) -> Project {
    let pool = server.pool();
    let project = ready_project(pool, settings, 6).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let run = claim(pool).await;
    made(pool, &run, Stage::Sft).await;
    made(pool, &run, Stage::Ppo).await;
    jobs::finish(pool, run.id, &finished(&run, None)).await.expect("finished");
    project
}

pub fn board(project: &Project) -> String {
    format!("/admin/projects/{}/leaderboard", project.slug)
}

async fn prompts(pool: &PgPool) -> Vec<Uuid> {
    sqlx::query_scalar("SELECT id FROM prompts ORDER BY id").fetch_all(pool).await.expect("prompts")
}

/// Asks for a blind test and has the answers written that it lacks.
pub async fn ask(lead: &Client, board: &str, first: &str, second: &str, prompts: &str) -> String {
    let form = [("first", first), ("second", second), ("prompts", prompts), ("missing", "write")];
    lead.post(board, &form).await.leads_to().to_owned()
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let rest = page.split(field.as_str()).nth(1).expect("the field");
    rest.split('"').next().expect("a value").to_owned()
}

fn answers(prompt: &PromptRecord, number: usize) -> ResponsesRecord {
    let answer =
        |index: usize| ResponseRecord { id: None, content: format!("Text {index}"), model: None, sampling: None };
    ResponsesRecord {
        prompt_id: Some(prompt.id.clone()),
        prompt: prompt.prompt.clone(),
        responses: (0..number).map(answer).collect(),
        extra: Map::new(),
    }
}

/// A worker does the next job: its model answers each prompt that it is asked once.
pub async fn work(pool: &PgPool) -> (ClaimedJob, Vec<Uuid>) {
    let job = claim(pool).await;
    let asked = sampling::prompts_needing_answers(pool, job.id).await.expect("prompts");
    let lines: Vec<(u64, ResponsesRecord)> = (1..).zip(asked.iter().map(|prompt| answers(prompt, 1))).collect();
    let stored = sampling::store_responses(pool, job.id, job.lease, &lines).await.expect("stored");
    assert_eq!((stored.stored, stored.already_there), (asked.len() as u64, 0));
    let again = sampling::store_responses(pool, job.id, job.lease, &lines).await.expect("an answer");
    assert_eq!((again.stored, again.already_there), (0, asked.len() as u64), "sent again, it changes nothing");
    assert!(sampling::prompts_needing_answers(pool, job.id).await.expect("prompts").is_empty());
    jobs::finish(pool, job.id, &finished(&job, None)).await.expect("finished");
    (job, asked.iter().map(|prompt| prompt.id.parse().expect("an id")).collect())
}

/// Takes the next task, compares its answers and prefers that of a model, wherever it stands.
async fn compare(pool: &PgPool, annotator: &Client, model: &str) {
    let assignment = assignment_in(annotator.post("/queue/next", &[]).await.leads_to());
    let page = annotator.get(&format!("/tasks/{assignment}")).await.assert(200);
    page.assert_contains(r#"data-kind="comparison""#);
    assert!(!page.text.contains("sft-1") && !page.text.contains("ppo-1"), "the page names a model");
    // An id tells when the answer came in, and so of which of two models it is.
    let ids = "SELECT place.response_id
               FROM assignments a
               JOIN task_responses place ON place.task_id = a.task_id
               WHERE a.id = $1";
    let ids: Vec<Uuid> = sqlx::query_scalar(ids).bind(assignment).fetch_all(pool).await.expect("answers");
    assert!(ids.iter().all(|id| !page.text.contains(&id.to_string())), "the page has an answer's id");
    let shown = page.text.split(r#"<article class="answer" data-position=""#).nth(1).expect("an answer");
    let is_of_model = shown.starts_with('0') == stands_first(pool, assignment, model).await;
    let point = if is_of_model { "2" } else { "8" };
    let form = [("confidence", point), ("then", "queue")];
    annotator.post(&format!("/tasks/{assignment}/submit"), &form).await.assert(303);
}

#[tokio::test]
async fn what_two_models_lack_is_asked_for_once_and_people_compare_it_without_the_lead() {
    let server = server().await;
    let pool = server.pool();
    let settings =
        ProjectSettings { judgement: Judgement::Comparison, answers_per_prompt: 2, ..ProjectSettings::default() };
    let project = contest(&server, settings).await;
    let board = board(&project);
    let prompts = prompts(pool).await;
    for (prompt, model) in [(0, "sft-1"), (1, "sft-1"), (2, "ppo-1")] {
        seed::response(pool, prompts[prompt], "Text", model).await;
    }
    sqlx::query("UPDATE prompts SET withdrawn_at = now() WHERE id = $1")
        .bind(prompts[5])
        .execute(pool)
        .await
        .expect("withdrawn");
    let root = server.user("Root", Role::Admin).await;
    root.figures(&board).await.assert_contains("ppo-1 (1)").assert_contains("base (0)");

    // Both are told before anything is asked for: three half-answered prompts and one of the two that nobody has answered.
    let form = [("first", "sft-1"), ("second", "ppo-1"), ("prompts", "4")];
    let offer = root.post(&board, &form).await.assert(200);
    offer.assert_contains("No prompt has answers of both models").assert_contains("4 more are asked for.");
    offer.assert_contains("answers to 4 prompts can be written: 2 answers of sft-1 and 3 answers of ppo-1.");
    assert_eq!((count(pool, SAMPLING).await, count(pool, "SELECT count(*) FROM blind_tests").await), (0, 0));
    let test = hidden(&offer.text, "test");
    let form = [&form[..], &[("test", test.as_str()), ("missing", "write")]].concat();
    let (one, other) = tokio::join!(root.post(&board, &form), root.post(&board, &form));
    for answer in [one, other] {
        assert_eq!(answer.leads_to(), format!("{board}?asked=5#blind-tests"));
    }
    assert_eq!((count(pool, SAMPLING).await, count(pool, "SELECT count(*) FROM blind_tests").await), (2, 1));
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'blind_test.create' AND detail ->> 'answers' = '5'";
    assert_eq!(count(pool, noted).await, 1);
    let page = root.figures(&format!("{board}?asked=5")).await;
    page.assert_contains("The models are asked for 5 answers.");
    page.assert_contains("Waiting for 2 answers of sft-1 and 3 answers of ppo-1.");
    page.assert_contains("New answers · sft-1").assert_contains("New answers · ppo-1");
    assert!(!page.text.contains("Try again"), "both are under way");

    let mut chosen = Vec::new();
    for _ in 0..2 {
        let (job, asked) = work(pool).await;
        assert_eq!((job.kind, job.answers_per_prompt, job.reward.is_none()), (JobKind::Sample, 1, true));
        let half_answered = if job.policy.expect("a model").name == "sft-1" { &prompts[2..3] } else { &prompts[..2] };
        assert!(half_answered.iter().all(|prompt| asked.contains(prompt)), "{asked:?}");
        let free: Vec<Uuid> = asked.into_iter().filter(|prompt| !half_answered.contains(prompt)).collect();
        assert!(free.len() == 1 && prompts[3..5].contains(&free[0]), "{free:?}");
        chosen.extend(free);
    }
    assert_eq!(chosen[0], chosen[1], "both answer the same prompts");
    assert!(jobs::claim(pool, "another").await.expect("an answer").is_none());
    assert_eq!(count(pool, "SELECT count(*) FROM responses").await, 3 + 5, "each lacking answer once");

    let paired = "SELECT count(*)
                  FROM tasks t
                  JOIN blind_test_tasks b ON b.task_id = t.id
                  JOIN task_responses one ON one.task_id = t.id
                  JOIN responses first ON first.id = one.response_id AND first.model = 'sft-1'
                  JOIN task_responses two ON two.task_id = t.id
                  JOIN responses second ON second.id = two.response_id AND second.model = 'ppo-1'";
    assert_eq!(count(pool, paired).await, 4);
    assert_eq!(count(pool, "SELECT count(*) FROM task_responses").await, 8, "they are in no other task");
    let page = root.figures(&board).await;
    assert!(!page.text.contains("Waiting for"), "nothing is awaited");
    page.assert_contains("0 of 4 labels");
    let ada = server.user("Ada", Role::Annotator).await;
    for _ in 0..4 {
        compare(pool, &ada, "sft-1").await;
    }
    assert!(ada.post("/queue/next", &[]).await.leads_to().starts_with("/queue"), "there is no other task");
    let page = root.figures(&board).await;
    page.assert_contains("4 comparisons on 4 prompts").assert_contains("sft-1 : ppo-1");
    let cells = [4, 0, 0].map(|number| format!("<td class=\"number\">{number}</td>")).concat();
    page.assert_contains(&format!("4 of 4 labels</td>{cells}"));
}

#[tokio::test]
async fn the_places_of_answers_do_not_tell_of_which_model_they_are() {
    let server = server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 40).await;
    for prompt in prompts(pool).await {
        for model in ["gpt-4", "claude"] {
            seed::response(pool, prompt, "Text", model).await;
        }
    }
    let root = server.user("Root", Role::Admin).await;
    let form = [("first", "gpt-4"), ("second", "claude"), ("prompts", "40")];
    assert_eq!(root.post(&board(&project), &form).await.leads_to(), format!("{}?made=40#blind-tests", board(&project)));
    let first = "SELECT count(*)
                 FROM task_responses place
                 JOIN responses r ON r.id = place.response_id
                 WHERE r.model = 'gpt-4' AND place.position = 0";
    let first = count(pool, first).await;
    assert!((1..40).contains(&first), "{first} of 40 have the first model's answer at the first place");
}

#[tokio::test]
async fn a_model_that_is_not_in_the_registry_is_asked_for_nothing_and_its_answers_are_paired_all_the_same() {
    let server = server().await;
    let pool = server.pool();
    let project = contest(&server, ProjectSettings::default()).await;
    let board = board(&project);
    let prompts = prompts(pool).await;
    for (prompt, model) in [(0, "gpt-4"), (1, "gpt-4"), (2, "claude")] {
        seed::response(pool, prompts[prompt], "Text", model).await;
    }
    let root = server.user("Root", Role::Admin).await;
    let form = [("first", "gpt-4"), ("second", "claude"), ("prompts", "50")];
    for missing in ["", "write"] {
        let refused = root.post(&board, &[&form[..], &[("missing", missing)]].concat()).await.assert(422);
        refused.assert_contains("no prompt in common").assert_contains("gpt-4 can’t be asked for answers");
        refused.assert_contains("claude can’t be asked for answers: the model registry has no model of this name");
    }
    seed::response(pool, prompts[0], "Text", "claude").await;
    assert_eq!(root.post(&board, &form).await.leads_to(), format!("{board}?made=1#blind-tests"));
    let page = root.figures(&format!("{board}?made=1")).await;
    page.assert_contains("One task was made; it is handed out before the others.");
    page.assert_contains("1 of 50 prompts that were asked for. gpt-4 can’t be asked for answers");
    assert_eq!(count(pool, SAMPLING).await, 0);

    // The other one answers what the first has answered.
    let form = [("first", "gpt-4"), ("second", "sft-1"), ("prompts", "50")];
    let offer = root.post(&board, &form).await.assert(200);
    offer.assert_contains("answers to 2 prompts can be written: 2 answers of sft-1.");
    offer.assert_contains("There are no more prompts").assert_contains("gpt-4 can’t be asked for answers");
    assert_eq!(ask(&root, &board, "gpt-4", "sft-1", "50").await, format!("{board}?asked=2#blind-tests"));
    assert_eq!(count(pool, SAMPLING).await, 1);
    let (_, mut asked) = work(pool).await;
    asked.sort_unstable();
    assert_eq!(asked, prompts[..2]);
    root.figures(&board).await.assert_contains("0 of 2 labels");
    // A lead may do without what lacks.
    seed::response(pool, prompts[2], "Text", "sft-1").await;
    let leave = [("first", "claude"), ("second", "sft-1"), ("prompts", "3"), ("missing", "leave")];
    assert_eq!(root.post(&board, &leave).await.leads_to(), format!("{board}?made=2#blind-tests"));
    assert_eq!(count(pool, SAMPLING).await, 1);
}

#[tokio::test]
async fn a_job_that_failed_or_was_stopped_is_told_and_asked_again_and_a_lead_may_do_without() {
    let server = server().await;
    let pool = server.pool();
    let project = contest(&server, ProjectSettings::default()).await;
    let board = board(&project);
    let root = server.user("Root", Role::Admin).await;
    ask(&root, &board, "sft-1", "ppo-1", "3").await;
    let job = claim(pool).await;
    let asked = sampling::prompts_needing_answers(pool, job.id).await.expect("prompts");
    let two = sampling::store_responses(pool, job.id, job.lease, &[(1, answers(&asked[0], 2))]).await;
    assert!(matches!(two, Err(JobError::Invalid(reason)) if reason.contains("one answer to a prompt, not 2")));
    sampling::store_responses(pool, job.id, job.lease, &[(1, answers(&asked[0], 1))]).await.expect("stored");
    let failed = FinishRequest {
        lease: job.lease,
        outcome: JobOutcome::Failed,
        error: Some("The disk is full.".to_owned()),
        summary: Map::new(),
        policy_is_better: None,
    };
    jobs::finish(pool, job.id, &failed).await.expect("finished");
    let waiting: Uuid = sqlx::query_scalar("SELECT id FROM jobs WHERE kind = 'sample' AND state = 'queued'")
        .fetch_one(pool)
        .await
        .expect("the other job");
    root.post(&format!("/admin/jobs/{waiting}/stop"), &[]).await.leads_to();
    let page = root.figures(&board).await;
    page.assert_contains("It failed before all answers were here.").assert_contains("The disk is full.");
    page.assert_contains("It was stopped before all answers were here.").assert_contains("Try again");
    page.assert_contains(&format!("href=\"/admin/jobs/{}\"", job.id));
    page.assert_contains("2 answers of ").assert_contains("3 answers of ");
    // What the program itself says of a job's end stands in words.
    sqlx::query("UPDATE jobs SET error = 'the worker fell silent 3 times' WHERE id = $1")
        .bind(job.id)
        .execute(pool)
        .await
        .expect("silent");
    root.figures(&board).await.assert_contains("The worker fell silent 3 times.");

    let test: Uuid = sqlx::query_scalar("SELECT id FROM blind_tests").fetch_one(pool).await.expect("the test");
    let settle = format!("/admin/projects/{}/blind-tests/{test}", project.slug);
    root.post(&settle, &[("then", "whatever")]).await.assert(422);
    for _ in 0..2 {
        assert_eq!(root.post(&settle, &[("then", "again")]).await.leads_to(), format!("{board}#blind-tests"));
    }
    assert_eq!(count(pool, SAMPLING).await, 4, "one more of each model");
    assert!(!root.figures(&board).await.text.contains("Try again"));

    // One is under way and one waits when the lead has seen enough.
    let running = claim(pool).await;
    let asked = sampling::prompts_needing_answers(pool, running.id).await.expect("prompts");
    root.post(&settle, &[("then", "enough")]).await.leads_to();
    assert!(jobs::heartbeat(pool, running.id, running.lease).await.expect("held").stop);
    let late = sampling::store_responses(pool, running.id, running.lease, &[(1, answers(&asked[0], 1))]).await;
    assert_eq!(late.map(|late| (late.stored, late.already_there)).expect("an answer"), (0, 1));
    assert!(jobs::claim(pool, "another").await.expect("an answer").is_none());
    assert!(!root.figures(&board).await.text.contains("Waiting for"));
    for (action, times) in [("blind_test.again", 1), ("blind_test.enough", 1)] {
        let noted: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action = $1")
            .bind(action)
            .fetch_one(pool)
            .await
            .expect("a number");
        assert_eq!(noted, times, "{action}");
    }
    let stranger = format!("/admin/projects/{}/blind-tests/{}", project.slug, Uuid::now_v7());
    root.post(&stranger, &[("then", "again")]).await.assert(404);
}

#[tokio::test]
async fn a_round_asks_what_it_would_ask_without_the_test_and_does_not_replace_its_jobs() {
    let server = server().await;
    let pool = server.pool();
    let settings = ProjectSettings { prompts_per_round: 5, ..ProjectSettings::default() };
    let project = contest(&server, settings).await;
    let board = board(&project);
    let root = server.user("Root", Role::Admin).await;
    ask(&root, &board, "sft-1", "ppo-1", "5").await;
    let base = models::base(pool, project.id).await.expect("an answer").expect("a base model");
    promotions::promote(pool, &admin(), project.id, base.record.id, "by hand").await.expect("promoted");
    assert_eq!(count(pool, "SELECT count(*) FROM jobs WHERE kind = 'sample' AND state = 'queued'").await, 3);
    let (_, mut tested) = work(pool).await;
    work(pool).await;
    assert_eq!(count(pool, "SELECT count(*) FROM blind_test_tasks").await, 5);

    // The prompt that the test left out is the only one that was ranked in a round.
    let ranked = prompts(pool).await.into_iter().find(|prompt| !tested.contains(prompt)).expect("the sixth");
    let mut responses = Vec::new();
    for text in ["One", "Two"] {
        responses.push(seed::response(pool, ranked, text, "base").await);
    }
    let new =
        NewRankingTask { project: project.id, prompt: ranked, responses: &responses, round: 0, priority: 0, job: None };
    let mut connection = pool.acquire().await.expect("a connection");
    tasks::create_ranking_task(&mut connection, new).await.expect("a task");
    let round = claim(pool).await;
    assert_eq!((round.kind, round.answers_per_prompt), (JobKind::Sample, 4));
    let asked = sampling::prompts_needing_answers(pool, round.id).await.expect("prompts");
    let mut asked: Vec<Uuid> = asked.iter().map(|prompt| prompt.id.parse().expect("an id")).collect();
    asked.sort_unstable();
    tested.sort_unstable();
    assert_eq!(asked, tested);
    // How unsure the reward model is decides what comes next: the pairs of a test are not judged for that.
    let waiting = sampling::waiting_answers(pool, round.id).await.expect("answers");
    let waiting: Vec<_> = waiting.into_iter().filter_map(|record| record.prompt_id).collect();
    assert_eq!(waiting, [ranked.to_string()]);
}

#[tokio::test]
async fn answers_are_asked_to_open_prompts_of_the_choice_only() {
    let server = server().await;
    let pool = server.pool();
    let project = contest(&server, ProjectSettings::default()).await;
    let board = board(&project);
    let prompts = prompts(pool).await;
    let change = async |sql: &'static str, prompt: Uuid| {
        sqlx::query(sql).bind(prompt).bind(prompts[5]).execute(pool).await.expect(sql);
    };
    change("UPDATE prompts SET withdrawn_at = now() WHERE id = $1 AND id <> $2", prompts[0]).await;
    change("UPDATE prompts SET held_back_at = now(), duplicate_of = $2 WHERE id = $1", prompts[1]).await;
    change("UPDATE prompts SET split = 'test' WHERE id = $1 AND id <> $2", prompts[2]).await;
    let mut connection = pool.acquire().await.expect("a connection");
    tasks::create_demonstration_task(&mut connection, project.id, prompts[3]).await.expect("a task");
    let ada = server.user("Ada", Role::Annotator).await;
    let task = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    let report = [("reason", "report"), ("detail", "Not for us."), ("then", "queue")];
    ada.post(&format!("/tasks/{task}/skip"), &report).await.assert(303);

    let root = server.user("Root", Role::Admin).await;
    let form = [("first", "sft-1"), ("second", "ppo-1"), ("prompts", "50"), ("split", "train")];
    let offer = root.post(&board, &form).await.assert(200);
    offer.assert_contains("answers to 2 prompts can be written: 2 answers of sft-1 and 2 answers of ppo-1.");
    let form = [&form[..], &[("missing", "write")]].concat();
    assert_eq!(root.post(&board, &form).await.leads_to(), format!("{board}?asked=4#blind-tests"));
    // Another test of the two, in the other order, asks for nothing twice.
    let form = [("first", "ppo-1"), ("second", "sft-1"), ("prompts", "50"), ("split", "train"), ("missing", "write")];
    root.post(&board, &form).await.assert(422);
    // A prompt that is withdrawn meanwhile is waited for no more.
    change("UPDATE prompts SET withdrawn_at = now() WHERE id = $1 AND id <> $2", prompts[4]).await;
    root.figures(&board).await.assert_contains("Waiting for one answer of sft-1 and one answer of ppo-1.");
    let (_, asked) = work(pool).await;
    assert_eq!(asked, [prompts[5]]);
}
