//! `laurel user`: accounts by command.

use std::io::Read;

use super::{WrongInput, with_database};
use crate::{
    config::Storage,
    db::{
        audit::{self, Actor},
        users::{self, AccountError, NewUser},
    },
    domain::role::Role,
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make an account
    Add(Add),
}

#[derive(Debug, clap::Args)]
pub struct Add {
    email: String,
    /// annotator, reviewer, lead or admin
    #[arg(long, value_parser = role)]
    role: Role,
    /// The person's name; the part of the email before @ without it
    #[arg(long)]
    name: Option<String>,
    /// Language of the pages
    #[arg(long, value_parser = ["en", "zh"], default_value = "en")]
    language: String,
    /// Read the password from standard input (its first line)
    #[arg(long, required = true)]
    password_stdin: bool,
    /// A program stands in for a person: marked so wherever its labels show
    #[arg(long)]
    simulated: bool,
}

fn role(word: &str) -> Result<Role, String> {
    word.parse().map_err(|error: crate::domain::role::UnknownRole| error.to_string())
}

pub async fn run(storage: Storage, Command::Add(add): Command) -> anyhow::Result<()> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let password = input.lines().next().unwrap_or_default().to_owned();
    let name = add.name.unwrap_or_else(|| add.email.split('@').next().unwrap_or_default().to_owned());
    let user = NewUser { email: add.email, name, role: add.role, language: add.language, simulated: add.simulated };
    with_database(storage, async |database, _| {
        let mut transaction = database.pool.begin().await?;
        let id = users::create(&mut *transaction, &user, &password).await.map_err(|error| match error {
            AccountError::Internal(error) => error,
            other => WrongInput(other.to_string()).into(),
        })?;
        let detail = serde_json::json!({ "email": user.email, "role": user.role });
        let actor = Actor::program("command line");
        audit::record(&mut *transaction, &actor, "user.create", &format!("user/{id}"), detail).await?;
        transaction.commit().await?;
        println!("{id}");
        Ok(())
    })
    .await
}
