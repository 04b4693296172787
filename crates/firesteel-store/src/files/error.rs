//! Why a call on files was refused or failed.

use std::io;
use std::path::PathBuf;

use firesteel_model::TreePath;

/// Why a call on files was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The root cannot be made or opened.
    #[error("failed to open the folder `{}`", path.display())]
    Root {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing is there.
    #[error("no file or directory exists on path {0}")]
    Missing(TreePath),
    /// Something is there already.
    #[error("a file or directory already exists at the path {0}")]
    Exists(TreePath),
    /// A folder, where a file is needed.
    #[error("{0} is a directory")]
    IsFolder(TreePath),
    /// A file, where a folder is needed.
    #[error("{0} is a file, or leads through one")]
    NotFolder(TreePath),
    /// A folder that holds something, to be removed without what it holds.
    #[error("{0} is a directory that is not empty; delete it recursively")]
    NotEmpty(TreePath),
    /// Neither file nor folder.
    #[error("{0} is neither a file nor a directory")]
    Special(TreePath),
    /// The root, where something in it is needed.
    #[error("the root can be neither moved, written nor removed")]
    IsRoot,
    /// A folder cannot be moved into itself.
    #[error("{0} cannot be moved into itself")]
    IntoItself(TreePath),
    /// It leads out of the root, by a symbolic link.
    #[error("{0} leads out of the file system")]
    Outside(TreePath),
    /// The folder holds more than one answer takes.
    #[error("{path} holds more than {max} entries; list its folders one by one")]
    TooMany {
        /// The folder.
        path: TreePath,
        /// The bound.
        max: usize,
    },
    /// The file is longer than is taken.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// The disk, or a quota, is full.
    #[error("there is no room left: the disk of the server is full")]
    NoRoom,
    /// The system failed.
    #[error("failed to {what} {path}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The path.
        path: TreePath,
        /// Why.
        source: io::Error,
    },
    /// What is uploaded cannot be written.
    #[error("failed to write what is uploaded")]
    Upload(#[source] io::Error),
    /// The process is ending.
    #[error("the server is stopping")]
    Stopped,
}

impl FilesError {
    /// Tells what an error of the system means for a file that is being written.
    pub(super) fn upload(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::NoRoom,
            _ => Self::Upload(source),
        }
    }

    /// Tells what an error of the system means for a path.
    pub(super) fn io(what: &'static str, path: &TreePath, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let path = path.clone();
        match source.kind() {
            Kind::NotFound => Self::Missing(path),
            Kind::AlreadyExists => Self::Exists(path),
            Kind::IsADirectory => Self::IsFolder(path),
            Kind::NotADirectory => Self::NotFolder(path),
            Kind::DirectoryNotEmpty => Self::NotEmpty(path),
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::NoRoom,
            // What the look-up says of a link that leads out, and what the kernel does.
            Kind::PermissionDenied if source.raw_os_error().is_none() => Self::Outside(path),
            Kind::CrossesDevices => Self::Outside(path),
            _ => Self::Io { what, path, source },
        }
    }
}
