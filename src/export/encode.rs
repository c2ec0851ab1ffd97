//! Records to the bytes of a file, piece by piece.

use std::sync::Arc;

use arrow_json::reader::{Decoder, ReaderBuilder};
use arrow_schema::Schema;
use bytes::Bytes;
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use serde_json::Value;

use super::{ExportError, Format, Kind, columns, records::Record};

/// Bytes of a piece.
const PIECE: usize = 64 * 1024;
/// Records that Parquet takes at a time, and bytes of a row group before it is written.
const PARQUET_BATCH: usize = 1024;
const ROW_GROUP: usize = 16 * 1024 * 1024;

/// Takes records and gives bytes.
pub enum Encoder {
    Jsonl(Vec<u8>),
    Csv { schema: Schema, writer: Box<csv::Writer<Vec<u8>>>, size: usize },
    Parquet(Box<Parquet>),
}

/// A Parquet file under way.
pub struct Parquet {
    schema: Arc<Schema>,
    decoder: Decoder,
    writer: ArrowWriter<Vec<u8>>,
    waiting: Vec<Record>,
}

fn wrong(format: Format) -> impl Fn(&dyn std::fmt::Display) -> ExportError {
    move |error| ExportError::Encode { format: format.as_str(), reason: error.to_string() }
}

fn csv_wrong(error: impl std::fmt::Display) -> ExportError {
    wrong(Format::Csv)(&error)
}

fn parquet_wrong(error: impl std::fmt::Display) -> ExportError {
    wrong(Format::Parquet)(&error)
}

fn csv_writer() -> Box<csv::Writer<Vec<u8>>> {
    Box::new(csv::Writer::from_writer(Vec::new()))
}

impl Encoder {
    pub fn new(kind: Kind, format: Format) -> Result<Self, ExportError> {
        let schema = columns::schema(kind);
        match format {
            Format::Jsonl => Ok(Encoder::Jsonl(Vec::with_capacity(PIECE * 2))),
            Format::Csv => {
                let mut writer = csv_writer();
                writer.write_record(schema.fields().iter().map(|field| field.name())).map_err(csv_wrong)?;
                Ok(Encoder::Csv { schema, writer, size: 0 })
            }
            Format::Parquet => Parquet::new(schema).map(|parquet| Encoder::Parquet(Box::new(parquet))),
        }
    }

    /// Takes a record; gives bytes once a piece is full.
    pub fn push(&mut self, record: Record) -> Result<Option<Bytes>, ExportError> {
        match self {
            Encoder::Jsonl(buffer) => {
                serde_json::to_writer(&mut *buffer, &record).map_err(|error| wrong(Format::Jsonl)(&error))?;
                buffer.push(b'\n');
                Ok((buffer.len() >= PIECE).then(|| std::mem::take(buffer).into()))
            }
            Encoder::Csv { schema, writer, size } => {
                let cells: Vec<String> =
                    columns::fit(record, schema).into_iter().map(|(_, value)| cell(value)).collect();
                *size += cells.iter().map(String::len).sum::<usize>();
                writer.write_record(&cells).map_err(csv_wrong)?;
                if *size < PIECE {
                    return Ok(None);
                }
                *size = 0;
                let full = std::mem::replace(writer, csv_writer());
                full.into_inner().map(|bytes| Some(bytes.into())).map_err(csv_wrong)
            }
            Encoder::Parquet(parquet) => parquet.push(record),
        }
    }

    /// The last bytes.
    pub fn finish(self) -> Result<Bytes, ExportError> {
        match self {
            Encoder::Jsonl(buffer) => Ok(buffer.into()),
            Encoder::Csv { writer, .. } => writer.into_inner().map(Bytes::from).map_err(csv_wrong),
            Encoder::Parquet(parquet) => parquet.finish(),
        }
    }
}

/// A text as it is, nothing for null, JSON for the rest.
fn cell(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

impl Parquet {
    fn new(schema: Schema) -> Result<Self, ExportError> {
        let schema = Arc::new(schema);
        let decoder =
            ReaderBuilder::new(schema.clone()).with_batch_size(PARQUET_BATCH).build_decoder().map_err(parquet_wrong)?;
        let settings = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(settings)).map_err(parquet_wrong)?;
        Ok(Parquet { schema, decoder, writer, waiting: Vec::with_capacity(PARQUET_BATCH) })
    }

    fn push(&mut self, record: Record) -> Result<Option<Bytes>, ExportError> {
        self.waiting.push(columns::fit(record, &self.schema));
        if self.waiting.len() < PARQUET_BATCH {
            return Ok(None);
        }
        self.write_waiting()?;
        if self.writer.in_progress_size() >= ROW_GROUP {
            self.writer.flush().map_err(parquet_wrong)?;
        }
        let written = self.writer.inner_mut();
        Ok((written.len() >= PIECE).then(|| std::mem::take(written).into()))
    }

    fn write_waiting(&mut self) -> Result<(), ExportError> {
        self.decoder.serialize(&self.waiting).map_err(parquet_wrong)?;
        self.waiting.clear();
        while let Some(batch) = self.decoder.flush().map_err(parquet_wrong)? {
            self.writer.write(&batch).map_err(parquet_wrong)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Bytes, ExportError> {
        self.write_waiting()?;
        self.writer.into_inner().map(Bytes::from).map_err(parquet_wrong)
    }
}
