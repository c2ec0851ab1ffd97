//! `laurel simulate`: simulated annotators work through the pages of a running server.

use std::path::{Path, PathBuf};

use futures_util::future::try_join_all;

use super::{WrongInput, deviation, print};
use crate::sample::annotators::{Annotator, Done, KnownAnswers, Login};

/// Let simulated annotators rank answers and write demonstrations of the sample task, through the same pages that people use
#[derive(Debug, clap::Args)]
pub struct Simulate {
    /// Address of the running server (http)
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    server: String,
    /// File of their accounts: an email and a password a line. The accounts are marked as simulated (laurel user add --simulated)
    #[arg(long, value_name = "FILE")]
    people: PathBuf,
    /// Labels to give, all of them together
    #[arg(long, default_value_t = 40, value_name = "N")]
    labels: usize,
    /// Standard deviation of their errors, in units of the gold reward
    #[arg(long, default_value_t = 0.5, value_name = "X", value_parser = deviation)]
    noise: f64,
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

impl Simulate {
    /// Works until the labels are given or nothing waits; prints what was done as one line of JSON.
    pub async fn run(&self) -> anyhow::Result<()> {
        let people = read_people(&self.people)?;
        let known = KnownAnswers::of_sample()?;
        let share = |number: usize| (self.labels + number) / people.len();
        let work = people.iter().enumerate().map(|(number, login)| {
            let (known, labels) = (&known, share(number));
            async move {
                let annotator = Annotator::log_in(&self.server, login, self.noise, self.seed).await?;
                annotator.work(labels, known).await
            }
        });
        let done: Vec<Done> = try_join_all(work).await?;
        let sum = |part: fn(&Done) -> usize| done.iter().map(part).sum::<usize>();
        print(serde_json::json!({
            "annotators": done.len(),
            "rankings": sum(|done| done.rankings),
            "demonstrations": sum(|done| done.demonstrations),
            "skipped": sum(|done| done.skipped),
        }))
    }
}

fn read_people(path: &Path) -> Result<Vec<Login>, WrongInput> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| WrongInput(format!("{} can't be read: {error}", path.display())))?;
    let mut people = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() {
            continue;
        }
        let (email, password) = line
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| WrongInput(format!("line {number} of {} is no email and password", path.display())))?;
        people.push(Login { email: email.to_owned(), password: password.trim().to_owned() });
    }
    if people.is_empty() {
        return Err(WrongInput(format!("{} names nobody", path.display())));
    }
    Ok(people)
}
