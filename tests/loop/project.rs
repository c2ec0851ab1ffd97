//! The project of the test: the first prompts of the sample, its people, and what its database says.

use std::path::{Path, PathBuf};

use laurel::sample::annotators::{Annotator, Done, KnownAnswers, Login};
use laurel_records::{ComparisonRecord, RankingRecord};
use serde::de::DeserializeOwned;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    processes::Laurel,
    support::{Client, PASSWORD},
};

pub const SLUG: &str = "circle";
/// Prompts of the sample that the project has, and those of them that come with candidate answers.
const PROMPTS: usize = 40;
const WITH_ANSWERS: usize = 24;

/// The project with its people, as an admin makes it over HTTP and by command.
pub struct Project {
    pub admin: Client,
    pub token: PathBuf,
    simulated: Vec<Login>,
}

impl Project {
    /// Makes people, token, project, prompts, candidate answers and the base model.
    pub async fn make(laurel: &Laurel, base: &Path) -> Self {
        account(laurel, "ada@example.org", "admin", false);
        account(laurel, "bea@example.org", "annotator", false);
        let simulated =
            ["sim-1@example.org", "sim-2@example.org"].map(|email| account(laurel, email, "annotator", true));
        let token = laurel.directory("worker").join("token");
        std::fs::write(&token, laurel.command(&["token", "add", "--name", "worker", "--role", "trainer"], ""))
            .expect("kept");

        let admin = Client::new(&laurel.address);
        admin.log_in("ada@example.org", PASSWORD).await;
        let made = admin.post("/admin/projects/new", &[("name", "The circle"), ("slug", SLUG)]).await;
        assert_eq!(made.leads_to(), format!("/admin/projects/{SLUG}"));
        let training = json!({
            "sft": { "epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "save_steps": 2 },
            "reward": { "epochs": 1, "batch_size": 8, "save_steps": 1 },
            "ppo": { "steps": 12, "batch_size": 4, "minibatch_size": 4, "max_new_tokens": 12, "save_steps": 2 },
            "sampling": { "max_new_tokens": 12 },
            "evaluate": { "prompts": 8 },
        });
        let settings = [
            ("name", "The circle"),
            ("access", "everyone"),
            ("answers_per_prompt", "4"),
            ("demonstration_overlap", "1"),
            ("ranking_overlap", "1"),
            ("lease_minutes", "60"),
            ("validation_percent", "30"),
            ("test_percent", "0"),
            ("promotion", "by_hand"),
            ("prompts_per_round", "6"),
            ("training", &training.to_string()),
        ];
        let set = admin.post(&format!("/admin/projects/{SLUG}/settings"), &settings).await;
        assert!(set.status.is_redirection(), "{}", set.text);
        laurel.command(&["import", "prompts", "--project", SLUG, "-"], &sample("prompts.jsonl", PROMPTS));
        laurel.command(&["import", "responses", "--project", SLUG, "-"], &sample("responses.jsonl", WITH_ANSWERS));
        let path = base.display().to_string();
        let imported =
            admin.post(&format!("/admin/projects/{SLUG}/models/import"), &[("name", "tiny"), ("path", &path)]).await;
        assert!(imported.status.is_redirection(), "{}", imported.text);
        Self { admin, token, simulated: simulated.into() }
    }

    /// Simulated annotators log in and work through the pages until nothing waits; what they did.
    pub async fn annotate(&self, laurel: &Laurel) -> Done {
        let known = KnownAnswers::of_sample().expect("the sample");
        let mut sum = Done::default();
        for login in &self.simulated {
            let annotator = Annotator::log_in(&laurel.address, login, 0.3, 1).await.expect("logged in");
            let done = annotator.work(usize::MAX, &known).await.expect("worked");
            sum.rankings += done.rankings;
            sum.demonstrations += done.demonstrations;
            sum.skipped += done.skipped;
        }
        sum
    }

    /// Presses “run now”.
    pub async fn run_now(&self) {
        let reply = self.admin.post(&format!("/admin/projects/{SLUG}/training/run"), &[]).await;
        assert!(reply.status.is_redirection(), "{}", reply.text);
    }

    /// Presses “promote” for a model.
    pub async fn promote(&self, pool: &PgPool, name: &str) {
        let id: Uuid =
            sqlx::query_scalar("SELECT id FROM models WHERE name = $1").bind(name).fetch_one(pool).await.expect(name);
        let reply = self.admin.post(&format!("/admin/projects/{SLUG}/models/{id}/promote"), &[]).await;
        assert!(reply.status.is_redirection(), "{}", reply.text);
    }
}

/// The first lines of a file of the sample.
fn sample(file: &str, lines: usize) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample").join(file);
    let text = std::fs::read_to_string(path).expect("the sample");
    text.lines().take(lines).map(|line| format!("{line}\n")).collect()
}

fn account(laurel: &Laurel, email: &str, role: &str, simulated: bool) -> Login {
    let mut arguments = vec!["user", "add", email, "--role", role, "--password-stdin"];
    if simulated {
        arguments.push("--simulated");
    }
    laurel.command(&arguments, &format!("{PASSWORD}\n"));
    Login { email: email.to_owned(), password: PASSWORD.to_owned() }
}

/// The records of a kind, by `laurel export`.
fn exported<T: DeserializeOwned>(laurel: &Laurel, kind: &str) -> Vec<T> {
    let text = laurel.command(&["export", kind, "--project", SLUG], "");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

pub fn demonstrations(laurel: &Laurel) -> usize {
    exported::<laurel_records::DemonstrationRecord>(laurel, "demonstrations").len()
}

pub fn rankings(laurel: &Laurel) -> Vec<RankingRecord> {
    exported(laurel, "rankings")
}

pub fn comparisons(laurel: &Laurel) -> Vec<ComparisonRecord> {
    exported(laurel, "comparisons")
}

/// One number of the database.
pub async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a number")
}

/// Names of the complete models, in order.
pub async fn models(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT name FROM models WHERE complete ORDER BY name").fetch_all(pool).await.expect("names")
}
