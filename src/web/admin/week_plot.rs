//! Agreement by week, as numbers that the template draws as SVG.

use super::{figures, show};
use crate::domain::quality::Week;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 160.0;

/// What InstructGPT's labelers agreed on (Ouyang et al. 2022, section 3.4), and the half of its interval.
pub const YARDSTICK: (f64, f64) = (0.726, 0.015);

/// A week.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub x: String,
    pub y: String,
    pub low: String,
    pub high: String,
    pub title: String,
}

/// The plot: weeks from left to right, agreement upwards.
#[derive(Debug, Clone, PartialEq)]
pub struct WeekPlot {
    pub points: Vec<Point>,
    /// `points` of the line through all weeks.
    pub line: String,
    /// Height and label of the marks.
    pub ticks: Vec<(String, String)>,
    pub yardstick: String,
    pub yardstick_top: String,
    pub yardstick_height: String,
    /// The yardstick in words: `72.6 ± 1.5 %`.
    pub yardstick_words: String,
    /// The first week, and the last where that is another.
    pub first: String,
    pub last: Option<String>,
}

/// `72.6 ± 1.5 %`.
pub fn yardstick_words() -> String {
    format!("{:.1} ± {:.1} %", YARDSTICK.0 * 100.0, YARDSTICK.1 * 100.0)
}

/// Draws the weeks; nothing to draw without one.
pub fn plot(weeks: &[Week]) -> Option<WeekPlot> {
    let lowest = weeks.iter().map(|week| week.agreement.low).fold(f64::INFINITY, f64::min);
    let first = show::day(weeks.first()?.monday);
    let bottom = if lowest < 0.4 { 0.0 } else { 0.4 };
    let height = |share: f64| ((1.0 - share) / (1.0 - bottom)).clamp(0.0, 1.0) * HEIGHT;
    let y = |share: f64| format!("{:.1}", height(share));
    let step = WIDTH / weeks.len() as f64;
    let points: Vec<Point> = weeks
        .iter()
        .enumerate()
        .map(|(place, week)| Point {
            x: format!("{:.1}", (place as f64 + 0.5) * step),
            y: y(week.agreement.share),
            low: y(week.agreement.low),
            high: y(week.agreement.high),
            title: format!(
                "{}: {} ({})",
                week.monday,
                figures::percent(week.agreement.share),
                figures::interval(&week.agreement)
            ),
        })
        .collect();
    let marks = if bottom > 0.0 { [0.4, 0.6, 0.8, 1.0].as_slice() } else { [0.0, 0.25, 0.5, 0.75, 1.0].as_slice() };
    let (centre, half) = YARDSTICK;
    Some(WeekPlot {
        line: points.iter().map(|point| format!("{},{}", point.x, point.y)).collect::<Vec<_>>().join(" "),
        points,
        ticks: marks.iter().map(|mark| (y(*mark), format!("{:.0} %", mark * 100.0))).collect(),
        yardstick_words: yardstick_words(),
        first,
        last: weeks.get(1..).and_then(<[Week]>::last).map(|week| show::day(week.monday)),
        yardstick: y(centre),
        yardstick_top: y(centre + half),
        yardstick_height: format!("{:.1}", height(centre - half) - height(centre + half)),
    })
}
