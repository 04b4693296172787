//! DBFS 2.0 (reference, section 15).

use serde::{Deserialize, Serialize};

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// The path, without the scheme.
    pub path: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Bytes of a file; 0 for a folder.
    pub file_size: u64,
    /// When it was last changed, in Unix milliseconds.
    pub modification_time: u64,
}

/// The answer of `dbfs/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileList {
    /// What the folder holds, by name.
    #[serde(default)]
    pub files: Vec<FileInfo>,
}

/// The answer of `dbfs/read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// How many bytes there are; 0 at the end of the file.
    pub bytes_read: u64,
    /// The bytes, in base64.
    pub data: String,
}

/// The answer of `dbfs/create`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// Names the file that is being written; JSON readers hold it exactly.
    pub handle: u64,
}

/// An answer that says no more than that it was done: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}
