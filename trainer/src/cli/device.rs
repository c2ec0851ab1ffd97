//! `--device`: where tensors live.

use std::{fmt, fs, str::FromStr};

use burn::tensor::Device;

use super::WrongInput;

/// What `--device` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The best that this program was built for and this machine has: CUDA, a graphics card by wgpu (no software adapter), the CPU.
    #[default]
    Auto,
    Cpu,
    Wgpu,
    /// An NVIDIA GPU by its number.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => match text.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(index)) => Ok(Self::Cuda(index)),
                _ => Err("expected auto, cpu, wgpu, cuda or cuda:N".into()),
            },
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// The device, without gradients (`.autodiff()` adds them). Fails when this program was built without it, or when
    /// the machine has none.
    pub fn open(self) -> Result<Device, WrongInput> {
        match self {
            Self::Auto => Ok(best()),
            Self::Cpu => Ok(Device::flex()),
            Self::Wgpu => wgpu(),
            Self::Cuda(index) => cuda(index),
        }
    }
}

/// Bytes of memory that are free or can be freed where a device computes, as far as the system says so: what a GPU has left is not
/// known.
pub(super) fn free_memory(device: &Device) -> Option<u64> {
    if *device != Device::flex() {
        return None;
    }
    available(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn available(meminfo: &str) -> Option<u64> {
    let amount = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = amount.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kibibytes)
}

/// Where tests compute: on what the environment's LAUREL_TEST_DEVICE names, as `--device` does, else on the CPU.
#[doc(hidden)]
pub fn device_of_tests() -> Device {
    let Ok(name) = std::env::var("LAUREL_TEST_DEVICE") else { return Device::flex() };
    let device = name.parse::<DeviceChoice>().map_err(WrongInput).and_then(DeviceChoice::open);
    device.unwrap_or_else(|error| panic!("LAUREL_TEST_DEVICE={name}: {error}"))
}

fn best() -> Device {
    cuda(0).or_else(|_| graphics_card()).unwrap_or_else(|_| Device::flex())
}

/// As [`wgpu`], unless every adapter is a program that draws on the CPU (lavapipe, llvmpipe, WARP): the kernels of
/// `--device cpu` are many times faster than that. Who wants it asks for wgpu by name.
#[cfg(feature = "wgpu")]
fn graphics_card() -> Result<Device, WrongInput> {
    use burn::tensor::{DeviceKind, DeviceType};
    // Naming a device opens nothing.
    let software = Device::wgpu(DeviceKind::Cpu);
    if Device::enumerate(DeviceType::Wgpu).iter().all(|adapter| *adapter == software) {
        return Err(WrongInput("this machine has no graphics card that wgpu can use".into()));
    }
    wgpu()
}

#[cfg(not(feature = "wgpu"))]
fn graphics_card() -> Result<Device, WrongInput> {
    wgpu()
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device, WrongInput> {
    use burn::tensor::DeviceType;
    let count = Device::enumerate(DeviceType::Cuda).len();
    if index < count {
        return Ok(Device::cuda(index));
    }
    Err(WrongInput(format!("there is no CUDA device {index}: this machine has {count}")))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<Device, WrongInput> {
    Err(built_without("cuda"))
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device, WrongInput> {
    use burn::tensor::{DeviceKind, DeviceType};
    if Device::enumerate(DeviceType::Wgpu).is_empty() {
        return Err(WrongInput("this machine has no graphics adapter that wgpu can use".into()));
    }
    Ok(Device::wgpu(DeviceKind::DefaultDevice))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device, WrongInput> {
    Err(built_without("wgpu"))
}

#[cfg(not(all(feature = "cuda", feature = "wgpu")))]
fn built_without(feature: &str) -> WrongInput {
    WrongInput(format!(
        "this laurel-trainer was built without {feature}: build it with `cargo build --release -p laurel-trainer \
         --features {feature}`, or use --device cpu"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_help_is_understood_and_written_back() {
        for text in ["auto", "cpu", "wgpu", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for text in ["gpu", "cuda:", "cuda:x", "CPU", ""] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text:?}");
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_device_that_was_left_out_is_refused_by_name() {
        let error = DeviceChoice::Cuda(0).open().unwrap_err().to_string();
        assert!(error.contains("--features cuda") && error.contains("--device cpu"), "{error}");
    }

    #[test]
    fn what_is_free_is_read_as_linux_says_it() {
        let meminfo =
            "MemTotal:       263842304 kB\nMemFree:          812345 kB\nMemAvailable:   12000000 kB\nBuffers: 5 kB\n";
        assert_eq!(available(meminfo), Some(12_288_000_000));
        for none in ["", "MemTotal: 5 kB\n", "MemAvailable: many kB\n"] {
            assert_eq!(available(none), None, "{none:?}");
        }
    }
}
