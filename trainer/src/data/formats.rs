//! Files that are often given in place of JSONL or of plain text, told by how they begin.

/// What a file is whose first line with something in it is this one, where it is not JSONL but something that is often
/// taken for it.
pub fn other_than_jsonl(line: &[u8]) -> Option<&'static str> {
    let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    other_than_text(line).or(match text {
        [b'[', ..] => Some("holds one JSON list: write what is in it as JSONL, a JSON object a line"),
        b"{" => Some("holds JSON over several lines: write each record as JSONL, a JSON object a line"),
        _ => None,
    })
}

/// What a file is that begins with these bytes, where it is no text in UTF-8 but something that is often taken for it.
pub fn other_than_text(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1F, 0x8B, ..] => Some("is compressed with gzip: decompress it first"),
        [b'P', b'A', b'R', b'1', ..] => Some("is a Parquet file: write its rows as JSONL first, a JSON object a line"),
        // As Windows PowerShell writes what is sent to a file.
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("is UTF-16: write it as UTF-8 first"),
        _ => None,
    }
}
