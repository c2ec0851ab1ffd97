//! The figure of an evaluation: by how much the reward model prefers one model's answers, prompt by prompt.

use std::fmt::Write as _;

use super::report::Report;
use crate::terminal::counted;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
/// Margins around the plot: left, right, top, bottom.
const MARGINS: [f64; 4] = [44.0, 16.0, 64.0, 48.0];
const BARS: usize = 24;
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1c2733}.axis{stroke:#8794a1;fill:none}.won{fill:#2f7d5b}.lost{fill:#b4553d}\
    .even{fill:#8794a1}\
    .mean{stroke:#1c2733;stroke-width:2}.interval{fill:#1c2733;opacity:.15}\
    @media (prefers-color-scheme:dark){text{fill:#e6ebf0}.won{fill:#5cba8f}.lost{fill:#e08a72}.mean{stroke:#e6ebf0}.interval{fill:#e6ebf0}}";

/// A histogram of the differences of the prompts' mean rewards, those without any apart, with their mean and its interval.
pub fn svg(report: &Report, ours: &[Vec<f64>], theirs: &[Vec<f64>]) -> String {
    let mean = |group: &Vec<f64>| group.iter().sum::<f64>() / group.len().max(1) as f64;
    let differences: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| mean(ours) - mean(theirs)).collect();
    let furthest = differences.iter().map(|one| one.abs()).fold(1e-9, f64::max);
    let [left, right, top, bottom] = MARGINS;
    let (width, height, base) = (WIDTH - left - right, HEIGHT - top - bottom, HEIGHT - bottom);
    // Zero is in the middle, and none of these bars has it inside. What is neither more nor less has a bar of its own on it.
    let x = |difference: f64| left + width * (difference / furthest + 1.0) / 2.0;
    let mut counts = [0usize; BARS];
    for difference in differences.iter().filter(|difference| **difference != 0.0) {
        let at = ((difference / furthest + 1.0) / 2.0 * BARS as f64) as usize;
        counts[at.min(BARS - 1)] += 1;
    }
    let even = differences.iter().filter(|difference| **difference == 0.0).count();
    let highest = counts.iter().copied().max().unwrap_or(1).max(even).max(1);
    let (ours, theirs) = (escaped(&report.model.name), escaped(&report.against.name));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{ours} against {theirs}: \
         differences of reward by prompt</title><style>{STYLE}</style>"
    );
    if let Some(won) = report.win_rate {
        let [rate, low, high] = [won.rate, won.low, won.high].map(|share| share * 100.0);
        let _ = write!(
            svg,
            "<text x=\"{left}\" y=\"22\">{ours} wins {rate:.1} % of {} against {theirs} (95 %: {low:.1} to {high:.1} %)</text>",
            counted(won.contests, "prompt")
        );
    }
    if let Some(rewards) = &report.reward {
        let found = rewards.difference;
        let _ = write!(
            svg,
            "<text x=\"{left}\" y=\"42\">mean difference of reward {:.3} ({:.3} to {:.3})</text>",
            found.mean, found.low, found.high
        );
    }
    let bar = width / BARS as f64;
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let tall = height * *count as f64 / highest as f64;
        let class = if at < BARS / 2 { "lost" } else { "won" };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
            left + bar * at as f64 + 1.0,
            base - tall,
            bar - 2.0
        );
    }
    if even > 0 {
        let tall = height * even as f64 / highest as f64;
        let _ = write!(
            svg,
            "<rect class=\"even\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
            x(0.0) - bar / 4.0,
            base - tall,
            bar / 2.0
        );
    }
    if let Some(rewards) = &report.reward {
        let found = rewards.difference;
        let [low, high] = [found.low.max(-furthest), found.high.min(furthest)].map(x);
        let _ = write!(
            svg,
            "<rect class=\"interval\" x=\"{low:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{height}\"/>\
             <path class=\"mean\" d=\"M{:.1} {top}V{base}\"/>",
            high - low,
            x(found.mean)
        );
    }
    let _ = write!(
        svg,
        "<path class=\"axis\" d=\"M{left} {top}V{base}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{highest}</text>",
        WIDTH - right,
        left - 6.0,
        top + 10.0
    );
    for tick in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        let at = x(tick * furthest);
        let anchor = if tick == 1.0 { "end" } else { "middle" };
        let _ = write!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{:.2}</text>",
            base + 18.0,
            tick * furthest
        );
    }
    let grey = if even > 0 { "; grey: no difference" } else { "" };
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"{:.1}\">reward of {ours} less that of {theirs}; height: prompts{grey}</text></svg>",
        HEIGHT - 8.0
    );
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
