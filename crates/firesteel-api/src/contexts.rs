//! Execution contexts (reference, section 2).

use serde::{Deserialize, Serialize};

use crate::{ContextId, Language};

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

/// The answer of `contexts/list`: one page, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextList {
    /// The contexts.
    pub contexts: Vec<ListedContext>,
    /// What asks for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// One context of a list. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedContext {
    /// The context.
    pub id: ContextId,
    /// The language that was made ready first.
    pub language: Language,
    /// What it is doing.
    pub status: ContextStatus,
    /// When it was made.
    pub created_ms: u64,
}
