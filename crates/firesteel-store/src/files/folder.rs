//! The folder that the files are in.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt as _};
use firesteel_model::TreePath;
use firesteel_model::path::OWN_FOLDER;
use nix::fcntl::{OFlag, RenameFlags, renameat2};

use super::{FilesError, LISTING_MAX, OpenFile};

/// Where, in our own folder, files are that are being written or removed.
const ASIDE: &str = "uploads";

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// The path.
    pub path: TreePath,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes of a file; 0 for a folder.
    pub size: u64,
    /// When it was last changed, in Unix milliseconds.
    pub modified_ms: u64,
}

impl FileStatus {
    fn new(path: TreePath, facts: &Metadata) -> Self {
        let modified = facts.modified().ok().and_then(|time| time.into_std().duration_since(UNIX_EPOCH).ok());
        Self {
            path,
            is_folder: facts.is_dir(),
            size: if facts.is_dir() { 0 } else { facts.len() },
            modified_ms: modified.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// The folder, open, and the one beside its files where they are written.
pub(super) struct Folder {
    root: Dir,
    aside: Dir,
}

impl Folder {
    pub(super) fn open(root: &Path) -> Result<Self, FilesError> {
        let open = || -> io::Result<Self> {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
            let authority = cap_std::ambient_authority();
            let dir = Dir::open_ambient_dir(root, authority)?;
            let own = root.join(OWN_FOLDER);
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(own.join(ASIDE))?;
            // In place of a link that somebody put there, which would lead our own files elsewhere.
            let own = dir.open_dir(OWN_FOLDER)?;
            let aside = own.open_dir(ASIDE)?;
            for entry in aside.entries()? {
                remove(&aside, &entry?.file_name().to_string_lossy())?;
            }
            Ok(Self { root: dir, aside })
        };
        open().map_err(|source| FilesError::Root { path: root.to_owned(), source })
    }

    pub(super) fn status(&self, path: &TreePath) -> Result<FileStatus, FilesError> {
        let facts = self.root.metadata(path.below_root()).map_err(|error| FilesError::io("look at", path, error))?;
        Ok(FileStatus::new(path.clone(), &facts))
    }

    pub(super) fn list(&self, path: &TreePath) -> Result<Vec<FileStatus>, FilesError> {
        let own = self.status(path)?;
        if !own.is_folder {
            return Ok(vec![own]);
        }
        let failed = |error| FilesError::io("list", path, error);
        let dir = self.root.open_dir(path.below_root()).map_err(failed)?;
        let mut found = Vec::new();
        for entry in dir.entries().map_err(failed)? {
            // A name that is no text cannot be asked for.
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
            if path.is_root() && name == OWN_FOLDER {
                continue;
            }
            let path = path.join(&name);
            // One that is gone by now, or a link that leads nowhere or out.
            let Ok(facts) = self.root.metadata(path.below_root()) else { continue };
            if found.len() == LISTING_MAX {
                return Err(FilesError::TooMany { path: path.parent(), max: LISTING_MAX });
            }
            found.push(FileStatus::new(path, &facts));
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    pub(super) fn open_file(&self, path: &TreePath) -> Result<OpenFile, FilesError> {
        let failed = |error| FilesError::io("open", path, error);
        let mut options = OpenOptions::new();
        // A named pipe would hold us until somebody writes.
        options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let file = self.root.open_with(path.below_root(), &options).map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        if facts.is_dir() {
            return Err(FilesError::IsFolder(path.clone()));
        }
        if !facts.is_file() {
            return Err(FilesError::Special(path.clone()));
        }
        Ok(OpenFile { file: file.into_std(), path: path.clone(), status: FileStatus::new(path.clone(), &facts) })
    }

    pub(super) fn mkdirs(&self, path: &TreePath) -> Result<(), FilesError> {
        if path.is_root() {
            return Ok(());
        }
        match self.root.create_dir_all(path.below_root()) {
            Ok(()) => Ok(()),
            Err(error) => match FilesError::io("make", path, error) {
                FilesError::Exists(_) | FilesError::NotFolder(_) => match self.status(path) {
                    // Made by another meanwhile.
                    Ok(there) if there.is_folder => Ok(()),
                    Err(FilesError::Outside(path)) => Err(FilesError::Outside(path)),
                    _ => Err(FilesError::NotFolder(path.clone())),
                },
                other => Err(other),
            },
        }
    }

    pub(super) fn delete(&self, path: &TreePath, recursive: bool) -> Result<bool, FilesError> {
        if path.is_root() {
            return Err(FilesError::IsRoot);
        }
        let failed = |error| FilesError::io("delete", path, error);
        let facts = match self.root.symlink_metadata(path.below_root()) {
            Ok(facts) => facts,
            Err(error) => match failed(error) {
                FilesError::Missing(_) | FilesError::NotFolder(_) => return Ok(false),
                other => return Err(other),
            },
        };
        if facts.is_dir() && !recursive {
            self.root.remove_dir(path.below_root()).map_err(failed)?;
            return Ok(true);
        }
        // Whole and at once: what takes its time is done where nobody looks.
        let name = unused_name();
        self.root.rename(path.below_root(), &self.aside, &name).map_err(failed)?;
        remove(&self.aside, &name).map_err(failed)?;
        Ok(true)
    }

    pub(super) fn rename(&self, from: &TreePath, to: &TreePath) -> Result<(), FilesError> {
        if from.is_root() || to.is_root() {
            return Err(FilesError::IsRoot);
        }
        let failed = |error| FilesError::io("move", from, error);
        self.root.symlink_metadata(from.below_root()).map_err(failed)?;
        if to.is_within(from) {
            return Err(FilesError::IntoItself(from.clone()));
        }
        let source = self.root.open_dir(from.parent().below_root()).map_err(failed)?;
        self.place(&source, from.name(), to, false)
    }

    /// Puts `name` of a folder in place at `path`; in place of what is there only if `overwrite`.
    pub(super) fn place(&self, source: &Dir, name: &str, path: &TreePath, overwrite: bool) -> Result<(), FilesError> {
        let failed = |error| FilesError::io("write", path, error);
        self.mkdirs(&path.parent())?;
        let parent = self.root.open_dir(path.parent().below_root()).map_err(failed)?;
        if overwrite {
            source.rename(name, &parent, path.name()).map_err(failed)?;
        } else {
            rename_new(source, name, &parent, path.name()).map_err(failed)?;
        }
        // The new name is on disk when this returns. (A `Dir` itself is a place only, and cannot be synced.)
        parent.open(".").and_then(|dir| dir.sync_all()).map_err(failed)
    }

    /// Refuses a path that no file can be put at.
    pub(super) fn check_place(&self, path: &TreePath, overwrite: bool) -> Result<(), FilesError> {
        if path.is_root() {
            return Err(FilesError::IsRoot);
        }
        match self.status(path) {
            Ok(_) if !overwrite => Err(FilesError::Exists(path.clone())),
            Ok(there) if there.is_folder => Err(FilesError::IsFolder(path.clone())),
            Err(FilesError::Missing(_)) | Ok(_) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Makes a new file aside, for the user alone; returns its name too.
    pub(super) fn aside_file(&self) -> io::Result<(std::fs::File, String)> {
        let name = unused_name();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = self.aside.open_with(&name, &options)?;
        Ok((file.into_std(), name))
    }

    pub(super) fn aside(&self) -> &Dir {
        &self.aside
    }
}

/// Renames if nothing has the new name; in one step where the file system can.
fn rename_new(source: &Dir, name: &str, parent: &Dir, new: &str) -> io::Result<()> {
    match renameat2(source, name, parent, new, RenameFlags::RENAME_NOREPLACE) {
        // A file system that knows no such flag, as some network ones.
        Err(nix::errno::Errno::EINVAL) if parent.symlink_metadata(new).is_err() => source.rename(name, parent, new),
        Err(nix::errno::Errno::EINVAL) => Err(io::ErrorKind::AlreadyExists.into()),
        renamed => renamed.map_err(io::Error::from),
    }
}

/// Removes whatever `name` is.
fn remove(dir: &Dir, name: &str) -> io::Result<()> {
    if !dir.symlink_metadata(name)?.is_dir() {
        return dir.remove_file(name);
    }
    match dir.remove_dir_all(name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // A folder that user code has closed to its own user.
            open_up(dir, name)?;
            dir.remove_dir_all(name)
        }
        removed => removed,
    }
}

/// Makes every folder below `name` one that its owner can empty.
fn open_up(dir: &Dir, name: &str) -> io::Result<()> {
    dir.set_permissions(name, cap_std::fs::Permissions::from_std(std::fs::Permissions::from_mode(0o700)))?;
    let below = dir.open_dir(name)?;
    for entry in below.entries()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&below, &entry.file_name().to_string_lossy())?;
        }
    }
    Ok(())
}

fn unused_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}
