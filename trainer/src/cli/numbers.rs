//! Numbers on the command line, refused in words that say what an option takes.

use std::{ops::RangeInclusive, str::FromStr};

/// A whole number of any size.
pub fn whole<N: FromStr>(text: &str) -> Result<N, String> {
    let is_large = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let why = if is_large { "the number is too large" } else { "expected a whole number, 0 or more" };
    text.parse().map_err(|_| why.to_owned())
}

/// A whole number of a range.
pub fn within(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text: &str| {
        let (least, most) = (range.start(), range.end());
        text.parse::<u32>().ok().filter(|number| range.contains(number)).ok_or_else(|| match *most {
            u32::MAX => format!("expected a whole number, {least} or more"),
            most => format!("expected a whole number from {least} to {most}"),
        })
    }
}

/// A number, with or without decimals.
pub fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "expected a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_number_is_refused_with_what_is_expected() {
        let expected = |what: &str| Err(format!("expected a whole number{what}"));
        for wrong in ["-1", "1.5", "many", ""] {
            assert_eq!(whole::<u64>(wrong), Err("expected a whole number, 0 or more".to_owned()));
            assert_eq!(within(1..=u32::MAX)(wrong), expected(", 1 or more"));
        }
        assert_eq!(whole::<u64>("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(whole::<u64>("18446744073709551616"), Err("the number is too large".to_owned()));
        assert_eq!([within(0..=8)("8"), within(0..=8)("9")], [Ok(8), expected(" from 0 to 8")]);
        assert_eq!([number("-1.5e3"), number("hot")], [Ok(-1500.0), Err("expected a number".to_owned())]);
    }
}
