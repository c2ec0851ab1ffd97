//! The container: header, metadata and the table of tensors of a GGUF file, versions 2 and 3.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use memmap2::Mmap;

use super::super::error::{ModelError, refuse_pointer};

const DEFAULT_ALIGNMENT: u64 = 32;
/// Deeper nesting and longer names do not occur; a file that claims them is damaged.
const LONGEST_STRING: u64 = 1 << 26;

/// An opened GGUF file; tensors are read from the map when they are asked for.
pub struct GgufFile {
    path: PathBuf,
    map: Mmap,
    metadata: BTreeMap<String, Metadata>,
    tensors: BTreeMap<String, TensorInfo>,
    data_start: usize,
}

/// One value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Metadata {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
    Text(String),
    List(Vec<Metadata>),
}

/// Where a tensor lies, and how it is stored.
#[derive(Debug, Clone)]
pub(super) struct TensorInfo {
    /// Row-major, as PyTorch writes shapes (the file has them the other way round).
    pub shape: Vec<usize>,
    /// The number of the storage type, as `ggml_type`.
    pub kind: u32,
    offset: u64,
}

impl std::fmt::Debug for GgufFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GgufFile").field("path", &self.path).field("tensors", &self.tensors.len()).finish()
    }
}

impl GgufFile {
    /// Reads header, metadata and tensor table.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(ModelError::file(path))?;
        // SAFETY: the map is read only; model files are not changed in place while they are read.
        let map = unsafe { Mmap::map(&file) }.map_err(ModelError::file(path))?;
        refuse_pointer(path, &map)?;
        let wrong = |message: String| ModelError::malformed(path, message);
        let mut reader = Reader { bytes: &map, at: 0 };
        let (metadata, tensors) = reader.header().map_err(wrong)?;
        let alignment = match metadata.get("general.alignment") {
            Some(Metadata::Unsigned(alignment)) if alignment.is_power_of_two() => *alignment,
            Some(_) => return Err(wrong("has an alignment that is no power of two".into())),
            None => DEFAULT_ALIGNMENT,
        };
        let data_start = (reader.at as u64).next_multiple_of(alignment) as usize;
        Ok(Self { path: path.into(), map, metadata, tensors, data_start })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of all tensors together.
    pub(super) fn data_len(&self) -> usize {
        self.map.len().saturating_sub(self.data_start)
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// The stored bytes of a tensor that takes `length` of them.
    pub(super) fn bytes(&self, tensor: &TensorInfo, length: usize) -> Option<&[u8]> {
        let start = self.data_start.checked_add(usize::try_from(tensor.offset).ok()?)?;
        self.map.get(start..start.checked_add(length)?)
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&Metadata> {
        self.metadata.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.metadata(key) {
            Some(Metadata::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.metadata(key) {
            Some(Metadata::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn unsigned(&self, key: &str) -> Option<u64> {
        self.metadata(key).and_then(Metadata::as_unsigned)
    }

    pub(super) fn float(&self, key: &str) -> Option<f64> {
        match self.metadata(key) {
            Some(Metadata::Float(value)) => Some(*value),
            Some(other) => other.as_unsigned().map(|value| value as f64),
            None => None,
        }
    }

    pub(super) fn list(&self, key: &str) -> Option<&[Metadata]> {
        match self.metadata(key) {
            Some(Metadata::List(list)) => Some(list),
            _ => None,
        }
    }
}

impl Metadata {
    pub(super) fn as_unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads little-endian values; every error says what was wrong with the file.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Header = (BTreeMap<String, Metadata>, BTreeMap<String, TensorInfo>);

impl Reader<'_> {
    fn header(&mut self) -> Result<Header, String> {
        if self.take::<4>()? != *b"GGUF" {
            return Err("is not a GGUF file".into());
        }
        let version = self.u32()?;
        let is_known = |version: u32| (2..=3).contains(&version);
        if is_known(version.swap_bytes()) {
            return Err("is a big-endian GGUF file; little-endian ones are supported".into());
        }
        if !is_known(version) {
            return Err(format!("is GGUF version {version}; versions 2 and 3 are supported"));
        }
        let (tensor_count, metadata_count) = (self.u64()?, self.u64()?);
        let mut metadata = BTreeMap::new();
        for _ in 0..metadata_count {
            let key = self.string()?;
            let kind = self.u32()?;
            let value = self.value(kind, 0)?;
            metadata.insert(key, value);
        }
        let mut tensors = BTreeMap::new();
        for _ in 0..tensor_count {
            let name = self.string()?;
            let info = self.tensor_info()?;
            tensors.insert(name, info);
        }
        Ok((metadata, tensors))
    }

    fn tensor_info(&mut self) -> Result<TensorInfo, String> {
        let dimensions = self.u32()?;
        if dimensions > 4 {
            return Err(format!("has a tensor of {dimensions} dimensions"));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(usize::try_from(self.u64()?).map_err(|_| "has a tensor that is too large")?);
        }
        shape.reverse();
        Ok(TensorInfo { shape, kind: self.u32()?, offset: self.u64()? })
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Metadata, String> {
        Ok(match kind {
            0 => Metadata::Unsigned(self.take::<1>()?[0].into()),
            1 => Metadata::Signed((self.take::<1>()?[0] as i8).into()),
            2 => Metadata::Unsigned(u16::from_le_bytes(self.take()?).into()),
            3 => Metadata::Signed(i16::from_le_bytes(self.take()?).into()),
            4 => Metadata::Unsigned(self.u32()?.into()),
            5 => Metadata::Signed(i32::from_le_bytes(self.take()?).into()),
            6 => Metadata::Float(f32::from_le_bytes(self.take()?).into()),
            7 => Metadata::Flag(self.take::<1>()?[0] != 0),
            8 => Metadata::Text(self.string()?),
            9 if depth < 4 => self.list(depth)?,
            10 => Metadata::Unsigned(self.u64()?),
            11 => Metadata::Signed(i64::from_le_bytes(self.take()?)),
            12 => Metadata::Float(f64::from_le_bytes(self.take()?)),
            other => return Err(format!("has metadata of an unknown type ({other})")),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Metadata, String> {
        let (kind, count) = (self.u32()?, self.u64()?);
        if count > (self.bytes.len() - self.at) as u64 {
            return Err("ends in the middle of a list".into());
        }
        (0..count).map(|_| self.value(kind, depth + 1)).collect::<Result<_, _>>().map(Metadata::List)
    }

    fn string(&mut self) -> Result<String, String> {
        let length = self.u64()?;
        if length > LONGEST_STRING {
            return Err("has a string of impossible length".into());
        }
        let end = self.at + length as usize;
        let bytes = self.bytes.get(self.at..end).ok_or("ends in the middle of a string")?;
        self.at = end;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.take().map(u64::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.bytes.get(self.at..self.at + N).ok_or("ends in the middle of its header")?;
        self.at += N;
        bytes.try_into().map_err(|_| "ends in the middle of its header".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_for_other_machines_is_refused_as_such() {
        let header = |version: [u8; 4]| {
            let bytes = [&b"GGUF"[..], &version, &[0; 16]].concat();
            Reader { bytes: &bytes, at: 0 }.header().map(|(metadata, _)| metadata.len())
        };
        assert_eq!(header(3_u32.to_le_bytes()), Ok(0));
        assert!(header(3_u32.to_be_bytes()).unwrap_err().contains("big-endian"));
        assert!(header(1_u32.to_le_bytes()).unwrap_err().contains("version 1;"));
    }
}
