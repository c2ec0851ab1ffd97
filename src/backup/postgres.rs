//! Postgres's own programs, `pg_dump` and `pg_restore`, on Laurel's database, whichever it is.

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use reqwest::Url;

use crate::db::embedded::{self, Embedded, encoded};

/// Settings of an address that our driver knows and Postgres's programs refuse.
const OURS: &str = "statement-cache-capacity";

/// A database as Postgres's programs reach it.
pub struct Programs<'a> {
    embedded: Option<&'a Embedded>,
    data_dir: &'a Path,
    /// Without a password: every user of the machine sees a program's arguments.
    url: String,
    password: Option<String>,
}

impl<'a> Programs<'a> {
    /// For the private Postgres, or else the database at `url`.
    pub fn new(embedded: Option<&'a Embedded>, url: Option<&str>, data_dir: &'a Path) -> anyhow::Result<Self> {
        let (url, password) = match (embedded, url) {
            (Some(embedded), _) => (embedded.url(), None),
            (None, Some(url)) => without_password(url)?,
            (None, None) => bail!("there is no database to work on"),
        };
        Ok(Programs { embedded, data_dir, url, password })
    }

    /// Writes a consistent copy of the database into a file, while others use it.
    pub fn dump(&self, into: File) -> anyhow::Result<()> {
        let mut command = self.command("pg_dump");
        command.args(["--format=custom", "--no-owner", "--no-privileges", "--no-password", "--dbname"]);
        command.arg(&self.url).stdin(Stdio::null()).stdout(into);
        run(command, "pg_dump")
    }

    /// Fills an empty database from such a file: wholly or, when anything fails, not at all.
    pub fn restore(&self, from: File) -> anyhow::Result<()> {
        let mut command = self.command("pg_restore");
        command.args(["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-password"]);
        command.arg("--dbname").arg(&self.url).stdin(from).stdout(Stdio::null());
        run(command, "pg_restore")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = match self.embedded {
            Some(embedded) => embedded.program(name),
            None => embedded::client_program(self.data_dir, name),
        };
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        command
    }
}

fn run(mut command: Command, name: &str) -> anyhow::Result<()> {
    let output = command.stderr(Stdio::piped()).output().with_context(|| {
        format!("{name} can't be run: install Postgres's client programs, or name them with PG_BIN_DIR")
    })?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// An address without its password, and the password.
fn without_password(url: &str) -> anyhow::Result<(String, Option<String>)> {
    let mut url = Url::parse(url).context("DATABASE_URL is not an address of a Postgres database")?;
    let mut password = url.password().map(decoded);
    if password.is_some() {
        url.set_password(None)
            .map_err(|()| anyhow::anyhow!("DATABASE_URL is not an address of a Postgres database"))?;
    }
    let mut settings = Vec::new();
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "password" => password = Some(value.into_owned()),
            OURS => {}
            _ => settings.push((key.into_owned(), value.into_owned())),
        }
    }
    url.set_query(None);
    if !settings.is_empty() {
        // Not as a form: Postgres's programs read a plus as a plus.
        let text: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        url.set_query(Some(&text.join("&")));
    }
    Ok((url.to_string(), password))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| std::str::from_utf8(tail.get(..2)?).ok()).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_is_not_among_the_arguments_that_everyone_sees() {
        let of = |url: &str| without_password(url).expect("an address");
        let (url, password) = of("postgresql://ada:p%40ss%2Fword@db.example:5433/laurel?sslmode=require");
        assert_eq!(url, "postgresql://ada@db.example:5433/laurel?sslmode=require");
        assert_eq!(password.as_deref(), Some("p@ss/word"));
        let (url, password) =
            of("postgres:///laurel?host=%2Frun%2Fpostgresql&password=secret&statement-cache-capacity=0");
        assert_eq!(
            (url.as_str(), password.as_deref()),
            ("postgres:///laurel?host=%2Frun%2Fpostgresql", Some("secret"))
        );
        let (url, password) = of("postgresql://laurel@%2Frun%2Fpostgresql/laurel");
        assert_eq!((url.as_str(), password), ("postgresql://laurel@%2Frun%2Fpostgresql/laurel", None));
    }
}
