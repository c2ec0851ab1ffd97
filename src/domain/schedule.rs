//! A time of the local day in a time zone: on which day it is due, and when it comes next, daylight saving included.

use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time};
use time_tz::{OffsetDateTimeExt, OffsetResult, PrimitiveDateTimeExt, TimeZone, Tz, timezones};

/// A name that is no time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone “{0}”")]
pub struct UnknownTimezone(pub String);

/// The same minute of every local day.
#[derive(Clone, Copy)]
pub struct DailyTime {
    minute: i32,
    zone: &'static Tz,
}

impl DailyTime {
    /// `minute` of the day (0 to 1439, held within), and an IANA name: `Asia/Shanghai`.
    pub fn new(minute: i32, timezone: &str) -> Result<Self, UnknownTimezone> {
        let zone = timezones::get_by_name(timezone).ok_or_else(|| UnknownTimezone(timezone.to_owned()))?;
        Ok(DailyTime { minute: minute.clamp(0, 1439), zone })
    }

    pub fn minute(&self) -> i32 {
        self.minute
    }

    /// The zone's IANA name.
    pub fn timezone(&self) -> &'static str {
        self.zone.name()
    }

    /// `02:00`.
    pub fn clock(&self) -> String {
        format!("{:02}:{:02}", self.minute / 60, self.minute % 60)
    }

    /// The instant of this time on a local day. A time that the clocks leap over comes with the first minute after the
    /// leap; one that comes twice counts the first time.
    pub fn on(&self, day: Date) -> OffsetDateTime {
        let mut local = PrimitiveDateTime::new(day, Time::MIDNIGHT) + Duration::minutes(i64::from(self.minute));
        // No leap of the database is longer than a day.
        for _ in 0..=24 * 60 {
            match local.assume_timezone(self.zone) {
                OffsetResult::Some(instant) => return instant,
                OffsetResult::Ambiguous(first, second) => return first.min(second),
                OffsetResult::None => local += Duration::MINUTE,
            }
        }
        local.assume_utc()
    }

    /// The local day that is due: today's, when its time has come and `last_day` is before it. Days that passed while
    /// nobody looked are not made up for.
    pub fn due_day(&self, now: OffsetDateTime, last_day: Option<Date>) -> Option<Date> {
        let today = now.to_timezone(self.zone).date();
        let done = last_day.is_some_and(|last| last >= today);
        (!done && now >= self.on(today)).then_some(today)
    }

    /// When a job comes next: `now` or earlier today if today's is still due.
    pub fn next_run(&self, now: OffsetDateTime, last_day: Option<Date>) -> OffsetDateTime {
        let today = now.to_timezone(self.zone).date();
        let after_last = last_day.and_then(Date::next_day).unwrap_or(today);
        self.on(today.max(after_last))
    }

    /// An instant as the zone's clocks show it.
    pub fn local(&self, instant: OffsetDateTime) -> OffsetDateTime {
        instant.to_timezone(self.zone)
    }
}

/// Names of the time zones, for people to choose from: regions and cities, without aliases of old.
pub fn timezone_names() -> Vec<&'static str> {
    const REGIONS: [&str; 10] = [
        "Africa/",
        "America/",
        "Antarctica/",
        "Arctic/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    ];
    let mut names: Vec<_> = timezones::iter()
        .map(TimeZone::name)
        .filter(|name| REGIONS.iter().any(|region| name.starts_with(region)))
        .chain(["UTC"])
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    fn daily(minute: i32, zone: &str) -> DailyTime {
        DailyTime::new(minute, zone).expect("a zone")
    }

    #[test]
    fn a_day_is_due_once_its_local_time_has_come() {
        let shanghai = daily(120, "Asia/Shanghai");
        // 02:00 in Shanghai is 18:00 UTC of the day before.
        assert_eq!(shanghai.due_day(datetime!(2026-11-23 17:59 UTC), None), None);
        assert_eq!(shanghai.due_day(datetime!(2026-11-23 18:00 UTC), None), Some(date!(2026 - 11 - 24)));
        assert_eq!(shanghai.due_day(datetime!(2026-11-24 03:00 UTC), Some(date!(2026 - 11 - 24))), None);
        assert_eq!(
            shanghai.next_run(datetime!(2026-11-24 03:00 UTC), Some(date!(2026 - 11 - 24))),
            datetime!(2026-11-24 18:00 UTC)
        );
    }

    #[test]
    fn a_time_that_the_clocks_leap_over_comes_right_after_the_leap() {
        // New York, 2026-03-08: 02:00 becomes 03:00, which is 07:00 UTC.
        let new_york = daily(150, "America/New_York");
        assert_eq!(new_york.on(date!(2026 - 03 - 08)), datetime!(2026-03-08 07:00 UTC));
        assert_eq!(new_york.due_day(datetime!(2026-03-08 06:59 UTC), None), None);
        assert_eq!(new_york.due_day(datetime!(2026-03-08 07:00 UTC), None), Some(date!(2026 - 03 - 08)));
    }

    #[test]
    fn a_time_that_comes_twice_counts_once() {
        // New York, 2026-11-01: 01:30 is at 05:30 and at 06:30 UTC.
        let new_york = daily(90, "America/New_York");
        assert_eq!(new_york.on(date!(2026 - 11 - 01)), datetime!(2026-11-01 05:30 UTC));
        assert_eq!(new_york.due_day(datetime!(2026-11-01 06:30 UTC), Some(date!(2026 - 11 - 01))), None);
    }

    #[test]
    fn summer_and_winter_keep_the_local_time() {
        let berlin = daily(120, "Europe/Berlin");
        assert_eq!(berlin.on(date!(2026 - 07 - 01)), datetime!(2026-07-01 00:00 UTC));
        assert_eq!(berlin.on(date!(2026 - 12 - 01)), datetime!(2026-12-01 01:00 UTC));
    }

    #[test]
    fn unknown_zones_are_named() {
        assert_eq!(DailyTime::new(0, "Mars/Olympus").err(), Some(UnknownTimezone("Mars/Olympus".to_owned())));
    }
}
