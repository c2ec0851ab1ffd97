//! Lines for whoever watches a command. A reader that went away ends nothing: a training run, a job and a server go on when
//! the terminal or the pipe is closed that they told of themselves (`println!` and `eprintln!` would end the program).

use std::{
    fmt::Display,
    io::{self, Write},
    sync::LazyLock,
};

use indicatif::{MultiProgress, ProgressBar};

/// The bars on standard error, one below the other: by itself each would draw over the others. Hidden where that is no terminal.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A line on standard error, above the bars.
pub fn say(text: impl Display) {
    make_room();
    // There is nobody left to be told that this failed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Takes the bars off until they next move: what is printed to a terminal beside them would stand in their line. (indicatif's own
/// way to write above them ends the program where the terminal is closed.)
pub fn make_room() {
    let _ = BARS.clear();
}

/// Puts a bar that was hidden below those that are on the terminal.
pub fn show(bar: &ProgressBar) {
    BARS.add(bar.clone());
}

/// Takes a bar off the terminal, shown or not.
pub fn take_away(bar: &ProgressBar) {
    bar.finish_and_clear();
    BARS.remove(bar);
}

/// A line on standard output, of what is under way.
pub fn report(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A count of things, which have an s where they are not one: `1 answer`, `4 answers`.
pub fn counted(count: usize, thing: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{s}")
}

/// To what something is done that is done to each of so many things: `1 prompt`, `each of 4 prompts`.
pub fn each_of(count: usize, thing: &str) -> String {
    let things = counted(count, thing);
    if count == 1 { things } else { format!("each of {things}") }
}

/// A number to so many decimals, without the sign of one that is rounded to zero: a divergence of −6·10⁻⁷ would be `-0.0000`.
pub fn rounded(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_not_told_of_in_the_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "prompt")), ["0 prompts", "1 prompt", "2 prompts"]);
        assert_eq!([1, 2].map(|count| each_of(count, "prompt")), ["1 prompt", "each of 2 prompts"]);
    }

    #[test]
    fn what_is_rounded_to_zero_has_no_sign() {
        let told = [-6.4e-7, -0.0, 6.4e-7, -6.4e-5, -12.5].map(|value| rounded(value, 4));
        assert_eq!(told, ["0.0000", "0.0000", "0.0000", "-0.0001", "-12.5000"]);
        assert_eq!([rounded(-0.4, 0), rounded(f64::NAN, 4)], ["0", "NaN"]);
    }
}
