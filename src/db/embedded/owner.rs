//! Whom the private Postgres runs as: ourselves, or an unprivileged user where we are root (Postgres refuses root).

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use anyhow::bail;
use nix::unistd::{User, geteuid};

/// The user that owns the cluster and runs Postgres.
#[derive(Debug, Clone)]
pub struct Owner {
    /// User and group to become; none where we are not root.
    switch: Option<(u32, u32)>,
}

impl Owner {
    /// # Errors
    /// When we are root and there is no user to become.
    pub fn find() -> anyhow::Result<Owner> {
        if !geteuid().is_root() {
            return Ok(Owner { switch: None });
        }
        for name in ["postgres", "nobody"] {
            if let Some(user) = User::from_name(name)? {
                return Ok(Owner { switch: Some((user.uid.as_raw(), user.gid.as_raw())) });
            }
        }
        bail!(
            "Postgres does not run as root, and there is no user `postgres` or `nobody`: start laurel as another user"
        );
    }

    /// A program that runs as this user.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.switch {
            command.uid(user).gid(group);
        }
        // The caller's directory may be closed to this user.
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        command
    }

    /// Makes this user the owner of a file or directory.
    pub fn give(&self, path: &Path) -> std::io::Result<()> {
        match self.switch {
            Some((user, group)) => chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// Whether this user can enter a directory and all above it.
    pub fn reaches(&self, directory: &Path) -> bool {
        let Some((user, group)) = self.switch else { return true };
        directory.ancestors().filter(|step| !step.as_os_str().is_empty()).all(|step| {
            fs::metadata(step).is_ok_and(|metadata| {
                let bit = if metadata.uid() == user {
                    0o100
                } else if metadata.gid() == group {
                    0o010
                } else {
                    0o001
                };
                metadata.mode() & bit != 0
            })
        })
    }
}
