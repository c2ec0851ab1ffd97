//! Days in filters, as date fields send them: `2026-11-24`. What is no day filters nothing.

use time::{Date, Duration, OffsetDateTime, macros::format_description};

fn day(text: &str) -> Option<Date> {
    Date::parse(text.trim(), format_description!("[year]-[month]-[day]")).ok()
}

/// The first moment of a day (UTC).
pub fn begin(text: &str) -> Option<OffsetDateTime> {
    Some(day(text)?.midnight().assume_utc())
}

/// The first moment after a day.
pub fn end(text: &str) -> Option<OffsetDateTime> {
    Some(day(text)?.checked_add(Duration::DAY)?.midnight().assume_utc())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn both_days_are_included() {
        assert_eq!(begin("2026-11-24"), Some(datetime!(2026-11-24 00:00 UTC)));
        assert_eq!(end("2026-12-31"), Some(datetime!(2027-01-01 00:00 UTC)));
        assert_eq!(begin("soon"), None);
    }
}
