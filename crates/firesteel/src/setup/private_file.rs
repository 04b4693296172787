//! Files that only their owner may read, replaced whole.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tracing::warn;

/// A file or folder that could not be handled.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what} `{path}`")]
pub(crate) struct FileError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl FileError {
    pub(super) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { what, path, source }
    }
}

/// Makes a folder, and those above it, that only its owner may enter. One that exists is left as it is.
pub(crate) fn make_folder(path: &Path) -> Result<(), FileError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(FileError::at("make the folder", path))
}

/// Writes a file aside with mode 0600 and renames it into place: a crash leaves the old content or the new.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        let mut aside =
            tempfile::Builder::new().prefix(".new-").permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
        aside.write_all(content)?;
        aside.as_file().sync_all()?;
        aside.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(FileError::at("write", path))
}

/// Reads a private file; `None` when there is none. One that others could read is closed to them first, with a
/// warning, because what it holds may have been seen.
pub(crate) fn read(path: &Path) -> Result<Option<String>, FileError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::at("read", path)(error)),
    };
    let close = || -> io::Result<()> {
        if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            warn!(file = %path.display(), "closed `{}` to other users of this machine", path.display());
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
        }
        Ok(())
    };
    close().map_err(FileError::at("protect", path))?;
    // What is not UTF-8 is damaged, which its reader finds out.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_from_its_first_moment_and_made_so_when_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(read(&path).unwrap().is_none());
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);

        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(mode(), 0o600);
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "nothing is left aside");
    }
}
