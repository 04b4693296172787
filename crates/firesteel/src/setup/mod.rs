//! What is made once, before the first request: the keys of TLS, the first user and the files that tell clients
//! how to reach this server.
//!
//! Everything here works on a data folder and an [`Address`], with blocking I/O, and needs no running server. What
//! the store must know (hashes of the password and the token) is returned, never written here.

pub(crate) mod address;
pub(crate) mod credentials;
pub(crate) mod ini;
pub(crate) mod private_file;
pub(crate) mod secret;
pub(crate) mod tls;
mod validity;

pub(crate) use address::{Address, Scheme};
pub(crate) use secret::Secret;
