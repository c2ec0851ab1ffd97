//! `ensemble.safetensors`: the heads of an ensemble, beside the model whose `score.weight` is their mean. Other programs pass
//! it over and read a reward model as any other.

use std::{borrow::Cow, collections::BTreeMap, fs, path::Path};

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensors, tensor::View};

use super::{
    super::{ensemble::Members, error::ModelError},
    Companions, ModelDirectory,
};

const FILE: &str = "ensemble.safetensors";
/// `[members, hidden]` and `[members]`.
const HEADS: &str = "heads.weight";
const MEANS: &str = "heads.mean";

struct Stored {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Companions {
    /// Adds the heads of an ensemble.
    pub fn with_members(self, members: &Members) -> Result<Self, ModelError> {
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let heads = members.heads.clone().transpose();
        let shape = heads.dims().to_vec();
        let values: Vec<f32> = heads.into_data_as::<f32>().try_to_vec().unwrap_or_default();
        let means: Vec<f32> = members.means.iter().map(|&mean| mean as f32).collect();
        let tensors = BTreeMap::from([
            (HEADS, Stored { shape, bytes: bytes(&values) }),
            (MEANS, Stored { shape: vec![means.len()], bytes: bytes(&means) }),
        ]);
        let file = safetensors::serialize(tensors.iter().map(|(name, stored)| (*name, stored)), None)
            .map_err(|error| ModelError::malformed(Path::new(FILE), error.to_string()))?;
        Ok(self.with(FILE, file))
    }
}

impl ModelDirectory {
    /// As [`Self::companions`], of a reward model: with the heads of the ensemble that its own is the mean of.
    pub fn reward_companions(&self, device: &Device) -> Result<Companions, ModelError> {
        let companions = self.companions()?;
        match self.load_members(device)? {
            Some(members) => companions.with_members(&members),
            None => Ok(companions),
        }
    }
}

/// The heads of the ensemble in `directory`, where there is one.
pub(super) fn read(directory: &Path, hidden: usize, device: &Device) -> Result<Option<Members>, ModelError> {
    let path = directory.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(&path).map_err(ModelError::file(&path))?;
    let wrong = |message: String| ModelError::malformed(&path, message);
    let file =
        SafeTensors::deserialize(&bytes).map_err(|error| wrong(format!("is not a safetensors file: {error}")))?;
    let read = |name: &str| {
        let view = file.tensor(name).map_err(|_| wrong(format!("holds no tensor {name}")))?;
        if view.dtype() != Dtype::F32 {
            return Err(wrong(format!("{name} is not in float32")));
        }
        let values: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok((view.shape().to_vec(), values))
    };
    let ((heads_shape, heads), (_, means)) = (read(HEADS)?, read(MEANS)?);
    if heads_shape != [means.len(), hidden] {
        return Err(ModelError::Shape {
            tensor: HEADS.into(),
            expected: vec![means.len(), hidden],
            found: heads_shape,
        });
    }
    Ok(Some(Members::new(heads, hidden, means.into_iter().map(f64::from).collect(), device)))
}
