//! Devices and their figures, each with where it is from.

/// A number with its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    pub value: f64,
    pub source: &'static str,
}

const fn figure(value: f64, source: &'static str) -> Option<Figure> {
    Some(Figure { value, source })
}

/// What is known of a device; what is not, one has to say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hardware {
    pub name: &'static str,
    /// Operations a second, peak, in the precision that models are trained in.
    pub peak_flops: Option<Figure>,
    /// Bytes a second between memory and processor.
    pub bandwidth: Option<Figure>,
    /// Bytes.
    pub memory: Option<Figure>,
    /// Dollars an hour.
    pub price: Option<Figure>,
    /// Devices of a server.
    pub per_server: Option<Figure>,
    /// Watts of a server.
    pub server_power: Option<Figure>,
}

/// A device of which nothing is known.
pub const CUSTOM: Hardware = Hardware {
    name: "custom",
    peak_flops: None,
    bandwidth: None,
    memory: None,
    price: None,
    per_server: None,
    server_power: None,
};

/// Everything that can be named; `custom` knows nothing.
pub const ALL: [Hardware; 5] = [
    Hardware {
        name: "tpu-v4",
        peak_flops: figure(275e12, "Google's figure for TPU v4, bfloat16"),
        bandwidth: figure(1.2e12, "Google's figure for TPU v4"),
        memory: figure(32e9, "Google's figure for TPU v4"),
        price: figure(2.03, "the price in the published GPT-3 estimate, one year's commitment"),
        per_server: figure(4.0, "four chips a host"),
        server_power: None,
    },
    Hardware {
        name: "a100",
        peak_flops: figure(312e12, "NVIDIA's figure for A100, bfloat16, dense"),
        bandwidth: figure(2.039e12, "NVIDIA's figure for A100 SXM 80 GB"),
        memory: figure(80e9, "A100 80 GB"),
        price: figure(19.22 / 8.0, "$19.22 an hour for eight, as in the published inference estimate"),
        per_server: figure(8.0, "DGX A100"),
        server_power: figure(6500.0, "DGX A100, the most it draws"),
    },
    Hardware {
        name: "h100",
        peak_flops: figure(989e12, "NVIDIA's figure for H100 SXM, bfloat16, dense"),
        bandwidth: figure(3.35e12, "NVIDIA's figure for H100 SXM"),
        memory: figure(80e9, "H100 80 GB"),
        price: None,
        per_server: figure(8.0, "DGX H100"),
        server_power: figure(10_200.0, "DGX H100, the most it draws"),
    },
    Hardware {
        name: "cpu",
        peak_flops: figure(126e9, "measured: two cores with AVX2, float32; measure yours"),
        bandwidth: figure(26.6e9, "measured: two cores, reading; measure yours"),
        memory: None,
        price: None,
        per_server: figure(1.0, "a machine is a server"),
        server_power: None,
    },
    CUSTOM,
];

impl Hardware {
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|hardware| hardware.name == name)
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|hardware| hardware.name)
    }
}
