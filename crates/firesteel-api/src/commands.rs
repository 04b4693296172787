//! Commands (reference, section 3).

use serde::{Deserialize, Serialize};

use crate::results::Results;
use crate::{CommandId, Language};

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

/// The answer of `commands/list`: one page, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandList {
    /// The commands.
    pub commands: Vec<ListedCommand>,
    /// What asks for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// One command of a list. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedCommand {
    /// The command.
    pub id: CommandId,
    /// The language it is written in.
    pub language: Language,
    /// What it is doing.
    pub status: CommandStatus,
    /// When it was sent.
    pub created_ms: u64,
    /// When its code began to run.
    pub started_ms: Option<u64>,
    /// When it was over.
    pub ended_ms: Option<u64>,
}

/// The answer of `commands/output`: what a command printed, from an offset on. Offsets count bytes of UTF-8 text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandOutput {
    /// The command.
    pub id: CommandId,
    /// What it is doing.
    pub status: CommandStatus,
    /// Text, cut between characters.
    pub data: String,
    /// Where `data` begins: where it was asked for, unless text before it is not kept.
    pub offset: u64,
    /// Where to read on.
    pub next_offset: u64,
    /// How many bytes from where it was asked for on are not kept.
    pub skipped: u64,
    /// Nothing will ever follow `next_offset`.
    pub complete: bool,
}

/// How far the Spark jobs of a running command are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Jobs.
    pub jobs: Count,
    /// Stages of these jobs.
    pub stages: Count,
    /// Tasks of these stages.
    pub tasks: Count,
}

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// That have ended well.
    pub done: u64,
    /// That are known of.
    pub all: u64,
}
