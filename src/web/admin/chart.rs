//! A chart of labels a day, stacked by person, as numbers that the template draws as SVG.

use std::collections::HashMap;

use time::{Date, Duration};
use uuid::Uuid;

use crate::db::daily::PersonDay;

/// Width and height of the space for columns; the template's axes are drawn around it.
const WIDTH: i64 = 1000;
const HEIGHT: i64 = 120;
/// People who get a colour of their own: those with the most labels. The others are drawn as one.
pub const COLOURS: usize = 7;

/// Whom a colour stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    Person(String),
    /// Labels that came with a file.
    Imported,
    /// Everybody without a colour of their own.
    Others,
}

/// A colour with its labels of all days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    pub who: Who,
    /// 1 to 8, for `.series-1` and so on.
    pub colour: usize,
    pub total: i64,
}

/// One piece of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub colour: usize,
    pub y: String,
    pub height: String,
}

/// A day.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub day: Date,
    pub x: String,
    pub width: String,
    /// From the bottom up.
    pub pieces: Vec<Piece>,
    /// Labels of each series, in their order.
    pub counts: Vec<i64>,
    pub total: i64,
}

/// The drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub series: Vec<Series>,
    pub columns: Vec<Column>,
    /// The number at the top of the axis.
    pub top: i64,
    pub total: i64,
}

/// Draws the `days` days that end with `today`, days without labels included.
pub fn stacked(labels: &[PersonDay], today: Date, days: i32) -> Chart {
    let (series, place_of) = series_of(labels);
    let days: Vec<Date> = (0..days).rev().filter_map(|back| today.checked_sub(Duration::days(back.into()))).collect();
    let mut counts: HashMap<Date, Vec<i64>> = days.iter().map(|day| (*day, vec![0; series.len()])).collect();
    for label in labels {
        if let (Some(counts), Some(place)) = (counts.get_mut(&label.day), place_of.get(&label.user_id)) {
            counts[*place] += label.total();
        }
    }
    let most = counts.values().map(|counts| counts.iter().sum()).max().unwrap_or(0);
    let top = round_up(most);
    let step = WIDTH as f64 / days.len().max(1) as f64;
    let scale = HEIGHT as f64 / top as f64;
    let columns: Vec<Column> = days
        .iter()
        .enumerate()
        .map(|(index, day)| {
            let counts = counts.remove(day).unwrap_or_default();
            let mut bottom = HEIGHT as f64;
            let mut pieces = Vec::new();
            for (count, series) in counts.iter().zip(&series).filter(|(count, _)| **count > 0) {
                let height = *count as f64 * scale;
                bottom -= height;
                pieces.push(Piece { colour: series.colour, y: format!("{bottom:.1}"), height: format!("{height:.1}") });
            }
            Column {
                day: *day,
                x: format!("{:.1}", index as f64 * step + step * 0.12),
                width: format!("{:.1}", step * 0.76),
                pieces,
                total: counts.iter().sum(),
                counts,
            }
        })
        .collect();
    let total = columns.iter().map(|column| column.total).sum();
    Chart { series, columns, top, total }
}

/// The people with the most labels first, then everybody else as one; and which series a person is in.
fn series_of(labels: &[PersonDay]) -> (Vec<Series>, HashMap<Option<Uuid>, usize>) {
    let mut people: Vec<(Option<Uuid>, Series)> = Vec::new();
    for label in labels {
        let count = label.total();
        match people.iter_mut().find(|(id, _)| *id == label.user_id) {
            Some((_, series)) => series.total += count,
            None => {
                let who = match &label.name {
                    Some(name) => Who::Person(name.clone()),
                    None => Who::Imported,
                };
                people.push((label.user_id, Series { who, colour: 0, total: count }));
            }
        }
    }
    people.sort_by_key(|(_, series)| std::cmp::Reverse(series.total));
    let place_of = people.iter().enumerate().map(|(place, (id, _))| (*id, place.min(COLOURS))).collect();
    let mut series: Vec<Series> = people.into_iter().map(|(_, series)| series).collect();
    if series.len() > COLOURS {
        let total = series[COLOURS..].iter().map(|series| series.total).sum();
        series.truncate(COLOURS);
        series.push(Series { who: Who::Others, colour: 0, total });
    }
    for (index, series) in series.iter_mut().enumerate() {
        series.colour = index + 1;
    }
    (series, place_of)
}

/// The next of 4, 10, 20, 50, 100, 200, …
fn round_up(number: i64) -> i64 {
    if number <= 4 {
        return 4;
    }
    let mut unit = 10;
    loop {
        for factor in [1, 2, 5] {
            if number <= unit * factor {
                return unit * factor;
            }
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn label(day: Date, person: u128, rankings: i64) -> PersonDay {
        PersonDay {
            day,
            user_id: Some(Uuid::from_u128(person)),
            name: Some(format!("Person {person}")),
            demonstrations: 0,
            rankings,
            prompts: 0,
        }
    }

    #[test]
    fn people_stand_on_each_other_and_the_tallest_day_fits() {
        let today = date!(2026 - 11 - 24);
        let labels = [label(date!(2026 - 11 - 23), 1, 2), label(today, 1, 5), label(today, 2, 8)];
        let chart = stacked(&labels, today, 3);
        assert_eq!((chart.top, chart.total), (20, 15));
        assert_eq!(chart.series.iter().map(|series| series.total).collect::<Vec<_>>(), [8, 7]);
        assert_eq!(chart.columns.iter().map(|column| column.total).collect::<Vec<_>>(), [0, 2, 13]);
        // The space is 120 high: 8 of 20 are 48, 5 of 20 are 30 and stand on them.
        let pieces: Vec<_> = chart.columns[2]
            .pieces
            .iter()
            .map(|piece| (piece.colour, piece.y.as_str(), piece.height.as_str()))
            .collect();
        assert_eq!(pieces, [(1, "72.0", "48.0"), (2, "42.0", "30.0")]);
    }

    #[test]
    fn whoever_has_no_colour_is_among_the_others() {
        let today = date!(2026 - 11 - 24);
        let labels: Vec<_> = (1..=9).map(|person| label(today, person, 20 - person as i64)).collect();
        let chart = stacked(&labels, today, 1);
        assert_eq!(chart.series.len(), COLOURS + 1);
        assert_eq!(chart.series[COLOURS], Series { who: Who::Others, colour: 8, total: 12 + 11 });
        assert_eq!(chart.total, labels.iter().map(|label| label.rankings).sum::<i64>());
    }
}
