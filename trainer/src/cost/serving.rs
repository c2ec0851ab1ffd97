//! How fast a device decodes, and how many of them a crowd of users needs.

/// Seconds of a day.
const DAY: f64 = 24.0 * 3600.0;
/// Width of a GPT-3-like model for each of its layers: 12,288 / 96 (Brown et al. 2020, table 2.1).
const WIDTH_PER_LAYER: f64 = 128.0;

/// What the cache of keys and values depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    pub layers: f64,
    /// Key-value heads times their size.
    pub key_value_width: f64,
}

impl Shape {
    /// A model of GPT-3's proportions, whose heads all have keys and values of their own: N = 12 · layers · width².
    pub fn like_gpt3(parameters: f64) -> Self {
        let layers = (parameters / (12.0 * WIDTH_PER_LAYER * WIDTH_PER_LAYER)).cbrt();
        Self { layers, key_value_width: layers * WIDTH_PER_LAYER }
    }

    /// Numbers that the cache holds for one token.
    pub fn cache_per_token(self) -> f64 {
        2.0 * self.layers * self.key_value_width
    }
}

/// Decoding in batches on one device, or on several that share a model evenly. What passes between devices is not counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decoding {
    pub parameters: f64,
    pub shape: Shape,
    /// Bytes of a weight and of a number in the cache.
    pub bytes: f64,
    /// Answers written at once.
    pub batch: f64,
    /// Tokens that each answer sees, on average.
    pub context: f64,
    /// Operations a second, peak, and the share of it that is reached.
    pub peak_flops: f64,
    pub utilisation: f64,
    /// Bytes a second, and the share of it that is reached.
    pub bandwidth: f64,
    pub bandwidth_utilisation: f64,
}

impl Decoding {
    /// Seconds of a token for every answer of the batch, if only computing took time: 2NB / F.
    pub fn compute_seconds(&self) -> f64 {
        2.0 * self.parameters * self.batch / (self.peak_flops * self.utilisation)
    }

    /// The same, if only memory took time: weights are read once, each answer's cache once.
    pub fn memory_seconds(&self) -> f64 {
        self.bytes_held() / (self.bandwidth * self.bandwidth_utilisation)
    }

    /// Bytes of weights and caches.
    pub fn bytes_held(&self) -> f64 {
        self.bytes * (self.parameters + self.batch * self.context * self.shape.cache_per_token())
    }

    /// Whether memory is what decoding waits for (the roofline of Williams et al. 2009).
    pub fn waits_for_memory(&self) -> bool {
        self.memory_seconds() > self.compute_seconds()
    }

    /// Tokens a second of one device, all answers together.
    pub fn tokens_per_second(&self) -> f64 {
        self.batch / self.compute_seconds().max(self.memory_seconds())
    }

    /// Devices that have room for weights and caches together.
    pub fn devices(&self, memory: f64) -> f64 {
        (self.bytes_held() / memory).ceil()
    }

    /// The batch from which on computing takes longer than reading the weights; caches aside.
    pub fn critical_batch(&self) -> f64 {
        self.bytes * self.peak_flops * self.utilisation / (2.0 * self.bandwidth * self.bandwidth_utilisation)
    }
}

/// What users ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    pub queries_per_day: f64,
    /// Tokens that are written for one query.
    pub tokens_per_query: f64,
}

impl Demand {
    /// On average over the day.
    pub fn tokens_per_second(self) -> f64 {
        self.queries_per_day * self.tokens_per_query / DAY
    }
}

/// The machines that meet a demand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fleet {
    /// Not rounded: what is rented by the hour.
    pub devices: f64,
    pub per_server: f64,
    /// Devices that hold one model together: there are whole groups of them.
    pub per_model: f64,
}

impl Fleet {
    /// `rate`: tokens a second of a device while it is busy; `busy`: the share of the time that devices are, which leaves room
    /// for the busiest hours. Each holds a model.
    pub fn for_demand(demand: Demand, rate: f64, busy: f64, per_server: f64) -> Self {
        Self { devices: demand.tokens_per_second() / (rate * busy), per_server, per_model: 1.0 }
    }

    /// Whole devices, in groups that hold a model.
    pub fn whole_devices(self) -> f64 {
        (self.devices / self.per_model).ceil() * self.per_model
    }

    /// Not rounded.
    pub fn servers(self) -> f64 {
        self.devices / self.per_server
    }

    /// What has to be bought.
    pub fn whole_servers(self) -> f64 {
        (self.whole_devices() / self.per_server).ceil()
    }

    /// Dollars a day at so much for a device and hour.
    pub fn rent_per_day(self, price: f64) -> f64 {
        self.devices * price * 24.0
    }

    /// Kilowatt hours a day. `watts`: of a server; `overhead`: a building's power over its servers' (PUE).
    pub fn energy_per_day(self, watts: f64, overhead: f64) -> f64 {
        self.whole_servers() * watts * overhead * 24.0 / 1000.0
    }
}
