//! Commands (reference, section 3).

use serde::{Deserialize, Serialize};

use crate::CommandId;
use crate::results::Results;

/// The status of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandStatus {
    /// It waits for the context.
    Queued,
    /// It runs.
    Running,
    /// A cancel was accepted; the code has not stopped yet.
    Cancelling,
    /// The code ended, by itself or with an exception.
    Finished,
    /// The code has stopped because it was asked to.
    Cancelled,
    /// The engine failed under it.
    Error,
}

impl CommandStatus {
    /// Tells whether nothing more will happen to the command.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled | Self::Error)
    }
}

/// The answer of `commands/execute` and `commands/cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRef {
    /// The command.
    pub id: CommandId,
}

/// The answer of `commands/status`: these three keys and no other. `results` is null until the command is
/// over or a cancel was accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandView {
    /// The command.
    pub id: CommandId,
    /// What came of it.
    pub results: Option<Results>,
    /// What it is doing.
    pub status: CommandStatus,
}
