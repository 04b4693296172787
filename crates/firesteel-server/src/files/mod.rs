//! What users keep on the server, as the edge asks for it: the files of `dbfs:/`, the workspace, and secrets.
//!
//! - `handles`: files that are written block by block, over several calls.
//! - `libraries`: the files of libraries, which come and go with them.
//!
//! Nothing here knows HTTP.

mod handles;
mod libraries;

use std::path::Path;

use firesteel_store::Store;
use firesteel_store::files::{Files, FilesError};

pub use handles::{HandleError, Handles};
pub use libraries::{LIBRARY_FOLDER, LibraryFileError};

/// The folder of the data folder that holds the files of `dbfs:/`.
pub const DBFS_FOLDER: &str = "dbfs";

/// What users keep. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The files of `dbfs:/`.
    pub dbfs: Files,
    /// Those that are written block by block.
    pub handles: Handles,
    /// The workspace, and secrets.
    pub store: Store,
}

impl Kept {
    /// Opens what is kept in a data folder, and makes what is missing. Blocks.
    pub fn open(data: &Path, store: Store) -> Result<Self, FilesError> {
        Ok(Self { dbfs: Files::open(&data.join(DBFS_FOLDER))?, handles: Handles::default(), store })
    }
}
