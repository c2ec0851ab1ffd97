//! The files under `sample/`, inside the program: the demo needs no download and no checkout.

use std::path::Path;

use anyhow::Context;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "sample/"]
struct Sample;

/// The bytes of a file, by its path under `sample/`.
pub fn bytes(path: &str) -> anyhow::Result<Vec<u8>> {
    Ok(Sample::get(path).with_context(|| format!("this program was built without sample/{path}"))?.data.into_owned())
}

/// The text of a file.
pub fn text(path: &str) -> anyhow::Result<String> {
    String::from_utf8(bytes(path)?).with_context(|| format!("sample/{path} is not UTF-8"))
}

/// Whether there are files in a folder of `sample/`.
pub fn has_folder(folder: &str) -> bool {
    in_folder(folder).next().is_some()
}

/// Writes the files of a folder of `sample/` into a directory that exists.
pub fn unpack(folder: &str, into: &Path) -> anyhow::Result<()> {
    for (path, name) in in_folder(folder) {
        let target = into.join(name);
        std::fs::write(&target, bytes(&path)?).with_context(|| format!("{} can't be written", target.display()))?;
    }
    Ok(())
}

/// Path and plain name of the files right within a folder.
fn in_folder(folder: &str) -> impl Iterator<Item = (String, String)> {
    Sample::iter().filter_map(move |path| {
        let name = path.strip_prefix(folder)?.strip_prefix('/').filter(|name| !name.contains('/'))?.to_owned();
        Some((path.into_owned(), name))
    })
}
