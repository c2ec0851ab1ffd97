//! A bar chart of labels a day, as numbers that the template draws as SVG.

use crate::db::overview::DayCount;

/// Width and height of the space for bars; the template's axes are drawn around it.
const WIDTH: i64 = 1000;
const HEIGHT: i64 = 120;

/// The bar of a day: demonstrations below, rankings on top of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub x: String,
    pub width: String,
    pub demonstrations_y: String,
    pub demonstrations_height: String,
    pub rankings_y: String,
    pub rankings_height: String,
    pub title: String,
}

/// The bars, and the number at the top of the axis.
pub fn bars(days: &[DayCount]) -> (Vec<Bar>, i64) {
    let most = days.iter().map(|day| day.demonstrations + day.rankings).max().unwrap_or(0);
    let top = round_up(most);
    let step = WIDTH as f64 / days.len().max(1) as f64;
    let scale = HEIGHT as f64 / top as f64;
    let bars = days
        .iter()
        .enumerate()
        .map(|(index, day)| {
            let demonstrations = day.demonstrations as f64 * scale;
            let rankings = day.rankings as f64 * scale;
            let bottom = HEIGHT as f64;
            Bar {
                x: format!("{:.1}", index as f64 * step + step * 0.12),
                width: format!("{:.1}", step * 0.76),
                demonstrations_y: format!("{:.1}", bottom - demonstrations),
                demonstrations_height: format!("{demonstrations:.1}"),
                rankings_y: format!("{:.1}", bottom - demonstrations - rankings),
                rankings_height: format!("{rankings:.1}"),
                title: format!("{}: {} + {}", day.day, day.demonstrations, day.rankings),
            }
        })
        .collect();
    (bars, top)
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

    #[test]
    fn the_tallest_day_fits() {
        let days = [
            DayCount { day: date!(2026 - 11 - 23), demonstrations: 0, rankings: 0 },
            DayCount { day: date!(2026 - 11 - 24), demonstrations: 5, rankings: 8 },
        ];
        let (bars, top) = bars(&days);
        assert_eq!(top, 20);
        assert_eq!((bars[0].rankings_height.as_str(), bars[0].demonstrations_y.as_str()), ("0.0", "120.0"));
        assert_eq!((bars[1].demonstrations_height.as_str(), bars[1].rankings_height.as_str()), ("30.0", "48.0"));
    }
}
