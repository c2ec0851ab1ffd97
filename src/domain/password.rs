//! Passwords: what is accepted, and argon2id over it. Slow by intention: call it where blocking is allowed.

use std::sync::LazyLock;

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};

/// Shortest password, in characters (NIST SP 800-63B asks for 8 at least).
pub const SHORTEST: usize = 10;
/// Longest password, in bytes: bounds the work of a hash.
pub const LONGEST: usize = 256;

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {SHORTEST} characters")]
    TooShort,
    #[error("a password has at most {LONGEST} bytes")]
    TooLong,
}

/// Refuses what is too easy to guess or too long to hash.
pub fn check(password: &str) -> Result<(), PasswordError> {
    if password.chars().count() < SHORTEST {
        return Err(PasswordError::TooShort);
    }
    if password.len() > LONGEST {
        return Err(PasswordError::TooLong);
    }
    Ok(())
}

/// The text that the database keeps: argon2id with its parameters and a salt of its own.
pub fn hash(password: &str) -> anyhow::Result<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| anyhow::anyhow!("the password could not be hashed: {error}"))
}

/// Whether a password is the one that was hashed.
pub fn verify(password: &str, hash: &str) -> bool {
    password.len() <= LONGEST
        && PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Takes the time of [`verify`] where there is no such account, so that the answer's time does not tell.
pub fn verify_nobody(password: &str) -> bool {
    static NOBODY: LazyLock<String> = LazyLock::new(|| hash("nobody has this password").unwrap_or_default());
    verify(password, &NOBODY);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_its_password_only() {
        let hashed = hash("correct horse battery").expect("a hash");
        assert!(hashed.starts_with("$argon2id$"));
        assert!(verify("correct horse battery", &hashed));
        assert!(!verify("correct horse batterY", &hashed));
        assert!(!verify_nobody("nobody has this password"));
    }

    #[test]
    fn length_counts_characters() {
        assert_eq!(check("九个汉字不够长呢哦"), Err(PasswordError::TooShort));
        assert_eq!(check("十个汉字刚好够长了哦!"), Ok(()));
        assert_eq!(check(&"x".repeat(257)), Err(PasswordError::TooLong));
    }
}
