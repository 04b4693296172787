//! A file that one process at a time may hold.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::{RuntimeError, Say};

/// How often a lock that another process holds is asked for.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// A held lock. It is let go when this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock at `path`, waiting for whoever holds it. `say` hears once that it waits. Cancel-safe.
    pub async fn take(path: &Path, say: Say<'_>) -> Result<Self, RuntimeError> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let file = file.map_err(|source| RuntimeError::io("open", path, source))?;
        let mut said = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => {
                    return Err(RuntimeError::io("lock", path, source));
                }
            }
            if !said {
                say("waiting for another process that is at this");
                said = true;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Another handle on the same lock, for a child to hold it too.
    pub fn share(&self) -> std::io::Result<File> {
        self.0.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lock::take(&path, &|_| panic!("nobody holds it")).await.unwrap();
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let second = tokio::spawn({
            let path = path.clone();
            async move { Lock::take(&path, &|line| told.send(line.to_owned()).unwrap()).await }
        });
        assert!(heard.recv().await.unwrap().contains("waiting"));
        drop(first);
        second.await.unwrap().unwrap();
    }
}
