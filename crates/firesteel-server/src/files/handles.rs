//! Files that are written block by block: `create`, `add-block`, `close`.
//!
//! A handle is its maker's alone. One that hears nothing for [`IDLE`] is given up, and what was written of its file is
//! removed with it; so is everything when the process ends.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use firesteel_model::TreePath;
use firesteel_store::files::{FilesError, Upload};
use tokio::time::Instant;

/// How long a handle waits for its next block.
pub(crate) const IDLE: Duration = Duration::from_secs(600);
/// Handles of one user.
pub(crate) const HANDLES_MAX: usize = 128;
/// The largest number that every JSON reader holds exactly.
const HANDLE_MAX: u64 = (1 << 53) - 1;

/// Every open handle. Cheap to clone.
#[derive(Clone, Default)]
pub struct Handles(Arc<Mutex<HashMap<u64, Open>>>);

struct Open {
    user: String,
    heard: Instant,
    writing: Arc<tokio::sync::Mutex<Writing>>,
}

/// The file behind a handle; blocks are written one at a time, in the order in which they came.
struct Writing {
    path: TreePath,
    overwrite: bool,
    /// `None` once a block could not be written: the file has a hole then, and is lost.
    upload: Option<Upload>,
}

/// Why a call on a handle was refused.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// There is no such handle, or it is another user's, or it was idle for too long.
    #[error("No stream with handle {0}: it is closed, or heard nothing for {idle} minutes", idle = IDLE.as_secs() / 60)]
    Unknown(u64),
    /// The user has too many.
    #[error("you have {HANDLES_MAX} files open for writing; close some of them")]
    TooMany,
    /// A block was not written.
    #[error("a block of the file behind handle {0} could not be written; write the file anew")]
    Broken(u64),
    /// The file was refused.
    #[error(transparent)]
    Files(#[from] FilesError),
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles").finish_non_exhaustive()
    }
}

impl Handles {
    /// Opens a handle for a file that gets `path` when it is closed.
    pub fn open(&self, user: &str, path: TreePath, overwrite: bool, upload: Upload) -> Result<u64, HandleError> {
        let writing = Writing { path, overwrite, upload: Some(upload) };
        let mut all = self.all();
        if all.values().filter(|open| open.user == user).count() >= HANDLES_MAX {
            return Err(HandleError::TooMany);
        }
        let mut handle = rand::random::<u64>() & HANDLE_MAX;
        while handle == 0 || all.contains_key(&handle) {
            handle = rand::random::<u64>() & HANDLE_MAX;
        }
        let writing = Arc::new(tokio::sync::Mutex::new(writing));
        all.insert(handle, Open { user: user.to_owned(), heard: Instant::now(), writing });
        tokio::spawn(expire(Arc::downgrade(&self.0), handle));
        Ok(handle)
    }

    /// Writes a block behind those that were written.
    pub async fn write(&self, user: &str, handle: u64, block: Bytes) -> Result<(), HandleError> {
        let writing = {
            let mut all = self.all();
            let open = all.get_mut(&handle).filter(|open| open.user == user).ok_or(HandleError::Unknown(handle))?;
            open.heard = Instant::now();
            open.writing.clone()
        };
        let mut writing = writing.lock().await;
        // Put back when it is written: a failure, or a caller that hangs up in the middle, leaves a hole.
        let mut upload = writing.upload.take().ok_or(HandleError::Broken(handle))?;
        upload.write(block).await?;
        writing.upload = Some(upload);
        Ok(())
    }

    /// Puts the file in place. The handle is gone then, whatever comes of it.
    pub async fn close(&self, user: &str, handle: u64) -> Result<(), HandleError> {
        let writing = {
            let mut all = self.all();
            all.get(&handle).filter(|open| open.user == user).ok_or(HandleError::Unknown(handle))?;
            all.remove(&handle).ok_or(HandleError::Unknown(handle))?.writing
        };
        let mut writing = writing.lock().await;
        let upload = writing.upload.take().ok_or(HandleError::Broken(handle))?;
        upload.finish(writing.path.clone(), writing.overwrite).await?;
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        lock(&self.0)
    }
}

/// Gives a handle up when it has been idle for too long.
async fn expire(all: Weak<Mutex<HashMap<u64, Open>>>, handle: u64) {
    let mut until = Instant::now() + IDLE;
    loop {
        tokio::time::sleep_until(until).await;
        let Some(all) = all.upgrade() else { return };
        let mut all = lock(&all);
        match all.get(&handle) {
            None => return,
            Some(open) if open.heard + IDLE > Instant::now() => until = open.heard + IDLE,
            Some(_) => {
                all.remove(&handle);
                return;
            }
        }
    }
}

fn lock(all: &Mutex<HashMap<u64, Open>>) -> MutexGuard<'_, HashMap<u64, Open>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use firesteel_store::files::Files;
    use tempfile::TempDir;

    use super::*;

    async fn opened(handles: &Handles, files: &Files, user: &str) -> Result<u64, HandleError> {
        let path = TreePath::of_dbfs("/x").unwrap();
        handles.open(user, path, false, files.begin().await.unwrap())
    }

    fn setup() -> (TempDir, Files, Handles) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        (dir, files, Handles::default())
    }

    fn aside(dir: &TempDir) -> usize {
        std::fs::read_dir(dir.path().join(".firesteel/uploads")).unwrap().count()
    }

    #[tokio::test]
    async fn a_handle_is_its_maker_s_and_is_closed_once() {
        let (dir, files, handles) = setup();
        let handle = opened(&handles, &files, "ann").await.unwrap();
        handles.write("ann", handle, Bytes::from_static(b"a")).await.unwrap();
        assert!(matches!(handles.write("bob", handle, Bytes::new()).await, Err(HandleError::Unknown(_))));
        assert!(matches!(handles.close("bob", handle).await, Err(HandleError::Unknown(_))));
        handles.close("ann", handle).await.unwrap();
        assert!(matches!(handles.close("ann", handle).await, Err(HandleError::Unknown(_))));
        assert_eq!(std::fs::read(dir.path().join("x")).unwrap(), b"a");

        let late = opened(&handles, &files, "ann").await.unwrap();
        let exists = handles.close("ann", late).await;
        assert!(matches!(exists, Err(HandleError::Files(FilesError::Exists(_)))), "{exists:?}");
        assert_eq!(aside(&dir), 0);
    }

    #[tokio::test]
    async fn one_user_cannot_take_them_all() {
        let (_dir, files, handles) = setup();
        for _ in 0..HANDLES_MAX {
            opened(&handles, &files, "ann").await.unwrap();
        }
        assert!(matches!(opened(&handles, &files, "ann").await, Err(HandleError::TooMany)));
        opened(&handles, &files, "bob").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_handle_is_given_up_and_leaves_nothing() {
        let (dir, files, handles) = setup();
        let handle = opened(&handles, &files, "ann").await.unwrap();
        tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        handles.write("ann", handle, Bytes::from_static(b"a")).await.unwrap();
        tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        assert_eq!(aside(&dir), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(aside(&dir), 0);
        assert!(matches!(handles.write("ann", handle, Bytes::new()).await, Err(HandleError::Unknown(_))));
    }
}
