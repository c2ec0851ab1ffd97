//! Simulated annotators: programs that log in and work through the same pages that people use, and rank by a [`Judge`].

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use laurel_records::{DemonstrationRecord, Message, Role};
use reqwest::Client;

use super::{
    files,
    html::{self, Element},
    judge::Judge,
};

/// Email and password of an account that is marked as simulated.
#[derive(Debug, Clone)]
pub struct Login {
    pub email: String,
    pub password: String,
}

/// What simulated annotators write when they are asked for a demonstration: known answers, by the last thing that was asked.
#[derive(Debug, Clone, Default)]
pub struct KnownAnswers(HashMap<String, String>);

impl KnownAnswers {
    /// The answers of the sample task.
    pub fn of_sample() -> anyhow::Result<Self> {
        let mut answers = HashMap::new();
        for file in ["demonstrations.jsonl", "answers.jsonl"] {
            for line in files::text(file)?.lines() {
                let record: DemonstrationRecord = serde_json::from_str(line).context(file)?;
                if let (Some(asked), Some(answer)) = (record.prompt.last(), record.completion.first()) {
                    answers.insert(asked.content.trim().to_owned(), answer.content.clone());
                }
            }
        }
        Ok(KnownAnswers(answers))
    }

    fn to(&self, prompt: &[Message]) -> Option<&str> {
        self.0.get(prompt.last()?.content.trim()).map(String::as_str)
    }
}

/// What an annotator did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    pub rankings: usize,
    pub demonstrations: usize,
    pub skipped: usize,
}

/// A simulated annotator who is logged in.
pub struct Annotator {
    http: Client,
    server: String,
    judge: Judge,
}

/// A page as it came.
struct Shown {
    path: String,
    html: String,
}

impl Annotator {
    /// Logs in through the log-in page. `noise` and `seed` as in [`Judge`].
    ///
    /// # Errors
    /// When the server refuses, or when the account is not marked as simulated: a program does not work under a person's name.
    pub async fn log_in(server: &str, login: &Login, noise: f64, seed: u64) -> anyhow::Result<Self> {
        let http = Client::builder().cookie_store(true).build()?;
        let judge = Judge { name: login.email.clone(), noise, seed };
        let annotator = Annotator { http, server: server.trim_end_matches('/').to_owned(), judge };
        let page = annotator.get("/login").await?;
        let fields = [("csrf", csrf(&page)?), ("email", login.email.clone()), ("password", login.password.clone())];
        annotator.post("/login", &fields).await.with_context(|| format!("{} could not log in", login.email))?;
        let queue = annotator.get("/queue").await?;
        let marked =
            html::elements(&queue.html, "header").first().is_some_and(|bar| bar.inner.contains("badge-simulated"));
        ensure!(marked, "{} is not marked as simulated: programs do not work under a person's name", login.email);
        Ok(annotator)
    }

    /// Works until `labels` labels are given or nothing waits. Demonstrations that are not known are skipped.
    pub async fn work(&self, labels: usize, known: &KnownAnswers) -> anyhow::Result<Done> {
        let mut done = Done::default();
        while done.rankings + done.demonstrations < labels {
            let queue = self.get("/queue").await?;
            let mut task = self.post("/queue/next", &[("csrf", csrf(&queue)?)]).await?;
            if task.path.ends_with("/guidelines") {
                task = self.have_read(&task).await?;
            }
            if !task.path.starts_with("/tasks/") {
                break;
            }
            self.do_task(&task, known, &mut done).await.with_context(|| format!("at {}", task.path))?;
        }
        Ok(done)
    }

    /// Presses the button under guidelines that have to be read, which leads on to the task.
    async fn have_read(&self, guidelines: &Shown) -> anyhow::Result<Shown> {
        let forms = html::elements(&guidelines.html, "form");
        let form = forms.iter().find(|form| form.attribute("action") == Some(guidelines.path.as_str()));
        let inputs = html::elements(&form.context("the guidelines have no button")?.inner, "input");
        let fields: Vec<(&str, String)> = inputs
            .iter()
            .filter_map(|input| Some((input.attribute("name")?, input.attribute("value")?.to_owned())))
            .collect();
        self.post(&guidelines.path, &fields).await
    }

    async fn do_task(&self, task: &Shown, known: &KnownAnswers, done: &mut Done) -> anyhow::Result<()> {
        let forms = html::elements(&task.html, "form");
        let form = forms.iter().find(|form| form.attribute("id") == Some("task")).context("the page has no task")?;
        let prompt = conversation(&task.html);
        let mut fields = vec![("csrf", csrf(task)?), ("then", "queue".to_owned())];
        let ranks;
        match form.attribute("data-kind") {
            Some("ranking") => {
                ranks = self.ranks(&prompt, &form.inner)?;
                fields.extend(ranks.iter().map(|(name, rank)| (name.as_str(), rank.to_string())));
                done.rankings += 1;
            }
            Some("comparison") => {
                fields.push(("confidence", self.confidence(&prompt, &form.inner)?.to_string()));
                done.rankings += 1;
            }
            Some("demonstration") => match known.to(&prompt) {
                Some(answer) => {
                    fields.push(("completion", answer.to_owned()));
                    done.demonstrations += 1;
                }
                None => {
                    fields.push(("reason", "knowledge".to_owned()));
                    done.skipped += 1;
                    let path = form.attribute("action").unwrap_or_default().replace("/submit", "/skip");
                    self.post(&path, &fields).await?;
                    return Ok(());
                }
            },
            other => bail!("a task of kind {other:?} is not known"),
        }
        self.post(form.attribute("action").context("the form leads nowhere")?, &fields).await?;
        Ok(())
    }

    /// The name of each answer's field with its rank, in the order of the page.
    fn ranks(&self, prompt: &[Message], form: &str) -> anyhow::Result<Vec<(String, u32)>> {
        let answers: Vec<(String, String)> = html::with_attribute(form, "data-position")
            .iter()
            .filter_map(|answer| Some((answer.attribute("data-position")?.to_owned(), source(answer)?)))
            .collect();
        let texts: Vec<&str> = answers.iter().map(|(_, text)| text.as_str()).collect();
        let ranking = self.judge.rank(prompt, &texts).context("the page shows fewer than two answers")?;
        let names = answers.iter().map(|(position, _)| format!("rank_{position}"));
        Ok(names.zip(ranking.ranks().iter().copied()).collect())
    }

    /// The point between two answers, as they stand on the page.
    fn confidence(&self, prompt: &[Message], form: &str) -> anyhow::Result<u8> {
        match self.ranks(prompt, form)?.as_slice() {
            [(_, first), (_, second)] if first < second => Ok(3),
            [(_, first), (_, second)] if first > second => Ok(7),
            [_, _] => Ok(5),
            other => bail!("the page compares {} answers", other.len()),
        }
    }

    async fn get(&self, path: &str) -> anyhow::Result<Shown> {
        shown(self.http.get(format!("{}{path}", self.server)).send().await?).await
    }

    async fn post(&self, path: &str, fields: &[(&str, String)]) -> anyhow::Result<Shown> {
        shown(self.http.post(format!("{}{path}", self.server)).form(fields).send().await?).await
    }
}

async fn shown(answer: reqwest::Response) -> anyhow::Result<Shown> {
    let status = answer.status();
    let path = answer.url().path().to_owned();
    let html = answer.text().await?;
    if !status.is_success() {
        let said = html::elements(&html, "main").first().map(|main| main.text.clone()).unwrap_or_default();
        bail!("the server answers {status} at {path}: {said}");
    }
    Ok(Shown { path, html })
}

/// The token of the page's forms.
fn csrf(page: &Shown) -> anyhow::Result<String> {
    html::elements(&page.html, "meta")
        .iter()
        .find(|meta| meta.attribute("name") == Some("csrf"))
        .and_then(|meta| meta.attribute("content").map(str::to_owned))
        .context("the page carries no form token")
}

/// The conversation that the page shows, as its “source” boxes have it.
fn conversation(page: &str) -> Vec<Message> {
    let said = html::with_attribute(page, "data-role");
    said.iter()
        .filter_map(|message| {
            let role = match message.attribute("data-role")? {
                "system" => Role::System,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                _ => return None,
            };
            Some(Message { role, content: source(message)? })
        })
        .collect()
}

fn source(element: &Element) -> Option<String> {
    Some(html::with_attribute(&element.inner, "data-source").first()?.text.clone())
}
