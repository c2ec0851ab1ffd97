//! When a project will be finished if people go on as they did: a rule that a page can state in a sentence.

use time::{Date, Duration};

/// Days with labels that the pace is the mean of.
pub const DAYS: usize = 7;

/// Labels of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayLabels {
    pub day: Date,
    pub labels: i64,
}

/// What can be said of the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Forecast {
    /// Nothing is wanted that is not there.
    Finished,
    /// No day before today has a label: there is no pace to go by.
    NoPace,
    At(Pace),
}

/// A pace, and where it leads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Mean of the days with labels that were looked at.
    pub labels_a_day: f64,
    /// How many those were: 1 to [`DAYS`].
    pub days: usize,
    /// Days with labels that are still needed.
    pub days_needed: i64,
    /// When the last of them is, if as large a share of the days has labels as since the first day looked at. `None` beyond
    /// ten years.
    pub finished: Option<Date>,
}

/// The mean of the last [`DAYS`] days with labels before `today` (which is not over), and the day on which `remaining` labels are
/// there at this pace.
pub fn forecast(days: &[DayLabels], today: Date, remaining: i64) -> Forecast {
    if remaining <= 0 {
        return Forecast::Finished;
    }
    let mut worked: Vec<DayLabels> = days.iter().copied().filter(|day| day.labels > 0 && day.day < today).collect();
    worked.sort_by_key(|day| std::cmp::Reverse(day.day));
    worked.truncate(DAYS);
    let Some(first) = worked.last() else { return Forecast::NoPace };
    let labels_a_day = worked.iter().map(|day| day.labels).sum::<i64>() as f64 / worked.len() as f64;
    let days_needed = (remaining as f64 / labels_a_day).ceil() as i64;
    let span = (today - first.day).whole_days();
    let calendar = (days_needed as f64 * span as f64 / worked.len() as f64).ceil() as i64;
    let finished = (calendar <= 3650).then(|| today.checked_add(Duration::days(calendar - 1))).flatten();
    Forecast::At(Pace { labels_a_day, days: worked.len(), days_needed, finished })
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn of(days: &[(Date, i64)]) -> Vec<DayLabels> {
        days.iter().map(|(day, labels)| DayLabels { day: *day, labels: *labels }).collect()
    }

    #[test]
    fn a_steady_pace_ends_where_one_counts_to() {
        // 10 a day for a week, 25 to go: today, tomorrow and the day after.
        let days: Vec<_> = (17..24).map(|day| (date!(2026 - 11 - 01).replace_day(day).expect("a day"), 10)).collect();
        let Forecast::At(pace) = forecast(&of(&days), date!(2026 - 11 - 24), 25) else { panic!("no pace") };
        assert_eq!((pace.labels_a_day, pace.days, pace.days_needed), (10.0, 7, 3));
        assert_eq!(pace.finished, Some(date!(2026 - 11 - 26)));
    }

    #[test]
    fn free_days_stay_free() {
        // Two days of the last four had labels: 20 labels at 10 a day need two such days, four days of the calendar.
        let days = of(&[(date!(2026 - 11 - 20), 8), (date!(2026 - 11 - 21), 0), (date!(2026 - 11 - 22), 12)]);
        let Forecast::At(pace) = forecast(&days, date!(2026 - 11 - 24), 20) else { panic!("no pace") };
        assert_eq!((pace.labels_a_day, pace.days, pace.days_needed), (10.0, 2, 2));
        assert_eq!(pace.finished, Some(date!(2026 - 11 - 27)));
    }

    #[test]
    fn only_the_last_seven_days_with_labels_count_and_today_is_not_one() {
        let mut days = of(&[(date!(2026 - 11 - 01), 1000), (date!(2026 - 11 - 24), 1000)]);
        days.extend(
            (10..17).map(|day| DayLabels { day: date!(2026 - 11 - 01).replace_day(day).expect("a day"), labels: 4 }),
        );
        let Forecast::At(pace) = forecast(&days, date!(2026 - 11 - 24), 4) else { panic!("no pace") };
        assert_eq!((pace.labels_a_day, pace.days), (4.0, 7));
    }

    #[test]
    fn without_a_pace_nothing_is_promised() {
        let today = date!(2026 - 11 - 24);
        assert_eq!(forecast(&of(&[(today, 50)]), today, 10), Forecast::NoPace);
        assert_eq!(forecast(&[], today, 10), Forecast::NoPace);
        assert_eq!(forecast(&[], today, 0), Forecast::Finished);
        let Forecast::At(pace) = forecast(&of(&[(date!(2026 - 11 - 23), 1)]), today, 1_000_000) else {
            panic!("no pace")
        };
        assert_eq!(pace.finished, None);
    }
}
