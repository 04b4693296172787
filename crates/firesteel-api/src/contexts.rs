//! Execution contexts (reference, section 2).

use serde::{Deserialize, Serialize};

use crate::ContextId;

/// The status of a context. `Running` and `Error` are where a client stops waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextStatus {
    /// Its interpreter is being made. Commands are taken and queued.
    Pending,
    /// It takes commands.
    Running,
    /// Its engine is gone.
    Error,
}

/// The answer of `contexts/create` and `contexts/destroy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextRef {
    /// The context.
    pub id: ContextId,
}

/// The answer of `contexts/status`: these two keys and no other, strict clients count them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextView {
    /// The context.
    pub id: ContextId,
    /// What it is doing.
    pub status: ContextStatus,
}
