//! `--precision` of the commands that only ask models; those that train have it among their settings.

use burn::tensor::Device;

use super::WrongInput;
use crate::model::Precision;

/// What matrix products are computed in.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct PrecisionArgs {
    /// Number format of the matrix products: float32, bfloat16 or float16, where the device has it
    #[arg(long, default_value_t, value_name = "NAME")]
    precision: Precision,
}

impl PrecisionArgs {
    /// The precision, unless `device` cannot compute in it.
    pub fn on(self, device: &Device) -> Result<Precision, WrongInput> {
        self.precision.ensure_supported(device).map_err(|error| WrongInput(format!("--precision: {error}")))?;
        Ok(self.precision)
    }
}
