//! The protocol of both links, as `docs/protocol.md` describes it.
//!
//! - `frame`: bytes on a socket to messages and back, with every bound.
//! - `interpreters`: what the driver and its interpreters say to each other.
//! - `link`: what the server and the driver say to each other.
//! - `results`: the rows of a table result, on disk and on their way to a reader.
//! - `secret`: a word that is passed on and never shown.
//! - `secrets`: what passes through all of them.

pub mod frame;
pub mod interpreters;
pub mod link;
pub mod results;
pub mod secret;
pub mod secrets;
#[cfg(test)]
mod tests;

/// The version that the first message of every connection carries.
pub const VERSION: u32 = 2;
