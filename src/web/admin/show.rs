//! How numbers, times and sizes look on the dashboard.

use std::borrow::Borrow;

use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

use crate::domain::assignment;

/// `12,345`.
pub fn count(number: impl Borrow<i64>) -> String {
    let number = *number.borrow();
    let digits = number.unsigned_abs().to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        shown.push('−');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `2026-11-24 02:10 UTC`.
pub fn when(at: impl Borrow<OffsetDateTime>) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    at.borrow().to_offset(time::UtcOffset::UTC).format(&format).unwrap_or_default()
}

/// `02:10:05`, UTC.
pub fn clock(at: impl Borrow<OffsetDateTime>) -> String {
    let format = format_description!("[hour]:[minute]:[second]");
    at.borrow().to_offset(time::UtcOffset::UTC).format(&format).unwrap_or_default()
}

/// For `datetime=""`.
pub fn machine_time(at: impl Borrow<OffsetDateTime>) -> String {
    at.borrow().format(&Rfc3339).unwrap_or_default()
}

/// `2026-11-24`.
pub fn day(day: impl Borrow<Date>) -> String {
    day.borrow().to_string()
}

/// Hours, minutes and seconds between two moments: `1:02:03`.
pub fn span(from: impl Borrow<OffsetDateTime>, to: impl Borrow<OffsetDateTime>) -> String {
    let seconds = (*to.borrow() - *from.borrow()).whole_seconds().max(0);
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `1.5 MB`.
pub fn bytes(number: impl Borrow<u64>) -> String {
    let number = *number.borrow() as f64;
    let (value, unit) = match number {
        n if n >= 1e9 => (n / 1e9, "GB"),
        n if n >= 1e6 => (n / 1e6, "MB"),
        n if n >= 1e3 => (n / 1e3, "kB"),
        n => return format!("{n} B"),
    };
    format!("{value:.1} {unit}")
}

/// Four significant digits: `0.4312`, `3.142`, `12340`.
pub fn decimal(number: impl Borrow<f64>) -> String {
    significant(*number.borrow(), 4)
}

/// What nobody needs to know exactly, such as seconds or labels a day: `4.7`, `57`, `0.065`.
pub fn about(number: impl Borrow<f64>) -> String {
    let number = *number.borrow();
    if number.abs() < 10.0 { significant(number, 2) } else { format!("{number:.0}") }
}

fn significant(number: f64, digits: i32) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let magnitude = number.abs().log10().floor() as i32;
    if !(-4..7).contains(&magnitude) {
        return format!("{number:.3e}");
    }
    let decimals = usize::try_from(digits - 1 - magnitude).unwrap_or(0);
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `B > A = C`: an order by the letters of the positions. `ranks` has the rank of each position, 1 is best.
pub fn order(ranks: &[i32]) -> String {
    let mut places: Vec<usize> = (0..ranks.len()).collect();
    places.sort_by_key(|place| ranks[*place]);
    let mut order = String::new();
    for (at, place) in places.iter().enumerate() {
        if at > 0 {
            order.push_str(if ranks[*place] == ranks[places[at - 1]] { " = " } else { " > " });
        }
        order.push(assignment::letter(*place));
    }
    order
}

/// The first characters of a digest.
pub fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(decimal(0.431_24), "0.4312");
        assert_eq!(decimal(12_340.0), "12340");
        assert_eq!(decimal(0.5), "0.5");
        assert_eq!(decimal(0.000_012), "1.200e-5");
        assert_eq!([4.714, 4.0, 56.96, 0.065_36].map(about), ["4.7", "4", "57", "0.065"]);
        assert_eq!(bytes(1_500_000), "1.5 MB");
    }

    #[test]
    fn an_order_is_read_off_the_ranks() {
        assert_eq!(order(&[2, 1, 2]), "B > A = C");
        assert_eq!(order(&[]), "");
    }
}
