//! The `firesteel` program.
fn main() {}
