//! Whether a reward model may be as sure as it is: how often people prefer what it prefers, beside how often it expects them to.

use serde::Serialize;

/// Bins from one half to one.
const BINS: usize = 10;

/// How sure the model is of one pair, and whether people agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    /// σ(|difference|), by Bradley and Terry the chance that people prefer what the model prefers: one half to one.
    expected: f64,
    /// 1 where they do, 0 where they don't, ½ where the model prefers neither.
    observed: f64,
}

impl Confidence {
    /// Of the difference of two scores, people's better answer first.
    pub fn of(difference: f64) -> Self {
        let observed = if difference == 0.0 { 0.5 } else { f64::from(u8::from(difference > 0.0)) };
        Self { expected: 1.0 / (1.0 + (-difference.abs()).exp()), observed }
    }
}

/// Pairs of about the same certainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Where the bin lies: expectations from `from` up to `to`.
    pub from: f64,
    pub to: f64,
    pub pairs: usize,
    /// Mean of what the model expects; `null` without a pair.
    pub expected: Option<f64>,
    /// How often people agree; `null` without a pair.
    pub observed: Option<f64>,
}

/// Expected against observed agreement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    pub bins: Vec<Bin>,
    /// Expected calibration error (Naeini et al. 2015): the distance of expected and observed, a mean over the pairs, bin by bin.
    pub expected_error: f64,
}

impl Calibration {
    /// In ten bins of equal width from one half (a guess) to one (certainty).
    pub fn of(pairs: &[Confidence]) -> Self {
        let width = 0.5 / BINS as f64;
        let bin_of = |pair: &Confidence| (((pair.expected - 0.5) / width) as usize).min(BINS - 1);
        let mut sums = [(0, 0.0, 0.0); BINS];
        for pair in pairs {
            let (count, expected, observed) = &mut sums[bin_of(pair)];
            *count += 1;
            *expected += pair.expected;
            *observed += pair.observed;
        }
        let all = pairs.len().max(1) as f64;
        let expected_error =
            sums.iter().map(|(_, expected, observed): &(usize, f64, f64)| (expected - observed).abs() / all).sum();
        let bin = |(at, (pairs, expected, observed)): (usize, (usize, f64, f64))| {
            let mean = |sum: f64| (pairs > 0).then(|| sum / pairs as f64);
            // From whole numbers, so that 0.6 is written as 0.6.
            let edge = |at: usize| (BINS + at) as f64 / (2 * BINS) as f64;
            Bin { from: edge(at), to: edge(at + 1), pairs, expected: mean(expected), observed: mean(observed) }
        };
        Self { bins: sums.into_iter().enumerate().map(bin).collect(), expected_error }
    }

    /// The curve as a picture: a dot a bin, its area by how many pairs it holds, and the line on which it should lie.
    pub fn svg(&self) -> String {
        const SIZE: f64 = 320.0;
        const LEFT: f64 = 56.0;
        const TOP: f64 = 16.0;
        let x = |value: f64| LEFT + (value - 0.5) * 2.0 * SIZE;
        let y = |value: f64| TOP + (1.0 - value) * SIZE;
        let most = self.bins.iter().map(|bin| bin.pairs).max().unwrap_or(0).max(1) as f64;
        let mut body = String::new();
        for tick in 0..=5 {
            let (along, up) = (0.5 + f64::from(tick) * 0.1, f64::from(tick) * 0.2);
            body += &format!(
                "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/>\
                 <text x=\"{0:.1}\" y=\"{3:.1}\" text-anchor=\"middle\">{along:.1}</text>",
                x(along),
                y(0.0),
                y(1.0),
                y(0.0) + 18.0
            );
            body += &format!(
                "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{1:.1}\" y1=\"{2:.1}\" y2=\"{2:.1}\"/>\
                 <text x=\"{3:.1}\" y=\"{4:.1}\" text-anchor=\"end\">{up:.1}</text>",
                x(0.5),
                x(1.0),
                y(up),
                x(0.5) - 8.0,
                y(up) + 4.0
            );
        }
        body += &format!(
            "<line class=\"ideal\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            x(0.5),
            y(0.5),
            x(1.0),
            y(1.0)
        );
        let filled = self.bins.iter().filter_map(|bin| Some((bin, bin.expected?, bin.observed?)));
        let points: Vec<String> =
            filled.clone().map(|(_, expected, observed)| format!("{:.1},{:.1}", x(expected), y(observed))).collect();
        body += &format!("<polyline class=\"curve\" points=\"{}\"/>", points.join(" "));
        for (bin, expected, observed) in filled {
            body += &format!(
                "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{:.1}\"><title>{} pairs: expected {expected:.3}, observed {observed:.3}</title></circle>",
                x(expected),
                y(observed),
                2.0 + 7.0 * (bin.pairs as f64 / most).sqrt(),
                bin.pairs
            );
        }
        let (width, height) = (LEFT + SIZE + 24.0, TOP + SIZE + 52.0);
        let middle = x(0.75);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"Calibration of the reward model\">\
             <style>svg{{font:12px system-ui,sans-serif;fill:#1f2328;background:#fff}}.grid{{stroke:#d0d7de}}.ideal{{stroke:#6e7781;stroke-dasharray:5 4}}\
             .curve{{fill:none;stroke:#0969da;stroke-width:2}}.dot{{fill:#0969da}}\
             @media (prefers-color-scheme:dark){{svg{{fill:#e6edf3;background:#0d1117}}.grid{{stroke:#30363d}}.ideal{{stroke:#8b949e}}.curve{{stroke:#58a6ff}}.dot{{fill:#58a6ff}}}}</style>\
             {body}<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">expected: σ(difference of the rewards); error {:.3}</text>\
             <text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">observed: people agree</text></svg>\n",
            height - 10.0,
            self.expected_error,
            y(0.5)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_right_as_often_as_it_expects_has_no_error() {
        // ln 3: it expects three of four.
        let pairs: Vec<Confidence> = [1.0, 1.0, 1.0, -1.0].map(|side| Confidence::of(side * 3f64.ln())).into();
        let calibration = Calibration::of(&pairs);
        assert!(calibration.expected_error < 1e-12);
        let bin = calibration.bins.iter().find(|bin| bin.pairs > 0).unwrap();
        assert!(bin.from <= 0.75 && 0.75 <= bin.to + 1e-9 && bin.observed == Some(0.75), "{bin:?}");
        assert!(calibration.bins.iter().filter(|bin| bin.pairs == 0).all(|bin| bin.expected.is_none()));
    }

    #[test]
    fn certainty_and_no_opinion_have_their_bins() {
        let calibration = Calibration::of(&[Confidence::of(1e6), Confidence::of(-1e6), Confidence::of(0.0)]);
        assert_eq!((calibration.bins[9].pairs, calibration.bins[9].observed), (2, Some(0.5)));
        assert_eq!((calibration.bins[0].pairs, calibration.bins[0].observed), (1, Some(0.5)));
        let picture = calibration.svg();
        assert!(picture.starts_with("<svg") && picture.matches("<circle").count() == 2);
    }
}
