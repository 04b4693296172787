//! What must survive a restart, in one SQLite file: users, tokens, clusters, contexts, commands, what they print and
//! their results, libraries, secrets and the workspace; and the files of `dbfs:/`, in a folder (`files`).
//!
//! Only this crate knows SQL. It takes and returns the types of `firesteel_api` and `firesteel_model`, and asks the
//! model what an event means, so that the rules are those of every other part.
//!
//! **Writes** go to one thread, which puts those that wait into one transaction, each in a savepoint of its own, and
//! answers them after the commit. A write that was answered survives a crash of the process and of the machine. Dropping
//! the future of a write does not undo it.
//!
//! **Reads** use a few connections of their own and never wait for a write. A look-up of one row runs on the thread that
//! asks; what can be long (lists, sources, results) runs on tokio's blocking threads.

mod clusters;
mod columns;
mod commands;
mod contexts;
mod error;
mod events;
pub mod files;
mod history;
mod installs;
mod libraries;
mod lives;
mod migrations;
mod outputs;
mod readers;
mod schedules;
mod secrets;
mod store;
mod tokens;
mod users;
mod workspace;
mod writer;

#[cfg(test)]
mod tests;

pub use clusters::ClusterRecord;
pub use commands::{CommandRecord, NewCommand};
pub use contexts::ContextRecord;
pub use error::StoreError;
pub use events::{Applied, Change};
pub use history::HistoryQuery;
pub use installs::InstallRecord;
pub use libraries::{LibraryRecord, NewLibrary};
pub use outputs::{Output, OutputPage};
pub use schedules::{NewRun, RunOutcome, RunRecord, ScheduleOrigin, ScheduleRecord};
pub use secrets::{SecretAcl, SecretRecord, SecretValue};
pub use store::{Store, now_ms};
pub use tokens::TokenRecord;
pub use users::UserRecord;
pub use workspace::{NODE_BYTES_MAX, NewNode, Node, NodeKind};
