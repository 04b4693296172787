//! Files below one folder: those of `dbfs:/`, and the contents of the workspace.
//!
//! - `folder`: the folder itself. Every name is looked up below it, by the kernel where it can (`openat2`), name by name
//!   where it cannot; a symbolic link is followed only as far as it stays inside.
//! - `upload`: a file on its way in, written aside and put in place whole.
//! - `error`: why a call was refused.
//!
//! What is here blocks, but for the `async` functions, which run it on tokio's blocking threads.

mod error;
mod folder;
mod upload;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_model::TreePath;

pub use error::FilesError;
pub use folder::FileStatus;
pub use upload::{FILE_BYTES_MAX, Upload};

use folder::Folder;

/// Entries of one listing.
pub const LISTING_MAX: usize = 100_000;

/// A handle to the files below one folder. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Folder>);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl Files {
    /// Opens the files below `root`, which is made, for the user alone, where it is missing. What uploads of an earlier
    /// life left behind is removed. Blocks.
    pub fn open(root: &Path) -> Result<Self, FilesError> {
        Ok(Self(Arc::new(Folder::open(root)?)))
    }

    /// Returns what a path is.
    pub async fn status(&self, path: TreePath) -> Result<FileStatus, FilesError> {
        self.blocking(move |folder| folder.status(&path)).await
    }

    /// Returns what a folder holds, by name, or the one file that the path is.
    pub async fn list(&self, path: TreePath) -> Result<Vec<FileStatus>, FilesError> {
        self.blocking(move |folder| folder.list(&path)).await
    }

    /// Returns up to `length` bytes of a file from `offset` on; none at its end.
    pub async fn read(&self, path: TreePath, offset: u64, length: usize) -> Result<Bytes, FilesError> {
        self.blocking(move |folder| folder.open_file(&path)?.read(offset, length)).await
    }

    /// Opens a file for reading piece by piece.
    pub async fn open_file(&self, path: TreePath) -> Result<OpenFile, FilesError> {
        self.blocking(move |folder| folder.open_file(&path)).await
    }

    /// Makes a folder and those it is in; one that is there is well.
    pub async fn mkdirs(&self, path: TreePath) -> Result<(), FilesError> {
        self.blocking(move |folder| folder.mkdirs(&path)).await
    }

    /// Removes a file, or a folder with all it holds if `recursive`; at once, for whoever looks. Tells whether there was
    /// something.
    pub async fn delete(&self, path: TreePath, recursive: bool) -> Result<bool, FilesError> {
        self.blocking(move |folder| folder.delete(&path, recursive)).await
    }

    /// Moves a file or a folder to a path where nothing is.
    pub async fn rename(&self, from: TreePath, to: TreePath) -> Result<(), FilesError> {
        self.blocking(move |folder| folder.rename(&from, &to)).await
    }

    /// Begins to write a file, which gets its path at the end.
    pub async fn begin(&self) -> Result<Upload, FilesError> {
        self.blocking(Upload::begin).await
    }

    /// Refuses a path that no file can be put at, before its bytes come; what is true at the end counts.
    pub async fn check_place(&self, path: TreePath, overwrite: bool) -> Result<(), FilesError> {
        self.blocking(move |folder| folder.check_place(&path, overwrite)).await
    }

    async fn blocking<T, F>(&self, work: F) -> Result<T, FilesError>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Folder>) -> Result<T, FilesError> + Send + 'static,
    {
        let folder = self.0.clone();
        blocking(move || work(&folder)).await
    }
}

/// A file that is open for reading. It stays the same when another takes its place.
#[derive(Debug)]
pub struct OpenFile {
    file: std::fs::File,
    path: TreePath,
    status: FileStatus,
}

impl OpenFile {
    /// What it was when it was opened.
    pub fn status(&self) -> &FileStatus {
        &self.status
    }

    /// Returns up to `length` bytes from `offset` on; none at the end. Blocks.
    pub fn read(&self, offset: u64, length: usize) -> Result<Bytes, FilesError> {
        use std::os::unix::fs::FileExt;
        let failed = |source| FilesError::io("read", &self.path, source);
        let left = usize::try_from(self.status.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(left)];
        let mut read = 0;
        while read < bytes.len() {
            match self.file.read_at(&mut bytes[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        bytes.truncate(read);
        Ok(bytes.into())
    }
}

/// Runs work that blocks on one of tokio's threads for that.
async fn blocking<T, F>(work: F) -> Result<T, FilesError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, FilesError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(broken) if broken.is_panic() => std::panic::resume_unwind(broken.into_panic()),
        Err(_) => Err(FilesError::Stopped),
    }
}

#[cfg(test)]
mod tests;
