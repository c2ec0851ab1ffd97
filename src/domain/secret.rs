//! Secrets that only their owner knows: of sessions, tokens and links. The database holds their hashes.

use sha2::{Digest, Sha256};

/// A secret of 32 random bytes as hexadecimal text.
pub fn new_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What the database stores of a secret. Secrets are random, so a fast hash is enough.
pub fn secret_hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}
