//! The command line of `laurel`.
fn main() {}
