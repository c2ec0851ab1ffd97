//! Plots of estimates with their intervals, as numbers that a template draws as SVG: a dot, and a line from end to end.

/// Width of the space for dots; names stand to the left of it.
pub const WIDTH: f64 = 640.0;
/// Width of the space for names: what [`shortened`] leaves of one, with the gap behind it.
const NAMES: f64 = 210.0;
/// Height of a row.
const ROW: f64 = 26.0;

/// What to draw: a name, an estimate, the ends of its interval.
#[derive(Debug, Clone)]
pub struct Estimate {
    pub name: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// What a pointer that rests on it says.
    pub title: String,
}

/// A row of the plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Dot {
    pub name: String,
    pub title: String,
    pub y: String,
    pub text_y: String,
    pub x: String,
    pub low: String,
    pub high: String,
}

/// A mark of the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub x: String,
    pub label: String,
}

/// The plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Dots {
    pub dots: Vec<Dot>,
    pub ticks: Vec<Tick>,
    pub height: String,
    /// Where the numbers of the axis stand.
    pub label_y: String,
    /// The box around everything.
    pub view: String,
}

/// Rows from top to bottom on an axis from `from` to `to` with a mark every `step`.
pub fn dots(estimates: &[Estimate], from: f64, to: f64, step: f64, label: impl Fn(f64) -> String) -> Dots {
    let place = |value: f64| format!("{:.1}", ((value - from) / (to - from)).clamp(0.0, 1.0) * WIDTH);
    let rows = estimates.iter().enumerate().map(|(row, estimate)| {
        let y = (row as f64 + 0.5) * ROW;
        Dot {
            name: shortened(&estimate.name),
            title: estimate.title.clone(),
            y: format!("{y:.1}"),
            text_y: format!("{:.1}", y + 4.0),
            x: place(estimate.value),
            low: place(estimate.low),
            high: place(estimate.high),
        }
    });
    let height = estimates.len() as f64 * ROW;
    let marks = ((to - from) / step).round() as u32;
    let ticks = (0..=marks).map(|mark| from + f64::from(mark) * step).map(|at| Tick { x: place(at), label: label(at) });
    Dots {
        dots: rows.collect(),
        ticks: ticks.collect(),
        height: format!("{height:.1}"),
        label_y: format!("{:.1}", height + 16.0),
        view: format!("-{NAMES:.0} -6 {:.0} {:.0}", WIDTH + NAMES + 30.0, height + 30.0),
    }
}

/// A name that fits beside the plot, in a wide font too. It is measured in halves of a small letter: capitals, m and w count
/// three, the signs of Chinese four.
fn shortened(name: &str) -> String {
    const ROOM: usize = 48;
    let width = |sign: char| match u32::from(sign) {
        0x1100.. => 4,
        _ if sign.is_uppercase() || matches!(sign, 'm' | 'w') => 3,
        _ => 2,
    };
    let mut used = 0;
    let mut shown = String::new();
    for sign in name.chars() {
        used += width(sign);
        if used > ROOM {
            shown.push('…');
            break;
        }
        shown.push(sign);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_stand_between_the_ends_of_the_axis() {
        let estimate = Estimate { name: "模型".repeat(20), value: 0.75, low: 0.2, high: 1.0, title: String::new() };
        let found = dots(&[estimate], 0.5, 1.0, 0.25, |at| format!("{at}"));
        assert_eq!(
            (found.dots[0].x.as_str(), found.dots[0].low.as_str(), found.dots[0].high.as_str()),
            ("320.0", "0.0", "640.0")
        );
        assert_eq!(found.dots[0].name, format!("{}…", "模型".repeat(6)));
        assert_eq!(found.ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>(), ["0.5", "0.75", "1"]);
    }

    #[test]
    fn a_name_is_shortened_by_how_wide_its_letters_are() {
        assert_eq!(shortened("mistral-7b-instruct-v0"), "mistral-7b-instruct-v0");
        assert_eq!(shortened("Simulated annotator 6 (careless)"), "Simulated annotator 6 (…");
        assert_eq!(shortened(&"M".repeat(40)), format!("{}…", "M".repeat(16)));
    }
}
