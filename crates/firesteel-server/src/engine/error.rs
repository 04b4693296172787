//! Why the engine refused or failed. Knows nothing of HTTP.

use firesteel_api::clusters::ClusterStatus;
use firesteel_api::{CommandId, ContextId};

/// Why the engine refused or failed. The texts are those of the reference, section 1.5.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No such cluster.
    #[error("Cluster {0} does not exist")]
    UnknownCluster(String),
    /// Waiting helps: the name makes stock clients try again by themselves.
    #[error("ClusterNotReadyException: Cluster {cluster} is in state {status:?}")]
    ClusterNotReady {
        /// The cluster.
        cluster: String,
        /// What it is doing.
        status: ClusterStatus,
    },
    /// Waiting does not help.
    #[error("Cluster {cluster} is not running{}", reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    ClusterNotRunning {
        /// The cluster.
        cluster: String,
        /// Why it ended, when that is known.
        reason: Option<String>,
    },
    /// What was asked does not fit what the cluster is doing. Clients look for this very text.
    #[error("Cluster {cluster} is in unexpected state {status:?}.")]
    UnexpectedState {
        /// The cluster.
        cluster: String,
        /// What it is doing.
        status: ClusterStatus,
    },
    /// A pinned cluster is not deleted for good. Clients look for these very words.
    #[error("cluster {0} is pinned; unpin the cluster first")]
    Pinned(String),
    /// The settings of a cluster ask for what cannot be had.
    #[error("{0}")]
    BadSettings(String),
    /// There are as many clusters as the server takes.
    #[error("{limit} clusters are there already, which is the limit (`limits.clusters_max`); delete some of them")]
    TooManyClusters {
        /// The bound.
        limit: usize,
    },
    /// No such library.
    #[error("LibraryNotFound: {0}")]
    UnknownLibrary(String),
    /// The folder holds that name already. Clients look for these very words.
    #[error("NameConflictException: Node named '{0}' already exists")]
    NameTaken(String),
    /// A library that cannot be had.
    #[error("{0}")]
    BadLibrary(String),
    /// No such schedule.
    #[error("there is no schedule `{0}`")]
    UnknownSchedule(String),
    /// A schedule that cannot be.
    #[error("{0}")]
    BadSchedule(String),
    /// No such context, or one that was destroyed.
    #[error("ContextNotFound: {0}")]
    UnknownContext(String),
    /// No such command in that context.
    #[error("CommandNotFound: {0}")]
    UnknownCommand(String),
    /// The cluster is full.
    #[error("Too many execution contexts are open right now. (Limit set to {0})")]
    TooManyContexts(usize),
    /// A page that no page before gave the way to.
    #[error("`pageToken` is `{token}`, which is no `nextPageToken` of {call}; leave it out for the first page")]
    BadPageToken {
        /// What was given.
        token: String,
        /// The call that gives them.
        call: &'static str,
    },
    /// As many clients follow commands as may.
    #[error(
        "{0} event streams are open, as many as `limits.event_streams_max` allows; close one, or read with commands/output"
    )]
    TooManyStreams(usize),
    /// The context has lost its engine.
    #[error("Context ExecutionContextId({context}) is disconnected. {reason}")]
    ContextLost {
        /// The context.
        context: ContextId,
        /// Why.
        reason: String,
    },
    /// The context's queue is full.
    #[error("context {context} already has {limit} commands running or waiting; wait for some of them to end")]
    QueueFull {
        /// The context.
        context: ContextId,
        /// The bound.
        limit: usize,
    },
    /// The sources of the context's queue are too large together.
    #[error(
        "the commands that run or wait in context {context} may have {limit} bytes together; wait for some of them to end"
    )]
    QueueTooLarge {
        /// The context.
        context: ContextId,
        /// The bound.
        limit: usize,
    },
    /// The command may still come to a table.
    #[error("command {command} is not over; ask again when commands/status says that it is Finished")]
    NotOver {
        /// The command.
        command: CommandId,
    },
    /// The command came to something else than a table.
    #[error("command {command} {what}: it has no table")]
    NoTable {
        /// The command.
        command: CommandId,
        /// What became of it.
        what: String,
    },
    /// The rows are not kept any more.
    #[error("command {command}: {reason}. Its first {kept} rows are in commands/status, and here as json or csv")]
    RowsGone {
        /// The command.
        command: CommandId,
        /// How many rows the store has.
        kept: usize,
        /// Why there are no more.
        reason: String,
    },
    /// The language cannot be had on this cluster.
    #[error("{0}")]
    LanguageUnavailable(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
}

impl From<firesteel_store::StoreError> for EngineError {
    fn from(error: firesteel_store::StoreError) -> Self {
        use std::error::Error;
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            text += &format!(": {source}");
            cause = source.source();
        }
        Self::Store(text)
    }
}
