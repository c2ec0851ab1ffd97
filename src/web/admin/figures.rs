//! How shares, correlations and probabilities look, with the intervals around them.

use crate::domain::statistics::proportion::Proportion;

/// A number, or what templates make of it when they loop.
pub trait Number {
    fn value(self) -> f64;
}

impl Number for f64 {
    fn value(self) -> f64 {
        self
    }
}

impl Number for &f64 {
    fn value(self) -> f64 {
        *self
    }
}

impl Number for &&f64 {
    fn value(self) -> f64 {
        **self
    }
}

/// `72.6 %`.
pub fn percent(share: impl Number) -> String {
    let share = share.value();
    format!("{:.1} %", share * 100.0)
}

/// `69.4 – 75.6 %`.
pub fn percents(low: impl Number, high: impl Number) -> String {
    let (low, high) = (low.value(), high.value());
    format!("{:.1} – {:.1} %", low * 100.0, high * 100.0)
}

/// The ends of a share's interval.
pub fn interval(of: &Proportion) -> String {
    percents(of.low, of.high)
}

/// Two decimals, with a true minus: `−0.12`.
pub fn number(value: impl Number) -> String {
    let value = value.value();
    let shown = format!("{:.2}", value.abs());
    if value < 0.0 && shown != "0.00" { format!("−{shown}") } else { shown }
}

/// `0.42 – 0.58`.
pub fn numbers(low: impl Number, high: impl Number) -> String {
    format!("{} – {}", number(low), number(high))
}

/// A probability: `0.031`, `< 0.001`.
pub fn probability(p: impl Number) -> String {
    let p = p.value();
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// `41 s`, `2:05`.
pub fn seconds(seconds: impl Number) -> String {
    let whole = seconds.value().round().max(0.0) as u64;
    if whole < 100 { format!("{whole} s") } else { format!("{}:{:02} min", whole / 60, whole % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(percent(0.726), "72.6 %");
        assert_eq!((number(-0.123), number(-0.001)), ("−0.12".to_owned(), "0.00".to_owned()));
        assert_eq!((probability(0.0004), probability(0.0314)), ("< 0.001".to_owned(), "0.031".to_owned()));
        assert_eq!((seconds(41.4), seconds(125.0)), ("41 s".to_owned(), "2:05 min".to_owned()));
    }
}
