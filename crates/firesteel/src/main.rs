//! The `firesteel` program.
mod client;
mod setup;
fn main() {}
