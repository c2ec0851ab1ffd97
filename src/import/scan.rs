//! Where a record ends in a stream of bytes that comes in pieces.

/// Finds ends of records; remembers where it is between pieces.
pub trait Scan {
    /// How many of the bytes belong to the record, and whether it ends with them.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool);
    /// Whether the file may end here.
    fn may_end(&self) -> bool;
}

/// The elements of one JSON list, from its opening bracket to its closing one.
#[derive(Debug, Default)]
pub struct ListEnds {
    opened: bool,
    closed: bool,
    /// Brackets open within the list.
    depth: u64,
    in_string: bool,
    escaped: bool,
    /// Within an element that is no object.
    bare: bool,
}

impl ListEnds {
    /// Cuts off what stands around an element: white space, commas, the brackets of the list.
    pub fn element<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let mut bytes = bytes.trim_ascii();
        if bytes == b"[" {
            return b"";
        }
        while let Some(rest) = bytes.strip_prefix(b",") {
            bytes = rest.trim_ascii_start();
        }
        while let Some(rest) = bytes.strip_suffix(b",") {
            bytes = rest.trim_ascii_end();
        }
        if self.closed { bytes.strip_suffix(b"]").unwrap_or(bytes).trim_ascii_end() } else { bytes }
    }

    /// Takes one byte; `true` where an element, or the list, ends with it.
    fn step(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        let outside = self.depth == 0;
        match byte {
            b'"' => {
                self.in_string = true;
                self.bare |= outside;
            }
            b'{' | b'[' => self.depth += 1,
            b']' if outside => {
                self.closed = true;
                return true;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0 && !outside;
            }
            b',' if outside => return std::mem::take(&mut self.bare),
            byte if outside && !byte.is_ascii_whitespace() => self.bare = true,
            _ => {}
        }
        false
    }
}

impl Scan for ListEnds {
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        if self.closed {
            return (bytes.len(), false);
        }
        if !self.opened {
            // The opening bracket is a piece by itself.
            let bracket = bytes.iter().position(|byte| *byte == b'[');
            self.opened = bracket.is_some();
            return bracket.map_or((bytes.len(), false), |bracket| (bracket + 1, true));
        }
        match bytes.iter().position(|byte| self.step(*byte)) {
            Some(end) => (end + 1, true),
            None => (bytes.len(), false),
        }
    }

    fn may_end(&self) -> bool {
        self.closed
    }
}

/// The rows of a table, by RFC 4180: a line's end within quotation marks does not end a row.
#[derive(Debug)]
pub struct TableEnds {
    delimiter: Option<u8>,
    cell: Cell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Begins,
    Plain,
    Quoted,
    /// After a quotation mark within a quoted cell: its end, or the first of two that stand for one.
    QuoteInQuoted,
}

impl Default for TableEnds {
    fn default() -> Self {
        TableEnds { delimiter: None, cell: Cell::Begins }
    }
}

impl TableEnds {
    pub fn parted_by(delimiter: u8) -> Self {
        TableEnds { delimiter: Some(delimiter), cell: Cell::Begins }
    }

    pub fn in_quotes(&self) -> bool {
        self.cell == Cell::Quoted
    }

    fn parts(&self, byte: u8) -> bool {
        self.delimiter.map_or(matches!(byte, b',' | b'\t' | b';'), |delimiter| delimiter == byte)
    }
}

impl Scan for TableEnds {
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (index, byte) in bytes.iter().copied().enumerate() {
            self.cell = match (self.cell, byte) {
                (Cell::Begins, b'"') | (Cell::QuoteInQuoted, b'"') => Cell::Quoted,
                (Cell::Quoted, b'"') => Cell::QuoteInQuoted,
                (Cell::Quoted, _) => Cell::Quoted,
                (_, b'\n') => {
                    self.cell = Cell::Begins;
                    return (index + 1, true);
                }
                (_, byte) if self.parts(byte) => Cell::Begins,
                _ => Cell::Plain,
            };
        }
        (bytes.len(), false)
    }

    fn may_end(&self) -> bool {
        !self.in_quotes()
    }
}
