//! `laurel user`: accounts by command.

use super::{WrongInput, print, with_database};
use crate::{
    config::Storage,
    db::{
        audit::{self, Actor},
        password_resets,
        users::{self, AccountError, NewUser},
    },
    domain::role::Role,
    web::i18n::Language,
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make an account
    Add(Add),
    /// Make a link by which a person sets a new password, once, within a day
    ResetPassword(ResetPassword),
}

#[derive(Debug, clap::Args)]
pub struct ResetPassword {
    /// Address of the person's account
    email: String,
    /// Address that people use for the server, for the link: https://laurel.example.org. Without it the link begins with /reset
    #[arg(long, env = "LAUREL_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Add {
    /// Address that the person logs in with
    email: String,
    /// annotator, reviewer, lead or admin
    #[arg(long, value_parser = role)]
    role: Role,
    /// The person's name; the part of the email before @ without it
    #[arg(long)]
    name: Option<String>,
    /// Language of the pages, by its tag
    #[arg(long, value_parser = language, default_value = "en")]
    language: String,
    /// Read the password from standard input (its first line)
    #[arg(long, required = true)]
    password_stdin: bool,
    /// A program stands in for a person: marked so wherever its labels show
    #[arg(long)]
    simulated: bool,
}

/// The tag of a language that the pages speak.
fn language(tag: &str) -> Result<String, String> {
    let spoken = || Language::all().map(Language::tag).collect::<Vec<_>>().join(", ");
    Language::from_tag(tag).map(|language| language.tag().to_owned()).ok_or_else(|| format!("one of {}", spoken()))
}

fn role(word: &str) -> Result<Role, String> {
    word.parse().map_err(|error: crate::domain::role::UnknownRole| error.to_string())
}

pub async fn run(storage: Storage, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Add(account) => add(storage, account).await,
        Command::ResetPassword(whose) => reset_password(storage, whose).await,
    }
}

async fn reset_password(storage: Storage, whose: ResetPassword) -> anyhow::Result<()> {
    with_database(storage, async |database, _| {
        let unknown = || WrongInput(format!("nobody who may log in has the address {}", whose.email.trim()));
        let person = users::by_email(&database.pool, &whose.email).await?.ok_or_else(unknown)?;
        let actor = Actor::program("command line");
        let made = password_resets::create(&database.pool, &actor, person).await?.ok_or_else(unknown)?;
        let server = whose.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
        print(format!("{server}/reset/{}", made.secret))
    })
    .await
}

async fn add(storage: Storage, add: Add) -> anyhow::Result<()> {
    let mut input = String::new();
    std::io::stdin().read_line(&mut input)?;
    let password = input.lines().next().unwrap_or_default().to_owned();
    let name = add.name.unwrap_or_else(|| add.email.split('@').next().unwrap_or_default().to_owned());
    let user = NewUser { email: add.email, name, role: add.role, language: add.language, simulated: add.simulated };
    with_database(storage, async |database, _| {
        let mut transaction = database.pool.begin().await?;
        let id = users::create(&mut *transaction, &user, &password).await.map_err(|error| match error {
            AccountError::Internal(error) => error,
            other => WrongInput(other.to_string()).into(),
        })?;
        // As the account has it, so that the log can be searched by the one address.
        let email = users::normal_email(&user.email).unwrap_or_else(|_| user.email.clone());
        let detail = serde_json::json!({ "email": email, "role": user.role });
        let actor = Actor::program("command line");
        audit::record(&mut *transaction, &actor, "user.create", &format!("user/{id}"), detail).await?;
        transaction.commit().await?;
        print(id)
    })
    .await
}
