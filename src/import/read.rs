//! Bytes to records: JSON lines, one JSON list, or a table (CSV, TSV), told apart by their beginning. Knows where a record
//! begins and ends, and nothing of what it says. Holds one record at a time.

use std::io::{self, Cursor};

use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::{
    fields::Wrong,
    mapping::Mapping,
    reason::Reason,
    scan::{ListEnds, Scan, TableEnds},
    table::{Headers, Table, spread_extra},
};

/// Bytes that a record may have.
const LONGEST_RECORD: usize = 16 * 1024 * 1024;
/// Bytes by which the form of a file is told.
const HEAD: usize = 64 * 1024;

/// A record as the file has it.
pub struct Raw {
    /// Line on which it begins, from 1.
    pub line: u64,
    /// Bytes that it takes in the file.
    pub size: usize,
    pub content: Result<Map<String, Value>, Wrong>,
}

/// How a file is written, as a page names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Lines,
    List,
    Table,
}

enum Form {
    Lines,
    List(ListEnds),
    Table(TableEnds, Table),
}

/// Gives one record after the other.
pub struct Records<'a> {
    input: Box<dyn AsyncBufRead + Unpin + Send + 'a>,
    /// Line of the next byte.
    line: u64,
    form: Form,
    /// What the file calls otherwise.
    mapping: Mapping,
    headers: Headers,
    /// A mistake after which nothing can be read.
    broken: Option<Wrong>,
    done: bool,
}

/// The bytes of one record.
struct Framed {
    line: u64,
    bytes: Vec<u8>,
    size: usize,
    /// The file ended before the record did.
    cut_off: bool,
}

impl<'a> Records<'a> {
    /// Looks at the beginning of a file.
    pub async fn open(
        input: &'a mut (dyn AsyncRead + Unpin + Send),
        headers: Headers,
        mapping: &Mapping,
    ) -> io::Result<Self> {
        let mut head = Vec::new();
        let blank = |head: &[u8]| head.iter().all(u8::is_ascii_whitespace);
        while head.len() < 4 || (blank(&head) && head.len() < HEAD) {
            if input.read_buf(&mut head).await? == 0 {
                break;
            }
        }
        let broken = not_text(&head).map(Wrong::whole);
        if head.starts_with(b"\xEF\xBB\xBF") {
            head.drain(..3);
        }
        let first = head.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        let mut records = Records {
            input: Box::new(BufReader::with_capacity(128 * 1024, Cursor::new(head).chain(input))),
            line: 1,
            form: Form::Lines,
            mapping: mapping.clone(),
            headers,
            broken,
            done: false,
        };
        match first {
            None | Some(b'{') => {}
            Some(b'[') => records.form = Form::List(ListEnds::default()),
            Some(_) if records.broken.is_none() => records.open_table().await?,
            Some(_) => {}
        }
        Ok(records)
    }

    /// How the file is written.
    pub fn written(&self) -> Written {
        match self.form {
            Form::Lines => Written::Lines,
            Form::List(_) => Written::List,
            Form::Table(..) => Written::Table,
        }
    }

    async fn open_table(&mut self) -> io::Result<()> {
        let mut ends = TableEnds::default();
        // The header is a record like the others, but it says by what cells are parted.
        let mut header = self.frame_with(&mut ends).await?;
        while header.as_ref().is_some_and(|row| row.bytes.trim_ascii().is_empty()) {
            header = self.frame_with(&mut ends).await?;
        }
        let Some(header) = header else { return Ok(()) };
        match Table::from_header(&header.bytes, self.headers, &self.mapping) {
            Ok(table) => self.form = Form::Table(TableEnds::parted_by(table.delimiter()), table),
            Err(wrong) => self.broken = Some(wrong),
        }
        Ok(())
    }

    /// The next record; `None` at the end of the file.
    pub async fn next(&mut self) -> io::Result<Option<Raw>> {
        if self.done {
            return Ok(None);
        }
        if let Some(wrong) = self.broken.take() {
            self.done = true;
            return Ok(Some(Raw { line: 1, size: 0, content: Err(wrong) }));
        }
        loop {
            let Some(framed) = self.frame().await? else {
                self.done = true;
                return Ok(None);
            };
            let text = self.text(&framed.bytes);
            // Elements of a list come with the line ends before them.
            let before = framed.bytes.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b',');
            let line = framed.line + count(before.filter(|byte| **byte == b'\n'));
            if framed.cut_off && matches!(self.form, Form::List(_)) {
                self.done = true;
                let wrong = Wrong::whole("import-reason-list-cut-off");
                return Ok(Some(Raw { line, size: framed.size, content: Err(wrong) }));
            }
            if text.is_empty() && framed.size <= LONGEST_RECORD {
                continue;
            }
            let content =
                if framed.size > LONGEST_RECORD { Err(too_long()) } else { self.decode(text, framed.cut_off) };
            return Ok(Some(Raw { line, size: framed.size, content }));
        }
    }

    /// The record without what stands around it.
    fn text<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        match &self.form {
            Form::Lines => bytes.trim_ascii(),
            Form::List(ends) => ends.element(bytes),
            // White space may be a cell.
            Form::Table(..) => {
                let row = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                row.strip_suffix(b"\r").unwrap_or(row)
            }
        }
    }

    fn decode(&self, text: &[u8], cut_off: bool) -> Result<Map<String, Value>, Wrong> {
        let text = std::str::from_utf8(text).map_err(|error| {
            Wrong::whole(Reason::with("import-reason-record-not-utf8", "byte", error.valid_up_to() + 1))
        })?;
        if let Some(place) = text.find('\0') {
            return Err(Wrong::whole(Reason::with("import-reason-record-nul", "byte", place + 1)));
        }
        let record = match &self.form {
            Form::Table(ends, table) => {
                if cut_off && ends.in_quotes() {
                    return Err(Wrong::whole("import-reason-quotation-open"));
                }
                table.record(text)?
            }
            Form::Lines | Form::List(_) => spread_extra(self.mapping.apply(object(text)?)),
        };
        // A cell of a table may hold JSON, and escapes in it, as well.
        if text.contains("\\u0000") {
            no_nul("", &Value::Object(record.clone()))?;
        }
        Ok(record)
    }

    async fn frame(&mut self) -> io::Result<Option<Framed>> {
        let mut form = std::mem::replace(&mut self.form, Form::Lines);
        let framed = match &mut form {
            Form::Lines => self.frame_with(&mut Lines).await,
            Form::List(ends) => self.frame_with(ends).await,
            Form::Table(ends, _) => self.frame_with(ends).await,
        };
        self.form = form;
        framed
    }

    async fn frame_with(&mut self, ends: &mut impl Scan) -> io::Result<Option<Framed>> {
        let mut framed = Framed { line: self.line, bytes: Vec::new(), size: 0, cut_off: false };
        loop {
            let available = self.input.fill_buf().await?;
            if available.is_empty() {
                framed.cut_off = !ends.may_end();
                return Ok((framed.size > 0 || framed.cut_off).then_some(framed));
            }
            let (used, ended) = ends.scan(available);
            let part = &available[..used];
            self.line += count(part.iter().filter(|byte| **byte == b'\n'));
            framed.size += used;
            if framed.size <= LONGEST_RECORD {
                framed.bytes.extend_from_slice(part);
            } else {
                framed.bytes = Vec::new();
            }
            self.input.consume(used);
            if ended {
                return Ok(Some(framed));
            }
        }
    }
}

fn count<I: Iterator>(items: I) -> u64 {
    items.fold(0, |sum, _| sum + 1)
}

/// A record ends with its line.
struct Lines;

impl Scan for Lines {
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (bytes.len(), false),
        }
    }

    fn may_end(&self) -> bool {
        true
    }
}

fn object(text: &str) -> Result<Map<String, Value>, Wrong> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(Wrong::whole(Reason::from("import-reason-not-object").and_word("found", name_of(&other)))),
        Err(error) => {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            Err(Wrong::whole(Reason::with("import-reason-not-json", "said", said).and("column", error.column())))
        }
    }
}

/// What a value is: the key of its words.
pub fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "import-thing-null",
        Value::Bool(_) => "import-thing-truth",
        Value::Number(_) => "import-thing-number",
        Value::String(_) => "import-thing-text",
        Value::Array(_) => "import-thing-list",
        Value::Object(_) => "import-thing-object",
    }
}

fn no_nul(path: &str, value: &Value) -> Result<(), Wrong> {
    match value {
        Value::String(text) if text.contains('\0') => Err(Wrong::at(path, "import-reason-text-nul")),
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| no_nul(&format!("{path}[{index}]"), item))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, field)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if name.contains('\0') {
                return Err(Wrong::whole("import-reason-name-nul"));
            }
            no_nul(&path, field)
        }),
        _ => Ok(()),
    }
}

fn too_long() -> Wrong {
    Wrong::whole(Reason::with("import-reason-record-too-long", "mebibytes", LONGEST_RECORD / 1024 / 1024))
}

/// Why a file can't be text, by how it begins: the key of the reason.
fn not_text(head: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| head.starts_with(magic);
    if begins(b"\x1F\x8B") || begins(b"PK\x03\x04") || begins(b"\x28\xB5\x2F\xFD") || begins(b"BZh") {
        return Some("import-reason-compressed");
    }
    if begins(b"PAR1") {
        return Some("import-reason-parquet");
    }
    if begins(b"\xFF\xFE") || begins(b"\xFE\xFF") {
        return Some("import-reason-utf16");
    }
    None
}
