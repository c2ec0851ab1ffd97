//! Lines for whoever watches a command. A reader that went away ends nothing: a training run, a job and a server go on when
//! the terminal or the pipe is closed that they told of themselves (`println!` and `eprintln!` would end the program).

use std::{
    fmt::Display,
    io::{self, Write},
};

/// A line on standard error.
pub fn say(text: impl Display) {
    // There is nobody left to be told that this failed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A line on standard output, of what is under way.
pub fn report(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}
