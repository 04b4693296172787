//! Chores of the project: `cargo xtask tidy`.
fn main() {}
