//! The workspace (reference, section 16).

use serde::{Deserialize, Serialize};

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// `DIRECTORY`, `NOTEBOOK`, `FILE` or `LIBRARY`.
    pub object_type: String,
    /// Where it is.
    pub path: String,
    /// Its number; a library's is its id.
    pub object_id: u64,
    /// `PYTHON`, `SCALA`, `SQL` or `R`, of a notebook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// When it was made, in Unix milliseconds.
    pub created_at: u64,
    /// When it was last changed, in Unix milliseconds.
    pub modified_at: u64,
    /// Bytes of a notebook or a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// The answer of `workspace/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectList {
    /// What the folder holds, by name.
    #[serde(default)]
    pub objects: Vec<ObjectInfo>,
}

/// The answer of `workspace/export`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// What it holds, in base64.
    pub content: String,
    /// The suffix that a file of it has: `py`, `scala`, `sql`, `r` or the file's own.
    pub file_type: String,
}
