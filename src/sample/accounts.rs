//! The people of the demo. Their passwords are made at the first start and kept in the data directory, so that every start
//! can print them.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    db::users::{self, AccountError, NewUser},
    domain::role::Role,
};

/// File of the accounts in the data directory, readable by its owner only.
const FILE: &str = "demo-accounts.json";
const PASSWORD_LENGTH: usize = 14;
/// Letters and digits that are not mistaken for each other.
const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Somebody of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub email: String,
    pub name: String,
    pub role: Role,
    pub language: String,
    /// A program that ranks by the gold reward.
    pub simulated: bool,
    pub password: String,
}

const PEOPLE: [(&str, &str, Role, &str, bool); 7] = [
    ("admin@laurel.example", "Ada (admin)", Role::Admin, "en", false),
    ("lead@laurel.example", "Lea (lead)", Role::Lead, "en", false),
    ("reviewer@laurel.example", "Rosa (reviewer)", Role::Reviewer, "en", false),
    ("bea@laurel.example", "Bea", Role::Annotator, "en", false),
    ("chen@laurel.example", "陈晨", Role::Annotator, "zh", false),
    ("simulated-1@laurel.example", "Simulated annotator 1", Role::Annotator, "en", true),
    ("simulated-2@laurel.example", "Simulated annotator 2", Role::Annotator, "zh", true),
];

/// The accounts of this data directory; at the first call they get their passwords.
pub fn in_directory(data_dir: &Path) -> anyhow::Result<Vec<Account>> {
    let path = data_dir.join(FILE);
    match std::fs::read(&path) {
        Ok(known) => serde_json::from_slice(&known).with_context(|| format!("{} is damaged", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let accounts = PEOPLE.into_iter().map(new_account).collect::<anyhow::Result<Vec<Account>>>()?;
            write(&path, &serde_json::to_vec_pretty(&accounts)?)?;
            Ok(accounts)
        }
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}

/// Makes the accounts that are not there yet, and gives the admin's id.
pub async fn ensure(pool: &PgPool, accounts: &[Account]) -> anyhow::Result<Uuid> {
    for account in accounts {
        let user = NewUser {
            email: account.email.clone(),
            name: account.name.clone(),
            role: account.role,
            language: account.language.clone(),
            simulated: account.simulated,
        };
        match users::create(pool, &user, &account.password).await {
            Ok(_) | Err(AccountError::EmailTaken) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let admin = accounts.iter().find(|account| account.role == Role::Admin).context("the demo has no admin")?;
    Ok(sqlx::query_scalar!("SELECT id FROM users WHERE email = $1", admin.email).fetch_one(pool).await?)
}

fn new_account((email, name, role, language, simulated): (&str, &str, Role, &str, bool)) -> anyhow::Result<Account> {
    Ok(Account {
        email: email.to_owned(),
        name: name.to_owned(),
        role,
        language: language.to_owned(),
        simulated,
        password: new_password()?,
    })
}

fn new_password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; PASSWORD_LENGTH];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect())
}

/// Writes a file whole, by rename, for its owner only.
fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let part = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    Ok(())
}
