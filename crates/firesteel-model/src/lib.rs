//! States and rules: what may happen to a cluster, a context, a command and a queue, and what comes of it.
//!
//! Nothing here does I/O, reads a clock, takes a lock or waits. The server, the store and the driver ask this crate
//! what an event means, so that a rule is written once. Each machine is an enum and one `after` function, drawn above
//! the enum. Facts (what a driver or an operating system reports) are never refused: a late one changes nothing. Only
//! what a user asks can be refused, and only of a cluster.

pub mod cluster;
pub mod command;
pub mod context;
pub mod history;
pub mod library;
pub mod limits;
pub mod notebook;
pub mod path;
pub mod policy;
pub mod queue;
pub mod schedule;
pub mod settings;

pub use cluster::{ClusterEvent, ClusterState, Refused};
pub use command::{CommandEvent, CommandState};
pub use context::{ContextEvent, ContextState};
pub use history::Cause;
pub use library::{LibraryEvent, LibraryState};
pub use limits::Limits;
pub use path::{BadPath, TreePath};
pub use queue::Queue;
pub use settings::ClusterSettings;

/// A state's name, as it is stored, that this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a state of a {noun}")]
pub struct UnknownState {
    noun: &'static str,
    name: String,
}

impl UnknownState {
    pub(crate) fn new(noun: &'static str, name: &str) -> Self {
        Self { noun, name: name.to_owned() }
    }
}
