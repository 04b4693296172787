//! The wire of the REST API 1.2 as types: what clients send and what they read back.
//!
//! Nothing here does I/O, keeps state or knows HTTP. The server, the driver, the store and the client commands
//! all speak these types, so that a field is spelled in one place. The facts behind them are the sections of
//! the wire reference that each item names.

pub mod clusters;
pub mod commands;
pub mod contexts;
pub mod errors;
pub mod ids;
pub mod language;
pub mod libraries;
pub mod results;
pub mod schedules;
pub mod v2;

pub use ids::{ClusterId, CommandId, ContextId, LibraryId};
pub use language::Language;
