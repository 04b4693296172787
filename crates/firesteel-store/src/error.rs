//! Why the store refused or failed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use firesteel_api::{ClusterId, ContextId};
use firesteel_model::Refused;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the folder.
    #[error("the data folder `{}` is used by another firesteel; stop that one, or give this one another folder", .0.display())]
    InUse(PathBuf),
    /// A newer program wrote the database.
    #[error("the database `{}` has version {found} and this program knows {known}; use the program that wrote it, or a newer one", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// A file of the store cannot be made or opened.
    #[error("failed to open `{}`", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("failed to {what} in the database")]
    Sql {
        /// What was attempted.
        what: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
    /// The transaction could not be begun or committed; nothing of the write is stored.
    #[error("failed to {what}: the database does not take writes; check that its disk has room")]
    Commit {
        /// What was attempted.
        what: &'static str,
        /// Why. Shared by all the writes of the transaction.
        source: Arc<rusqlite::Error>,
    },
    /// No such user.
    #[error("there is no user `{0}`")]
    NoUser(String),
    /// No such cluster.
    #[error("there is no cluster `{0}`")]
    NoCluster(ClusterId),
    /// No such context, or one that was destroyed.
    #[error("there is no context `{0}`")]
    NoContext(ContextId),
    /// The context takes no more commands.
    #[error("context `{context}` has lost its engine: {reason}")]
    ContextLost {
        /// The context.
        context: ContextId,
        /// Why.
        reason: String,
    },
    /// There is no such thing.
    #[error("{what} `{name}` does not exist")]
    Missing {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is one already.
    #[error("{what} `{name}` already exists")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There are as many as are kept.
    #[error("there are {max} {what}; no more are kept")]
    Full {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A name that is none.
    #[error("a {what} has 1 to {max} letters, digits, dashes, underscores, dots, slashes, blanks and @")]
    BadName {
        /// Of what.
        what: &'static str,
        /// The bound, in bytes.
        max: usize,
    },
    /// A folder of the workspace that holds something.
    #[error("folder `{0}` is not empty; delete it recursively")]
    NotEmpty(String),
    /// A folder of the workspace that is always there.
    #[error("`{0}` cannot be deleted")]
    Kept(String),
    /// A library, or a folder that holds one, which is not deleted by a call of the workspace.
    #[error("`{0}` is a library, or holds one; delete the library first")]
    HoldsLibrary(String),
    /// The id is taken; make another.
    #[error("the id `{0}` is taken")]
    Taken(String),
    /// As many of such things as the store keeps.
    #[error("there are {max} {what} already, and no more are kept; delete some")]
    TooMany {
        /// Which things.
        what: &'static str,
        /// The bound.
        max: u32,
    },
    /// More than the store keeps of such a thing.
    #[error("the {what} has {bytes} bytes; at most {max} are kept")]
    TooLarge {
        /// Which thing.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The state of the cluster does not allow it.
    #[error(transparent)]
    Refused(Refused),
    /// The store's own thread has ended.
    #[error("the store has stopped")]
    Stopped,
}

/// Why the work of one read or write did not end well, before it is known under which name that is reported.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite failed; the door names what was attempted.
    Sql(rusqlite::Error),
    /// Already in a caller's words.
    Refusal(StoreError),
}

impl Failure {
    pub(crate) fn named(self, what: &'static str) -> StoreError {
        match self {
            Self::Sql(source) => StoreError::Sql { what, source },
            Self::Refusal(refusal) => refusal,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refusal(error)
    }
}

/// Refuses a text that is longer than the store keeps.
pub(crate) fn bounded(what: &'static str, text: &str, max: usize) -> Result<(), StoreError> {
    if text.len() <= max { Ok(()) } else { Err(StoreError::TooLarge { what, bytes: text.len(), max }) }
}
