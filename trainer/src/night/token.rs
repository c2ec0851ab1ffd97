//! The worker's token, as it lies in a file.

use std::path::Path;

use anyhow::Context;

/// The token in a file: its first line.
pub fn read_token(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("the token file {}", path.display()))?;
    // Some editors put a byte order mark in front of a file.
    let token = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default().trim();
    anyhow::ensure!(!token.is_empty(), "the token file {} is empty", path.display());
    // A header could not hold it, which would look like a server that can't be reached.
    let is_token = token.bytes().all(|byte| byte.is_ascii_graphic());
    anyhow::ensure!(is_token, "the first line of the token file {} is no token", path.display());
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("written");
            read_token(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read("\u{feff}laurel_1\r\nnot this\n").as_deref(), Ok("laurel_1"));
        for wrong in ["", "\nlaurel_1", "two words", "“laurel_1”"] {
            assert!(read(wrong).is_err_and(|said| said.contains("the token file")), "{wrong:?}");
        }
    }
}
