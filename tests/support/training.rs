//! Projects that are ready to train, and a worker's side of a job without a trainer.

use laurel::{
    db::{
        audit::Actor,
        jobs,
        models::{self, NewBase},
        projects::{self, Project, ProjectSettings},
    },
    jobs::clock::{self, Ticked},
};
use laurel_records::{
    ClaimedJob, FinishRequest, JobOutcome, JobReport, LogLevel, LogLine, Message, MetricRecord, ModelFile, ModelRecord,
    Progress, RegisterModel, Role, SampleRecord, Stage,
};
use serde_json::{Map, json};
use sqlx::PgPool;
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

/// Who changes things in tests.
pub fn admin() -> Actor {
    Actor::program("test")
}

/// A project with nothing in it.
pub async fn project(pool: &PgPool, settings: ProjectSettings) -> Project {
    let slug = format!("p{}", Uuid::now_v7().simple());
    let settings = ProjectSettings { name: "Test".to_owned(), ..settings };
    projects::create(pool, &admin(), &slug, &settings, false).await.expect("a project")
}

/// A project with a base model, `prompts` prompts and a demonstration of each.
pub async fn ready_project(pool: &PgPool, settings: ProjectSettings, prompts: usize) -> Project {
    let project = project(pool, settings).await;
    for index in 0..prompts {
        let id = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO prompts (id, project_id, conversation, split, content_hash) VALUES ($1, $2, $3, 'train', $4)",
        )
        .bind(id)
        .bind(project.id)
        .bind(json!([{ "role": "user", "content": format!("Question {index}") }]))
        .bind(id.as_bytes().to_vec())
        .execute(pool)
        .await
        .expect("a prompt");
        sqlx::query("INSERT INTO demonstrations (id, prompt_id, completion) VALUES ($1, $2, 'An answer')")
            .bind(Uuid::now_v7())
            .bind(id)
            .execute(pool)
            .await
            .expect("a demonstration");
    }
    base_model(pool, &project).await;
    project
}

/// A base model without files on the disk.
pub async fn base_model(pool: &PgPool, project: &Project) -> ModelRecord {
    let base = NewBase { name: "base".to_owned(), digest: "0".repeat(64), files: vec![file()], lineage: json!({}) };
    let record = models::register_base(pool, &admin(), project.id, &base).await.expect("a base model");
    models::complete_base(pool, record.id).await.expect("complete")
}

/// A file on a model's list.
pub fn file() -> ModelFile {
    ModelFile { name: "model.safetensors".to_owned(), bytes: 3, sha256: "a".repeat(64) }
}

/// What a worker says of a model; the digest is one sign, repeated.
pub fn of_stage(lease: Uuid, stage: Stage, digest: &str) -> RegisterModel {
    RegisterModel {
        lease,
        stage,
        parent: None,
        digest: digest.repeat(64),
        files: vec![file()],
        metrics: [("eval/nll".to_owned(), 1.5)].into(),
        lineage: json!({ "stage": "test" }),
    }
}

/// A registered and complete model of a job.
pub async fn made(pool: &PgPool, job: &ClaimedJob, stage: Stage) -> ModelRecord {
    let record = models::register(pool, job.id, &of_stage(job.lease, stage, "b")).await.expect("registered");
    models::complete(pool, record.id, job.lease).await.expect("complete")
}

/// The next job, for a worker.
pub async fn claim(pool: &PgPool) -> ClaimedJob {
    jobs::claim(pool, "worker").await.expect("an answer").expect("a job")
}

/// The worker of a job falls silent for longer than its lease.
pub async fn fall_silent(pool: &PgPool, job: Uuid) {
    sqlx::query("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1")
        .bind(job)
        .execute(pool)
        .await
        .expect("an older lease");
}

/// A look of a clock that has looked all the while.
pub async fn look(pool: &PgPool) -> Ticked {
    let now = OffsetDateTime::now_utc();
    clock::tick(pool, now, &mut Some(now)).await.expect("a look")
}

/// The end of a run that went well.
pub fn finished(job: &ClaimedJob, better: Option<bool>) -> FinishRequest {
    let mut summary = Map::new();
    summary.insert("win_rate".to_owned(), json!(0.62));
    FinishRequest { lease: job.lease, outcome: JobOutcome::Done, error: None, summary, policy_is_better: better }
}

/// The one number of a query.
pub async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a number")
}

/// A metric that comes twice, a log line with a null, and progress.
pub fn report(lease: Uuid) -> JobReport {
    JobReport {
        lease,
        progress: Some(Progress { stage: Stage::Sft, step: 7, total: 20 }),
        metrics: vec![
            MetricRecord { stage: Stage::Sft, step: 7, name: "train/loss".to_owned(), value: 1.25 },
            MetricRecord { stage: Stage::Sft, step: 7, name: "train/loss".to_owned(), value: 1.5 },
        ],
        log: vec![LogLine {
            sequence: 0,
            at: datetime!(2026-11-24 02:00 UTC),
            level: LogLevel::Info,
            text: "a line\0 with a null".to_owned(),
        }],
        samples: samples(0),
    }
}

/// What a policy and its reference answer at a step of PPO: words in Chinese and in Arabic, and a long text against nothing.
pub fn samples(step: u64) -> Vec<SampleRecord> {
    let sample = |position, prompt: &str, policy: String, policy_reward, reference: String| SampleRecord {
        stage: Stage::Ppo,
        step,
        position,
        prompt: vec![Message { role: Role::User, content: prompt.to_owned() }],
        policy,
        policy_reward,
        reference,
        reference_reward: Some(0.25),
    };
    let long = "A long word about **bees**. ".repeat(200);
    vec![
        sample(0, "蜜蜂怎样酿蜜？", format!("第 {step} 步：蜜蜂扇动翅膀。"), Some(1.5), "它们采集花蜜。".to_owned()),
        sample(1, "كيف يصنع النحل العسل؟", "يجفف النحل الرحيق\0 بأجنحته.".to_owned(), None, String::new()),
        sample(2, "How do bees make honey?", "They dry nectar.".to_owned(), Some(-0.5), long),
    ]
}
