//! Rebuilds when files change that macros read: migrations and locales.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=locales");
}
