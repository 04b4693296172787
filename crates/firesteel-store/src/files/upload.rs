//! A file on its way in. It is written aside, and put in place whole, on disk, by one rename: whoever looks sees the old
//! file, or none, and then the new one. What is dropped before leaves nothing.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_model::TreePath;

use super::folder::Folder;
use super::{FilesError, blocking};

/// Bytes of one file.
pub const FILE_BYTES_MAX: u64 = 64 << 30;

/// A file that is being written. Dropping it removes what was written.
#[derive(Debug)]
pub struct Upload(Option<Writing>);

impl Upload {
    pub(super) fn begin(folder: &Arc<Folder>) -> Result<Self, FilesError> {
        let (file, name) = folder.aside_file().map_err(FilesError::upload)?;
        Ok(Self(Some(Writing { folder: folder.clone(), file, name, size: 0, is_placed: false })))
    }

    /// Returns how many bytes were written.
    pub fn size(&self) -> u64 {
        self.0.as_ref().map_or(0, |writing| writing.size)
    }

    /// Writes behind what is there. After a failure, or when this future is dropped, nothing more can be written.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), FilesError> {
        let mut writing = self.0.take().ok_or(FilesError::Stopped)?;
        let writing = blocking(move || {
            writing.write(&bytes)?;
            Ok(writing)
        });
        self.0 = Some(writing.await?);
        Ok(())
    }

    /// Puts the file in place at `path`; in place of a file that is there only if `overwrite`. It is on disk when this
    /// returns. Returns its size.
    pub async fn finish(mut self, path: TreePath, overwrite: bool) -> Result<u64, FilesError> {
        let writing = self.0.take().ok_or(FilesError::Stopped)?;
        blocking(move || writing.finish(&path, overwrite)).await
    }
}

struct Writing {
    folder: Arc<Folder>,
    file: File,
    name: String,
    size: u64,
    is_placed: bool,
}

impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Writing {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        self.size += bytes.len() as u64;
        if self.size > FILE_BYTES_MAX {
            return Err(FilesError::TooLarge(FILE_BYTES_MAX));
        }
        self.file.write_all(bytes).map_err(FilesError::upload)
    }

    fn finish(mut self, path: &TreePath, overwrite: bool) -> Result<u64, FilesError> {
        self.folder.check_place(path, overwrite)?;
        self.file.sync_all().map_err(FilesError::upload)?;
        self.folder.place(self.folder.aside(), &self.name, path, overwrite)?;
        self.is_placed = true;
        Ok(self.size)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.is_placed
            && let Err(error) = self.folder.aside().remove_file(&self.name)
        {
            tracing::warn!("what was uploaded of a file that was given up is left behind: {error}");
        }
    }
}
