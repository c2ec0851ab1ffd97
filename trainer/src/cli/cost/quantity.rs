//! Large numbers as people write and read them.

/// Reads `175e9`, `175B`, `1.5T`, `300M`, `12k`, also in small letters, as the names of models have them; above zero.
pub fn parse(text: &str) -> Result<f64, String> {
    let (digits, scale) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        Some((at, 'b' | 'B' | 'g' | 'G')) => (&text[..at], 1e9),
        Some((at, 't' | 'T')) => (&text[..at], 1e12),
        _ => (text, 1.0),
    };
    match digits.parse::<f64>().map(|number| number * scale) {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("expected a number above zero, such as 175e9, 175B or 0.5".into()),
    }
}

/// A share: above zero, at most one.
pub fn share(text: &str) -> Result<f64, String> {
    parse(text).ok().filter(|share| *share <= 1.0).ok_or_else(|| "expected a share above 0 and at most 1".into())
}

/// Four digits that count, or all of the whole number, with commas.
pub fn readable(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e13 || (magnitude < 1e-3 && value != 0.0) {
        return format!("{value:.3e}");
    }
    if magnitude < 1000.0 {
        let decimals = if magnitude >= 100.0 {
            1
        } else if magnitude >= 1.0 {
            2
        } else {
            5
        };
        let text = format!("{value:.decimals$}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let decimals = if magnitude >= 1e6 { 0 } else { 2 };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
    let digits = whole.len();
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (digits - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction == "00" { grouped } else { format!("{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        for (text, number) in [("175e9", 175e9), ("175B", 175e9), ("1.5T", 1.5e12), ("12k", 12e3), ("0.5", 0.5)] {
            assert_eq!(parse(text), Ok(number));
        }
        assert_eq!(["7b", "124m", "1.5t"].map(parse), [Ok(7e9), Ok(124e6), Ok(1.5e12)]);
        for text in ["", "B", "-1", "0", "nan", "inf", "1e308T", "1x", "十"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(share("1.01").is_err() && share("1").is_ok());
    }

    #[test]
    fn numbers_as_people_read_them() {
        for (number, text) in [
            (3.15e23, "3.150e23"),
            (688_705.21, "688,705.21"),
            (4_102_564.1, "4,102,564"),
            (4_102_567.9, "4,102,568"),
            (28_936.0, "28,936"),
            (512_820.51, "512,820.51"),
            (36.0, "36"),
            (4.949, "4.95"),
            (0.003_515, "0.00351"),
            (0.0, "0"),
            (0.000_12, "1.200e-4"),
        ] {
            assert_eq!(readable(number), text);
        }
    }
}
