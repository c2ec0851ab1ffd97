//! `laurel token`: API tokens by command.

use super::{WrongInput, print, with_database};
use crate::{
    config::Storage,
    db::{
        audit::Actor,
        tokens::{self, TokenRole},
    },
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a token and print it, alone on a line; it is not shown again
    Add(Add),
}

#[derive(Debug, clap::Args)]
pub struct Add {
    /// What the token is for
    #[arg(long)]
    name: String,
    #[arg(long)]
    role: TokenRole,
}

pub async fn run(storage: Storage, Command::Add(add): Command) -> anyhow::Result<()> {
    let name = add.name.trim().to_owned();
    if !(1..=100).contains(&name.chars().count()) {
        return Err(WrongInput("a token's name has 1 to 100 characters".to_owned()).into());
    }
    with_database(storage, async |database, _| {
        let secret = tokens::create(&database.pool, &Actor::program("command line"), &name, add.role).await?;
        print(secret)
    })
    .await
}
