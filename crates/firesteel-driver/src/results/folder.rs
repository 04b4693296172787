//! The folder of all results of a cluster.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use firesteel_api::{CommandId, ContextId};

use super::index::index_of;
use crate::listen::private_folder;

/// How many results a cluster keeps; the oldest make room.
const RESULTS_MAX: usize = 10_000;

/// A handle to the folder. What takes time is done aside, in order not to hold up the driver's task.
#[derive(Clone)]
pub(crate) struct ResultsFolder {
    root: PathBuf,
    bytes_max: u64,
    sweeping: Arc<AtomicBool>,
}

/// One result as a sweep sees it.
struct Kept {
    path: PathBuf,
    bytes: u64,
    changed: SystemTime,
}

impl ResultsFolder {
    /// Makes the folder anew in a cluster's: what an earlier driver left there is nobody's any more.
    pub(crate) fn make(cluster: &Path, bytes_max: u64) -> io::Result<Self> {
        let folder = Self { root: cluster.join("results"), bytes_max, sweeping: Arc::default() };
        folder.remove()?;
        private_folder(&folder.root)?;
        Ok(folder)
    }

    /// Makes a context's folder.
    pub(crate) fn open(&self, context: ContextId) {
        if let Err(error) = private_folder(&self.of(context)) {
            tracing::warn!("the results of context {context} cannot be kept: {error}");
        }
    }

    /// Returns the file for the rows of a command.
    pub(crate) fn file(&self, context: ContextId, command: CommandId) -> PathBuf {
        self.of(context).join(command.to_string())
    }

    /// Removes a context's folder.
    pub(crate) fn close(&self, context: ContextId) {
        let folder = self.of(context);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = remove_tree(&folder) {
                tracing::warn!("the results of context {context} were not removed: {error}");
            }
        });
    }

    /// Removes the oldest results while there are too many, or too large ones. One such sweep runs at a time.
    pub(crate) fn make_room(&self) {
        if self.sweeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let folder = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = folder.sweep() {
                tracing::warn!("old results were not removed: {error}");
            }
            folder.sweeping.store(false, Ordering::Release);
        });
    }

    /// Removes everything.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_tree(&self.root)
    }

    fn of(&self, context: ContextId) -> PathBuf {
        self.root.join(context.to_string())
    }

    fn sweep(&self) -> io::Result<()> {
        let mut kept = Vec::new();
        for context in std::fs::read_dir(&self.root)? {
            kept_in(&context?.path(), &mut kept)?;
        }
        let mut bytes: u64 = kept.iter().map(|result| result.bytes).sum();
        let mut count = kept.len();
        kept.sort_by_key(|result| result.changed);
        for oldest in kept {
            if bytes <= self.bytes_max && count <= RESULTS_MAX {
                break;
            }
            tracing::info!("the result {} made room for newer ones", oldest.path.display());
            let _ = std::fs::remove_file(&oldest.path);
            let _ = std::fs::remove_file(index_of(&oldest.path));
            bytes -= oldest.bytes;
            count -= 1;
        }
        Ok(())
    }
}

fn kept_in(context: &Path, kept: &mut Vec<Kept>) -> io::Result<()> {
    let files = match std::fs::read_dir(context) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()), // it was just destroyed
        files => files?,
    };
    for file in files {
        let path = file?.path();
        if path.extension().is_none()
            && let Ok(meta) = path.metadata()
        {
            kept.push(Kept { bytes: meta.len(), changed: meta.modified()?, path });
        }
    }
    Ok(())
}

fn remove_tree(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_results_make_room() {
        let cluster = tempfile::tempdir().unwrap();
        let folder = ResultsFolder::make(cluster.path(), 250).unwrap();
        let contexts: [ContextId; 2] = [ContextId::generate(), ContextId::generate()];
        let commands: Vec<CommandId> = (0..4).map(|_| CommandId::generate()).collect();
        let files: Vec<PathBuf> = (0..4).map(|at| folder.file(contexts[at % 2], commands[at])).collect();
        contexts.iter().for_each(|context| folder.open(*context));
        let start = SystemTime::now() - Duration::from_secs(60);
        for (at, path) in files.iter().enumerate() {
            std::fs::write(path, [0; 100]).unwrap();
            std::fs::write(index_of(path), [0; 16]).unwrap();
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(start + Duration::from_secs(at as u64)).unwrap();
        }
        folder.sweep().unwrap();
        let there = |path: &PathBuf| path.exists() && index_of(path).exists();
        assert_eq!(files.iter().map(there).collect::<Vec<_>>(), [false, false, true, true]);
        assert!(!index_of(&files[0]).exists(), "its index went with it");
    }

    #[test]
    fn what_an_earlier_driver_left_is_removed() {
        let cluster = tempfile::tempdir().unwrap();
        let folder = ResultsFolder::make(cluster.path(), 1).unwrap();
        let (context, command) = (ContextId::generate(), CommandId::generate());
        folder.open(context);
        std::fs::write(folder.file(context, command), "x").unwrap();
        ResultsFolder::make(cluster.path(), 1).unwrap();
        assert_eq!(std::fs::read_dir(cluster.path().join("results")).unwrap().count(), 0);
    }
}
