//! The command line of `laurel-trainer`.
fn main() {}
