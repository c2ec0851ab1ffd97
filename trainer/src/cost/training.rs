//! Operations, and the hours that they take.

/// Seconds of an hour.
const HOUR: f64 = 3600.0;
/// Operations of one petaFLOP/s-day.
const PETAFLOP_DAY: f64 = 1e15 * 24.0 * HOUR;

/// Operations of training on `tokens`, each read forwards and backwards once: C = 6ND (Kaplan et al. 2020, section 2.1).
pub fn training_flops(parameters: f64, tokens: f64) -> f64 {
    6.0 * parameters * tokens
}

/// Operations of reading or writing `tokens`: 2ND (Kaplan et al. 2020, section 2.1).
pub fn inference_flops(parameters: f64, tokens: f64) -> f64 {
    2.0 * parameters * tokens
}

/// Hours of one device, of `peak` operations a second, of which the program reaches the share `utilisation`.
pub fn device_hours(flops: f64, peak: f64, utilisation: f64) -> f64 {
    flops / (peak * utilisation * HOUR)
}

/// The unit in which papers give compute.
pub fn petaflop_days(flops: f64) -> f64 {
    flops / PETAFLOP_DAY
}
