//! The command line of `laurel`.

use std::process::ExitCode;

fn main() -> ExitCode {
    laurel::cli::main()
}
